"""Named races on one session, through the public face: two requests, and the moment at which one comes between."""

import pytest
from faults import Between
from sessionbag import Bag, ManagerFactory, SessionError, SessionGone, StoreUnavailable
from sessionbag.lifecycle import hashed


@pytest.fixture
def store():
    return Between()


@pytest.fixture
def factory(store):
    with ManagerFactory(adapter=store) as factory:
        yield factory


@pytest.fixture
def visit(factory):
    """Return the id of a stored session."""
    session = factory.new_instance()
    session.update(user="bob", n=0, cart={"items": []})
    session.close()
    return session.cookie_change().session_id


def request(factory, session_id, work):
    """Run a whole request on the session and return its manager."""
    session = factory.new_instance(session_id)
    work(session)
    session.close()
    return session


def test_a_write_between_the_read_and_the_save_of_a_login_survives(factory, store, visit):
    """What another request wrote before the login moved the session is in the new record."""
    login = factory.new_instance(visit)
    login.regenerate_id()
    login["user"] = "alice"
    store.before_next("write", lambda: request(factory, visit, lambda session: session.set("theme", "dark")))

    login.close()

    after = factory.new_instance(login.cookie_change().session_id)
    assert (after["user"], after["theme"]) == ("alice", "dark")


def test_a_write_between_the_two_steps_of_a_login_survives(factory, store, visit):
    """What is written after the new record was made, but before the former one moved, is merged into the new one."""
    login = factory.new_instance(visit)
    login.regenerate_id()
    login["user"] = "alice"
    store.before_next(
        "write",
        lambda: store.before_next(
            "write", lambda: request(factory, visit, lambda session: session.modify("n", lambda n: n + 1))
        ),
    )

    login.close()

    after = factory.new_instance(login.cookie_change().session_id)
    assert (after["user"], after["n"]) == ("alice", 1)


def test_a_retired_id_neither_reads_nor_writes_nor_touches_the_cookie(factory, store, visit):
    """Requirement 5: after a login the former id reaches nothing, and a late response leaves the new cookie alone."""
    request(factory, visit, lambda session: session.regenerate_id())
    store.asked.clear()

    late = factory.new_instance(visit)
    late["user"] = "mallory"

    assert "n" not in late
    late.close()
    assert late.cookie_change() is None
    assert "write" not in store.asked


def test_a_retired_id_that_saves_is_told(factory, visit):
    """Nothing is dropped in silence when the application asks for a save."""
    request(factory, visit, lambda session: session.regenerate_id())
    late = factory.new_instance(visit)
    late["x"] = 1

    with pytest.raises(SessionGone, match="regenerate_id"):
        late.save()


def test_a_retired_id_ends_nothing(factory, visit):
    """A late logout with a retired id does not end the session that the login began."""
    login = request(factory, visit, lambda session: session.regenerate_id())

    late = factory.new_instance(visit)
    late.destroy()
    late["x"] = 1
    late.close()

    assert late.cookie_change() is None
    assert factory.new_instance(login.cookie_change().session_id)["user"] == "bob"


def test_who_logs_in_with_a_retired_id_gets_a_session_of_their_own(factory, visit):
    """Only regenerate_id() begins a new session for a visitor with a retired id."""
    request(factory, visit, lambda session: session.regenerate_id())

    late = factory.new_instance(visit)
    late.regenerate_id()
    late["user"] = "carol"
    late.close()

    assert dict(factory.new_instance(late.cookie_change().session_id)) == {"user": "carol"}


@pytest.mark.parametrize("work", [lambda session: session.get("user"), lambda session: session.update(slow=True)])
def test_a_slow_request_revives_nothing(factory, visit, work):
    """Requirement 7: a request that was in flight at logout does not bring the session back."""
    slow = factory.new_instance(visit)
    work(slow)
    request(factory, visit, lambda session: session.destroy())

    slow.close()

    assert slow.cookie_change() is None
    assert len(factory.new_instance(visit)) == 0


def test_save_tells_that_the_session_has_ended_and_it_stays_ended(factory, visit):
    """After SessionGone nothing more of this request is stored."""
    slow = factory.new_instance(visit)
    slow["slow"] = True
    request(factory, visit, lambda session: session.destroy())

    with pytest.raises(SessionGone):
        slow.save()
    slow["again"] = True
    slow.close()

    assert slow.cookie_change() is None
    assert len(factory.new_instance(visit)) == 0


@pytest.mark.parametrize("performed", [True, False])
def test_a_lost_answer_counts_once(factory, store, visit, performed):
    """A counter is exact, whether the write whose answer was lost had happened or not."""
    store.lose_next("write", performed=performed)

    request(factory, visit, lambda session: session.modify("n", lambda n: n + 1))

    assert factory.new_instance(visit)["n"] == 1


