"""What a session on memcached costs, beside a bare pymemcache client, Flask-Session and Django on the same server.

Run it with ``python3 dev.py benchmarks``, or, where sessionbag-memcached, Flask-Session and Django are installed, with
``python benchmarks/memcached.py [--rounds N] [--same-core] [--json]``. A memcached is started for it, on another core
than the clients, unless ``--same-core`` leaves that to the scheduler. Contenders take turns as in ``stream.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from measuring import DATA, given
from pymemcache.client.base import Client
from servers import HOST, serving
from sessionbag import ManagerFactory, Serializer, Stored
from sessionbag_memcached import Memcached
from stores import (
    FLOORS,
    SERIALIZERS,
    Bare,
    Contender,
    PlainJson,
    beside_json,
    django,
    flask_session,
    measured,
    report,
    sessions,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT: Final = 1.0
OPTIONS: Final = {"no_delay": True, "timeout": TIMEOUT, "connect_timeout": TIMEOUT}


def named(label: str) -> Bare:
    """Return how the bare client is called that works with a serializer."""
    return Bare(f"pymemcache, {label}: get", f"pymemcache, {label}: get and set")


def bare(port: int, serializer: Serializer | PlainJson, label: str) -> Iterator[Contender]:
    """Yield what pymemcache's own client takes to get, and to get and set, the same data."""
    client = Client((HOST, port), **OPTIONS)
    client.set(f"bare-{label}", serializer.dumps(DATA), noreply=False)

    def read() -> dict[str, object]:
        return serializer.loads(client.get(f"bare-{label}"))

    def modify() -> None:
        data = read()
        data["user_id"] = 8
        client.set(f"bare-{label}", serializer.dumps(data), 3600, noreply=False)

    yield from named(label).contenders(read, modify)


def adapter(port: int, serializer: Serializer, label: str) -> Iterator[Contender]:
    """Yield what the adapter alone takes, so that one sees how much of a session's cost is its own."""
    handler = Memcached(Memcached.Options.from_mapping({"servers": f"{HOST}:{port}", "prefix": f"adapter-{label}-"}))
    handler.write("key", serializer.dumps(DATA), 3600, expected=None)

    def stored() -> Stored:
        found = handler.read("key", 3600)
        assert found is not None  # noqa: S101  # nobody ends it
        return found

    def modify() -> None:
        found = stored()
        data = serializer.loads(found.data)
        data["user_id"] = 8
        handler.write("key", serializer.dumps(data), 3600, expected=found.version)

    yield from named(label).beside(f"adapter, {label}", lambda: serializer.loads(stored().data), modify)


def peers(port: int) -> Iterator[Contender]:
    """Yield the others."""
    # Without noreply a write waits until it was made, as everybody else's does here.
    client = Client((HOST, port), **OPTIONS, default_noreply=False)
    yield from flask_session(named("json"), {"SESSION_TYPE": "memcached", "SESSION_MEMCACHED": client})
    yield from django(named("json"), "memcached.PyMemcacheCache", f"{HOST}:{port}", **OPTIONS)


def main() -> None:
    """Measure and report."""
    arguments = given(__doc__, same_core=True)
    with serving("memcached", "-t", "1", pinned=not arguments.same_core) as port:
        contenders: list[Contender] = []
        factories = {
            label: ManagerFactory(
                adapter="memcached", options={"servers": f"{HOST}:{port}", "prefix": f"{label}-"}, serializer=serializer
            )
            for label, serializer in SERIALIZERS.items()
        }
        for label, serializer in SERIALIZERS.items():
            contenders += [
                *bare(port, FLOORS[label], label),
                *adapter(port, serializer, label),
                *sessions(factories[label], label, named(label)),
            ]
        contenders += [*beside_json(factories["msgpack"], named("json")), *peers(port)]
        figures = measured(contenders, arguments.rounds)
        for factory in factories.values():
            factory.close()
    report(figures, {}, as_json=arguments.json)


if __name__ == "__main__":
    main()
