"""Bad input and servers that refuse: a clear error with host and port, never a password, and nothing is lost."""

import secrets
import traceback

import pytest
from redis_servers import PASSWORD, QUIET, USER, RedisServer
from servers import HOST, free_port
from sessionbag import ManagerFactory
from sessionbag.errors import CorruptRecord, SessionConflict, SessionError, SessionTooLarge, StoreUnavailable

TTL = 600
WRONG = "wrong-0123"


def failure(call, *arguments, **named):
    """Return what a call raises, and check that no password stands in it or in what it was caused by."""
    with pytest.raises(SessionError) as caught:
        call(*arguments, **named)
    text = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in text
    assert WRONG not in text
    return caught.value


@pytest.fixture(scope="module")
def fragile(tmp_path_factory):
    """Return a server of this file's own, whose settings tests change and put back."""
    with RedisServer(tmp_path_factory.mktemp("fragile"), *QUIET) as server:
        yield server


@pytest.fixture
def settings(fragile):
    """Change settings of the server for one test."""
    before = {}

    def change(**given):
        for option, value in given.items():
            name = option.replace("_", "-")
            before.setdefault(name, fragile.ask("CONFIG", "GET", name).split(b"\n")[1])
            assert fragile.ask("CONFIG", "SET", name, value) == b"+OK"

    yield change
    for name, value in before.items():
        fragile.ask("CONFIG", "SET", name, value)


def test_nobody_at_the_address(make, key):
    """Host and port stand in the message."""
    port = free_port()
    error = failure(make(host=HOST, port=port, auth=WRONG).read, key)

    assert isinstance(error, StoreUnavailable)
    assert f"Redis at {HOST}:{port} cannot be reached. Check host and port" in str(error)


def test_a_host_that_has_no_address(make, key):
    """The name stands in the message."""
    error = failure(make(host="no-such-host.invalid", auth=WRONG).read, key)

    assert isinstance(error, StoreUnavailable)
    assert "no-such-host.invalid:6379 cannot be reached" in str(error)


def test_something_else_listens_there(make, key, tls_redis):
    """A server that speaks TLS is no Redis on plain TCP."""
    error = failure(make(host=HOST, port=tls_redis.tls_port, timeout=0.5).read, key)

    assert isinstance(error, StoreUnavailable)
    assert str(tls_redis.tls_port) in str(error)


@pytest.mark.parametrize(
    "credentials",
    [{"auth": WRONG}, {"username": USER, "auth": WRONG}, {"username": "nobody", "auth": WRONG}, {}],
    ids=["password", "password-of-a-user", "user", "none"],
)
def test_wrong_credentials(make, key, guarded_redis, credentials):
    """Told as what they are, for reads and for writes."""
    handler = make(host=HOST, port=guarded_redis.port, **credentials)
    reading, writing = failure(handler.read, key), failure(handler.write, key, b"12345678", TTL, expected=None)

    for error in (reading, writing):
        assert isinstance(error, StoreUnavailable)
        assert f"{HOST}:{guarded_redis.port} does not take this password or user" in str(error)


def test_a_user_without_the_rights(make, key, guarded_redis):
    """The ACL rules are what to look at."""
    handler = make(host=HOST, port=guarded_redis.port, username=USER, auth=PASSWORD, prefix="other-")
    error = failure(handler.read, key)

    assert isinstance(error, StoreUnavailable)
    assert f"{HOST}:{guarded_redis.port} does not allow this user what sessions need" in str(error)


def test_a_database_that_is_not_there(make, key, redis_server):
    """Its number is what is wrong."""
    error = failure(make(host=HOST, port=redis_server.port, index=999).read, key)

    assert isinstance(error, StoreUnavailable)
    assert f"{HOST}:{redis_server.port} has no database of that number. Correct index" in str(error)


def test_another_type_under_the_key(make, key, redis_server):
    """It is no session record, it can be destroyed, and until then nothing touches it."""
    handler = make(host=HOST, port=redis_server.port)
    redis_server.ask("RPUSH", f"sess-reds-{key}", "somebody's")
    read = failure(handler.read, key)
    restarted = failure(handler.read, key, TTL)
    created = failure(handler.write, key, b"12345678", TTL, expected=None)
    replaced = failure(handler.write, key, b"12345678", TTL, expected=b"1234567x")

    assert [type(read), type(restarted), type(replaced)] == [CorruptRecord] * 3
    assert f"{HOST}:{redis_server.port} holds something else than a string under the key" in str(read)
    assert isinstance(created, SessionConflict)
    assert redis_server.ask("LLEN", f"sess-reds-{key}") == b":1"
    assert handler.destroy(key) is True
    assert handler.read(key) is None


def test_another_type_under_a_sessions_key_gives_the_visitor_a_new_session(redis_server):
    """As with any record that cannot be read: a hook would hear of it, and destroying the session removes it."""
    with ManagerFactory(adapter="redis", options={"host": HOST, "port": redis_server.port}) as factory:
        with factory.new_instance() as session:
            session["user"] = "bob"
            session_id, key = session.get_id(), session.info().key
        redis_server.ask("DEL", f"sess-reds-{key}")
        redis_server.ask("RPUSH", f"sess-reds-{key}", "somebody's")
        session = factory.new_instance(session_id)
        seen = (dict(session), session.get_id() == session_id)
        session.close()
        left = redis_server.ask("LLEN", f"sess-reds-{key}")
        factory.new_instance(session_id).destroy()

    assert seen == ({}, False)
    assert left == b":1"
    assert redis_server.ask("EXISTS", f"sess-reds-{key}") == b":0"


