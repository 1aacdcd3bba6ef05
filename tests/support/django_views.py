"""The addresses and views of a small Django site, sync and async, for tests of the session engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.contrib import messages
from django.contrib.auth import aauthenticate, alogin, alogout, authenticate, login, logout
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.urls import path

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

meanwhile: Final[list[Callable[[], object]]] = []
"""What happens while a request of `slow` runs, between its reading and its saving."""


def untouched(_: HttpRequest) -> HttpResponse:
    """Leave the session alone."""
    return HttpResponse("untouched")


def show(request: HttpRequest) -> HttpResponse:
    """Read the session."""
    return JsonResponse({key: value for key, value in request.session.items() if not key.startswith("_")})


def put(request: HttpRequest) -> HttpResponse:
    """Set what the query says."""
    for key, value in request.GET.items():
        request.session[key] = value
    return HttpResponse("put", status=int(request.GET.get("status", 200)))


def slow(request: HttpRequest) -> HttpResponse:
    """Read, let others act, and set what the query says."""
    request.session.get("anything")
    while meanwhile:
        meanwhile.pop(0)()
    return put(request)


def append(request: HttpRequest) -> HttpResponse:
    """Change a list inside the session, and set no flag."""
    request.session["list"].append(request.GET["item"])
    return HttpResponse("appended")


def count(request: HttpRequest) -> HttpResponse:
    """Count exactly."""
    request.session.get("count")
    while meanwhile:
        meanwhile.pop(0)()
    return HttpResponse(str(request.session.modify("count", lambda number: number + 1, 0)))


def log_in(request: HttpRequest) -> HttpResponse:
    """Log in."""
    user = authenticate(request, username=request.GET["name"], password=request.GET["password"])
    login(request, user)
    return HttpResponse("in", status=int(request.GET.get("status", 200)))


def log_out(request: HttpRequest) -> HttpResponse:
    """Log out."""
    logout(request)
    return HttpResponse("out")


@login_required
def who(request: HttpRequest) -> HttpResponse:
    """Say who is logged in."""
    return HttpResponse(request.user.username)


def tell(request: HttpRequest) -> HttpResponse:
    """Leave a message for the next page."""
    messages.info(request, request.GET["text"])
    return HttpResponse("told")


def told(request: HttpRequest) -> HttpResponse:
    """Show the messages, which are gone then."""
    return JsonResponse([str(message) for message in messages.get_messages(request)], safe=False)


async def ashow(request: HttpRequest) -> HttpResponse:
    """Read the session."""
    entries = await request.session.aitems()
    return JsonResponse({key: value for key, value in entries if not key.startswith("_")})


async def aput(request: HttpRequest) -> HttpResponse:
    """Set what the query says."""
    for key, value in request.GET.items():
        await request.session.aset(key, value)
    return HttpResponse("put")


async def alog_in(request: HttpRequest) -> HttpResponse:
    """Log in."""
    user = await aauthenticate(request, username=request.GET["name"], password=request.GET["password"])
    await alogin(request, user)
    return HttpResponse("in")


async def alog_out(request: HttpRequest) -> HttpResponse:
    """Log out."""
    await alogout(request)
    return HttpResponse("out")


async def awho(request: HttpRequest) -> HttpResponse:
    """Say who is logged in."""
    return HttpResponse((await request.auser()).username)


VIEWS: Final = (untouched, show, put, slow, append, count, log_in, log_out, who, tell, told)
AWAITED: Final = (ashow, aput, alog_in, alog_out, awho)

urlpatterns = [path(view.__name__, view) for view in (*VIEWS, *AWAITED)]
