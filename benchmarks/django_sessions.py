"""What a request's session costs in Django: sessionbag beside Django's own engines on the same store.

Run it with ``python benchmarks/django_sessions.py [--rounds N] [--json]`` where sessionbag-django is installed; each of
sessionbag's adapters that is installed and whose server's program is there takes part. The requests go through Django's
own handler and session middleware, inside of the process: no socket is in the way but that to the store. All contenders
take turns within each round, so that a machine whose speed drifts treats them alike; the figures are medians over the
rounds, and what is added is the median of the rounds' differences to Django without sessions.

Beside the time stands what the store was asked for by one request: statements of the database, commands of the cache,
operations of the adapter, each of which is one round trip (for files: one operation on a file).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import django
import sessionbag
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from measuring import Figure, given, heading, machine, print_json, row, summed_up, timed
from servers import PROGRAMS, program_of, serving
from sessionbag import AdapterFactory

DATA = {
    "name": "Kimbra Johnson",
    "flashes": ["Welcome back", "Two articles are waiting in your cart"],
    "cart": {f"article-{number}": {"quantity": number, "price": "19.90"} for number in range(12)},
    "seen": list(range(60)),
    "note": "x" * 200,
}
PER_ROUND = 20
KINDS = ("untouched", "read", "modify", "login")
MIDDLEWARE = ["django.contrib.sessions.middleware.SessionMiddleware"]

numbers = count()


def untouched(_: HttpRequest) -> HttpResponse:
    """Leave the session alone."""
    return HttpResponse("ok")


def read(request: HttpRequest) -> HttpResponse:
    """Read one entry."""
    return HttpResponse(request.session["name"])


def modify(request: HttpRequest) -> HttpResponse:
    """Change one entry."""
    request.session["number"] = next(numbers)
    return HttpResponse("ok")


def begin(request: HttpRequest) -> HttpResponse:
    """Begin a session of about a kilobyte."""
    request.session.update(DATA)
    return HttpResponse("ok")


def log_in(request: HttpRequest) -> HttpResponse:
    """Log somebody in; the user is no row, so that all statements are the session's."""
    from django.contrib.auth import login  # noqa: PLC0415  # the models are there only now
    from django.contrib.auth.models import User  # noqa: PLC0415  # as above

    user = User(pk=7, username="kimbra", password="hash")  # noqa: S106  # made up
    login(request, user, "django.contrib.auth.backends.ModelBackend")
    return HttpResponse("ok")


urlpatterns = [
    path("untouched", untouched),
    path("read", read),
    path("modify", modify),
    path("begin", begin),
    path("login", log_in),
]


@dataclass
class Contender:
    """An engine with its settings."""

    name: str
    engine: str
    options: Mapping[str, Any] = field(default_factory=dict)
    """Settings that differ."""

    counted: str = ""
    """What of the store is counted: db, cache, file or adapter."""

    app: Any = None
    cookie: str = ""


@dataclass(frozen=True)
class Counted(Figure):
    """A figure, and what the store was asked for."""

    asked: list[str]


# The store, counted


