"""Many processes on one record: nothing lost, nothing torn, whoever is killed."""

import contextlib
import hashlib
import multiprocessing
import os
import random
import signal
import threading

import pytest
from servers import wait_until
from sessionbag.errors import SessionConflict, StoreUnavailable
from sessionbag_stream import Stream, _files

PROCESSES = multiprocessing.get_context("fork")
KILLS = int(os.environ.get("SESSIONBAG_KILLS", "30"))


@pytest.fixture
def start():
    """Start processes, and end those that are left after the test."""
    children = []

    def start_process(function, *arguments):
        child = PROCESSES.Process(target=function, args=arguments)
        child.start()
        children.append(child)
        return child

    yield start_process
    for child in children:
        child.kill()
        child.join()
        child.close()


def sealed(body):
    """Return a record of a new mark, a digest and a body: torn ones do not fit their digest."""
    return os.urandom(8) + hashlib.sha256(body).digest() + body


def body_of(data):
    assert hashlib.sha256(data[40:]).digest() == data[8:40]
    return data[40:]


def add(store, key, times):
    for _ in range(times):
        while True:
            seen = store.read(key, 600)
            with contextlib.suppress(SessionConflict):
                store.write(key, sealed(b"%d" % (int(body_of(seen.data)) + 1)), 600, expected=seen.version)
                break


def test_eight_processes_count_exactly(store, key, start):
    """Compare-and-set loses no increment."""
    store.write(key, sealed(b"0"), 600, expected=None)

    workers = [start(add, store, key, 25) for _ in range(8)]
    for worker in workers:
        worker.join()

    assert [worker.exitcode for worker in workers] == [0] * 8
    assert body_of(store.read(key).data) == b"200"


def test_of_many_creators_one_wins(store, key, start, tmp_path):
    """Also when they find an expired record in their way."""
    store.write(key, sealed(b"old"), 1, expected=None)
    store._clock.now += 1

    def create(number):
        with contextlib.suppress(SessionConflict):
            store.write(key, sealed(b"%d" % number), 600, expected=None)
            (tmp_path / f"won-{number}").touch()

    for creator in [start(create, number) for number in range(8)]:
        creator.join()

    winners = [path.name for path in tmp_path.glob("won-*")]
    assert [f"won-{body_of(store.read(key).data).decode()}"] == winners


def test_of_many_removers_one_removes(store, key, start, tmp_path):
    """Each says honestly whether it did."""
    store.write(key, sealed(b"body"), 600, expected=None)

    def remove(number):
        if store.destroy(key):
            (tmp_path / f"removed-{number}").touch()

    for remover in [start(remove, number) for number in range(8)]:
        remover.join()

    assert len(list(tmp_path.glob("removed-*"))) == 1


def test_a_reader_never_sees_a_torn_record(make, key, start):
    """While two processes replace it with bodies of very different sizes."""
    store = make()
    store.write(key, sealed(b""), 600, expected=None)

    def write_for_ever():
        while True:
            body = random.choice([b"", b"short", b"long" * 50_000])  # noqa: S311  # no secret
            with contextlib.suppress(SessionConflict):
                store.write(key, sealed(body), 600, expected=store.read(key).version)

    for _ in range(2):
        start(write_for_ever)

    def read():
        sizes.add(len(body_of(store.read(key, 600).data)))
        return len(sizes) == 3

    sizes = set()
    wait_until(read, "records of all sizes were read")
    for _ in range(1500):
        read()


def test_what_is_destroyed_stays_destroyed_among_writers(make, key, start):
    """Writers that read it before cannot bring it back."""
    store = make()
    store.write(key, sealed(b"0"), 600, expected=None)

    def write_until_gone():
        with contextlib.suppress(AttributeError, LookupError):  # absent, or gone
            add(store, key, 10_000)

    writers = [start(write_until_gone) for _ in range(4)]
    while int(body_of(store.read(key).data)) < 20:
        pass
    assert store.destroy(key) is True
    for writer in writers:
        writer.join()

    assert store.read(key) is None


