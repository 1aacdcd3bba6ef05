"""Rules between processes, with real ones: nothing is lost, nothing is torn, and what has ended stays ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionbag.testing import jobs
from sessionbag.testing.jobs import body_of, record
from sessionbag.testing.suite.base import SOAK, TTL, Kit, KitBase

if TYPE_CHECKING:
    from sessionbag.testing.recipe import Handler

_PROCESSES: Final = 8 if SOAK else 3
_ROUNDS: Final = 500 if SOAK else 40


class ProcessRules(KitBase):
    """One store, several processes, each with a handler of its own."""

    def test_processes_add_up_exactly(self, several: Kit, handler: Handler, key: str) -> None:
        """As many as were told that they succeeded, and all of them succeed in the end."""
        handler.write(key, record(b"0"), jobs.TTL, expected=None)
        told = several.run_together(*[(jobs.add, key, _ROUNDS)] * _PROCESSES)
        stored = handler.read(key)

        assert told == [_ROUNDS] * _PROCESSES, (
            "a writer that reads again after SessionConflict has to succeed in the end"
        )
        assert stored is not None, "the record that the processes counted in is gone"
        assert int(body_of(stored.data)) == _PROCESSES * _ROUNDS, (
            "an update between processes was lost: comparing the version and writing has to be one atomic step"
        )

    def test_readers_that_start_the_idle_clock_undo_no_write(self, several: Kit, handler: Handler, key: str) -> None:
        """A restart moves the deadline and never writes the data that it read."""
        handler.write(key, record(b"0"), jobs.TTL, expected=None)
        several.run_together(
            *[(jobs.add, key, _ROUNDS)] * 2,
            *[(jobs.read_and_restart, key, 4 * _ROUNDS)] * (_PROCESSES - 1),
            meanwhile=lambda: jobs.read_and_restart(handler, key, 1),
        )
        stored = handler.read(key)

        assert stored is not None, "the record that the processes counted in is gone"
        assert int(body_of(stored.data)) == 2 * _ROUNDS, "read() with a ttl must not write: it undid somebody's update"

    def test_of_many_processes_one_creates(self, several: Kit) -> None:
        """And it alone is told that it did."""
        keys = [several.key() for _ in range(_ROUNDS)]
        won = several.run_together(*[(jobs.create_each, keys, b"%d" % number) for number in range(_PROCESSES)])

        assert jobs.all_of(won) == sorted(keys), (
            "of several creators of a record exactly one must succeed: looking and creating has to be one atomic step"
        )

    def test_of_many_processes_one_destroys(self, several: Kit, handler: Handler) -> None:
        """And it alone is told that it removed something."""
        keys = [several.key() for _ in range(_ROUNDS)]
        for key in keys:
            handler.write(key, record(b"data"), TTL, expected=None)
        removed = several.run_together(*[(jobs.destroy_each, keys)] * _PROCESSES)

        assert jobs.all_of(removed) == sorted(keys), "of several that destroy a record exactly one must be told True"

    def test_what_is_destroyed_stays_destroyed_among_writers(self, several: Kit, handler: Handler, key: str) -> None:
        """However many processes are in the midst of writing it."""
        handler.write(key, record(b"0"), TTL, expected=None)
        writers = [several.start(jobs.add, key, 1_000_000).ready() for _ in range(2)]
        reader = several.start(jobs.read_and_restart, key, 4 * _ROUNDS).ready()
        for worker in (*writers, reader):
            worker.go()
        while (seen := handler.read(key)) is not None and int(body_of(seen.data)) < 20:
            pass
        destroyed = handler.destroy(key)
        while not all(worker.is_done() for worker in (*writers, reader)):
            revived = handler.read(key)
            assert revived is None, "what was destroyed must stay destroyed: a write in flight brought it back"

        assert destroyed is True, "destroy() has to return True when it removed the record"
        assert handler.read(key) is None, "what was destroyed must stay destroyed: a write in flight brought it back"

    def test_no_reader_sees_a_torn_record(self, several: Kit, handler: Handler, key: str) -> None:
        """While processes replace it by records of very different sizes."""
        handler.write(key, jobs.sealed(b""), TTL, expected=None)
        torn = 0

        def look() -> None:
            nonlocal torn
            torn += jobs.read_torn(handler, key)

        replaced = several.run_together(*[(jobs.write_sealed, key, _ROUNDS)] * (_PROCESSES - 1), meanwhile=look)

        assert any(replaced), "no process could replace the record"
        assert torn == 0, "a reader saw a record that was half written: the new record has to appear in one step"

    def test_versions_count_in_every_process(self, several: Kit, handler: Handler, key: str) -> None:
        """What one process read, another one can replace, and the first one sees the new record."""
        data = record(b"theirs")
        version = several.put(handler, key, record(b"ours"))
        worker = several.start(jobs.replace, key, data, version)
        told = worker.ready().go().result()
        stored = handler.read(key)

        assert told != jobs.REFUSED, "a version has to mean the same in every process: another one could not replace it"
        assert stored is not None, "the record is gone after another process replaced it"
        assert stored.data == data, "the record that another process wrote has to be there"
        assert told in {None, stored.version}, "write() has to return the version that other processes read, or None"

    def test_records_outlive_the_handler_that_wrote_them(self, several: Kit, key: str) -> None:
        """Another process finds them when it was closed."""
        data = record(b"stays")
        writer = several.open()
        writer.write(key, data, TTL, expected=None)
        writer.close()
        writer.open(several.save_path, "session")
        read = several.start(jobs.read, key).ready().go().result()

        assert read == data, "another process has to find a record after the handler that wrote it was closed"