@contextmanager
def counting(contender: Contender) -> Iterator[list[str]]:
    """Note what the store is asked for."""
    from django.core.cache import caches  # noqa: PLC0415  # the settings are there only now
    from django.db import connection  # noqa: PLC0415  # as above

    asked: list[str] = []
    with ExitStack() as stack:
        if contender.counted == "db":

            def note(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:  # noqa: ANN401  # as Django has it
                asked.append(sql.split(maxsplit=1)[0])
                return execute(sql, *rest)

            stack.enter_context(connection.execute_wrapper(note))
        elif contender.counted == "cache":
            stack.enter_context(noted(caches["default"], ("get", "set", "add", "delete", "has_key"), asked))
        elif contender.counted == "file":
            from django.contrib.sessions.backends.file import SessionStore  # noqa: PLC0415  # as above

            stack.enter_context(noted(SessionStore, ("load", "save", "delete", "exists"), asked))
        elif contender.counted == "adapter":
            stack.enter_context(noted(contender.options["SESSIONBAG"]["adapter"], ("read", "write", "destroy"), asked))
        yield asked


@contextmanager
def noted(owner: Any, names: tuple[str, ...], asked: list[str]) -> Iterator[None]:  # noqa: ANN401  # stores of any kind
    """Note each call of these methods."""
    before = {name: getattr(owner, name) for name in names}
    own = {name: method for name, method in before.items() if name in vars(owner)}
    for name, method in before.items():

        def note(*given: Any, _name: str = name, _method: Any = method, **more: Any) -> Any:  # noqa: ANN401  # any method
            asked.append(_name)
            return _method(*given, **more)

        setattr(owner, name, note)
    yield
    for name in names:
        if name in own:
            setattr(owner, name, own[name])
        else:
            delattr(owner, name)


class Kept:
    """A handler that outlives the factories that use it, one after the other, when the contenders take turns."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._handler = AdapterFactory().new_instance(name, options)
        self._handler.open(str(options.get("save_path", "")), "sessionid")
        for member in ("api_version", "evicts", "read", "write", "destroy", "gc", "acquire", "release"):
            if hasattr(self._handler, member):
                setattr(self, member, getattr(self._handler, member))

    def open(self, save_path: str, session_name: str) -> bool:  # noqa: ARG002  # it is open
        """Be open."""
        return True

    def close(self) -> bool:
        """Stay open."""
        return True

    read: Any
    write: Any
    destroy: Any
    gc: Any


def contenders(folder: Path, ports: Mapping[str, int]) -> list[Contender]:
    """Return everybody who can take part."""
    backends = "django.contrib.sessions.backends."
    found = [
        Contender("no sessions", "", {"MIDDLEWARE": []}),
        Contender("Django, db on SQLite", f"{backends}db", counted="db"),
        Contender("Django, cache in memory", f"{backends}cache", {"CACHES": cache("locmem.LocMemCache", "x")}, "cache"),
        ours("memory", {}),
        Contender("Django, file", f"{backends}file", {"SESSION_FILE_PATH": str(folder)}, "file"),
    ]
    if find_spec("sessionbag_stream"):
        found.append(ours("stream", {"save_path": folder / "stream"}))
    if "redis" in ports:
        options = {"CACHES": cache("redis.RedisCache", f"redis://127.0.0.1:{ports['redis']}")}
        found += [
            Contender("Django, cache in Redis", f"{backends}cache", options, "cache"),
            ours("redis", {"port": ports["redis"]}),
        ]
    if "memcached" in ports:
        address = f"127.0.0.1:{ports['memcached']}"
        options = {"CACHES": cache("memcached.PyMemcacheCache", address)}
        found += [
            Contender("Django, cache in memcached", f"{backends}cache", options, "cache"),
            ours("memcached", {"servers": address}),
        ]
    return found


def cache(backend: str, location: str) -> Mapping[str, Any]:
    """Return the setting CACHES."""
    return {"default": {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": location}}


def ours(adapter: str, options: Mapping[str, Any]) -> Contender:
    """Return sessionbag on an adapter."""
    return Contender(
        f"sessionbag, {adapter}", "sessionbag_django", {"SESSIONBAG": {"adapter": Kept(adapter, options)}}, "adapter"
    )


@contextmanager
def servers() -> Iterator[Mapping[str, int]]:
    """Start the servers whose programs and adapters are there, and give their ports."""
    there = [store for store in PROGRAMS if program_of(store) and find_spec(f"sessionbag_{store}")]
    with ExitStack() as stack:
        yield {store: stack.enter_context(serving(store)) for store in there}


# The race


@contextmanager
def settings_of(contender: Contender) -> Iterator[None]:
    """Let Django be set up for a contender."""
    from django.test import override_settings  # noqa: PLC0415  # the settings are there only now

    engine = {"SESSION_ENGINE": contender.engine} if contender.engine else {}
    with override_settings(**engine, **contender.options):
        yield


def ask(app: Any, where: str, cookie: str) -> str:  # noqa: ANN401  # any WSGI application
    """Make one request, and return the session cookie to come back with."""
    environ: dict[str, Any] = {"PATH_INFO": f"/{where}", "HTTP_COOKIE": cookie}
    setup_testing_defaults(environ)
    sent: list[tuple[str, list[tuple[str, str]]]] = []
    body = app(environ, lambda status, headers, *_: sent.append((status, headers)))
    b"".join(body)
    [(status, headers)] = sent
    if not status.startswith("200"):
        raise RuntimeError(f"{where} was answered with {status}")
    found = [value.split(";")[0] for name, value in headers if name == "Set-Cookie" and "sessionid=" in value]
    return found[0].strip() if found else cookie


def time_of(contender: Contender, kind: str) -> float:
    """Return the microseconds that one of many requests took. Each login begins with a session of its own."""
    if kind != "login":
        return timed(lambda: ask(contender.app, kind, contender.cookie), PER_ROUND)
    taken = 0.0
    for _ in range(PER_ROUND):
        cookie = ask(contender.app, "begin", "")
        begun = time.perf_counter()
        ask(contender.app, kind, cookie)
        taken += time.perf_counter() - begun
    return taken / PER_ROUND * 1e6


def race(everybody: list[Contender], rounds: int) -> list[Counted]:
    """Let everybody take turns, and sum each up."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415  # the settings are there only now

    times: dict[tuple[str, str], list[float]] = {(each.name, kind): [] for each in everybody for kind in KINDS}
    asked: dict[tuple[str, str], list[str]] = {}
    for number in range(rounds + 1):
        for contender in everybody:
            with settings_of(contender):
                if contender.app is None:
                    contender.app = get_wsgi_application()
                    asked |= {(contender.name, kind): once(contender, kind) for kind in KINDS}
                if contender.engine:
                    ask(contender.app, "read", contender.cookie)  # whatever the change of settings closed opens again
                for kind in KINDS if contender.engine else ("untouched",):
                    taken = time_of(contender, kind)
                    if number:  # the first round warms up
                        times[contender.name, kind].append(taken)
    floor = times[everybody[0].name, "untouched"]
    return [
        Counted(name, kind, *summed_up(own, floor), asked[name, kind]) for (name, kind), own in times.items() if own
    ]


def once(contender: Contender, kind: str) -> list[str]:
    """Return what one request asks the store for."""
    if not contender.engine:
        return []
    contender.cookie = ask(contender.app, "begin", "")
    with counting(contender) as asked:
        ask(contender.app, kind, contender.cookie)
    contender.cookie = ask(contender.app, "begin", "")
    return list(asked)


def set_up(folder: Path) -> None:
    """Set Django up, with a database for its engine ``db``."""
    settings.configure(
        SECRET_KEY="for measuring only",  # noqa: S106  # made up
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        MIDDLEWARE=MIDDLEWARE,
        SESSIONBAG={"adapter": "memory"},
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "sessions.sqlite3"}},
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    )
    django.setup()
    from django.contrib.auth import user_logged_in  # noqa: PLC0415  # the models are there only now
    from django.core.management import call_command  # noqa: PLC0415  # as above

    call_command("migrate", verbosity=0)
    user_logged_in.disconnect(dispatch_uid="update_last_login")


def main() -> None:
    """Measure and report."""
    arguments = given(__doc__, folder=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="benchmark-") as name:
        folder = Path(name)
        set_up(folder)
        with servers() as ports:
            figures = race(contenders(folder, ports), arguments.rounds)
    on = machine(f"Django {django.get_version()}")
    if arguments.json:
        print_json(figures, machine=on, version=sessionbag.__version__)
        return
    print(f"sessionbag {sessionbag.__version__} on {on}; one request, in the process\n")
    print(f"{heading(38)}  asked of the store")
    for each in sorted(figures, key=lambda each: KINDS.index(each.kind)):
        print(f"{row(each, 38, digits=0)}  {len(each.asked)}  {' '.join(each.asked)}".rstrip())


if __name__ == "__main__":
    main()
