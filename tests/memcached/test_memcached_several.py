"""Several servers: what happens to keys when one of them is down, with real ones that are killed and restarted."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import HOST, free_port, wait_until
from sessionbag import SessionConflict, SessionError, SessionGone, StoreUnavailable
from sessionbag.testing.jobs import body_of, record


@pytest.fixture
def three(start_memcached):
    return [start_memcached() for _ in range(3)]


def addresses(servers):
    return [server.address for server in servers]


def place_of(store, key):
    return store.adapter._placement.best(key).place.label


def outcome(call):
    try:
        return call()
    except SessionError as error:
        return error


def test_weights_share_out_the_records(make, three, keys):
    """Each record is on the server that its key's placement names, and nowhere else."""
    store = make([f"{server.address}:{weight}" for server, weight in zip(three, (1, 1, 4), strict=True)])
    for key in keys:
        store.write(key, b"data", 60, expected=None)
    held = [server.stats()["curr_items"] for server in three]

    assert sum(held) == len(keys)
    assert held == [sum(place_of(store, key) == server.address for key in keys) for server in three]
    assert held[2] > held[0] + held[1]


def test_a_server_that_is_down_takes_only_its_own_keys_with_it(make, three, keys):
    """They are an outage, never absent, and nobody else's keys move."""
    store = make(addresses(three))
    for key in keys:
        store.write(key, key.encode(), 600, expected=None)
    three[0].kill()
    found = {key: outcome(lambda: store.read(key)) for key in keys}  # noqa: B023  # called at once
    lost = {key for key in keys if place_of(store, key) == three[0].address}

    assert {key for key, read in found.items() if isinstance(read, StoreUnavailable)} == lost
    assert all(found[key].data == key.encode() for key in keys if key not in lost)
    assert 0 < len(lost) < len(keys)


def test_nothing_is_written_elsewhere_while_a_server_is_down(make, three, keys):
    """When it comes back no ended session and no old data comes back with it."""
    store = make(addresses(three))
    lost = [key for key in keys if place_of(store, key) == three[0].address]
    three[0].kill()
    errors = [
        outcome(call)
        for key in lost[:10]
        for call in (
            lambda: store.write(key, b"data", 60, expected=None),  # noqa: B023  # called at once
            lambda: store.write(key, b"data", 60, expected=b"1"),  # noqa: B023
            lambda: store.destroy(key),  # noqa: B023
            lambda: store.acquire(key, 60),  # noqa: B023
        )
    ]

    assert {type(error) for error in errors} == {StoreUnavailable}
    assert [server.stats()["curr_items"] for server in three[1:]] == [0, 0]


@pytest.mark.parametrize("failover", [False, True])
def test_a_server_that_is_killed_and_restarted_under_load_loses_nothing_silently(make, three, keys, failover):
    """What was acknowledged is read by everybody until its server is killed; nothing older than it comes back."""
    store = make(addresses(three), timeout=1.0, connect_timeout=1.0, failover=failover, failover_retry=0.3)
    acknowledged, wrong, stop = dict.fromkeys(keys[:60], 0), [], threading.Event()
    safe = [key for key in acknowledged if place_of(store, key) != three[0].address]

    def count_up(mine):
        while not stop.is_set():
            for key in mine:
                counted = outcome(lambda: count(store, key, acknowledged[key]))  # noqa: B023  # called at once
                if isinstance(counted, StoreUnavailable):
                    continue
                if not isinstance(counted, int):
                    wrong.append((key, counted))
                elif counted < acknowledged[key] and key in safe:
                    wrong.append((key, counted, acknowledged[key]))
                acknowledged[key] = counted if isinstance(counted, int) else 0

    with ThreadPoolExecutor(6) as threads:
        working = [threads.submit(count_up, list(acknowledged)[number::6]) for number in range(6)]
        try:
            for _ in range(2):
                rounds(acknowledged, safe)
                three[0].kill()
                rounds(acknowledged, safe)
                three[0].start()
            rounds(acknowledged, acknowledged)
        finally:
            stop.set()
        for each in working:
            each.result()

    assert wrong == []
    assert [int(body_of(store.read(key).data)) for key in safe] == [acknowledged[key] for key in safe]


def count(store, key, known):
    """Count up in a record, or begin at 1 where it is absent; return the count that was acknowledged."""
    stored = store.read(key, 600)
    if stored is None:
        try:
            store.write(key, record(b"1"), 600, expected=None)
        except SessionConflict:
            return known
        return 1
    new = int(body_of(stored.data)) + 1
    try:
        store.write(key, record(b"%d" % new), 600, expected=stored.version)
    except SessionGone:
        return 0
    return new


def rounds(acknowledged, keys, number=3):
    """Wait until everybody was counted up some times more."""
    before = dict(acknowledged)
    wait_until(lambda: all(acknowledged[key] >= before[key] + number for key in keys), "the counts go up")