@pytest.mark.parametrize("performed", [True, False])
def test_a_lost_answer_counts_once_with_another_writer_in_between(factory, store, visit, performed):
    """The mark in the record tells whose write is there, also when somebody wrote on top of it."""
    counting = factory.new_instance(visit)
    counting.modify("n", lambda n: n + 1)
    counting["cart"]["items"].append("tea")
    store.lose_next("write", performed=performed)
    other = factory.new_instance(visit)
    other.modify("n", lambda n: n + 10)
    other["cart"]["items"].append("milk")

    def in_between():
        store.before_next("write", other.close)

    store.before_next("write", in_between)
    counting.close()

    after = factory.new_instance(visit)
    assert after["n"] == 11
    assert sorted(after["cart"]["items"]) == ["milk", "tea"]


def test_a_save_after_an_outage_repeats_nothing_that_had_happened(factory, store, visit):
    """Both attempts stay unanswered, the first one happened; the next save() finds that out."""
    session = factory.new_instance(visit)
    session.modify("n", lambda n: n + 1)
    store.lose_next("write")
    store.lose_next("write", performed=False)
    with pytest.raises(StoreUnavailable):
        session.save()

    session.modify("n", lambda n: n + 1)
    session.save()

    assert factory.new_instance(visit)["n"] == 2


def test_a_write_that_lands_late_counts_once(factory, store, visit):
    """A write that was given up lands after the next save() has read: its mark still tells whose it is."""
    session = factory.new_instance(visit)
    session.modify("n", lambda n: n + 1)
    store.delay_next("write")
    store.lose_next("write", performed=False)
    with pytest.raises(StoreUnavailable):
        session.save()

    store.before_next("write", store.land)
    session.save()

    assert factory.new_instance(visit)["n"] == 1


def test_a_write_that_lands_late_undoes_nothing_that_was_taken_back(factory, store, visit):
    """What the application took back after an outage does not come back later, because save() makes it impossible."""
    session = factory.new_instance(visit)
    session["theme"] = "dark"
    store.delay_next("write")
    store.lose_next("write", performed=False)
    with pytest.raises(StoreUnavailable):
        session.save()

    del session["theme"]
    session.save()
    store.land()

    assert "theme" not in factory.new_instance(visit)


def test_a_modification_that_changed_nothing_is_over_with_its_save(factory, visit):
    """A save that had nothing to write acknowledges all the same: the function is not applied to later values."""
    session = factory.new_instance(visit)
    session.modify("n", lambda n: max(n, 0))
    session.save()
    request(factory, visit, lambda other: other.update(n=-5))

    session["theme"] = "dark"
    session.close()

    assert factory.new_instance(visit)["n"] == -5


def test_a_modification_made_while_a_save_runs_stays_exact(factory, store, visit):
    """What comes while the store answers belongs to the next save, and is applied again when that meets a conflict."""
    session = factory.new_instance(visit)
    session.modify("n", lambda n: n + 1)
    store.before_next("write", lambda: session.modify("n", lambda n: n + 1))
    session.save()
    request(factory, visit, lambda other: other.modify("n", lambda n: n + 10))

    session.close()

    assert factory.new_instance(visit)["n"] == 12


def test_a_second_call_while_one_runs_is_refused(factory, store, visit):
    """A session belongs to one task or thread at a time; who overlooks that is told, and nothing is lost."""
    session = factory.new_instance(visit)
    session["theme"] = "dark"
    refused = []

    def again():
        with pytest.raises(SessionError, match="one task or thread at a time") as caught:
            session.save()
        refused.append(caught)

    store.before_next("write", again)
    session.close()

    assert len(refused) == 1
    assert factory.new_instance(visit)["theme"] == "dark"


@pytest.mark.parametrize("performed", [True, False])
def test_the_first_write_of_a_session_may_lose_its_answer(factory, store, performed):
    """A session whose creation was not answered exists once, with its cookie."""
    session = factory.new_instance()
    session["n"] = 1
    store.lose_next("write", performed=performed)

    session.close()

    assert dict(factory.new_instance(session.cookie_change().session_id)) == {"n": 1}
    assert len(list(store.scan())) == 1


def test_two_logins_at_once_leave_one_session(factory, store, visit):
    """The login that comes second finds its former id retired: only one of the two goes on with the session."""
    second = factory.new_instance(visit)
    second.regenerate_id()
    second["second"] = True
    first = factory.new_instance(visit)
    first.regenerate_id()
    store.before_next("write", lambda: store.before_next("write", first.close))

    second.close()

    assert second.cookie_change() is None
    assert factory.new_instance(first.cookie_change().session_id)["user"] == "bob"
    live = [entry for entry in store.scan() if len(store.read(entry.key).data) > 100]
    assert len(live) <= 2


