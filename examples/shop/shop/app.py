"""The shop as a WSGI application: which view answers a request, and what the views do with the session."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from urllib.parse import parse_qsl

from sessionbag import Bag, current_session

from shop import pages
from shop.catalogue import PRODUCTS, password_fits

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

Form: TypeAlias = Mapping[str, str]

LONGEST_FORM: Final = 4096
"""Bytes."""

MOST: Final = 99
"""Pieces of one product in a cart."""

cart: Final = Bag("cart")
"""Product keys and quantities, in the session of whoever the running request is for."""


class Response(NamedTuple):
    """What a view answers."""

    status: HTTPStatus
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Refused(Exception):
    """A form is not accepted; the message is for the visitor."""

    def __init__(self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        """Keep the status beside the message."""
        super().__init__(message)
        self.status = status


def shop(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Answer a request. `sessionbag.wsgi.SessionMiddleware` around it provides the current session."""
    status, text, headers = respond(environ)
    body = text.encode()
    length = ("Content-Length", str(len(body)))
    start_response(f"{status.value} {status.phrase}", [length, *pages.HEADERS, *headers])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def respond(environ: WSGIEnvironment) -> Response:
    """Find the view for the path and the method, and ask it."""
    views = ROUTES.get(environ.get("PATH_INFO") or "/")
    if views is None:
        return page("Not found", pages.message("There is no such page in this shop."), HTTPStatus.NOT_FOUND)
    method = environ["REQUEST_METHOD"]
    view = views.get("GET" if method == "HEAD" else method)
    if view is None:
        refusal = page("Not possible", pages.message("This page cannot do that."), HTTPStatus.METHOD_NOT_ALLOWED)
        return refusal._replace(headers=(("Allow", ", ".join(views)),))
    try:
        return view(read_form(environ) if method == "POST" else {})
    except Refused as refusal:
        return page("Not accepted", pages.message(str(refusal)), refusal.status)


def home(_: Form) -> Response:
    """Show the products, and count the visit."""
    visits = current_session().modify("visits", lambda visits: visits + 1, 0)
    return page("Paper, four ways", pages.home(visits, form_token()))


def show_cart(_: Form) -> Response:
    """Show what is in the cart."""
    lines = [(product, cart[product.key]) for product in PRODUCTS.values() if cart.get(product.key)]
    return page("Your cart", pages.cart(lines, form_token()))


def change_cart(form: Form) -> Response:
    """Add pieces of a product, or take some away.

    `modify` counts exactly, however many requests change the cart at the same time. An entry of 0 stays: to delete it
    would undo what another window adds in this moment.
    """
    product, by = PRODUCTS.get(form.get("product", "")), whole_number(form.get("by", ""))
    if product is None or by is None:
        raise Refused("The cart did not understand that. Nothing was changed.")
    cart.modify(product.key, lambda quantity: min(max(quantity + by, 0), MOST), 0)
    return see_other(f"/cart#{product.key}")


def show_login(_: Form) -> Response:
    """Show the login form."""
    return page("Log in", pages.login("", form_token()))


def log_in(form: Form) -> Response:
    """Log a customer in: the session goes on under another id, and the one from before is worth nothing."""
    name = form.get("name", "")
    if not password_fits(name, form.get("password", "")):
        return page("Log in", pages.login(name, form_token(), failed=True), HTTPStatus.UNPROCESSABLE_ENTITY)
    session = current_session()
    session.regenerate_id()
    session["customer"] = name
    session["form_token"] = secrets.token_urlsafe()
    return see_other("/")


def log_out(_: Form) -> Response:
    """End the session."""
    current_session().destroy()
    return see_other("/")


def show_session(_: Form) -> Response:
    """Show a visitor what there is to know about the session."""
    session = current_session()
    return page("My session", pages.session(session.info(), session.get("visits", 0), session.get("customer", "")))


View: TypeAlias = Callable[[Form], Response]

ROUTES: Final[Mapping[str, Mapping[str, View]]] = {
    "/": {"GET": home},
    "/cart": {"GET": show_cart, "POST": change_cart},
    "/login": {"GET": show_login, "POST": log_in},
    "/logout": {"POST": log_out},
    "/session": {"GET": show_session},
}


def page(title: str, content: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """Answer with a page: the content, in the frame that all pages have."""
    session = current_session()
    visitor = pages.Visitor(session.get("customer", ""), sum(cart.values()), session.get("form_token", ""))
    return Response(status, pages.frame(title, content, visitor))


def see_other(path: str) -> Response:
    """Send the browser to another page after a form, so that reloading it sends nothing twice."""
    return Response(HTTPStatus.SEE_OTHER, headers=(("Location", path),))


def form_token() -> str:
    """Return what marks the forms of this session as ours; another site cannot know it."""
    session = current_session()
    if "form_token" not in session:
        session["form_token"] = secrets.token_urlsafe()
    return str(session["form_token"])


def read_form(environ: WSGIEnvironment) -> Form:
    """Return the fields of a form that one of our pages sent, or raise `Refused`."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > LONGEST_FORM:
        raise Refused("This form is too long. Nothing was changed.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        form = dict(parse_qsl(environ["wsgi.input"].read(length).decode(), errors="strict", max_num_fields=10))
    except ValueError:
        raise Refused("This form cannot be read. Nothing was changed.") from None
    token = current_session().get("form_token", "")
    if not token or not hmac.compare_digest(token.encode(), form.get("token", "").encode()):
        raise Refused("This form is out of date. Nothing was changed; go back to the page, reload it and try again.")
    return form


def whole_number(text: str) -> int | None:
    """Return the number of pieces that a form names, or None when it names none that a cart can hold."""
    digits = text.removeprefix("-")
    return int(text) if digits.isdecimal() and len(digits) <= len(str(MOST)) else None