def test_a_server_that_is_full(make, key, record, fragile, settings):
    """Writes are refused and the former record stands; reading goes on, and so does the idle clock."""
    handler = make(host=HOST, port=fragile.port)
    data = record()
    version = handler.write(key, data, TTL, expected=None)
    settings(maxmemory="1")
    replaced = failure(handler.write, key, record(), TTL, expected=version)
    created = failure(handler.write, "0" * 64, record(), TTL, expected=None)
    read = handler.read(key, 10 * TTL)

    for error in (replaced, created):
        assert isinstance(error, StoreUnavailable)
        assert f"{HOST}:{fragile.port} is full and refuses writes above its maxmemory. Raise" in str(error)
    assert read == (data, version)
    settings(maxmemory="0")
    assert handler.write(key, record(), TTL, expected=version) is not None


def test_a_server_that_takes_no_writes_is_read_without_the_restart(make, key, record, fragile, settings):
    """Too few replicas: GETEX is refused, and GET gives the session; an outage of writes logs nobody out."""
    handler = make(host=HOST, port=fragile.port)
    data = record()
    version = handler.write(key, data, TTL, expected=None)
    settings(min_replicas_to_write="1")
    read = handler.read(key, 10 * TTL)
    left = handler.remaining(key)
    written = failure(handler.write, key, record(), TTL, expected=version)

    assert read == (data, version)
    assert left <= TTL
    assert isinstance(written, StoreUnavailable)
    assert "fewer replicas follow it than its min-replicas-to-write asks for" in str(written)


def test_a_replica_is_neither_read_nor_written(make, key, record, sentinel_set):
    """Whoever names it is told so, instead of getting sessions of some time ago."""
    primary = sentinel_set.primary()
    replica = next(server for server in sentinel_set.servers if server is not primary)
    handler = make(host=HOST, port=replica.port)
    read, restarted = failure(handler.read, key), failure(handler.read, key, TTL)
    written = failure(handler.write, key, record(), TTL, expected=None)

    for error in (read, restarted, written):
        assert isinstance(error, StoreUnavailable)
        assert f"{HOST}:{replica.port} is a read-only replica. Name the primary, or use Sentinel" in str(error)


def test_a_connection_to_what_has_become_a_replica(make, key, record, fragile, redis_server):
    """A primary that was made a replica meanwhile: the next write tells."""
    handler = make(host=HOST, port=fragile.port)
    version = handler.write(key, record(), TTL, expected=None)
    fragile.ask("REPLICAOF", HOST, str(redis_server.port))
    try:
        error = failure(handler.write, key, record(), TTL, expected=version)
    finally:
        fragile.ask("REPLICAOF", "NO", "ONE")

    assert isinstance(error, StoreUnavailable)
    assert "is a read-only replica" in str(error)


def test_a_record_that_no_server_takes(make, key, record, fragile, settings):
    """`SessionTooLarge`, and the former record stands."""
    handler = make(host=HOST, port=fragile.port)
    data = record()
    version = handler.write(key, data, TTL, expected=None)
    settings(proto_max_bulk_len="1048576")
    error = failure(handler.write, key, secrets.token_bytes(2_000_000), TTL, expected=version)

    assert isinstance(error, (SessionTooLarge, StoreUnavailable))
    assert handler.read(key) == (data, version)


def test_a_service_that_no_sentinel_knows(make, key, sentinel_set):
    """The service's name stands in the message."""
    error = failure(make(sentinels=sentinel_set.addresses, service_name="other").read, key)

    assert isinstance(error, StoreUnavailable)
    assert "is a sentinel that does not know the service 'other'" in str(error)


def test_a_server_that_is_no_cluster(make, key, redis_server):
    """``cluster=True`` for one server is told as that."""
    error = failure(make(host=HOST, port=redis_server.port, cluster=True).read, key)

    assert isinstance(error, StoreUnavailable)
    assert f"{HOST}:{redis_server.port} knows no hash slots. Form the cluster, or leave cluster out" in str(error)


def test_a_cluster_that_is_taken_for_one_server(make, redis_cluster):
    """The mend is the option that is missing."""
    handler = make(host=HOST, port=redis_cluster.primaries()[0].port)
    errors = []
    for number in range(64):
        try:
            handler.read(f"{number:064x}")
        except StoreUnavailable as error:
            errors.append(str(error))

    assert errors
    assert all("is part of a cluster. Use cluster=True" in text for text in errors)


def test_no_message_shows_a_key(make, guarded_redis, fragile):
    """With hashing off a key is an id: no error, nor what it was caused by, quotes what the server said."""
    key = "an-id-that-nobody-may-see"
    fragile.ask("RPUSH", f"sess-reds-{key}", "x")
    errors = [
        failure(make(host=HOST, port=guarded_redis.port, username=USER, auth=PASSWORD, prefix="other-").read, key),
        failure(make(host=HOST, port=fragile.port).read, key),
        failure(make(host=HOST, port=free_port()).read, key),
    ]

    assert not [error for error in errors if key in "".join(traceback.format_exception(error)).replace("read, key", "")]
