"""The session of the running request, found without handing it around."""

import contextvars
import threading

import pytest
from sessionbag import ManagerFactory, Memory, NoCurrentSession, SessionError, current_session
from sessionbag.current import reset_current, set_current


@pytest.fixture
def factory():
    """Return a factory on a store of its own."""
    with ManagerFactory(adapter=Memory()) as factory:
        yield factory


def test_no_session_outside_of_a_request():
    """The error is a LookupError and names the mend."""
    with pytest.raises(NoCurrentSession, match="within a request that passes a sessionbag middleware") as caught:
        current_session()

    assert isinstance(caught.value, LookupError)
    assert isinstance(caught.value, SessionError)


def test_current_session_is_the_one_that_was_entered(factory):
    """The inner one while it lasts, then the outer one again."""
    outer, inner = factory.new_instance(), factory.new_instance()
    first = set_current(outer)
    second = set_current(inner)
    seen = [current_session()]
    reset_current(second)
    seen.append(current_session())
    reset_current(first)

    assert seen[0] is inner
    assert seen[1] is outer
    with pytest.raises(NoCurrentSession):
        current_session()


def test_two_sessions_of_one_application_are_told_apart_by_their_keys(factory):
    """The default key stays the first one's."""
    shop, admin = factory.new_instance(), factory.new_instance()
    tokens = [set_current(shop), set_current(admin, "admin.session")]
    seen = [current_session(), current_session("admin.session")]
    with pytest.raises(NoCurrentSession, match="no session 'other'"):
        current_session("other")
    for token in reversed(tokens):
        reset_current(token)

    assert seen[0] is shop
    assert seen[1] is admin


def test_other_thread_has_no_session_of_ours(factory):
    """Each has its own, and a context that is copied into it takes ours along."""
    token = set_current(factory.new_instance())
    context = contextvars.copy_context()
    found = []

    def look():
        try:
            found.append(current_session())
        except NoCurrentSession:
            found.append(None)

    for target in (look, lambda: context.run(look)):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    ours = current_session()
    reset_current(token)

    assert found[0] is None
    assert found[1] is ours
