"""``sessionbag copy``: every session arrives with its id and the rest of its life, whatever happens on the way."""

import gc
import hashlib
import io
import json
import signal
import sqlite3
import stat
import sys
import weakref
from contextlib import closing
from pathlib import Path

import pytest
from servers import wait_until
from sessionbag import AdapterFactory, ManagerFactory, Memory
from sessionbag.cli import Output
from sessionbag_cli._moving import Pass
from sessionbag_cli._report import Report
from sessionbag_cli._settling import Outcome

MANY = 1500

SLOW = """
import time
from sessionbag.adapters import Memory
from sessionbag_sqlite import Sqlite, SqliteOptions

class Slow(Sqlite):
    def write(self, key, data, ttl, *, expected):
        time.sleep(0.004)
        return super().write(key, data, ttl, expected=expected)

class Small(Sqlite):
    def write(self, key, data, ttl, *, expected):
        if len(data) > 500:
            from sessionbag import SessionTooLarge
            raise SessionTooLarge("too large. Store less")
        return super().write(key, data, ttl, expected=expected)

class Failing(Sqlite):
    written = 0
    def write(self, key, data, ttl, *, expected):
        from sessionbag import StoreUnavailable
        Failing.written += 1
        if Failing.written > 100:
            raise StoreUnavailable("the disk is full. Free space")
        return super().write(key, data, ttl, expected=expected)

class Deaf:
    api_version = 1
    evicts = True
    def open(self, save_path, session_name): return True
    def close(self): return True
    def read(self, key, ttl=None): return None
    def write(self, key, data, ttl, *, expected): return None
    def destroy(self, key, *, expected=None): return False
    def gc(self, max_lifetime, *, budget=None): return 0
"""


@pytest.fixture
def odd(tmp_path, program, monkeypatch):
    """Install adapters that are slow, small, failing and unable to list their sessions."""
    site = tmp_path / "site"
    metadata = site / "odd-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\nVersion: 1.0\n")
    names = "\n".join(f"{name} = odd:{name.title()}" for name in ("slow", "small", "failing", "deaf"))
    (metadata / "entry_points.txt").write_text(f"[sessionbag.adapters]\n{names}\n")
    (site / "odd.py").write_text(SLOW)
    program.environment["PYTHONPATH"] = str(site)
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.modules.pop("odd", None)


def copied(ran):
    """Return the result of a copy that went well."""
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def raw(url):
    """Return all records of a store by their keys, with the seconds that are left to them."""
    handler = AdapterFactory().new_instance(url)
    handler.open(str(getattr(handler.options, "save_path", "")), "session")
    try:
        return {entry.key: (handler.read(entry.key).data, entry.remaining) for entry in handler.scan()}
    finally:
        handler.close()


def test_all_sessions_arrive_with_ids_data_and_remaining_time(program, stream, sqlite, fill):
    """Byte by byte under the same keys, so that each cookie leads to the same session; and the count is verified."""
    ids = fill(stream, 60, lifetime=900)
    fill(stream, 40, lifetime=7200)

    result = copied(program("copy", "--json", stream, sqlite))
    source, target = raw(stream), raw(sqlite)

    assert result["verified"] is True
    assert (result["copied"], result["sessions"], result["identical"]) == (100, 100, 100)
    assert {key: data for key, (data, _) in source.items()} == {key: data for key, (data, _) in target.items()}
    assert all(abs(source[key][1] - target[key][1]) <= 2 for key in source)
    with ManagerFactory(sqlite) as factory, factory.new_instance(ids[7]) as session:
        assert session["number"] == 7


def test_people_read_a_sentence(program, stream, sqlite, fill):
    """What was done, and that both stores were compared."""
    fill(stream, 3)

    first = program("copy", stream, sqlite).stdout
    second = program("copy", stream, sqlite).stdout

    assert first.startswith("3  copied")
    assert "Verified: 3 of 3 sessions are the same in both stores, byte by byte (2 passes" in first
    assert second.startswith("Verified: 3 of 3 sessions are the same")


def test_a_source_without_sessions_is_not_called_verified(program, stream, sqlite, tmp_path):
    """It is more likely the wrong one than the one that was meant."""
    (tmp_path / "files").mkdir()

    ran = program("copy", stream, sqlite)

    assert ran.returncode == 0
    assert ran.stdout.startswith("The source holds no session, so there was nothing to copy (1 passes")
    assert "Verified" not in ran.stdout


