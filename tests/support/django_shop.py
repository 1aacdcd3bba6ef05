"""The example shop in Django as a program: opened with settings of a test's choice, and its customers."""

from __future__ import annotations

import http.client
import os
import re
import sys
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from servers import Server, accepts, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOP: Final = Path(__file__).resolve().parents[2] / "examples" / "django_shop"

SETTINGS: Final = """
from site_of_shop.settings import *

SESSION_ENGINE = {engine!r}
SESSIONBAG = {options!r}
SESSION_FILE_PATH = {folder!r}
CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": {folder!r}}}}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""


class Customer:
    """Somebody with a browser, whose cookies stay while the shop closes and opens again."""

    def __init__(self) -> None:
        self.port = 0
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, **form: str) -> str:
        """Return the text of a page, and keep its cookies."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Connection": "close", "Content-Type": "application/x-www-form-urlencoded"}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        form = {"csrfmiddlewaretoken": self.cookies.get("csrftoken", ""), **form}
        try:
            connection.request(method, path, urlencode(form) if method == "POST" else None, headers)
            with connection.getresponse() as response:
                text = response.read().decode()
                for cookie in response.headers.get_all("Set-Cookie", []):
                    for morsel in SimpleCookie(cookie).values():
                        self.cookies.pop(morsel.key, None)
                        if morsel.value:
                            self.cookies[morsel.key] = morsel.value
        finally:
            connection.close()
        assert response.status in {200, 302}, text
        return text

    def log_in(self) -> None:
        """Log in as grace."""
        self.ask("GET", "/login")
        self.ask("POST", "/login", username="grace", password="hopper")

    def seen(self) -> tuple[str, dict[str, str]]:
        """Return who is logged in, and what is in the cart."""
        who = re.search(r'id="who">(\w+)', self.ask("GET", "/session"))[1]
        return who, dict(re.findall(r'id="quantity-(\w+)">(\d+)', self.ask("GET", "/cart")))


@contextmanager
def open_shop(customer: Customer, folder: Path, engine: str, options: dict[str, object] | str) -> Iterator[None]:
    """Open the shop with an engine and ``SESSIONBAG``, on the database of a folder, for a customer."""
    text = SETTINGS.format(engine=engine, options=options, folder=str(folder))
    (folder / "chosen.py").write_text(text, encoding="utf-8")
    customer.port = free_port()
    command = [
        "env",
        f"SHOP_FOLDER={folder}",
        "SHOP_SECRET_KEY=kept",
        "DJANGO_SETTINGS_MODULE=chosen",
        "PYTHONDONTWRITEBYTECODE=1",  # else settings of one length, written in one second, are taken for the same
        f"PYTHONPATH={os.pathsep.join([str(folder), str(SHOP)])}",
        *(sys.executable, str(SHOP / "manage.py"), "open", f"--port={customer.port}"),
    ]
    with Server(command, folder / "shop", lambda: accepts(customer.port)):
        yield
