"""`SessionStore`: what Django documents of its session object, without and with awaiting."""

import asyncio
from datetime import timedelta

import pytest
from django.contrib.sessions.backends.base import CreateError, SessionBase, UpdateError
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone
from sessionbag import SerializationError, StoreUnavailable
from sessionbag_django import SessionStore

pytestmark = pytest.mark.usefixtures("store")


def stored(**data):
    """Return the key of a session that is stored with this data."""
    session = SessionStore()
    session.update(data)
    session.save()
    return session.session_key


def test_a_key_has_the_form_that_django_documents():
    """32 lowercase letters and digits, so that it fits where applications keep keys."""
    key = stored(a=1)

    assert len(key) == 32
    assert key.isalnum()
    assert key.islower() or key.isdigit()


def test_the_store_holds_no_key(store):
    """Security requirement 4: what somebody reads in the store is no key that a browser could send."""
    key = stored(a=1)

    [record] = store.scan()

    assert record.key != key
    assert key.encode() not in store.read(record.key).data


def test_a_session_is_a_mapping(store):
    """The mapping methods of Django's session work on what is stored."""
    session = SessionStore(stored(a=1, b=2))

    assert (session["a"], session.get("c"), session.get("c", 3), "b" in session, session.has_key("c")) == (
        1,
        None,
        3,
        True,
        False,
    )
    assert session.setdefault("d", 4) == 4
    assert session.pop("b") == 2
    assert session.pop("nothing", 5) == 5
    del session["a"]
    session.update({"e": 6})
    assert list(session.keys()) == ["d", "e"]
    assert list(session.values()) == [4, 6]
    assert list(session.items()) == [("d", 4), ("e", 6)]
    with pytest.raises(KeyError):
        session["nothing"]


def test_accessed_and_modified_tell_what_was_done():
    """To read is to access, and to set is to modify."""
    session = SessionStore(stored(a=1, b=[1]))
    flags = [(session.accessed, session.modified)]

    _ = session["a"]
    flags.append((session.accessed, session.modified))
    _ = session["b"]
    flags.append((session.accessed, session.modified))
    session["a"] = 2
    flags.append((session.accessed, session.modified))

    assert flags == [(False, False), (True, False), (True, False), (True, True)]


@pytest.mark.parametrize("change", ["item", "get", "values", "items", "setdefault"])
def test_a_change_inside_a_value_counts_as_a_modification(change):
    """However the value was reached, no flag has to be set by hand."""
    session = SessionStore(stored(cart={"apples": 1}))
    cart = {
        "item": lambda: session["cart"],
        "get": lambda: session.get("cart"),
        "values": lambda: next(iter(session.values())),
        "items": lambda: next(iter(session.items()))[1],
        "setdefault": lambda: session.setdefault("cart", {}),
    }[change]()
    assert not session.modified

    cart["apples"] += 1

    assert session.modified


def test_modified_can_be_taken_back():
    """``modified = False`` keeps what was changed so far from being saved, as Django's plain flag does."""
    session = SessionStore(stored(cart=[1]))
    session["cart"].append(2)

    session.modified = False

    assert not session.modified
    session["cart"].append(3)
    assert session.modified


def test_a_key_that_nobody_knows_is_given_up():
    """Security requirement 3: a key that a visitor made up names no session, also not a new one."""
    session = SessionStore("a" * 32)

    session["a"] = 1
    session.save()

    assert session.session_key != "a" * 32
    assert not SessionStore().exists("a" * 32)


@pytest.mark.parametrize("key", ["../../../etc/passwd", "a b" * 5, "x\r\ny\0z" * 3, "k" * 4096, "ключ" * 5, "short"])
def test_a_hostile_key_costs_nothing_and_is_given_up(key, store):
    """Security requirement 2: the store is not asked for what cannot be a key."""
    session = SessionStore(key)

    assert session.get("a") is None
    assert session.session_key is None
    assert session.is_empty()
    assert store.asked == []


def test_save_without_data_gives_a_session_its_key():
    """Applications tie things to the key of a visitor who has nothing in the session yet."""
    session = SessionStore()

    session.save()

    assert session.exists(session.session_key)
    assert SessionStore(session.session_key).is_empty() is False