def test_a_later_copy_takes_over_what_changed_on_both_sides(program, stream, sqlite, fill):
    """Changes, logouts and new sessions of the source come along; those of the target stay."""
    ids = fill(stream, 5)
    copied(program("copy", "--json", stream, sqlite))
    with ManagerFactory(stream) as old, ManagerFactory(sqlite) as new:
        for factory, number in ((old, 0), (new, 1), (old, 2), (new, 2)):
            with factory.new_instance(ids[number]) as session:
                session["by"] = "old" if factory is old else "new"
        for factory, number in ((old, 3), (new, 4)):
            factory.new_instance(ids[number]).destroy()
        with new.new_instance() as session:
            session["number"] = "born there"
    fill(stream, 1)

    result = copied(program("copy", "--json", stream, sqlite))

    with ManagerFactory(sqlite) as new:
        found = [new.new_instance(each).get("by", "as it was") for each in ids[:3]]
        ended = [new.new_instance(each).get("number") for each in ids[3:]]
    assert found == ["old", "new", "new"]
    assert ended == [None, None]
    assert [result[name] for name in ("copied", "updated", "destroyed", "ended", "kept")] == [1, 1, 1, 1, 1]
    assert len(raw(sqlite)) == 5


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_copy_goes_on_where_it_was(program, stream, tmp_path, fill, how):
    """It says what was done, and the next one copies the rest."""
    fill(stream, MANY)
    file = tmp_path / "slow.sqlite"
    slow = f"slow://?file={file}"
    process = program.start("copy", "--json", stream, slow)
    wait_until(lambda: file.exists() and count(file) > 100, "copying some sessions")
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    there = count(file)

    result = copied(program("copy", "--json", stream, slow))

    assert 100 < there < MANY
    assert process.returncode == (-how if how is signal.SIGKILL else 130)
    if how is not signal.SIGKILL:
        told = json.loads(out)
        assert (told["copied"], told["finished"], told["verified"]) == (there, False, False)
        assert err == "sessionbag: interrupted\n"
    assert (result["copied"], result["verified"], result["sessions"]) == (MANY - there, True, MANY)


def count(file):
    """Count the records in a file of SQLite, which may be in the making."""
    with closing(sqlite3.connect(file, timeout=20)) as database:
        try:
            return database.execute("SELECT count(*) FROM sessionbag_records").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


@pytest.mark.usefixtures("odd")
def test_a_store_that_fails_is_told_with_what_was_done(program, stream, tmp_path, fill):
    """No half-done work without a word: the number that arrived, and that another run goes on."""
    fill(stream, 200)
    failing = f"failing://?file={tmp_path}/failing.sqlite"

    ran = program("copy", stream, failing)

    assert ran.returncode == 1
    assert ran.stdout.startswith("100  copied\n")
    assert "Not finished" in ran.stdout
    assert "Run it again: it goes on where it was." in ran.stdout
    assert ran.stderr == "sessionbag: StoreUnavailable: the disk is full. Free space\n"


@pytest.mark.usefixtures("odd")
def test_what_the_target_cannot_hold_is_named(program, stream, tmp_path):
    """The others are copied, and the exit status says that something is missing."""
    keys = []
    with ManagerFactory(stream) as factory:
        for size in (10, 1000, 20):
            with factory.new_instance() as session:
                session["text"] = "x" * size
                session.save()
                keys.append(session.info().key)
    small = f"small://?file={tmp_path}/small.sqlite"

    ran = program("copy", "--json", stream, small)
    result = json.loads(ran.stdout)

    assert ran.returncode == 1
    assert (result["copied"], result["too_large"], result["too_large_keys"]) == (2, 1, [keys[1]])
    assert result["verified"] is False


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(("arguments", "words"), [
    (("deaf://", "memory://"), "the source is a Deaf store, which cannot list its sessions"),
    (("memory://", "deaf://"), "the target is a Deaf store, which cannot list its sessions"),
    (("memory://", "memory://"), "source and target are one store"),
    (("memory://", "nosql://ann:hunter2@host"), "no adapter is named 'nosql'"),
    (("memory://",), "the following arguments are required: TARGET"),
    (("memory://", "memory", "--follow"), "this is no URL of an adapter"),
    (("memory://", "env:NOWHERE"), "env: is followed by the name of a variable"),
    (("memory://", "memory://?prefix=a", "--workers", "0"), "--workers 1 to 64"),
    (("memory://", "memory://?prefix=a", "--passes", "none"), "invalid int value: 'none'"),
])  # fmt: skip
def test_bad_input_is_one_line(program, arguments, words):
    """Exit status 2, the mend, no password."""
    ran = program("copy", *arguments)

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1
    assert words in ran.stderr
    assert "hunter2" not in ran.stderr