def work_until_killed(store, keys, acknowledged):
    """Count up in one record and create and destroy others, telling after each count that it was acknowledged."""
    while True:
        seen = store.read(keys[0], 600)
        count = int(body_of(seen.data)) + 1
        with contextlib.suppress(SessionConflict):
            store.write(keys[0], sealed(b"%d" % count), 600, expected=seen.version)
            os.write(acknowledged, b"%d\n" % count)
        with contextlib.suppress(SessionConflict):
            store.write(random.choice(keys[1:]), sealed(b"1" * 9000), 600, expected=None)  # noqa: S311  # no secret
        store.destroy(random.choice(keys[1:]))  # noqa: S311  # no secret
        lease = store.acquire(keys[0], 600)
        if lease:
            store.release(keys[0], lease)


@pytest.mark.soak
def test_killed_writers_corrupt_nothing_lose_nothing_and_leave_nothing(make, start, files, tmp_path):
    """Whatever a writer was doing: each acknowledged count is there, each record is whole, gc cleans the rest away."""
    store = make(durable=False)
    keys = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(6)]
    store.write(keys[0], sealed(b"0"), 600, expected=None)
    log = os.open(tmp_path / "acknowledged", os.O_CREAT | os.O_APPEND | os.O_RDWR)

    workers = [start(work_until_killed, store, keys, log) for _ in range(3)]
    for _ in range(KILLS):
        threading.Event().wait(random.uniform(0.001, 0.04))  # noqa: S311  # a random moment, no wait for something
        victim = workers.pop(0)
        victim.kill()
        workers.append(start(work_until_killed, store, keys, log))
    for worker in workers:
        worker.kill()
        worker.join()
    os.close(log)

    counts = [int(line) for line in (tmp_path / "acknowledged").read_text().split()]
    final = int(body_of(store.read(keys[0]).data))
    assert len(counts) == len(set(counts))
    # a killed writer may have counted without having said so: at most once each
    assert max(counts) <= final <= len(counts) + KILLS + 3
    for entry in store.scan():
        body_of(store.read(entry.key).data)
    store.gc(3600)
    assert {f"sess_{key}" for key in keys} >= {path.name for path in files()}


def test_a_writer_that_is_stopped_with_the_record_in_its_hands_is_waited_for_in_vain(make, key, start, monkeypatch):
    """The wait is bounded: others get an error that names the save path, readers read on, and later all goes on."""
    store = make()
    version = store.write(key, sealed(b"old"), 600, expected=None)
    store._records.patience = 0.05

    def stop_in_the_middle():
        monkeypatch.setattr("sessionbag_stream._files.write_whole", lambda *_: signal.raise_signal(signal.SIGSTOP))
        store.write(key, sealed(b"never"), 600, expected=version)

    stopped = start(stop_in_the_middle)
    os.waitpid(stopped.pid, os.WUNTRACED)

    for call in (lambda: store.write(key, sealed(b"new"), 600, expected=version), lambda: store.destroy(key)):
        with pytest.raises(StoreUnavailable, match=r"sessions refused.*held for 0.05 s. Look for a process that hangs"):
            call()
    assert body_of(store.read(key, 6000).data) == b"old"
    stopped.kill()
    stopped.join()
    assert store.write(key, sealed(b"new"), 600, expected=version)


def test_a_child_forked_while_a_record_is_locked_does_not_keep_it_locked(make, key, monkeypatch):
    """A fork in another thread may happen at any moment; the child closes what it inherited."""
    store = make()
    version = store.write(key, sealed(b"old"), 600, expected=None)
    store._records.patience = 0.05
    waiting, go_on = os.pipe()
    children = []
    write_whole = _files.write_whole

    def fork_in_the_middle(descriptor, data):
        child = os.fork()
        if child == 0:
            os.close(go_on)
            os.read(waiting, 1)
            os._exit(0)
        children.append(child)
        write_whole(descriptor, data)

    monkeypatch.setattr("sessionbag_stream._files.write_whole", fork_in_the_middle)
    version = store.write(key, sealed(b"new"), 600, expected=version)
    monkeypatch.undo()

    assert store.write(key, sealed(b"newest"), 600, expected=version)
    os.close(go_on)
    os.close(waiting)
    assert (children[0], 0) == os.waitpid(children[0], 0)


def test_stores_made_apart_share_the_records(save_path, key, start):
    """Each process makes its own handler, as servers do that are started anew."""
    options = Stream.Options(save_path=save_path)

    def create():
        store = Stream(options)
        store.open("", "session")
        store.write(key, sealed(b"theirs"), 600, expected=None)

    creator = start(create)
    creator.join()
    assert creator.exitcode == 0
    assert body_of(Stream(options).read(key).data) == b"theirs"