def test_create_stores_the_data_under_a_new_key():
    """As Django shows it outside of views."""
    session = SessionStore()
    session["last_login"] = 1376587691

    session.create()

    assert session.modified
    assert SessionStore(session.session_key)["last_login"] == 1376587691


def test_must_create_refuses_a_key_that_is_taken():
    """It raises `CreateError`, and the session that is there stays."""
    key = stored(a=1)

    with pytest.raises(CreateError):
        SessionStore(key).save(must_create=True)

    assert SessionStore(key)["a"] == 1


def test_a_change_of_key_keeps_the_data_and_ends_the_former_key():
    """The data is under the new key, and the former one is worth nothing."""
    key = stored(a=1)
    session = SessionStore(key)

    session.cycle_key()
    promised = [session.exists(key), session.exists(session.session_key)]
    session.save()

    assert session.session_key != key
    assert promised == [False, True] == [session.exists(key), session.exists(session.session_key)]
    assert SessionStore(session.session_key)["a"] == 1
    assert SessionStore(key).get("a") is None


def test_a_change_of_key_of_a_new_session_stores_it():
    """It has a key at once, and it is there once it is saved."""
    session = SessionStore()

    session.cycle_key()
    key = session.session_key
    session.save()

    assert session.session_key == key
    assert session.exists(key)


def test_flush_ends_the_session_and_begins_anew():
    """The record is gone, the key too, and what is set then is another session."""
    key = stored(a=1)
    session = SessionStore(key)

    session.flush()
    flushed = (session.session_key, session.is_empty(), session.modified, session.get("a"), session.exists(key))
    session["b"] = 2
    session.save()

    assert flushed == (None, True, True, None, False)
    assert SessionStore(session.session_key).get("b") == 2
    assert session.session_key != key


def test_clear_empties_the_session_and_keeps_the_key(store):
    """It asks the store nothing by itself, and what was there is gone once it is saved."""
    key = stored(a=1)
    session = SessionStore(key)
    store.asked.clear()

    session.clear()
    asked = list(store.asked)
    session["b"] = 2
    session.save()

    assert asked == []
    assert session.session_key == key
    assert dict(SessionStore(key).items()) == {"b": 2}


def test_delete_ends_the_session_of_any_key():
    """One's own and another one; who still has it open cannot save it any more."""
    mine, other = SessionStore(stored(a=1)), SessionStore(stored(b=1))
    _ = (mine["a"], other["b"])

    mine.delete(other.session_key)
    mine.delete()

    for session in (mine, other):
        session["c"] = 1
        with pytest.raises(UpdateError):
            session.save()
        assert not session.exists(session.session_key)


def test_a_session_that_ended_elsewhere_is_not_revived():
    """`UpdateError`, as Django calls it, and afterwards the session has nothing to save."""
    session = SessionStore(stored(a=1))
    session["a"] = 2
    SessionStore(session.session_key).flush()

    with pytest.raises(UpdateError):
        session.save()

    assert not session.exists(session.session_key)
    assert not session.modified


def test_test_cookies_work():
    """The three methods, on a session that is saved between them."""
    session = SessionStore()
    session.set_test_cookie()
    session.save()

    session = SessionStore(session.session_key)
    assert session.test_cookie_worked()
    session.delete_test_cookie()
    session.save()

    assert not SessionStore(session.session_key).test_cookie_worked()


def ttl_of(store):
    [entry] = list(store.scan())
    return next(value for value in entry if isinstance(value, (int, float)))