def test_a_target_in_use_asks_for_the_journal(program, stream, sqlite, fill):
    """Without one it is not known what ended there; who means it says so."""
    fill(stream, 2)
    fill(sqlite, 1)

    refused = program("copy", stream, sqlite)
    meant = program("copy", "--target-in-use", "--json", stream, sqlite)

    assert refused.returncode == 2
    assert "--target-in-use" in refused.stderr
    assert copied(meant)["copied"] == 2
    assert len(raw(sqlite)) == 3


def test_an_emptied_target_begins_anew(program, stream, sqlite, fill):
    """Who rehearses and removes what was copied is not told that all sessions had ended there."""
    fill(stream, 3)
    copied(program("copy", "--json", stream, sqlite))
    program("destroy", "--all", "--yes", sqlite)

    assert copied(program("copy", "--json", stream, sqlite))["copied"] == 3


def test_an_emptied_source_logs_nobody_out(program, stream, sqlite, fill):
    """A source without any session was taken out of service, rather than left by everybody at once."""
    fill(stream, 3)
    copied(program("copy", "--json", stream, sqlite))
    program("destroy", "--all", "--yes", stream)

    ran = program("copy", stream, sqlite)

    assert ran.returncode == 0
    assert "The source holds no session any more, so none was destroyed in the target for that." in ran.stdout
    assert len(raw(sqlite)) == 3


def test_the_journal_holds_no_data_and_serves_one_copy(program, stream, sqlite, fill, tmp_path):
    """It is for its user alone, may stand anywhere, and is not taken for that of other stores."""
    [session_id] = fill(stream, 1)
    journal = tmp_path / "journal"
    copied(program("copy", "--json", "--journal", journal, stream, sqlite))

    other = program("copy", "--journal", journal, stream, f"{sqlite}-other")
    damaged = program("copy", "--journal", Path(__file__), stream, sqlite)
    with closing(sqlite3.connect(journal)) as holding:
        holding.execute("BEGIN EXCLUSIVE")
        busy = program("copy", "--journal", journal, stream, sqlite)

    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert session_id.encode() not in journal.read_bytes()
    assert hashlib.sha256(f"session\0{session_id}".encode()).hexdigest().encode() in journal.read_bytes()
    assert [one.returncode for one in (other, damaged, busy)] == [2, 2, 2]
    assert "belongs to a copy from" in other.stderr
    assert "is no journal" in damaged.stderr
    assert "another copy uses the journal" in busy.stderr


def test_who_follows_for_days_keeps_no_more_than_the_last_pass():
    """The keys that a pass has seen are let go with it; its numbers stay in the report."""
    report = Report(Path("journal"))
    first, second = (Pass(Memory(), None, None, 1) for _ in range(2))
    first.counts.update({Outcome.COPIED: 3})
    second.counts.update({Outcome.COPIED: 1})
    report.begin(first)
    report.finish()
    report.begin(second)
    report.finish()
    gone = weakref.ref(first)
    del first
    gc.collect()
    printed = io.StringIO()
    report.print(Output(as_json=True, stream=printed))

    assert gone() is None
    assert json.loads(printed.getvalue())["copied"] == 4


def test_following_goes_on_until_it_is_interrupted(program, stream, sqlite, fill):
    """What comes and changes meanwhile is taken over, and the interrupt is its ordinary end."""
    fill(stream, 2)
    process = program.start("copy", "--follow", "--every", "0.05", "--json", stream, sqlite)
    wait_until(lambda: Path(sqlite.removeprefix("sqlite://")).exists() and len(raw(sqlite)) == 2, "the first pass")
    [late] = fill(stream, 1)
    wait_until(lambda: len(raw(sqlite)) == 3, "taking over a new session")
    with ManagerFactory(stream) as factory, factory.new_instance(late) as session:
        session["changed"] = True
    wait_until(lambda: any(b"changed" in data for data, _ in raw(sqlite).values()), "taking over a change")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert json.loads(out)["copied"] == 3
