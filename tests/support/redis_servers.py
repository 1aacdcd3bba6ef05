"""Real Redis servers for tests: one with every way in, a Sentinel set and a cluster; all on 127.0.0.1.

``SESSIONBAG_REDIS_SERVER`` names another server's program than the installed one, such as that of Valkey or of an older
Redis. Fixtures are in ``redis_fixtures``.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import socketserver
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self

import trustme
from servers import HOST, Server, free_port, program, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

USER: Final = "shop"
PASSWORD: Final = "pass/word@0123:?"
"""With the characters that have a meaning in a URL."""

SERVICE: Final = "sessions"
DOWN_AFTER: Final = 700
"""Milliseconds after which a sentinel takes a server for dead; a loaded machine must not reach them by itself."""

ELECTION: Final = 150.0
"""Seconds for an election, on however busy a machine."""

_STALLED: Final = "60000"
"""Milliseconds without processor time after which a sentinel no longer trusts its clock.

It then does nothing for thirty seconds (TILT). When a primary dies in that time, the sentinels notice too late: they
take its replicas for cut off much longer than it is dead, and never elect one. Two seconds, which is the default, are
not enough on a busy machine.
"""

NODE_TIMEOUT: Final = 1500
"""Milliseconds after which the servers of a cluster take one of them for dead."""

_HANDSHAKE: Final = 3.0
"""Seconds after which servers of a cluster that have not met are told to once more."""

_BUS: Final = 10_000
"""What a cluster's server adds to its port for the port that the others reach it at."""


def redis_server() -> str:
    """Return the path of the server's program."""
    return os.environ.get("SESSIONBAG_REDIS_SERVER") or program("redis-server", "valkey-server")


def ask(port: int, *words: str | bytes, timeout: float = 5.0) -> bytes:
    """Send one command to a server and return the raw reply; works for short ones and for long bulk strings."""
    with socket.create_connection((HOST, port), timeout=timeout) as connection:
        connection.sendall(_packed(words))
        reply = connection.makefile("rb")
        return _read(reply)


def _packed(words: tuple[str | bytes, ...]) -> bytes:
    encoded = [word.encode() if isinstance(word, str) else word for word in words]
    return b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)


def _read(reply: object) -> bytes:
    line = reply.readline()  # type: ignore[attr-defined]  # a file
    if line[:1] == b"$" and line[1:3] != b"-1":
        return reply.read(int(line[1:]) + 2)[:-2]  # type: ignore[attr-defined, no-any-return]  # a file
    if line[:1] == b"*" and line[1:3] != b"-1":
        return b"\n".join(_read(reply) for _ in range(int(line[1:])))
    return line.strip()