def test_two_logins_and_a_logout_at_once_leave_nothing(factory, store, visit):
    """A logout that read the session alive ends it also where a login moved it meanwhile."""
    logout = factory.new_instance(visit)
    assert logout["user"] == "bob"
    first = request(factory, visit, lambda session: session.regenerate_id())
    second = request(factory, first.cookie_change().session_id, lambda session: session.regenerate_id())

    logout.destroy()

    for session in (first, second):
        assert len(factory.new_instance(session.cookie_change().session_id)) == 0


def test_a_login_whose_session_is_logged_out_meanwhile_ends(factory, store, visit):
    """A logout between the two steps of a login leaves no session behind."""
    login = factory.new_instance(visit)
    login.regenerate_id()
    store.before_next(
        "write", lambda: store.before_next("write", lambda: request(factory, visit, lambda session: session.destroy()))
    )

    login.close()

    assert login.cookie_change() is None
    assert list(store.scan()) == []


def test_a_login_that_gets_no_answer_leaves_the_session_as_it_was(factory, store, visit):
    """When the store fails at the first step, the former session goes on and no new one is left."""
    login = factory.new_instance(visit)
    login.regenerate_id()
    login["user"] = "alice"
    store.lose_next("write")
    store.lose_next("write", performed=False)

    with pytest.raises(StoreUnavailable):
        login.close()

    assert factory.new_instance(visit)["user"] == "bob"
    assert len(list(store.scan())) == 1


@pytest.mark.parametrize("performed", [True, False])
def test_a_move_whose_answer_is_lost_is_made_once(factory, store, visit, performed):
    """The second step of a login may go unanswered; the login holds and the former id is retired."""
    login = factory.new_instance(visit)
    login.regenerate_id()
    store.before_next(
        "write", lambda: store.before_next("write", lambda: store.lose_next("write", performed=performed))
    )

    login.close()

    assert factory.new_instance(login.cookie_change().session_id)["user"] == "bob"
    assert len(factory.new_instance(visit)) == 0


def test_requests_in_flight_at_a_rotation_write_into_the_session(factory, visit):
    """A rotation loses nothing of the requests that came with the former id, and they leave the cookie alone."""
    slow = factory.new_instance(visit)
    slow["slow"] = True
    rotated = request(factory, visit, lambda session: session.rotate())

    slow.close()
    late = request(factory, visit, lambda session: session.update(late=True))

    assert slow.cookie_change() is None
    assert late.cookie_change() is None
    after = factory.new_instance(rotated.cookie_change().session_id)
    assert (after["slow"], after["late"], after["user"]) == (True, True, "bob")


def test_two_rotations_at_once_agree_on_one_record(factory, visit):
    """The rotation that comes second saves into the record of the first and sets no cookie."""
    second = factory.new_instance(visit)
    second.rotate()
    second["second"] = True
    first = request(factory, visit, lambda session: session.rotate())

    second.close()

    assert second.cookie_change() is None
    assert factory.new_instance(first.cookie_change().session_id)["second"] is True


def test_a_copy_keeps_the_former_record(factory, visit):
    """regenerate_id(False) leaves both ids in use, each with a record of its own."""
    copied = request(factory, visit, lambda session: session.regenerate_id(delete_old_session=False).update(copy=True))

    assert "copy" not in factory.new_instance(visit)
    assert factory.new_instance(copied.cookie_change().session_id)["copy"] is True


def test_a_copy_of_which_it_is_not_known_whether_its_session_went_on_is_given_up(factory, store, visit):
    """Nothing is left under an id that nobody was told, and that a logout meanwhile did not reach."""
    session = factory.new_instance(visit)
    session.regenerate_id(delete_old_session=False)
    session["copy"] = True
    store.lose_next("read")

    with pytest.raises(StoreUnavailable):
        session.close()

    assert sorted(entry.key for entry in store.scan()) == [hashed("session", visit)]


def test_a_bag_counts_exactly(factory, visit):
    """Bag.modify is applied again to what the other request wrote."""
    session = factory.new_instance(visit)
    Bag("cart", session).modify("tea", lambda n: n + 1, 0)
    request(factory, visit, lambda other: other.bag("cart").modify("tea", lambda n: n + 2, 0))

    session.close()

    assert factory.new_instance(visit)["cart"] == {"items": [], "tea": 3}


def test_the_round_trips_are_those_that_are_promised(factory, store, visit):
    """None untouched, 1 to read, 2 to modify, 3 to log in, 2 to log out."""
    asked = {}
    for name, work in {
        "untouched": lambda session: session.status(),
        "read": lambda session: session.get("user"),
        "modify": lambda session: session.set("x", 1),
        "login": lambda session: session.regenerate_id(),
    }.items():
        store.asked.clear()
        last = request(factory, visit, work)
        asked[name] = len(store.asked)
    store.asked.clear()
    request(factory, last.cookie_change().session_id, lambda session: session.destroy())
    asked["logout"] = len(store.asked)

    assert asked == {"untouched": 0, "read": 1, "modify": 2, "login": 3, "logout": 2}
