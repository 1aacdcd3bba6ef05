"""A browser of a few lines, for `shop.once`: real HTTP, with the session's cookie and the form's token kept by hand."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass, replace
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Final, NamedTuple, Self
from urllib.parse import urlencode

from shop.server import Address  # a field of a dataclass

if TYPE_CHECKING:
    from http.cookies import Morsel

PATIENCE: Final = 60
"""Seconds to wait for an answer."""


class Answer(NamedTuple):
    """What the shop answered."""

    status: int
    cookie: Morsel[str] | None
    """The cookie that the answer sets or expires."""

    text: str

    def of(self, element: str) -> str:
        """Return what the element with this id shows, or ``""``."""
        found = re.search(rf'id="{element}"[^>]*>([^<]*)<', self.text)
        return "" if found is None else found[1]

    def quantities(self) -> dict[str, int]:
        """Return what the page of the cart shows."""
        return {key: int(number) for key, number in re.findall(r'id="quantity-(\w+)">(\d+)<', self.text)}


@dataclass
class Client:
    """A visitor of the shop."""

    address: Address
    cookie: str = ""
    """Name and value, as the header ``Cookie`` has them."""

    token: str = ""
    """The token in the forms of the page that was seen last."""

    def get(self, path: str) -> Answer:
        """Open a page."""
        return self._ask("GET", path)

    def post(self, path: str, **fields: object) -> Answer:
        """Send a form of the page that was seen last."""
        return self._ask("POST", path, urlencode({"token": self.token, **fields}))

    def copy(self) -> Self:
        """Return a visitor who has the same cookie and the same page open."""
        return replace(self)

    def _ask(self, method: str, path: str, body: str | None = None) -> Answer:
        headers = {"Connection": "close"}
        if self.cookie:
            headers["Cookie"] = self.cookie
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(*self.address, timeout=PATIENCE)
        try:
            connection.request(method, path, body, headers)
            with connection.getresponse() as response:
                return self._take(response)
        finally:
            connection.close()

    def _take(self, response: http.client.HTTPResponse) -> Answer:
        """Keep the cookie and the token as a browser does."""
        text = response.read().decode()
        token = re.search(r'name="token" value="([^"]+)"', text)
        self.token = self.token if token is None else token[1]
        cookie = next(iter(SimpleCookie(response.headers.get("Set-Cookie", "")).values()), None)
        if cookie is not None:
            self.cookie = "" if cookie["max-age"] == "0" else f"{cookie.key}={cookie.coded_value}"
        return Answer(response.status, cookie, text)
