"""The shop as a Flask application. Its sessions are ``flask.session``, and how they are kept is configuration."""

from __future__ import annotations

import hmac
import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from flask import Blueprint, Flask, Response, redirect, request, url_for
from sessionbag import Bag
from sessionbag_flask import SessionBag, session
from shop import pages
from shop.app import LONGEST_FORM, MOST, Refused, whole_number
from shop.catalogue import PRODUCTS, password_fits
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from werkzeug.wrappers import Response as AnyResponse

sessions: Final = SessionBag()

shop: Final = Blueprint("shop", __name__)

cart: Final = Bag("cart")
"""Product keys and quantities, in the session of whoever the running request is for."""


def create_app(config: Mapping[str, object] | None = None) -> Flask:
    """Make the application. Its settings are these, else variables ``SHOP_...`` of the environment, else the defaults.

    ``SHOP_SESSIONBAG_URL=redis://`` keeps the sessions in Redis, and ``SHOP_SESSIONBAG_LIFETIME=600`` for ten minutes.
    """
    app = Flask(__name__)
    app.config.update(
        MAX_CONTENT_LENGTH=LONGEST_FORM,
        SESSIONBAG_URL="stream://",
        SESSIONBAG_LIFETIME=3600,
        SESSIONBAG_LOGIN_KEYS=["customer"],
    )
    app.config.from_prefixed_env("SHOP")
    app.config.update(config or {})
    sessions.init_app(app)
    app.register_blueprint(shop)
    app.register_error_handler(Refused, refused)
    app.register_error_handler(HTTPException, not_possible)
    app.after_request(with_headers)
    return app


@shop.before_request
def check_form() -> None:
    """Refuse a form that none of our pages sent."""
    if request.method != "POST":
        return
    token = session.get("form_token", "")
    if not token or not hmac.compare_digest(token.encode(), field("token").encode()):
        raise Refused("This form is out of date. Nothing was changed; go back to the page, reload it and try again.")


@shop.get("/")
def home() -> Response:
    """Show the products, and count the visit."""
    visits = session.modify("visits", lambda visits: visits + 1, 0)
    return page("Paper, four ways", pages.home(visits, form_token()))


@shop.get("/cart")
def show_cart() -> Response:
    """Show what is in the cart."""
    lines = [(product, cart[product.key]) for product in PRODUCTS.values() if cart.get(product.key)]
    return page("Your cart", pages.cart(lines, form_token()))


@shop.post("/cart")
def change_cart() -> AnyResponse:
    """Add pieces of a product, or take some away.

    `modify` counts exactly, however many requests change the cart at the same time. An entry of 0 stays: to delete it
    would undo what another window adds in this moment.
    """
    product, by = PRODUCTS.get(field("product")), whole_number(field("by"))
    if product is None or by is None:
        raise Refused("The cart did not understand that. Nothing was changed.")
    cart.modify(product.key, lambda quantity: min(max(quantity + by, 0), MOST), 0)
    return redirect(f"{url_for('.show_cart')}#{product.key}", HTTPStatus.SEE_OTHER)


@shop.get("/login")
def show_login() -> Response:
    """Show the login form."""
    return page("Log in", pages.login("", form_token()))


@shop.post("/login")
def log_in() -> AnyResponse:
    """Log a customer in.

    ``customer`` is one of the keys that tell who is logged in (``SESSIONBAG_LOGIN_KEYS``): the session goes on under
    another id, and the one from before is worth nothing.
    """
    name = field("name")
    if not password_fits(name, field("password")):
        content = pages.login(name, form_token(), failed=True)
        return page("Log in", content, HTTPStatus.UNPROCESSABLE_ENTITY)
    session["customer"] = name
    session["form_token"] = secrets.token_urlsafe()
    return redirect(url_for(".home"), HTTPStatus.SEE_OTHER)


@shop.post("/logout")
def log_out() -> AnyResponse:
    """End the session, as Flask's applications do."""
    session.clear()
    return redirect(url_for(".home"), HTTPStatus.SEE_OTHER)


@shop.get("/session")
def show_session() -> Response:
    """Show a visitor what there is to know about the session."""
    content = pages.session(session.info(), session.get("visits", 0), session.get("customer", ""))
    return page("My session", content)


def refused(error: Refused) -> Response:
    """Say why a form is not accepted."""
    return page("Not accepted", pages.message(str(error)), error.status)


def not_possible(error: HTTPException) -> Response:
    """Answer for a page that there is not, for what it cannot do, and for what went wrong."""
    titles = {NotFound: "Not found", RequestEntityTooLarge: "Not accepted"}
    texts = {
        NotFound: "There is no such page in this shop.",
        MethodNotAllowed: "This page cannot do that.",
        RequestEntityTooLarge: "This form is too long. Nothing was changed.",
    }
    text = texts.get(type(error), "Something went wrong. Please try again soon.")
    answer = page(titles.get(type(error), "Not possible"), pages.message(text), error.code or HTTPStatus.BAD_REQUEST)
    answer.headers.extend((name, value) for name, value in error.get_headers() if name in {"Allow", "Retry-After"})
    return answer


def with_headers(response: AnyResponse) -> AnyResponse:
    """Add what every page goes out with."""
    response.headers.update(pages.HEADERS)
    return response


def page(title: str, content: str, status: int = HTTPStatus.OK) -> Response:
    """Answer with a page: the content, in the frame that all pages have."""
    held = session.get("cart", {})
    visitor = pages.Visitor(session.get("customer", ""), sum(held.values()), session.get("form_token", ""))
    return Response(pages.frame(title, content, visitor), status)


def form_token() -> str:
    """Return what marks the forms of this session as ours; another site cannot know it."""
    return str(session.setdefault("form_token", secrets.token_urlsafe()))


def field(name: str) -> str:
    """Return a field of the form that was sent."""
    return request.form.get(name, "")
