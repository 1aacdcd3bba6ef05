"""The primary is killed under load: callers get `StoreUnavailable` and nothing else, and then all goes on by itself."""

import contextlib
import os
import random
import secrets
import threading
import time
from collections import Counter

import pytest
from redis_servers import ELECTION, Monitor
from servers import wait_until
from sessionbag import ManagerFactory
from sessionbag.errors import CorruptRecord, SessionConflict, SessionError, SessionGone, StoreUnavailable
from sessionbag.testing.blocking import Blocking
from sessionbag_redis import AsyncRedis, Redis, RedisOptions
from sessionbag_redis import _commands as commands
from sessionbag_redis._cluster import ClusterRoute
from sessionbag_redis._errors import Unanswered
from sessionbag_redis._routes import SentinelRoute
from sessionbag_redis._steps import Address, Refusal

TTL = 600
ROUNDS = 3 if os.environ.get("SESSIONBAG_SOAK") else 1
SHORT = {"timeout": 0.5, "connect_timeout": 0.5}
PATIENT = {"timeout": 20.0, "connect_timeout": 20.0, "wait_timeout": 20.0}


def body(data):
    return int(data[8:])


def record(number):
    return secrets.token_bytes(8) + b"%d" % number


class Visitors:
    """Threads that count up in sessions of their own, and end some of them; they remember what was acknowledged."""

    def __init__(self, store, threads=4):
        self.store = store
        self.counts = {}
        self.ended = set()
        self.told_at = {}
        self.recovered_at = 0.0
        self.errors = Counter()
        self.unsound = []
        self.acknowledged = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._visit, args=(number,)) for number in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, number):
        rng = random.Random(number)  # noqa: S311  # no secret
        while not self._stop.is_set():
            key = secrets.token_hex(32)
            if not self._begin(key):
                continue
            for _ in range(rng.randrange(1, 6)):
                self._count_up(key)
            if rng.random() < 0.3:
                self._end(key)

    def _begin(self, key):
        if self._told(lambda: self.store.write(key, record(0), TTL, expected=None)):
            self.counts[key] = 0
            self.told_at[key] = time.monotonic()
            return True
        return False

    def _count_up(self, key):
        def add():
            stored = self.store.read(key, TTL)
            if stored is None:
                raise SessionGone(key)
            self.store.write(key, record(body(stored.data) + 1), TTL, expected=stored.version)
            return body(stored.data) + 1

        reached = self._told(add)
        if reached:
            self.counts[key] = reached
            self.told_at[key] = time.monotonic()

    def _end(self, key):
        if self._told(lambda: self.store.destroy(key) or True):
            self.ended.add(key)
            self.told_at[key] = time.monotonic()
        else:
            del self.counts[key]  # it may have happened, so that neither outcome says anything

    def _told(self, call):
        try:
            answer = call()
        except StoreUnavailable:
            self.errors["unavailable"] += 1
            time.sleep(0.02)
            return None
        except (SessionGone, SessionConflict) as error:
            self.errors[type(error).__name__] += 1  # asynchronous replication lost what this visitor had written
            return None
        except BaseException as error:  # noqa: BLE001  # the test tells which
            self.unsound.append(error)
            return None
        self.acknowledged += 1
        return answer


class Judged:
    """What the store holds after everything, against what was acknowledged."""

    def __init__(self, store, visitors):
        self.corrupt = self.lost = self.revived = self.unexcused = 0
        for key, count in list(visitors.counts.items()):
            try:
                stored = store.read(key)
            except CorruptRecord:
                self.corrupt += 1
                continue
            ended = key in visitors.ended
            broken = stored is not None if ended else stored is None or body(stored.data) < count
            self.revived += broken and ended
            self.lost += broken and not ended
            self.unexcused += broken and visitors.told_at[key] > visitors.recovered_at


@pytest.fixture(autouse=True)
def whole_again(request):
    """Mend the servers after each test, however it ended: others use them, too."""
    yield
    for name in {"sentinel_set", "redis_cluster"} & set(request.fixturenames):
        request.getfixturevalue(name).settle()


