"""The fifteen rules of SECURITY.md: over WSGI and ASGI, on every adapter where the rule touches the store."""

import logging
import pickle
import random

import pytest
from sessionbag import (
    ConfigurationError,
    LockingHandler,
    LockTimeout,
    ManagerFactory,
    Memory,
    MsgpackSerializer,
    SessionConflict,
    StoreUnavailable,
    hookimpl,
)
from sessionbag.lifecycle import hashed
from sessionbag.record import Codec, Header
from sides import SIDES
from stores import put, raw

HOSTILE = ["../../etc/passwd", "*", "sess?on", "a\r\nb", "a\0b", "two words", "x" * 4096, "\u00e9", "a/b", "[a]", "{a}"]
UNKNOWN = "0123456789abcdef" * 4


class Watched:
    """A handler between a factory and the store that notes its calls; closing it leaves the store open."""

    api_version = 1
    evicts = False

    def __init__(self, store):
        self.store = store
        self.calls = []
        self.out = False

    def _ask(self, name, *arguments, **named):
        self.calls.append(name)
        if self.out:
            msg = "the store is out"
            raise StoreUnavailable(msg)
        return getattr(self.store, name)(*arguments, **named)

    def open(self, save_path, session_name):
        return True

    def close(self):
        return True

    def read(self, key, ttl=None):
        return self._ask("read", key, ttl)

    def write(self, key, data, ttl, *, expected):
        return self._ask("write", key, data, ttl, expected=expected)

    def destroy(self, key, *, expected=None):
        return self._ask("destroy", key, expected=expected)

    def gc(self, max_lifetime, *, budget=None):
        return self._ask("gc", max_lifetime, budget=budget)

    def acquire(self, key, ttl):
        return self._ask("acquire", key, ttl)

    def release(self, key, lease):
        return self._ask("release", key, lease)


class Listener:
    """Writes down all that hooks are told."""

    def __init__(self):
        self.told = []

    @hookimpl
    def session_refused(self, reason, key):
        self.told.append((reason, key))

    @hookimpl
    def session_started(self, key):
        self.told.append(("started", key))

    @hookimpl
    def session_saved(self, key):
        self.told.append(("saved", key))

    @hookimpl
    def session_regenerated(self, old_key, new_key):
        self.told.append((old_key, new_key))

    @hookimpl
    def session_destroyed(self, key):
        self.told.append(("destroyed", key))

    @hookimpl
    def store_failed(self, error):
        self.told.append(("failed", str(error)))

    def refusals(self):
        return [one for one in self.told if one[0] in {"malformed", "unknown", "expired", "retired", "gone", "corrupt"}]


@pytest.fixture
def watched(store):
    return Watched(store)


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture(params=SIDES)
def visit(request, watched, listener):
    """Give a function that makes a request, over WSGI and over ASGI."""
    side = SIDES[request.param](watched, plugins=[listener])
    yield side
    side.close()


def show(session):
    return dict(session)


def untouched(session):
    return "nothing"


def name(session):
    session["user"] = "bob"


def log_in(session):
    session["admin"] = True
    return session.regenerate_id()


def log_out(session):
    return session.destroy()


def key_of(session_id):
    return hashed("session", session_id)


def test_ids_are_256_bits_of_the_system_s_random_source(visit, monkeypatch):
    """Requirement 1: nothing that can be seeded has a part in them."""
    random.seed(1)
    first = visit(name).session_id()
    random.seed(1)
    second = visit(name).session_id()
    monkeypatch.setattr(random, "_urandom", lambda size: bytes(range(size)))
    drawn = visit(name).session_id()

    assert first != second
    assert drawn == bytes(range(32)).hex()


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_id_costs_nothing_and_is_replaced(visit, watched, hostile):
    """Requirement 2: the store is not asked, the visitor sees a page, and what is stored has another id."""
    cookie = b"session=" + hostile.encode("latin-1")
    seen = visit(show, cookie)
    asked = list(watched.calls)
    written = visit(name, cookie)

    assert (seen.status, seen.body, asked) == (200, b"{}", [])
    assert seen.all("Set-Cookie") == []
    assert watched.calls == ["write"]
    assert len(written.session_id()) == 64