@pytest.mark.parametrize(
    ("expiry", "seconds", "at_close"),
    [
        (None, 1209600, False),
        (300, 300, False),
        (0, 1209600, True),
        (timedelta(days=3), 3 * 86400, False),
        ("date", 3600, False),
    ],
)
def test_set_expiry_decides_how_long_the_store_keeps_the_session(expiry, seconds, at_close, store):
    """Seconds, 0, a timedelta, a date and None, as Django documents them."""
    session = SessionStore()
    session.set_expiry(timezone.now() + timedelta(hours=1) if expiry == "date" else expiry)
    session.save()

    session = SessionStore(session.session_key)

    assert abs(ttl_of(store) - seconds) <= 2
    assert abs(session.get_expiry_age() - seconds) <= 2
    assert abs(session.get_expiry_date() - timezone.now() - timedelta(seconds=seconds)) < timedelta(seconds=3)
    assert session.get_expire_at_browser_close() is at_close


def test_set_expiry_none_goes_back_to_the_setting(store):
    """What was set for this session is forgotten."""
    session = SessionStore()
    session.set_expiry(300)
    session.save()

    session.set_expiry(None)
    session.save()

    assert ttl_of(store) > 1209590


@pytest.mark.parametrize("expiry", [-300, timedelta(seconds=-300)])
def test_an_expiry_in_the_past_ends_the_session(expiry, store):
    """A new one is not stored, and one that was stored is gone."""
    key = stored(a=1)
    for session in (SessionStore(), SessionStore(key)):
        session["a"] = 2
        session.set_expiry(expiry)
        session.save()

        assert SessionStore(session.session_key).get("a") is None

    assert list(store.scan()) == []


def test_the_cookie_age_can_be_a_session_classes_own(store):
    """``get_session_cookie_age``, which Django documents for engines of one's own, decides."""

    class Short(SessionStore):
        def get_session_cookie_age(self):
            return 60

    session = Short()
    session["a"] = 1
    session.save()

    assert ttl_of(store) <= 60


def test_reading_does_not_prolong_a_session_and_saving_does(store):
    """Django computes the expiry from the last modification."""
    ttls = []
    read = store.read
    store.read = lambda key, ttl=None: ttls.append(ttl) or read(key, ttl)
    session = SessionStore(stored(a=1))

    _ = session["a"]
    session.save()

    assert ttls == [None, 1209600]


def test_clearsessions_removes_what_has_expired(store):
    """The command of Django asks the engine."""
    now = [0.0]
    store._clock = lambda: now[0]
    session = SessionStore()
    session.set_expiry(60)
    session.save()
    stored(a=1)
    now[0] = 61

    call_command("clearsessions")

    assert len(store._records) == 1


def test_the_default_serializer_keeps_what_django_keeps():
    """Tuples come back as lists, and what Django's JSON refuses is refused with the mend."""
    assert SessionStore(stored(pair=(1, 2), text="ü", number=1.5, nothing=None))["pair"] == [1, 2]

    with pytest.raises(SerializationError, match="msgpack"):
        stored(when=timezone.now())


def test_the_option_serializer_keeps_more():
    """With msgpack it keeps tuples and dates, and sessions from before the change still load."""
    now = timezone.now()
    with override_settings(SESSIONBAG={"adapter": "memory", "serializer": "msgpack"}):
        assert SessionStore(stored(pair=(1, 2), when=now))["pair"] == (1, 2)


def test_a_serializer_can_be_changed_while_visitors_stay_logged_in(store):
    """From Django's JSON to msgpack and back, in one store."""
    key = stored(a=1)
    for more in ({"serializer": "msgpack"}, {"serializer": "json"}, {}):
        with override_settings(SESSIONBAG={"adapter": _Kept(store), **more}):
            session = SessionStore(key)
            session["a"] += 1
            session.save()

    with override_settings(SESSIONBAG={"adapter": _Kept(store)}):
        assert SessionStore(key)["a"] == 4


class _Kept:
    """A handler that outlives the factories that it is given to."""

    def __init__(self, handler):
        self._handler = handler

    def __getattr__(self, name):
        return getattr(self._handler, name)

    def close(self):
        return True


def test_encode_and_decode_are_those_of_the_other_engines():
    """Tools that decode Django's sessions get along."""
    from django.contrib.sessions.backends.db import SessionStore as Database  # noqa: PLC0415  # it needs the models

    assert Database().decode(SessionStore().encode({"a": 1})) == {"a": 1}