class RedisServer(Server):
    """A Redis server that the test may ask directly, beside the adapter."""

    def __init__(self, folder: Path, *arguments: str, port: int | None = None) -> None:
        """Start nothing yet; the arguments are further settings, as on the command line."""
        self.port: Final = port or free_port()
        self.announced = self.port
        command = [redis_server(), "--port", str(self.port), "--bind", HOST, "--dir", str(folder), *arguments]
        super().__init__(command, folder, self.answers)

    def answers(self) -> bool:
        """Say whether it answers, and has its data."""
        with contextlib.suppress(OSError):
            return self.ask("PING") in {b"+PONG", b"-NOAUTH Authentication required."}
        return False

    def ask(self, *words: str | bytes) -> bytes:
        """Send one command and return the raw reply."""
        return ask(self.port, *words)

    def info(self, section: str) -> dict[str, str]:
        """Return what the server tells about itself."""
        lines = self.ask("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def calls(self) -> dict[str, int]:
        """Return how often each command was carried out since the last `forget_calls`."""
        told = self.info("commandstats")
        counted = {name.removeprefix("cmdstat_"): int(text.split(",")[0].split("=")[1]) for name, text in told.items()}
        return {name: calls for name, calls in counted.items() if name.split("|")[0] not in {"info", "config"}}

    def forget_calls(self) -> None:
        """Count commands from here on."""
        self.ask("CONFIG", "RESETSTAT")

    def is_primary(self) -> bool:
        """Say whether it takes writes."""
        with contextlib.suppress(OSError):
            return self.info("replication").get("role") == "master"
        return False


_AGE: Final = """
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = page[1]
  for _, name in ipairs(page[2]) do
    local left = redis.call('PTTL', name)
    if left >= 0 then redis.call('PEXPIRE', name, left - ARGV[1]) end
  end
until cursor == '0'
"""


def age(servers: Sequence[RedisServer], seconds: float) -> None:
    """Let time pass for the servers' keys: each has so many seconds less to live, and nobody waits."""
    for server in servers:
        server.ask("EVAL", _AGE, "0", str(round(seconds * 1000)))


QUIET: Final = ("--save", "", "--appendonly", "no", "--loglevel", "warning")


class GuardedServer(RedisServer):
    """A server that listens on TCP, on TLS and on a socket, and lets nobody in without a password."""

    RIGHTS: Final = ("~sess-reds-*", "+get", "+getex", "+set", "+del", "+evalsha", "+eval", "+exists", "+getrange")
    """What sessions need on one server; scanning, waiting for replicas and `sessionbag check` need more."""

    def __init__(self, folder: Path) -> None:
        """Start nothing yet; make the certificates."""
        folder.mkdir(parents=True, exist_ok=True)
        self.tls_port: Final = free_port()
        self.socket: Final = folder / "redis.sock"
        self.authority: Final = folder / "authority.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        own = authority.issue_cert("localhost", HOST)
        own.private_key_pem.write_to_path(folder / "key.pem")
        own.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
        tls = ("--tls-port", str(self.tls_port), "--tls-auth-clients", "no")
        tls += ("--tls-cert-file", str(folder / "certificate.pem"), "--tls-key-file", str(folder / "key.pem"))
        tls += ("--tls-ca-cert-file", str(self.authority))
        self.has_tls: Final = b"SSL_CTX_new" in Path(redis_server()).read_bytes()  # some are built without
        super().__init__(
            folder, *QUIET, *(tls if self.has_tls else ()), "--unixsocket", str(self.socket), "--unixsocketperm", "700"
        )
        self.command += ["--requirepass", PASSWORD, "--user", USER, "on", f">{PASSWORD}", *self.RIGHTS]

    def ask(self, *words: str | bytes) -> bytes:
        """Send one command with all rights, and return the raw reply."""
        with socket.create_connection((HOST, self.port), timeout=5) as connection:
            connection.sendall(_packed(("AUTH", PASSWORD)) + _packed(words))
            reply = connection.makefile("rb")
            _read(reply)
            return _read(reply)


class Monitor:
    """Watches which commands reach servers; those that scripts run inside are not among them."""

    def __init__(self, servers: Sequence[RedisServer]) -> None:
        """Watch these servers, from here on."""
        self._servers: Final = servers
        self._streams: Final = []
        for server in servers:
            connection = socket.create_connection((HOST, server.port), timeout=10)
            connection.sendall(_packed(("MONITOR",)))
            stream = connection.makefile("rb")
            assert stream.readline() == b"+OK\r\n"
            self._streams.append((connection, stream))

    def commands(self) -> list[str]:
        """Return the names of the commands that came since the last call, those of all servers together."""
        return [name for seen in self.by_server() for name in seen]

    def by_server(self) -> list[list[str]]:
        """Return the names of the commands that came since the last call, one list for each server."""
        token = secrets.token_hex(8)
        for server in self._servers:
            server.ask("ECHO", token)
        return [list(self._until(stream, token)) for _, stream in self._streams]

    @staticmethod
    def _until(stream: BinaryIO, token: str) -> Iterator[str]:
        while True:
            line = stream.readline().decode(errors="replace")
            assert line, "the server closed the monitor's connection"
            if token in line:
                return
            source, _, rest = line.partition("] ")
            name = rest.split('"')[1].upper()
            if not source.endswith("lua") and name not in _NOT_OURS:
                yield name

    def __enter__(self) -> Self:
        """Watch on."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        for connection, stream in self._streams:
            stream.close()
            connection.close()


_NOT_OURS: Final = frozenset({"PING", "INFO", "PUBLISH", "REPLCONF", "SUBSCRIBE", "CONFIG", "ECHO"})
"""What sentinels, replicas and the tests themselves ask."""


class Several:
    """Servers that belong together."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        """Start all of them; see the subclasses."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Start all of them."""
        try:
            self.start()
        except BaseException:
            self._running.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all of them."""
        self._running.close()


class SentinelSet(Several):
    """One primary with two replicas in sync, and three sentinels that watch it."""

    def __init__(self, folder: Path, *arguments: str, down_after: int = DOWN_AFTER) -> None:
        """Start nothing yet; the arguments are further settings of the three data servers."""
        super().__init__()
        settings = (*QUIET, "--repl-diskless-sync-delay", "0", *arguments)
        self.servers: Final = [RedisServer(folder / f"server-{number}", *settings) for number in range(3)]
        self._down_after: Final = down_after
        self.sentinels: Final = [self._sentinel(folder / f"sentinel-{number}") for number in range(3)]

    @property
    def addresses(self) -> list[str]:
        """The sentinels, as the adapter takes them."""
        return [f"{HOST}:{sentinel.port}" for sentinel in self.sentinels]

    @property
    def options(self) -> dict[str, object]:
        """The adapter's options."""
        return {"sentinels": self.addresses, "service_name": SERVICE}

    def start(self) -> None:
        """Start the servers, wait until the replicas are in sync, then start the sentinels."""
        primary, *replicas = [self._running.enter_context(server) for server in self.servers]
        for replica in replicas:
            replica.ask("REPLICAOF", HOST, str(primary.port))
        wait_until(lambda: self._in_sync(primary), "replication")
        for sentinel in self.sentinels:
            self._running.enter_context(sentinel)
        wait_until(self._know_each_other, "the sentinels' meeting")

    def primary(self) -> RedisServer:
        """Return the server that the sentinels name, once it takes writes."""
        found: list[RedisServer] = []

        def named() -> bool:
            found[:] = [server for server in self.servers if server.port in self._named()]
            return len(found) == 1 and found[0].is_primary()

        try:
            wait_until(named, "the election of a primary", ELECTION)
        except AssertionError as error:
            for sentinel in self.sentinels:
                error.add_note(f"{sentinel.folder.name} told last:\n{sentinel.log.read_text()[-2000:]}")
            raise
        return found[0]

    def settle(self) -> None:
        """Start what was killed, and wait until the set is whole again: a primary with two replicas in sync."""
        for server in self.servers:
            if not server.answers():
                server.kill()
                server.start()
        wait_until(self._is_whole, "the recovery of the Sentinel set", ELECTION)

    def _is_whole(self) -> bool:
        """Say whether the named primary has two replicas in sync, and send servers there that follow another one.

        Sentinels do that, too, and take ten seconds for it.
        """
        named = self._named()
        for primary in self.servers:
            if primary.port in named and primary.is_primary():
                for server in self.servers:
                    if server is not primary and server.info("replication").get("master_port") != str(primary.port):
                        server.ask("REPLICAOF", HOST, str(primary.port))
                return self._in_sync(primary)
        return False

    def _sentinel(self, folder: Path) -> Sentinel:
        return Sentinel(folder, self.servers[0].port, self._down_after)

    def _named(self) -> set[int]:
        ports = set()
        for sentinel in self.sentinels:
            told = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE).split()
            ports.add(int(told[-1]))
        return ports if len(ports) == 1 else set()

    @staticmethod
    def _in_sync(primary: RedisServer) -> bool:
        told = primary.info("replication")
        states = [told.get(f"slave{number}", "") for number in range(2)]
        return all("state=online" in state for state in states)

    def _know_each_other(self) -> bool:
        """Say whether every sentinel sees two replicas and two other sentinels: before, none can act."""
        for sentinel in self.sentinels:
            told = sentinel.info("sentinel").get("master0", "")
            if "status=ok" not in told or "slaves=2" not in told or "sentinels=3" not in told:
                return False
        return True


