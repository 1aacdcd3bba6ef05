"""Rules about threads and forks: one instance serves them all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import pytest

from sessionbag.testing import jobs
from sessionbag.testing.jobs import body_of, record
from sessionbag.testing.suite.base import SOAK, Kit, KitBase

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.testing.recipe import Handler

_THREADS: Final = 4
_ROUNDS: Final = 500 if SOAK else 30
_FORKS: Final = 40 if SOAK else 4


class ThreadRules(KitBase):
    """One handler, many users."""

    def test_threads_add_up_exactly(self, handler: Handler, key: str) -> None:
        """Compare-and-set between the threads of one process loses nothing."""
        handler.write(key, record(b"0"), jobs.TTL, expected=None)
        told = _run_together(*[(jobs.add, handler, key, _ROUNDS)] * _THREADS)
        stored = handler.read(key)

        assert told == [_ROUNDS] * _THREADS, "a writer that reads again after SessionConflict has to succeed in the end"
        assert stored is not None, "the record that the threads counted in is gone"
        assert int(body_of(stored.data)) == _THREADS * _ROUNDS, (
            "an update between threads was lost: comparing the version and writing has to be one atomic step"
        )

    def test_threads_get_their_own_answers(self, kit: Kit, handler: Handler) -> None:
        """Each thread reads what it wrote itself, and never what another one asked for."""
        keys = [kit.key() for _ in range(_THREADS)]
        wrong = _run_together(*[(jobs.use_own_record, handler, key, _ROUNDS) for key in keys])

        assert wrong == [[]] * _THREADS, "a thread was disturbed by another one: do threads share a connection?"

    def test_of_many_threads_one_creates(self, kit: Kit, handler: Handler) -> None:
        """And it alone is told that it did."""
        keys = [kit.key() for _ in range(_ROUNDS)]
        won = _run_together(*[(jobs.create_each, handler, keys, b"%d" % number) for number in range(_THREADS)])

        assert jobs.all_of(won) == sorted(keys), (
            "of several creators of a record exactly one must succeed: looking and creating has to be one atomic step"
        )

    @pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside-a-thread"])
    def test_it_goes_on_working_after_a_fork(self, kit: Kit, beside: bool) -> None:
        """In the child and in the parent, at the same time, and also when a thread was in the midst of an operation."""
        keys = [kit.key() for _ in range(2 + _FORKS)]
        worker = kit.start(jobs.use_after_fork, keys, _FORKS, beside)
        wrong = worker.ready().go().result()

        assert wrong == [], (
            "a handler has to go on working in a forked child, and in its parent. Do they share a connection, or was a "
            "lock held at the moment of the fork? See os.register_at_fork"
        )


def _run_together(*jobs_to_do: tuple[object, ...]) -> list[object]:
    """Do jobs in threads that begin together, and return their results; an error of one of them is raised."""
    begin = threading.Barrier(len(jobs_to_do))
    results: dict[int, object] = {}
    errors: list[BaseException] = []

    def work(number: int, job: Callable[..., object], *arguments: object) -> None:
        begin.wait()
        try:
            results[number] = job(*arguments)
        except BaseException as error:  # noqa: BLE001  # it is raised again in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number, *job), daemon=True) for number, job in enumerate(jobs_to_do)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[number] for number in range(len(jobs_to_do))]