@pytest.fixture(params=["blocking", "awaited"])
def open_store(request):
    made = []

    def open_it(**options):
        options = RedisOptions(**options)
        made.append(Redis(options) if request.param == "blocking" else Blocking(AsyncRedis(options)))
        return made[-1]

    yield open_it
    for store in made:
        store.close()
        if isinstance(store, Blocking):
            store.close_loop()


def kill_under_load(store, victim, recovered):
    """Let visitors come, kill a server in their midst, and return them after it was replaced and visits succeed."""
    with Visitors(store) as visitors:
        wait_until(lambda: visitors.acknowledged > 200, "the visits to begin")
        victim().kill()
        wait_until(recovered, "the fail-over", ELECTION)
        visitors.recovered_at = time.monotonic()
        before = visitors.acknowledged
        wait_until(lambda: visitors.acknowledged > before + 200, "visits after the fail-over")
    return visitors


def check(visitors, judged, node, *, waits):
    """Every caller got an answer or `StoreUnavailable`; what is lost is what replication had not passed on."""
    counted = {"operations": visitors.acknowledged, "writes lost": judged.lost, "endings lost": judged.revived}
    node.user_properties.extend(counted.items())
    assert visitors.unsound == []
    assert visitors.errors["unavailable"] > 0, "nobody noticed the fail-over: was anything killed?"
    assert judged.corrupt == 0
    if waits:
        assert (judged.lost, judged.revived) == (0, 0)
        assert visitors.errors["SessionGone"] == 0
    # Replication may have lost what the killed primary had not passed on, and nothing that was told afterwards.
    assert judged.unexcused == 0


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(ROUNDS))
@pytest.mark.parametrize("waits", [False, True], ids=["plain", "wait"])
def test_sentinels_replace_a_primary_that_was_killed(open_store, sentinel_set, waits, request, round_):
    """The adapter follows by itself; with ``wait_replicas`` nothing that was acknowledged is lost."""
    waiting = {"wait_replicas": 2 if waits else 0, "wait_timeout": 1.0}
    store = open_store(**sentinel_set.options, **SHORT, prefix=f"{secrets.token_hex(4)}-", **waiting)
    former = sentinel_set.primary()

    def replaced():
        return sentinel_set.primary() is not former

    def recovered():
        if not replaced():
            return False
        if waits and not former.answers():
            sentinel_set.settle()  # two replicas have to confirm, so the killed one is needed again
        return True

    visitors = kill_under_load(store, lambda: former, recovered)
    judged = Judged(store, visitors)

    check(visitors, judged, request.node, waits=waits)


@pytest.mark.soak
@pytest.mark.parametrize("round_", range(ROUNDS))
def test_a_cluster_replaces_a_primary_that_was_killed(open_store, redis_cluster, request, round_):
    """The other shards answer all the time, and the shard that lost its primary after its replica took over."""
    store = open_store(**redis_cluster.options, **SHORT, prefix=f"{secrets.token_hex(4)}-")
    victim = redis_cluster.primaries()[0]

    def recovered():
        return len([server for server in redis_cluster.primaries() if server is not victim]) == 3

    visitors = kill_under_load(store, lambda: victim, recovered)
    judged = Judged(store, visitors)

    check(visitors, judged, request.node, waits=False)


def test_a_hung_primary_holds_up_no_healthy_shard(open_store, redis_cluster):
    """Also with scripts to be sent anew: whoever asks the other shards waits for nobody."""
    store = open_store(**redis_cluster.options, timeout=2.0, connect_timeout=2.0, prefix=f"{secrets.token_hex(4)}-")
    hung, healthy, _ = redis_cluster.primaries()
    prefix = store.prefix
    keys = {}
    while len(keys) < 2:
        key = secrets.token_hex(32)
        owner = redis_cluster.owner_of(prefix + key)
        if owner in {hung, healthy}:
            keys.setdefault(owner, key)
    versions = {server: store.write(key, record(0), TTL, expected=None) for server, key in keys.items()}
    healthy.ask("SCRIPT", "FLUSH")
    hung.freeze()
    waiting = threading.Thread(target=_swallow, args=(store.read, keys[hung]))
    with Monitor([healthy]) as monitor:
        waiting.start()
        version = store.write(keys[healthy], record(1), TTL, expected=versions[healthy])
        done_first = waiting.is_alive()
        seen = [name for name in monitor.commands() if name != "CLUSTER"]
    hung.thaw()
    waiting.join()

    assert version != versions[healthy]
    assert done_first
    assert seen == ["EVALSHA", "EVAL"]