def test_with_failover_the_next_server_serves_the_keys(make, three, keys, caplog):
    """New sessions can be had at once; those that the dead server kept are gone as long as it is down."""
    store = make(addresses(three), failover=True, failover_retry=60.0)
    for key in keys[:30]:
        store.write(key, key.encode(), 600, expected=None)
    three[0].kill()
    lost = [key for key in keys[:30] if place_of(store, key) == three[0].address]
    with caplog.at_level(logging.WARNING, "sessionbag.memcached"):
        found = [store.read(key) for key in lost]
    for key in lost:
        store.write(key, b"new", 600, expected=None)

    assert found == [None] * len(lost)
    assert [store.read(key).data for key in lost] == [b"new"] * len(lost)
    assert [store.read(key).data for key in keys[:30] if key not in lost] != []
    assert f"{three[0].address} is down" in caplog.text
    assert len(caplog.records) == 1


def test_the_cost_of_failover_is_what_the_guide_says(make, three, keys):
    """A server that was only cut off comes back with what it held: the ended session lives again, the new one hides."""
    [key] = [key for key in keys if place_of(make(addresses(three)), key) == three[0].address][:1]
    store = make(addresses(three), failover=True, failover_retry=0.1, timeout=1.0, prefix="cost-")
    store.write(key, b"before", 600, expected=None)
    three[0].freeze()
    ended = store.read(key)
    store.write(key, b"meanwhile", 600, expected=None)
    three[0].thaw()
    waiting = threading.Event()
    while (found := store.read(key)).data == b"meanwhile":
        waiting.wait(0.02)

    assert ended is None
    assert found.data == b"before"


def test_with_failover_a_version_counts_on_its_own_server_alone(make, three, keys):
    """Two servers count alike, so the version of a record on one could be that of another record elsewhere."""
    store = make(addresses(three), failover=True, failover_retry=60.0)
    key = next(key for key in keys if place_of(store, key) == three[0].address)
    store.write(key, b"first", 600, expected=None)
    former, lease = store.read(key), store.acquire(key, 600)
    three[0].kill()
    store.read(key)
    store.write(key, b"second", 600, expected=None)
    second = store.acquire(key, 600)

    assert former.version.split(b"@")[0] == store.read(key).version.split(b"@")[0] == b"1"
    for call in (
        lambda: store.write(key, b"late", 600, expected=former.version),
        lambda: store.destroy(key, expected=former.version),
        lambda: store.release(key, lease),
    ):
        with pytest.raises(StoreUnavailable):
            call()
    assert store.read(key).data == b"second"
    assert store.release(key, second) is True


def test_with_failover_and_all_servers_down_it_is_an_outage(make, key):
    """There is nobody left to ask; and one that comes back is asked at once."""
    store = make([f"{HOST}:{free_port()}" for _ in range(2)], failover=True)

    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.read(key)
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            store.write(key, b"data", 60, expected=None)


def test_with_failover_an_unanswered_write_goes_to_no_other_server(make, three, keys):
    """It may have happened: the error says so, and only the next operation is served elsewhere."""
    store = make(addresses(three), failover=True, failover_retry=60.0, timeout=1.0)
    key = next(key for key in keys if place_of(store, key) == three[0].address)
    store.read(key)
    three[0].freeze()
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        store.write(key, b"data", 600, expected=None)
    elsewhere = [server.stats()["curr_items"] for server in three[1:]]
    store.write(key, b"data", 600, expected=None)
    three[0].thaw()

    assert elsewhere == [0, 0]
    assert sum(server.stats()["curr_items"] for server in three[1:]) == 1


def test_with_failover_a_busy_pool_is_no_server_that_is_down(make, three, keys):
    """Its keys stay where they are: a session is not absent because this process has much to do."""
    store = make(addresses(three), failover=True, failover_retry=60.0, pool_size=1, pool_timeout=0.05)
    key = next(key for key in keys if place_of(store, key) == three[0].address)
    store.write(key, b"data", 600, expected=None)
    pool = store.adapter._placement.best(key)
    connection = pool._take()
    errors = [outcome(lambda: store.read(key)), outcome(lambda: store.destroy(key))]
    pool._give_back(connection)

    assert {type(error) for error in errors} == {StoreUnavailable}
    assert store.read(key).data == b"data"


@pytest.mark.parametrize("strange", [b"", b"1", b"1@", b"1@nowhere:1", b"@", b"x@y"])
def test_with_failover_a_version_that_never_was_conflicts(make, three, key, strange):
    """As without it."""
    store = make(addresses(three), failover=True)
    store.write(key, b"data", 60, expected=None)

    with pytest.raises(SessionConflict):
        store.write(key, b"new", 60, expected=strange)
    with pytest.raises(SessionConflict):
        store.destroy(key, expected=strange)
    assert store.release(key, strange) is False
    assert store.read(key).data == b"data"
