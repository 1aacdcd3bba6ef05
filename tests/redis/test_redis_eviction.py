"""Lists of sessions are refused on a server that may drop them; it is asked once, and only where lists are kept."""

import pytest
import redis
from redis_servers import PASSWORD, QUIET, USER, RedisServer
from servers import HOST, free_port
from sessionbag import AskingHandler, AsyncAskingHandler, AsyncManagerFactory, ManagerFactory
from sessionbag.errors import CapabilityMissing, StoreUnavailable
from sessionbag.testing.blocking import LoopThread
from sessionbag_redis import AsyncRedis, Redis, RedisOptions
from sessionbag_redis._errors import Unanswered
from sessionbag_redis._rules import Rules
from sessionbag_redis._steps import Address

POLICIES = (
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
)
LIMIT = "100mb"


class Application:
    """An application that keeps lists of sessions, blocking, awaited, or awaited with a blocking adapter in threads."""

    def __init__(self, form, *, lists=True, **options):
        self._loop = None if form == "blocking" else LoopThread()
        self._options = {"principal_index": lists}
        try:
            if form == "threads":
                self._factory = AsyncManagerFactory(Redis(RedisOptions(**options)), **self._options)
            else:
                made = ManagerFactory if form == "blocking" else AsyncManagerFactory
                self._factory = made("redis", options=options, **self._options)
            if self._loop is not None:
                self._run(self._factory.open())
        except BaseException:
            if self._loop is not None:
                self._loop.close()
            raise

    def visit(self, principal=None):
        """Store a session."""
        if self._loop is not None:
            self._run(self._visit(principal))
            return
        session = self._factory.new_instance()
        session.start()
        session["n"] = 1
        if principal is not None:
            session.set_principal(principal)
        session.close()

    async def _visit(self, principal):
        session = self._factory.new_instance()
        await session.start()
        session["n"] = 1
        if principal is not None:
            session.set_principal(principal)
        await session.close()

    def ask(self, name, principal):
        """List or end the sessions of a principal."""
        return self._run(getattr(self._factory, name)(principal))

    def close(self):
        self._run(self._factory.close())
        if self._loop is not None:
            self._loop.close()

    def _run(self, told):
        return told if self._loop is None else self._loop.run(told)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a server of this file's own, whose settings tests change."""
    with RedisServer(tmp_path_factory.mktemp("cache"), *QUIET) as server:
        yield server


@pytest.fixture
def settings(cache):
    """Change the limit and the policy for one test."""

    def change(maxmemory, policy):
        _set(cache, maxmemory, policy)

    yield change
    change("0", "noeviction")


def _set(server, maxmemory, policy):
    for option, value in (("maxmemory", maxmemory), ("maxmemory-policy", policy)):
        assert server.ask("CONFIG", "SET", option, value) == b"+OK"


@pytest.fixture(params=["blocking", "awaited", "threads"])
def begin(request):
    """Begin applications of one form."""
    begun = []

    def begin_one(**options):
        begun.append(Application(request.param, **options))
        return begun[-1]

    yield begin_one
    for application in begun:
        application.close()


def asked(server):
    """Return how often the server was asked about itself, before this question."""
    told = server.info("commandstats").get("cmdstat_info", "calls=0,")
    return int(told.partition(",")[0].removeprefix("calls="))


def test_both_forms_can_be_asked():
    """It is an optional part of the handler spec, which other adapters may have, too."""
    assert isinstance(Redis(), AskingHandler)
    assert isinstance(AsyncRedis(), AsyncAskingHandler)


def test_a_server_that_evicts_keeps_no_lists(begin, cache, settings):
    """What it drops would be missing when all sessions are to be ended."""
    settings(LIMIT, "allkeys-lru")

    with pytest.raises(CapabilityMissing, match="Redis may drop records by itself"):
        begin(port=cache.port)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_but_one_drops_sessions(make, cache, settings, policy):
    """Each record has an expiry, and so those for volatile keys do, too."""
    settings(LIMIT, policy)
    limited = make(port=cache.port)
    limited.ask_eviction()
    settings("0", policy)
    unlimited = make(port=cache.port)
    unlimited.ask_eviction()

    assert (limited.evicts, unlimited.evicts) == (True, False)


@pytest.mark.parametrize(("limit", "policy"), [(LIMIT, "noeviction"), ("0", "allkeys-lru")])
def test_a_server_that_keeps_what_it_has_keeps_lists(begin, cache, settings, limit, policy):
    """Without a limit nothing is dropped, whatever the policy is."""
    settings(limit, policy)
    application = begin(port=cache.port)
    application.visit("user-7")

    assert application.ask("revoke", "user-7") == 1


def test_the_server_is_asked_once(begin, cache):
    """When the application starts; no request asks it again, and neither does listing."""
    before = asked(cache)
    application = begin(port=cache.port)
    opened = asked(cache)
    for _ in range(3):
        application.visit("user-7")
        application.ask("revoke", "user-7")

    assert opened - before - 1 == 1
    assert asked(cache) - opened - 1 == 0