def test_unknown_id_is_never_adopted(visit, listener, store):
    """Requirement 3: a new id is issued, and a hook is told."""
    answer = visit(name, UNKNOWN)

    assert answer.session_id() not in {UNKNOWN, None}
    assert listener.refusals() == [("unknown", key_of(UNKNOWN))]
    assert store.read(key_of(UNKNOWN)) is None


def test_id_is_neither_stored_nor_shown(visit, watched, listener, store, caplog, tmp_path):
    """Requirement 4: through login, logout, refusals and an outage; not in records, hooks, logs, errors or a `repr`."""
    caplog.set_level(logging.DEBUG)
    shown = []

    def look(session):
        shown.append(f"{session!r} {session.info()!r} {session.get_adapter()!r}")

    first = visit(name).session_id()
    records = [raw(store, key_of(first))]
    visit(look, first)
    second = visit(log_in, first).session_id()
    records += [raw(store, key_of(first)), raw(store, key_of(second))]
    visit(look, first)
    watched.out = True
    failed = visit(show, second)
    watched.out = False
    visit(log_out, second)
    visit(name, second)
    texts = [
        str(listener.told),
        caplog.text,
        str(failed),
        str(sorted(tmp_path.rglob("*"))),
        *map(repr, records),
        *shown,
    ]

    assert failed.status == 503
    for session_id in (first, second):
        assert not any(session_id in text for text in texts)
        assert any(key_of(session_id) in text for text in texts)


def test_no_representation_shows_an_id():
    """Requirement 4: what a debugger or an error report prints of a manager and its parts."""
    with ManagerFactory(adapter="memory") as factory:
        session = factory.new_instance()
        session["user"] = "bob"
        session.save()
        first = session.get_id()
        session.regenerate_id()
        parts = [session, session.info(), session.cookie_change(), session._state, session._state.session]
        shown = [*map(repr, parts), repr(session._state.session.change)]
        session.close()

    assert len({first, session.cookie_change().session_id}) == 2
    assert not any(each in text for each in (first, session.cookie_change().session_id) for text in shown)


def test_former_id_is_worth_nothing_after_a_login(visit, listener):
    """Requirement 5: who comes with it neither reads nor writes the session, nor changes the visitor's cookie."""
    former = visit(name).session_id()
    current = visit(log_in, former).session_id()
    read, written, ended = (visit(work, former) for work in (show, name, log_out))

    assert current not in {former, None}
    assert read.body == b"{}"
    assert [answer.all("Set-Cookie") for answer in (read, written, ended)] == [[], [], []]
    assert visit(show, current).body == b"{'user': 'bob', 'admin': True}"
    assert [reason for reason, _ in listener.refusals()] == ["retired"] * 3


def test_absolute_timeout_ends_a_session_that_is_in_use(visit, listener, store):
    """Requirement 6: the server's clock and record decide, whatever the cookie says; the record says so."""
    session_id = visit(name).session_id()
    key = key_of(session_id)
    codec = Codec(MsgpackSerializer())
    record = codec.open(key, raw(store, key))
    visit(show, session_id)
    after = codec.open(key, raw(store, key)).header
    long_ago = record.header._replace(created=record.header.created - 86_400)
    put(store, key, codec.live(key, b"mark 123", long_ago, record.body))

    assert after == record.header
    assert visit(show, session_id).body == b"{}"
    assert listener.refusals() == [("expired", key)]


