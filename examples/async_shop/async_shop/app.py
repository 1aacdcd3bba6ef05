"""The shop as a FastAPI application: which view answers a request, and what the views do with the session."""

import hmac
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Final, TypeAlias
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sessionbag import AsyncManager, AsyncManagerFactory, Bag
from sessionbag.asgi import SessionMiddleware
from sessionbag.starlette import get_session
from shop import pages
from shop.app import LONGEST_FORM, MOST, Refused, whole_number
from shop.catalogue import PRODUCTS, password_fits
from starlette.exceptions import HTTPException

DEFAULT_URL: Final = "stream://"
"""Where the sessions are kept when the environment does not say: in the adapter's own folder."""

Session: TypeAlias = Annotated[AsyncManager, Depends(get_session)]
"""The session of the running request, loaded."""

router: Final = APIRouter(default_response_class=HTMLResponse)

cart: Final = Bag("cart")
"""Product keys and quantities, in the session of whoever the running request is for."""


def create(factory: AsyncManagerFactory | None = None) -> FastAPI:
    """Make the application; without a factory its sessions are as the environment says."""
    if factory is None:
        named = {"SESSIONBAG_URL", "SESSIONBAG_ADAPTER"} & os.environ.keys()
        factory = AsyncManagerFactory.from_env({**({} if named else {"SESSIONBAG_URL": DEFAULT_URL}), **os.environ})
    sessions = factory

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with sessions:
            yield

    app = FastAPI(openapi_url=None, lifespan=lifespan)
    app.add_middleware(SessionMiddleware, factory=sessions)
    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(HTTPException, not_possible)
    app.include_router(router)
    return app


async def read_form(request: Request, session: Session) -> Mapping[str, str]:
    """Return the fields of a form that one of our pages sent, or raise `Refused`."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            raise Refused("This form is too long. Nothing was changed.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    try:
        form = dict(parse_qsl(body.decode(), errors="strict", max_num_fields=10))
    except ValueError:
        raise Refused("This form cannot be read. Nothing was changed.") from None
    token = session.get("form_token", "")
    if not token or not hmac.compare_digest(token.encode(), form.get("token", "").encode()):
        raise Refused("This form is out of date. Nothing was changed; go back to the page, reload it and try again.")
    return form


Form: TypeAlias = Annotated[Mapping[str, str], Depends(read_form)]


@router.get("/")
async def home(session: Session) -> Response:
    """Show the products, and count the visit."""
    visits = session.modify("visits", lambda visits: visits + 1, 0)
    return page(session, "Paper, four ways", pages.home(visits, form_token(session)))


@router.get("/cart")
async def show_cart(session: Session) -> Response:
    """Show what is in the cart."""
    lines = [(product, cart[product.key]) for product in PRODUCTS.values() if cart.get(product.key)]
    return page(session, "Your cart", pages.cart(lines, form_token(session)))


@router.post("/cart")
async def change_cart(form: Form) -> Response:
    """Add pieces of a product, or take some away.

    `modify` counts exactly, however many requests change the cart at the same time. An entry of 0 stays: to delete it
    would undo what another window adds in this moment.
    """
    product, by = PRODUCTS.get(form.get("product", "")), whole_number(form.get("by", ""))
    if product is None or by is None:
        raise Refused("The cart did not understand that. Nothing was changed.")
    cart.modify(product.key, lambda quantity: min(max(quantity + by, 0), MOST), 0)
    return see_other(f"/cart#{product.key}")


@router.get("/login")
async def show_login(session: Session) -> Response:
    """Show the login form."""
    return page(session, "Log in", pages.login("", form_token(session)))


@router.post("/login")
async def log_in(form: Form, session: Session) -> Response:
    """Log a customer in: the session goes on under another id, and the one from before is worth nothing."""
    name = form.get("name", "")
    if not password_fits(name, form.get("password", "")):
        content = pages.login(name, form_token(session), failed=True)
        return page(session, "Log in", content, HTTPStatus.UNPROCESSABLE_ENTITY)
    await session.regenerate_id()
    session["customer"] = name
    session["form_token"] = secrets.token_urlsafe()
    return see_other("/")


@router.post("/logout")
async def log_out(_form: Form, session: Session) -> Response:
    """End the session."""
    await session.destroy()
    return see_other("/")


@router.get("/session")
async def show_session(session: Session) -> Response:
    """Show a visitor what there is to know about the session."""
    content = pages.session(session.info(), session.get("visits", 0), session.get("customer", ""))
    return page(session, "My session", content)


async def refused(request: Request, error: Exception) -> Response:
    """Say why a form is not accepted."""
    status = error.status if isinstance(error, Refused) else HTTPStatus.BAD_REQUEST
    return page(await get_session(request), "Not accepted", pages.message(str(error)), status)


async def not_possible(request: Request, error: Exception) -> Response:
    """Answer for a page that there is not, or for what it cannot do."""
    session = await get_session(request)
    if not isinstance(error, HTTPException) or error.status_code == HTTPStatus.NOT_FOUND:
        content = pages.message("There is no such page in this shop.")
        return page(session, "Not found", content, HTTPStatus.NOT_FOUND)
    answer = page(session, "Not possible", pages.message("This page cannot do that."), error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def page(session: AsyncManager, title: str, content: str, status: int = HTTPStatus.OK) -> Response:
    """Answer with a page: the content, in the frame that all pages have."""
    visitor = pages.Visitor(session.get("customer", ""), sum(cart.values()), session.get("form_token", ""))
    return HTMLResponse(pages.frame(title, content, visitor), status, dict(pages.HEADERS))


def see_other(path: str) -> Response:
    """Send the browser to another page after a form, so that reloading it sends nothing twice."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, dict(pages.HEADERS))


def form_token(session: AsyncManager) -> str:
    """Return what marks the forms of this session as ours; another site cannot know it."""
    if "form_token" not in session:
        session["form_token"] = secrets.token_urlsafe()
    return str(session["form_token"])
