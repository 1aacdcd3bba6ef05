"""What a flow asks of its driver.

A flow is a generator that yields operations and is sent their results (or has their exceptions thrown in); it does no
I/O itself. So the same rules run blocking, awaited, and step by step in a test.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar


class Read(NamedTuple):
    """`SessionHandler.read`; answered with `Stored` or None."""

    key: str
    ttl: int | None = None


class Write(NamedTuple):
    """`SessionHandler.write`; answered with the new version or None."""

    key: str
    data: bytes
    ttl: int
    expected: bytes | None


class Destroy(NamedTuple):
    """`SessionHandler.destroy`; answered with whether something was removed."""

    key: str
    expected: bytes | None = None


class Acquire(NamedTuple):
    """`LockingHandler.acquire`; answered with the lease or None."""

    key: str
    ttl: int


class Release(NamedTuple):
    """`LockingHandler.release`; answered with whether the lease was still ours."""

    key: str
    lease: bytes


class Sleep(NamedTuple):
    """Wait, in seconds; answered with None."""

    seconds: float


class Notify(NamedTuple):
    """Tell a hook; answered with None."""

    hook: str
    arguments: Mapping[str, object]


Operation: TypeAlias = Read | Write | Destroy | Acquire | Release | Sleep | Notify

T = TypeVar("T")
Flow: TypeAlias = Generator[Operation, Any, T]
"""A flow that ends with a T. What is sent in is the answer to the operation that was yielded."""

Perform: TypeAlias = Callable[[Operation], object]
PerformAsync: TypeAlias = Callable[[Operation], Awaitable[object]]


def drive(flow: Flow[T], perform: Perform) -> T:
    """Run a flow to its end, performing each operation; what `perform` raises is raised inside the flow."""
    try:
        operation = next(flow)
        while True:
            try:
                answer = perform(operation)
            except BaseException as error:  # noqa: BLE001  # an interrupt, too, must reach the flow, which may hold a lock
                operation = flow.throw(error)
            else:
                operation = flow.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result


async def drive_async(flow: Flow[T], perform: PerformAsync) -> T:
    """Run a flow as `drive` does, awaiting each operation."""
    try:
        operation = next(flow)
        while True:
            try:
                answer = await perform(operation)
            except BaseException as error:  # noqa: BLE001  # a cancellation, too, must reach the flow
                operation = flow.throw(error)
            else:
                operation = flow.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