def test_idle_timeout_is_the_store_s(visit, watched, store):
    """Requirement 6: each write and read names the idle lifetime, and never more than the absolute one leaves."""
    named = []
    watched._ask = lambda method, key, *rest, **more: (
        named.append(rest[-1]) if method in {"read", "write"} else None,
        getattr(store, method)(key, *rest, **more),
    )[1]
    limits = {"lifetime": 1000, "absolute_lifetime": 3000}
    session_id = visit(name, **limits).session_id()
    visit(show, session_id, **limits)
    key, codec = key_of(session_id), Codec(MsgpackSerializer())
    record = codec.open(key, raw(store, key))
    old = record.header._replace(created=record.header.created - 2900)
    put(store, key, codec.live(key, b"mark 123", old, record.body))
    visit(lambda session: session.update(a=1), session_id, **limits)

    assert named[:3] == [1000, 1000, 1000]
    assert 0 < named[3] <= 100


def test_logout_removes_record_and_cookie(visit, store):
    """Requirement 7: the cookie expires with the attributes it was set with, and the id is worth nothing."""
    visit.options["cookie"] = {"path": "/shop", "samesite": "Strict"}
    session_id = visit(name).session_id()
    [header] = visit(log_out, session_id, scheme="https").all("Set-Cookie")
    [was_set] = visit(name, scheme="https").all("Set-Cookie")

    assert store.read(key_of(session_id)) is None
    assert header.startswith("session=; ")
    assert {part.strip() for part in was_set.split(";")[1:]} < {part.strip() for part in header.split(";")[1:]}
    assert "Max-Age=0" in header
    assert visit(show, session_id).body == b"{}"


def test_request_in_flight_brings_nothing_back_after_a_logout(visit, store, listener):
    """Requirement 7: what it saves is dropped, and the cookie is left alone."""
    session_id = visit(name).session_id()

    def slow(session):
        session["late"] = True
        with ManagerFactory(adapter=Watched(store)) as factory:
            factory.new_instance(session_id).destroy()

    answer = visit(slow, session_id)

    assert (answer.status, answer.all("Set-Cookie")) == (200, [])
    assert store.read(key_of(session_id)) is None
    assert listener.refusals() == [("gone", key_of(session_id))]


@pytest.mark.parametrize("side", SIDES)
def test_cookie_has_safe_attributes(side):
    """Requirement 8: HttpOnly and SameSite=Lax; Secure on https."""
    visit = SIDES[side](Memory())
    plain, secure = (visit(name, scheme=scheme).all("Set-Cookie")[0] for scheme in ("http", "https"))
    visit.close()

    assert plain.partition("; ")[2] == "Path=/; HttpOnly; SameSite=Lax"
    assert secure.partition("; ")[2] == "Path=/; Secure; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cookie": {"samesite": "None"}}, "samesite='None' needs the attribute Secure"),
        ({"cookie": {"partitioned": True}}, "partitioned=True needs the attribute Secure"),
        ({"name": "__Secure-s"}, "the name '__Secure-s' needs the attribute Secure"),
        ({"name": "__Host-s", "cookie": {"secure": True, "path": "/shop"}}, "ties it to one host"),
        ({"name": "__Host-s", "cookie": {"secure": True, "domain": "example.com"}}, "ties it to one host"),
        ({"name": "s" * 4000}, "longer than 4096 bytes"),
        ({"cookie": {"max_age": 401 * 86_400}}, "at most 400 days"),
    ],
)
def test_cookie_that_browsers_would_drop_is_refused_at_start_up(side, options, reason):
    """Requirement 8: with the reason, before the first request."""
    with pytest.raises(ConfigurationError, match=reason):
        SIDES[side](Memory()).made(options)


@pytest.mark.parametrize("side", SIDES)
def test_no_cache_keeps_an_id(side):
    """Requirement 9: no-store with the cookie, Vary with the session, neither without."""
    visit = SIDES[side](Memory())
    handing_out = visit(name, response=[("Cache-Control", "public, max-age=60"), ("Vary", "Accept")])
    reading = visit(show, handing_out.session_id())
    visit.close()

    assert handing_out.all("Cache-Control") == ["no-store"]
    assert ", ".join(handing_out.all("Vary")) == "Accept, Cookie"
    assert (reading.all("Cache-Control"), reading.all("Vary")) == ([], ["Cookie"])