def test_every_awaited_method_of_django_does_what_the_plain_one_does(store):
    """A session is used from its beginning to its end by awaiting."""

    async def life():
        session = SessionStore()
        await session.aset("a", 1)
        await session.aupdate({"b": [2]})
        await session.aset_test_cookie()
        await session.aset_expiry(300)
        await session.asave()
        first = session.session_key
        session = SessionStore(first)
        seen = [
            await session.aget("a"),
            await session.ahas_key("b"),
            await session.asetdefault("c", 3),
            await session.apop("c"),
            await session.atest_cookie_worked(),
            await session.aget_expiry_age(),
            await session.aget_expire_at_browser_close(),
            max(await session.akeys()),
            len(await session.avalues()),
            len(await session.aitems()),
            await session.amodify("n", lambda number: number + 1, 0),
        ]
        await session.adelete_test_cookie()
        (await session.aget("b")).append(3)
        await session.acycle_key()
        await session.asave()
        second = session.session_key
        known = [await session.aexists(first), await session.aexists(second)]
        data = (await SessionStore(second).aget("b"), await SessionStore(second).aget("n"))
        await session.aflush()
        created = SessionStore()
        await created.acreate()
        await created.adelete()
        await SessionStore.aclear_expired()
        return seen, known, data, await session.aexists(second), await session.aexists(created.session_key)

    seen, known, data, flushed, deleted = asyncio.run(life())

    assert seen == [1, True, 3, 3, True, 300, False, "testcookie", 4, 4, 1]
    assert known == [False, True]
    assert data == ([2, 3], 1)
    assert [flushed, deleted] == [False, False]
    assert list(store.scan()) != []  # the former key stays retired for a while


def test_two_tasks_of_one_request_load_the_session_once(store):
    """What one of them sets is not lost by the other one's loading."""
    key = stored(a=1)
    store.asked.clear()

    async def both():
        session = SessionStore(key)
        await asyncio.gather(session.aset("b", 2), session.aget("a"), session.aset("c", 3))
        return dict(await session.aitems())

    assert asyncio.run(both()) == {"a": 1, "b": 2, "c": 3}
    assert store.asked == ["read"]


def test_no_method_of_django_that_asks_a_store_is_forgotten():
    """Each one that `SessionBase` leaves to engines, and its awaited twin, is our own."""
    left = ["exists", "create", "save", "delete", "load", "clear_expired", "flush", "cycle_key"]

    for name in (*left, *(f"a{name}" for name in left)):
        assert getattr(SessionStore, name) is not getattr(SessionBase, name), name


def test_a_store_that_is_out_is_no_empty_session(store):
    """An outage is raised, and not taken for a visitor without a session."""
    key = stored(a=1)
    store.lose_next("read", performed=False)

    with pytest.raises(StoreUnavailable):
        SessionStore(key).get("a")


def test_after_an_outage_a_save_loads_first(store):
    """A view that went on without the session's data neither loses it nor stores anything elsewhere."""
    key = stored(a=1)
    session = SessionStore(key)
    store.lose_next("read", performed=False)
    with pytest.raises(StoreUnavailable):
        session.get("a")
    assert not session.modified

    session.save()

    assert session.session_key == key
    assert session["a"] == 1
    assert len(list(store.scan())) == 1


def test_after_clear_a_change_inside_a_value_is_found():
    """Also where the flag was taken back in between."""
    session = SessionStore(stored(a=1))
    session.get("a")
    session.clear()
    session["list"] = []
    session.modified = False

    session["list"].append(1)

    assert session.modified


def test_with_on_outage_anonymous_a_request_reads_on_and_changes_nothing(store):
    """The session reads as empty, keeps its key, and a change of it is refused."""
    key = stored(a=1)
    with override_settings(SESSIONBAG={"adapter": _Kept(store), "on_outage": "anonymous"}):
        store.lose_next("read", performed=False)
        session = SessionStore(key)

        assert session.get("a") is None
        assert (session.session_key, session.is_empty(), session.modified) == (key, False, False)
        session["a"] = 2
        with pytest.raises(StoreUnavailable):
            session.save()
    assert SessionStore(key)["a"] == 1