def test_without_lists_the_server_is_not_asked(begin, cache, settings):
    """Sessions may be where some of them are dropped, and cost not one trip more."""
    settings(LIMIT, "allkeys-lru")
    before = asked(cache)
    application = begin(port=cache.port, lists=False)
    for _ in range(3):
        application.visit()

    assert asked(cache) - before - 1 == 0


def test_a_server_that_is_out_is_asked_when_a_session_starts(begin, tmp_path):
    """The application starts all the same, and refuses then what it would have refused at the start."""
    port = free_port()
    evicting, keeping = begin(port=port), begin(port=port)
    for call in (evicting.visit, lambda: keeping.ask("sessions_of", "user-7")):
        with pytest.raises(StoreUnavailable):
            call()
    with RedisServer(tmp_path, *QUIET, port=port) as server:
        keeping.visit("user-7")
        _set(server, LIMIT, "volatile-ttl")
        for _ in range(2):
            with pytest.raises(CapabilityMissing, match="Redis may drop records by itself"):
                evicting.visit()
        for call in ("sessions_of", "revoke"):
            with pytest.raises(CapabilityMissing, match="Redis may drop records by itself"):
                evicting.ask(call, "user-7")

        assert len(keeping.ask("sessions_of", "user-7")) == 1


def test_a_server_that_does_not_tell_counts_as_one_that_keeps(begin, guarded_redis):
    """A user without the right to ask has sessions and lists; whoever gives no right has to see to the policy."""
    guarded_redis.ask("CONFIG", "SET", "maxmemory", LIMIT)
    guarded_redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        application = begin(port=guarded_redis.port, username=USER, auth=PASSWORD)
        application.visit("user-7")
        listed = len(application.ask("sessions_of", "user-7"))
        ended = application.ask("revoke", "user-7")
        rights = guarded_redis.ask("ACL", "LOG")
    finally:
        guarded_redis.ask("CONFIG", "SET", "maxmemory", "0")
        guarded_redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
        guarded_redis.ask("ACL", "LOG", "RESET")

    assert (listed, ended) == (1, 1)
    assert b"info" in rights


def test_the_primary_is_asked_that_sentinels_name(begin, sentinel_set):
    """Replicas may have other settings."""
    primary = sentinel_set.primary()
    begin(**sentinel_set.options)
    _set(primary, LIMIT, "allkeys-lru")
    try:
        with pytest.raises(CapabilityMissing, match="Redis may drop records by itself"):
            begin(**sentinel_set.options)
    finally:
        _set(primary, "0", "noeviction")


def test_one_server_of_a_cluster_speaks_for_all(begin, redis_cluster):
    """The first that answers: the servers of a cluster are to be set up alike."""
    before = [asked(server) for server in redis_cluster.servers]
    begin(**redis_cluster.options)
    told = sum(asked(server) - count - 1 for server, count in zip(redis_cluster.servers, before, strict=True))
    assert told == 1
    for server in redis_cluster.servers:
        _set(server, LIMIT, "allkeys-lru")
    try:
        with pytest.raises(CapabilityMissing, match="Redis may drop records by itself"):
            begin(**redis_cluster.options)
    finally:
        for server in redis_cluster.servers:
            _set(server, "0", "noeviction")


class Servers:
    """Stands in for a route to two servers, of which some do not answer."""

    def __init__(self, *out):
        self.out = out
        self.asked = []

    def primaries(self):
        yield from ()
        return [Address("one", 1), Address("two", 2)]

    def ask_at(self, address, asked):
        yield from ()
        self.asked.append((address.host, [command.words for command in asked]))
        if address.host in self.out:
            raise Unanswered(address, OSError())
        return [b"maxmemory:1024\r\nmaxmemory_policy:allkeys-lru\r\n"]


def test_the_next_server_of_a_cluster_is_asked_when_one_is_out():
    """Its sessions are out, and the others are to go on."""
    servers, none = Servers("one"), Servers("one", "two")

    assert ended(Rules(servers, "", waits=False).evicts()) is True
    with pytest.raises(Unanswered):
        ended(Rules(none, "", waits=False).evicts())
    assert servers.asked == none.asked == [(host, [(b"INFO", b"memory")]) for host in ("one", "two")]


def ended(flow):
    """Run a flow that asks nothing to its end."""
    with pytest.raises(StopIteration) as end:
        next(flow)
    return end.value.value


def test_a_client_that_was_handed_in_is_asked(cache, settings, redis_cluster):
    """Through its methods, on one server and in a cluster."""
    settings(LIMIT, "allkeys-lru")
    one = redis.Redis(port=cache.port)
    cluster = redis.RedisCluster(host=HOST, port=redis_cluster.servers[0].port)
    handlers = [Redis(RedisOptions(client=client)) for client in (one, cluster)]
    for handler in handlers:
        handler.ask_eviction()
    one.close()
    cluster.close()

    assert [handler.evicts for handler in handlers] == [True, False]
