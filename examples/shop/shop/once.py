"""The shop is visited by itself over HTTP, from the first page to a logout that lasts, and what it saw is noted."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from shop.client import Client

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shop.client import Answer
    from shop.report import Report
    from shop.server import Address

CROWD: Final = 20
"""Additions to one cart at the same time."""


def once(address: Address, folder: Path | None, report: Report) -> None:
    """Visit the shop, step by step; ``folder`` is where the store has its files, if it has any.

    What keeps the visit from going on ends it, and is noted too.
    """
    try:
        Visit(address, folder, report).run()
    except (OSError, http.client.HTTPException, threading.BrokenBarrierError) as error:
        report.compare("go on", "an answer", f"{type(error).__name__}: {error}")


class Visit:
    """One visit to the shop."""

    def __init__(self, address: Address, folder: Path | None, report: Report) -> None:
        self.visitor = self.former = Client(address)
        self.folder = folder
        self.compare = report.compare

    def run(self) -> None:
        """Do one thing after the other."""
        self.come_twice()
        self.fill_the_cart()
        self.log_in()
        self.come_with_the_former_cookie()
        self.add_in_a_crowd()
        if self.folder is not None:
            self.look_for_ids(self.folder)
        self.log_out()

    def come_twice(self) -> None:
        """See that visits are counted, in a session that a careful cookie leads to."""
        first = self.visitor.get("/")
        self.compare("visit the shop", "200, visit 1", f"{first.status}, visit {first.of('visits')}")
        self.compare("look at the cookie", "HttpOnly, SameSite=Lax", _attributes(first))
        second = self.visitor.get("/")
        self.compare("visit it again", "200, visit 2", f"{second.status}, visit {second.of('visits')}")

    def fill_the_cart(self) -> None:
        """See that the cart counts."""
        for product, by in (("ruled", 1), ("dotted", 3), ("dotted", -1)):
            answer = self.visitor.post("/cart", product=product, by=by)
            self.compare(f"cart: {by:+} {product}", "303", answer.status)
        self.compare("look into the cart", "ruled 1, dotted 2", self.cart_of(self.visitor))

    def log_in(self) -> None:
        """See that the id changes and the cart stays."""
        self.former = self.visitor.copy()
        answer = self.visitor.post("/login", name="ada", password="lovelace")  # noqa: S106  # the demonstration's
        same = self.visitor.cookie == self.former.cookie
        self.compare("log in", "303, another id", f"{answer.status}, {'the same id' if same else 'another id'}")
        self.compare("look into the cart", "ruled 1, dotted 2", self.cart_of(self.visitor))

    def come_with_the_former_cookie(self) -> None:
        """See that the cookie from before the login neither reads nor writes, and is not replaced."""
        for time in ("read", "read again"):  # had the first visit been counted, the second would say so
            reader = self.former.copy().get("/")
            seen = f"visit {reader.of('visits')}, {reader.of('pieces') or 'no'} pieces, cookie {_cookie(reader)}"
            self.compare(f"former cookie: {time}", "visit 1, no pieces, cookie left alone", seen)
        writer = self.former.copy().post("/cart", product="grid", by=5)
        self.compare("former cookie: write", "400, cookie left alone", f"{writer.status}, cookie {_cookie(writer)}")
        self.compare("look into the cart", "ruled 1, dotted 2", self.cart_of(self.visitor))

    def add_in_a_crowd(self) -> None:
        """See that many additions to one cart at the same time are all acknowledged, and all there."""
        start = threading.Barrier(CROWD, timeout=30)

        def add(client: Client) -> int:
            start.wait()
            return client.post("/cart", product="dotted", by=1).status

        with ThreadPoolExecutor(CROWD) as crowd:
            statuses = Counter(crowd.map(add, [self.visitor.copy() for _ in range(CROWD)]))
        seen = ", ".join(f"{number} times {status}" for status, number in sorted(statuses.items()))
        self.compare(f"cart: +1 dotted, {CROWD} at a time", f"{CROWD} times 303", seen)
        self.compare("look into the cart", f"ruled 1, dotted {2 + CROWD}", self.cart_of(self.visitor))

    def look_for_ids(self, folder: Path) -> None:
        """See that nobody can take a session over who reads the store's files."""
        ids = [client.cookie.partition("=")[2] for client in (self.former, self.visitor)]
        files = [path for path in folder.rglob("*") if path.is_file()]
        shown = any(each in path.name or each.encode() in path.read_bytes() for path in files for each in ids)
        seen = f"{'files' if files else 'no files'}, {'an id' if shown else 'no id'} in them"
        self.compare("look into the store", "files, no id in them", seen)

    def log_out(self) -> None:
        """See that the session ends, and that neither of its cookies brings anything back."""
        last = self.visitor.copy()
        answer = self.visitor.post("/logout")
        self.compare("log out", "303, cookie expired", f"{answer.status}, cookie {_cookie(answer)}")
        reader = last.copy()
        seen = f"visit {reader.get('/').of('visits')}, {'the old' if reader.cookie == last.cookie else 'another'} id"
        self.compare("old cookie: read", "visit 1, another id", seen)
        self.compare("old cookie: write", "400", last.copy().post("/cart", product="grid", by=5).status)
        for name, client in (("old", last), ("former", self.former)):
            page = client.copy().get("/session")
            seen = f"{'logged in' if 'Log out' in page.text else 'nobody'}, cart {self.cart_of(client.copy())}"
            self.compare(f"{name} cookie: look for what it led to", "nobody, cart empty", seen)

    @staticmethod
    def cart_of(client: Client) -> str:
        """Return what the cart shows to a visitor, in words."""
        return _in_words(client.get("/cart").quantities()) or "empty"


def _in_words(quantities: Mapping[str, int]) -> str:
    return ", ".join(f"{product} {quantity}" for product, quantity in quantities.items())


def _attributes(answer: Answer) -> str:
    """Return what the cookie of an answer promises."""
    if answer.cookie is None:
        return "no cookie"
    httponly = "HttpOnly" if answer.cookie["httponly"] else "open to scripts"
    return f"{httponly}, SameSite={answer.cookie['samesite'] or 'missing'}"


def _cookie(answer: Answer) -> str:
    """Return what an answer does with the cookie."""
    if answer.cookie is None:
        return "left alone"
    return "expired" if answer.cookie["max-age"] == "0" else "set"
