"""The HTML of the shop. What comes from outside is escaped here, by `escape`."""

from __future__ import annotations

import base64
import hashlib
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from shop.catalogue import PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessionbag import SessionInfo

    from shop.catalogue import Product

STYLE: Final = Path(__file__).with_name("style.css").read_text(encoding="utf-8")

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing but our style sheet: the browser refuses scripts, frames and anything from elsewhere."""

HEADERS: Final = (
    ("Content-Type", "text/html; charset=utf-8"),
    # Pages show what belongs to one visitor, so that neither a cache nor the back button may bring them back.
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", _POLICY),
    ("X-Content-Type-Options", "nosniff"),
)
"""What every page goes out with."""

_AT_THE_SAME_TIME: Final = {
    "merge": "both keep their changes",
    "strict": "the second one is told to try again",
    "lock": "the second one waits",
    "readonly": "nothing can be changed",
}


class Visitor(NamedTuple):
    """What the frame of a page shows of its visitor."""

    customer: str
    """The name of who is logged in, or ``""``."""

    pieces: int
    """In the cart."""

    token: str


def frame(title: str, content: str, visitor: Visitor) -> str:
    """Return a whole page."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} · Ruled &amp; Dotted</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header>
<a class="brand" href="/">Ruled <i>&amp;</i> Dotted</a>
<nav aria-label="Shop">
{_link("/cart", "Your cart", title, f' <b id="pieces">{visitor.pieces}</b>' if visitor.pieces else "")}
{_link("/session", "My session", title)}
{_logout(visitor) if visitor.customer else _link("/login", "Log in", title)}
</nav>
</header>
<main>
<h1>{escape(title)}</h1>
{content}
</main>
<footer>An example of sessionbag. Nothing here is really for sale.</footer>
</body>
</html>
"""


def _link(path: str, name: str, title: str, more: str = "") -> str:
    current = ' aria-current="page"' if name == title else ""
    return f'<a href="{path}"{current}>{name}{more}</a>'


def _logout(visitor: Visitor) -> str:
    return f"""<form method="post" action="/logout">{_token(visitor.token)}
<button class="quiet">Log out {escape(visitor.customer.title())}</button></form>"""


def _token(token: str) -> str:
    return f'<input type="hidden" name="token" value="{escape(token)}">'


def message(text: str) -> str:
    """Return a page's content that says something and leads back to the shop."""
    return f"""<p class="lead" role="alert">{escape(text)}</p>
<p><a class="button" href="/">Back to the shop</a></p>"""


def home(visits: int, token: str) -> str:
    """Return the products, with the number of the visit."""
    goods = "\n".join(_offer(product, token) for product in PRODUCTS.values())
    return f"""<p class="stamp">Visit <b id="visits">{visits}</b></p>
<p class="lead">For notes, plots, sketches and letters. Put some into your cart; it stays yours when you log in.</p>
<ul class="goods">
{goods}
</ul>"""


def _offer(product: Product, token: str) -> str:
    return f"""<li>
<div class="paper {product.key}"></div>
<h2>{escape(product.name)}</h2>
<p>{escape(product.about)}</p>
<form method="post" action="/cart">{_token(token)}
<input type="hidden" name="product" value="{product.key}">
<span class="price">{money(product.cents)}</span>
<button name="by" value="1" aria-label="Add to cart: {escape(product.name)}">Add to cart</button>
</form>
</li>"""


def cart(lines: Sequence[tuple[Product, int]], token: str) -> str:
    """Return what is in the cart, or where to fill it."""
    if not lines:
        return """<p class="lead">There is nothing in it yet.</p>
<p><a class="button" href="/">Look at the papers</a></p>"""
    rows = "\n".join(_line(product, quantity, token) for product, quantity in lines)
    total = sum(product.cents * quantity for product, quantity in lines)
    return f"""<table class="cart">
<thead><tr><th scope="col">Paper</th><th scope="col">Quantity</th><th scope="col" class="price">Price</th></tr></thead>
<tbody>
{rows}
</tbody>
<tfoot><tr><th scope="row" colspan="2">Total</th><td class="price" id="total">{money(total)}</td></tr></tfoot>
</table>
<p><a class="button" href="/">Look at more papers</a></p>"""


def _line(product: Product, quantity: int, token: str) -> str:
    name = escape(product.name)
    return f"""<tr id="{product.key}">
<th scope="row">{name}</th>
<td><form method="post" action="/cart">{_token(token)}
<input type="hidden" name="product" value="{product.key}">
<span><button name="by" value="-1" aria-label="One less: {name}">&minus;</button>
<output id="quantity-{product.key}">{quantity}</output>
<button name="by" value="1" aria-label="One more: {name}">+</button></span>
<button name="by" value="-{quantity}" class="quiet" aria-label="Remove: {name}">Remove</button>
</form></td>
<td class="price">{money(product.cents * quantity)}</td>
</tr>"""


def login(name: str, token: str, *, failed: bool = False) -> str:
    """Return the login form."""
    alert = '<p class="alert" role="alert">This name and this password do not belong together.</p>' if failed else ""
    return f"""{alert}
<form class="login" method="post" action="/login">{_token(token)}
<label for="name">Name</label>
<input id="name" name="name" value="{escape(name)}" autocomplete="username" autocapitalize="none" required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Log in</button>
</form>
<p class="hint">To try it: the name <kbd>ada</kbd> with the password <kbd>lovelace</kbd>.</p>"""


def session(info: SessionInfo, visits: int, customer: str) -> str:
    """Return what a visitor may know about the session."""
    age = max(0, int(time.time()) - info.created)
    facts = {
        "You are": escape(customer.title()) or "not logged in",
        "You have been here": counted(visits, "time"),
        "It began": "just now" if age < 1 else f"{in_words(age)} ago",
        "It ends, if you do nothing": f"in {in_words(info.idle_left)}",
        "It ends, whatever you do": "never" if info.absolute_left is None else f"in {in_words(info.absolute_left)}",
        "Two windows change it at once": _AT_THE_SAME_TIME[info.concurrency],
        "It is kept by the adapter": escape(info.adapter),
        "It is stored": "not yet" if info.is_new else f"under the name <code>{escape(info.key)}</code>",
    }
    rows = "\n".join(f'<tr><th scope="row">{name}</th><td>{fact}</td></tr>' for name, fact in facts.items())
    return f"""<p class="lead">What this shop keeps of your visit. Your browser only keeps a random number.</p>
<table class="facts">
{rows}
</table>"""


def money(cents: int) -> str:
    """Return an amount as it is written."""
    return f"€{cents // 100}.{cents % 100:02}"


def in_words(seconds: int) -> str:
    """Return a duration to the second below a minute, and to the minute above."""
    if seconds < 60:  # noqa: PLR2004  # seconds in a minute
        return counted(seconds, "second")
    hours, minutes = divmod(round(seconds / 60), 60)
    parts = [counted(number, unit) for number, unit in ((hours, "hour"), (minutes, "minute")) if number]
    return " ".join(parts)


def counted(number: int, thing: str) -> str:
    """Return a number with what it counts."""
    return f"{number} {thing if number == 1 else thing + 's'}"