class Sentinel(RedisServer):
    """A sentinel; it keeps what it knows in its configuration file."""

    def __init__(self, folder: Path, watched: int, down_after: int) -> None:
        """Start nothing yet."""
        super().__init__(folder)
        self.command[:] = [redis_server(), str(folder / "sentinel.conf"), "--sentinel"]
        self._watched: Final = watched
        self._down_after: Final = down_after

    def start(self) -> Self:
        """Write the configuration and start."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = (
            f"port {self.port}",
            f"bind {HOST}",
            f"dir {self.folder}",
            "loglevel notice",
            f"sentinel monitor {SERVICE} {HOST} {self._watched} 2",
            f"sentinel down-after-milliseconds {SERVICE} {self._down_after}",
            f"sentinel failover-timeout {SERVICE} 2000",
            f"sentinel parallel-syncs {SERVICE} 2",
        )
        (self.folder / "sentinel.conf").write_text("\n".join(lines) + "\n", encoding="ascii")
        super().start()
        self.ask("SENTINEL", "DEBUG", "TILT-TRIGGER", _STALLED)  # an error before Redis 7.0, which goes without
        return self


class NamingSentinel:
    """Stands in for a sentinel, to name an address that no real one would: that of a proxy before a real server."""

    def __init__(self, host: str, port: int) -> None:
        """Name this address to whoever asks."""
        reply = b"*2\r\n$%d\r\n%b\r\n$%d\r\n%d\r\n" % (len(host), host.encode(), len(str(port)), port)

        class Naming(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    while received := self.request.recv(4096):
                        known = b"GET-MASTER-ADDR-BY-NAME" in received
                        several = len(re.findall(rb"(?:^|\r\n)\*[0-9]+\r\n", received))  # sent in one go
                        self.request.sendall(reply if known else b"-ERR unknown\r\n" * several)

        class Serving(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self._server: Final = Serving((HOST, 0), Naming)
        self.address: Final = f"{HOST}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()


class Cluster(Several):
    """Three primaries with a replica each, and all hash slots."""

    def __init__(self, folder: Path, *arguments: str, node_timeout: int = NODE_TIMEOUT) -> None:
        """Start nothing yet; the arguments are further settings of the six servers."""
        super().__init__()
        settings = (
            *QUIET,
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            str(node_timeout),
            "--cluster-replica-validity-factor",
            "0",
            "--repl-diskless-sync-delay",
            "0",
            *arguments,
        )
        self.servers: Final = [
            RedisServer(folder / f"node-{number}", *settings, port=free_port_for_cluster()) for number in range(6)
        ]

    @property
    def addresses(self) -> list[str]:
        """Its servers, as the adapter takes them."""
        return [f"{HOST}:{server.port}" for server in self.servers]

    @property
    def options(self) -> dict[str, object]:
        """The adapter's options."""
        return {"cluster": True, "nodes": self.addresses}

    def start(self) -> None:
        """Start the servers, give out the slots, and wait until every server sees a whole cluster."""
        for server in self.servers:
            self._running.enter_context(server)
        primaries, replicas = self.servers[:3], self.servers[3:]
        bounds = [0, 5461, 10923, 16384]
        for number, primary in enumerate(primaries):
            primary.ask("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            slots = [str(slot) for slot in range(bounds[number], bounds[number + 1])]
            primary.ask("CLUSTER", "ADDSLOTS", *slots)
        wait_until(self._meet, "the cluster's meeting", ELECTION)
        for primary, replica in zip(primaries, replicas, strict=True):
            name = primary.ask("CLUSTER", "MYID")
            wait_until(
                lambda name=name, replica=replica: replica.ask("CLUSTER", "REPLICATE", name) == b"+OK", "joining"
            )
        self.settle()

    def settle(self) -> None:
        """Start what was killed, and wait until each shard has a primary and a replica in sync."""
        for server in self.servers:
            if not server.answers():
                server.kill()
                server.start()
        wait_until(self._is_whole, "the cluster's recovery", ELECTION)

    def primaries(self) -> list[RedisServer]:
        """Return the servers that have slots."""
        return [server for server in self.servers if server.answers() and server.is_primary()]

    def owner_of(self, key: str) -> RedisServer:
        """Return the server that has a key, according to those that answer."""
        reachable = next(server for server in self.servers if server.answers())
        slot = int(reachable.ask("CLUSTER", "KEYSLOT", key).removeprefix(b":"))
        for line in reachable.ask("CLUSTER", "NODES").decode().splitlines():
            (
                _,
                address,
                flags,
                *_,
            ) = fields = line.split()
            if "master" in flags and "fail" not in flags and _has(fields[8:], slot):
                port = int(address.partition("@")[0].rpartition(":")[2])
                return next(server for server in self.servers if server.port == port)
        raise AssertionError(f"no server has the slot {slot}")

    def calls(self) -> dict[str, int]:
        """Return how often each command was carried out, on all servers together."""
        total: dict[str, int] = {}
        for server in self.servers:
            for name, calls in server.calls().items():
                if name.split("|")[0] not in {"ping", "replconf", "publish"}:
                    total[name] = total.get(name, 0) + calls
        return total

    def _meet(self) -> bool:
        """Let the servers meet, and say whether they all have.

        A server forgets whom it meets when that one does not answer within the node timeout, as on a busy machine: so
        it is told again and again.
        """
        for server in self.servers[1:]:
            if not self._sees_all(server):
                server.ask("CLUSTER", "MEET", HOST, str(self.servers[0].port))
        until = time.monotonic() + _HANDSHAKE
        while time.monotonic() < until:
            if all(self._sees_all(server) for server in self.servers):
                return True
            time.sleep(0.01)
        return False

    @staticmethod
    def _sees_all(server: RedisServer) -> bool:
        told = dict(line.split(":", 1) for line in server.ask("CLUSTER", "INFO").decode().splitlines() if ":" in line)
        return told.get("cluster_known_nodes") == "6" and told.get("cluster_state") == "ok"

    def _is_whole(self) -> bool:
        primaries = self.primaries()
        in_sync = ["state=online" in primary.info("replication").get("slave0", "") for primary in primaries]
        return len(primaries) == 3 and all(in_sync) and all(self._sees_all(server) for server in self.servers)


def _has(ranges: list[str], slot: int) -> bool:
    for each in ranges:
        first, _, last = each.partition("-")
        if first.isdecimal() and int(first) <= slot <= int(last or first):
            return True
    return False


def free_port_for_cluster() -> int:
    """Return a free port that leaves room for the cluster's bus above it."""
    for _ in range(100):
        port = free_port()
        with contextlib.suppress(OSError), socket.create_server((HOST, port + _BUS)):
            return port
    raise AssertionError("no two ports are free")
