"""What the shop has to sell, and who may log in."""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple


class Product(NamedTuple):
    """Something to buy."""

    key: str
    """Its name in carts, forms and the style sheet."""

    name: str
    about: str
    cents: int


PRODUCTS: Final = {
    product.key: product
    for product in (
        Product("ruled", "Ruled notebook", "Twenty-four lines a page and a red margin to think in.", 650),
        Product("grid", "Graph pad", "Squares of five millimetres, for plans and plots.", 480),
        Product("dotted", "Dotted sketchbook", "Dots that keep you straight and then disappear.", 990),
        Product("airmail", "Airmail envelopes", "Ten light envelopes for letters that go far.", 320),
    )
}

CUSTOMERS: Final = {"ada": "lovelace", "grace": "hopper"}
"""Names and passwords, for a demonstration. A real shop keeps a slow hash of each password (argon2, scrypt)."""


def password_fits(name: str, password: str) -> bool:
    """Say whether this is the customer's password, in a time that does not tell how much of it is right."""
    known = CUSTOMERS.get(name, "")
    return hmac.compare_digest(known.encode(), password.encode()) and known != ""