def _swallow(call, *arguments):
    with contextlib.suppress(SessionError):
        call(*arguments)


def test_slots_that_move_are_followed(open_store, redis_cluster):
    """MOVED and ASK: while a slot is moved from one server to another, and afterwards."""
    store = open_store(**redis_cluster.options, prefix="{moving}")
    keys = [secrets.token_hex(32) for _ in range(10)]
    versions = {key: store.write(key, record(0), TTL, expected=None) for key in keys}
    source = redis_cluster.owner_of("{moving}")
    target = next(server for server in redis_cluster.primaries() if server is not source)
    slot = source.ask("CLUSTER", "KEYSLOT", "{moving}").decode()[1:]
    source_id, target_id = (server.ask("CLUSTER", "MYID").decode() for server in (source, target))
    target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
    source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
    for key in keys[:5]:
        source.ask("MIGRATE", "127.0.0.1", str(target.port), "{moving}" + key, "0", "5000")
    during = {key: store.write(key, record(1), TTL, expected=versions[key]) for key in keys}
    created = store.write("new", record(5), TTL, expected=None)
    for key in keys[5:]:
        source.ask("MIGRATE", "127.0.0.1", str(target.port), "{moving}" + key, "0", "5000")
    for server in (target, source, *redis_cluster.primaries()):
        server.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)
    after = {key: store.read(key) for key in keys}
    again = [store.read(key).version for key in keys]
    listed = {entry.key for entry in store.scan()}

    assert {key: stored.version for key, stored in after.items()} == during
    assert again == list(during.values())
    assert listed == {*keys, "new"}
    assert store.destroy("new", expected=created) is True


def test_sessions_survive_a_fail_over(sentinel_set):
    """An application sees `StoreUnavailable` for as long as there is no primary, and its sessions afterwards."""
    options = {**sentinel_set.options, "prefix": f"{secrets.token_hex(4)}-"}
    with ManagerFactory(adapter="redis", options={**options, **PATIENT, "wait_replicas": 2}) as factory:
        visitor = factory.new_instance()  # on both replicas, whichever of them is elected
        visitor["cart"] = ["tea"]
        visitor_id = visitor.get_id()
        visitor.close()
    with ManagerFactory(adapter="redis", options={**options, **SHORT}) as factory:
        sentinel_set.primary().kill()
        outcomes = []

        def add_milk():
            session = factory.new_instance(visitor_id)
            try:
                session["cart"] = [*session["cart"], "milk"]
                session.close()
            except StoreUnavailable:
                outcomes.append("unavailable")
                return False
            return True

        wait_until(add_milk, "a visit after the fail-over", ELECTION)
        cart = factory.new_instance(visitor_id)["cart"]

    assert cart[0] == "tea"
    assert "milk" in cart
    assert set(outcomes) == {"unavailable"}


def test_a_read_is_sent_once_more_also_where_another_thread_found_the_new_primary():
    """Both threads asked the primary that died; the second to hear of it has nothing to ask the sentinels."""
    former, new = Address("former", 6379), Address("new", 6379)
    died = Unanswered(former, TimeoutError())
    route = SentinelRoute([Address("sentinel", 26379)], "sessions", None)
    first, second = route.ask(commands.get(b"a")), route.ask(commands.get(b"b"))
    next(first)
    first.send([b"former", b"6379"])
    next(second)
    first.throw(died)
    found = first.send([b"new", b"6379"])
    again = second.throw(died)

    assert (found.address, again.address) == (new, new)


def test_a_user_who_may_not_follow_a_slot_that_moves_is_told_so():
    """Without the right to ASKING the target sends back to the source, without an end."""
    source, target = Address("source", 6379), Address("target", 6379)
    route = ClusterRoute([source], None)
    reading = route.ask(commands.get(b"a"))
    next(reading)
    reading.send([[0, 16383, [b"source", 6379]]])
    reading.send(Refusal("ASK", "1 target:6379", source))
    with pytest.raises(StopIteration) as ended:
        reading.send([Refusal("NOPERM", "", target), Refusal("MOVED", "1 source:6379", target)])

    assert ended.value.value == Refusal("NOPERM", "", target)