class Bomb:
    """An object whose pickle writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("wrapped", [True, False], ids=["as a body", "as a record"])
def test_nothing_stored_is_unpickled_and_a_corrupt_record_harms_nobody(visit, listener, store, tmp_path, wrapped):
    """Requirement 10: it is told to a hook, the visitor has a new session, and the record can still be destroyed."""
    session_id = visit(name).session_id()
    key = key_of(session_id)
    data = pickle.dumps(Bomb(str(tmp_path / "went-off")))
    if wrapped:
        data = Codec(MsgpackSerializer()).live(key, b"mark 123", Header(2**40, 2**40), data)
    put(store, key, data)
    seen = visit(show, session_id)
    refused = listener.refusals()
    ended = visit(log_out, session_id)

    assert (seen.status, seen.body) == (200, b"{}")
    assert refused == [("corrupt", key)]
    assert not (tmp_path / "went-off").exists()
    assert ended.status == 200
    assert store.read(key) is None


def test_visitor_without_cookie_who_stores_nothing_costs_nothing(visit, watched):
    """Requirement 13: no call, no record, no cookie; reading is no reason either."""
    answers = [visit(untouched), visit(show), visit(lambda session: session.get("user"))]

    assert watched.calls == []
    assert [answer.all("Set-Cookie") for answer in answers] == [[], [], []]


def test_ids_are_looked_up_and_never_compared(visit, store):
    """Requirement 14: an id is hashed before it is looked up, so that no time tells how much of it is right."""
    compared = []

    class Id(str):
        __slots__ = ()

        def __eq__(self, other):
            compared.append(other)
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    session_id = visit(name).session_id()
    with ManagerFactory(adapter=Watched(store)) as factory:
        for requested in (session_id, UNKNOWN):
            session = factory.new_instance(Id(requested))
            seen = dict(session)
            session["n"] = 1
            session.close()

    assert seen == {}
    assert compared == []


def test_lock_that_somebody_holds_is_waited_for_a_bounded_time(visit, store):
    """Requirement 15: then the request ends, and the lease of whoever hangs ends by itself."""
    session_id = visit(name).session_id()
    assert isinstance(store, LockingHandler)
    lease = store.acquire(key_of(session_id), 60)

    with pytest.raises(LockTimeout, match="lock_wait"):
        visit(show, session_id, concurrency="lock", lock_wait=0.05)
    assert store.release(key_of(session_id), lease)
    assert visit(show, session_id, concurrency="lock", lock_wait=30).body == b"{'user': 'bob'}"


def test_save_that_always_meets_another_writer_gives_up(visit, watched, store):
    """Requirement 15: after 16 attempts, a fraction of a second apart."""
    session_id = visit(name).session_id()

    def crowded(method, key, *rest, **more):
        watched.calls.append(method)
        if method == "write":
            msg = "somebody was quicker"
            raise SessionConflict(msg)
        return getattr(store, method)(key, *rest, **more)

    watched.calls.clear()
    watched._ask = crowded
    with pytest.raises(SessionConflict, match="16 attempts"):
        visit(lambda session: session.update(a=1), session_id)

    assert watched.calls.count("write") == 16


def test_grace_of_a_rotation_is_bounded(visit, listener, store):
    """Requirement 15: the former record holds its deadline, and no grace is longer than the idle lifetime."""
    former = visit(name).session_id()
    current = visit(lambda session: session.rotate(), former).session_id()
    within = visit(show, former).body
    key, codec = key_of(former), Codec(MsgpackSerializer())
    moved = codec.open(key, raw(store, key))
    put(store, key, codec.moved(key, b"mark 123", Header(0, 0), moved._replace(deadline=moved.deadline - 61)))

    assert current != former
    assert within == b"{'user': 'bob'}"
    assert visit(show, former).body == b"{}"
    assert [reason for reason, _ in listener.refusals()] == ["retired"]
    with pytest.raises(ConfigurationError, match="rotation_grace"):
        visit.made({"rotation_grace": 3601})
