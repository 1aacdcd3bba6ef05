"""What plugins for frameworks build on: the rules of a response, a framework's own settings, the current session."""

import logging

import pytest
from sessionbag import ConfigurationError, ManagerFactory, Memory, NoCurrentSession, StoreUnavailable, current_session
from sessionbag import current as current_module
from sessionbag.cookies import CookiePolicy
from sessionbag.current import find_current
from sessionbag.exchange import Exchange
from sessionbag.web import CookieAge

logger = logging.getLogger("sessionbag.test")


@pytest.fixture
def factory():
    with ManagerFactory(Memory()) as made:
        yield made


def exchange_of(factory, session_id=None, **options):
    """Return the exchange of a request that came with this id."""
    exchange = Exchange(factory.cookies.bind("session"), logger, secure=False, **options)
    exchange.manager = factory.new_instance(session_id, headers_sent=exchange.is_sent)
    return exchange


def stored(factory):
    """Store a session and return its id."""
    manager = factory.new_instance()
    manager["a"] = 1
    session_id = manager.get_id()
    manager.close()
    return session_id


def cookies(headers):
    return [value for name, value in headers if name == "Set-Cookie"]


def test_headers_of_a_session_that_was_not_used_are_the_applications(factory):
    """They are not even copied."""
    exchange = exchange_of(factory)
    headers = [("X-Own", "1")]

    assert exchange.commit(headers, failed=False, whole=True) is headers
    assert exchange.sent


def test_a_commit_saves_and_sets_the_cookie_and_a_failure_does_neither(factory):
    """And what is changed after it is saved late."""
    good, bad = exchange_of(factory), exchange_of(factory)
    good.manager["a"] = bad.manager["a"] = 1

    good_headers = good.commit([], failed=False, whole=False)
    bad_headers = bad.commit([], failed=True, whole=True)
    session_id = good.manager.get_id()
    good.manager["late"] = 2
    good.late(good.end)

    assert len(cookies(good_headers)) == 1
    assert cookies(bad_headers) == []
    assert dict(factory.new_instance(session_id)) == {"a": 1, "late": 2}


def test_giving_up_answers_an_outage_and_what_was_saved_and_nothing_else(factory):
    """With the page of the application where it has one."""
    plain = exchange_of(factory).give_up(StoreUnavailable("out"))
    saved = exchange_of(factory)
    saved.manager["a"] = 1
    saved.manager.save()
    sent = exchange_of(factory)
    sent.commit([], failed=False, whole=True)

    assert plain.status == "503 Service Unavailable"
    assert len(cookies(saved.give_up(ValueError()).headers)) == 1
    assert exchange_of(factory).give_up(ValueError()) is None
    assert sent.give_up(StoreUnavailable("out")) is None


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (CookieAge(), []),
        (CookieAge(60), []),
        (CookieAge(60, renewed=True), ["Max-Age=60"]),
        (CookieAge(None, renewed=True), [""]),
        (CookieAge(10**9, renewed=True), ["Max-Age=34560000"]),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_one_sessions_cookie_may_have_an_age_of_its_own_and_be_renewed(factory, age, expected, whole):
    """Browsers keep no cookie for more than 400 days."""
    exchange = exchange_of(factory, stored(factory))
    exchange.manager.get("a")

    set_now = cookies(exchange.commit([], failed=False, whole=whole, age=age))

    assert [next((part for part in each.split("; ") if "Max-Age" in part), "") for each in set_now] == expected


@pytest.mark.parametrize("end", ["rotate", "regenerate_id", "destroy"])
def test_a_cookie_that_was_given_up_is_not_renewed(factory, end):
    """The visitor has another one, or none."""
    former = stored(factory)
    other = factory.new_instance(former)
    getattr(other, end)()
    other.close()
    late = exchange_of(factory, former)
    late.manager.get("a")

    assert cookies(late.commit([], failed=False, whole=True, age=CookieAge(60, renewed=True))) == []


def test_defaults_count_below_the_options_and_below_the_adapters_own():
    """A framework's lifetime contradicts nobody, and its cookie is filled up attribute by attribute."""
    defaults = {"lifetime": 50, "name": "theirs", "cookie": {"path": "/theirs", "samesite": "Strict"}}

    factory = ManagerFactory.from_config({"adapter": "memory", "cookie": {"path": "/ours"}}, defaults=defaults)
    given = ManagerFactory.from_config({"adapter": "memory", "lifetime": 70}, defaults=defaults)

    assert (factory.options.lifetime, factory.options.rotation_grace, factory.options.name) == (50, 50, "theirs")
    assert factory.cookies == CookiePolicy(path="/ours", samesite="Strict")
    assert given.options.lifetime == 70


def test_a_lifetime_in_the_adapters_options_counts_above_a_default(tmp_path):
    """Only two that were given contradict each other."""
    config = {"adapter": "stream", "options": {"save_path": tmp_path, "lifetime": 40}}

    with ManagerFactory.from_config(config, defaults={"lifetime": 50}) as factory:
        assert factory.options.lifetime == 40
    with pytest.raises(ConfigurationError, match="Give it once"):
        ManagerFactory.from_config({**config, "lifetime": 50})


def test_a_plugin_finds_the_current_session_where_no_middleware_has_set_one(factory, monkeypatch):
    """It is asked for its key only."""
    monkeypatch.setattr(current_module, "_finders", [])
    manager = factory.new_instance()
    find_current(lambda key: manager if key == "mine" else None)

    assert current_session("mine") is manager
    with pytest.raises(NoCurrentSession):
        current_session()
