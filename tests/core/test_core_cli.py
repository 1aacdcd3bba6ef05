"""The command ``sessionbag``, run as people and programs run it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sessionbag import __version__

MODULE = (sys.executable, "-W", "error", "-m", "sessionbag")

SLOW_GC = """
import sys, time
from sessionbag.adapters import Memory
class Slow(Memory):
    def gc(self, max_lifetime, *, budget=None):
        sys.stderr.write("collecting\\n"); sys.stderr.flush()
        time.sleep(min(budget, 2))
        return 2
    def close(self):
        sys.stderr.write("closed\\n"); sys.stderr.flush()
        return True
"""

CARELESS = """
from sessionbag.adapters import Memory
class Upsert(Memory):
    def write(self, key, data, ttl, *, expected):
        super().destroy(key)
        return super().write(key, data, ttl, expected=None)
class Eternal(Memory):
    def write(self, key, data, ttl, *, expected):
        return super().write(key, data, ttl + 1000, expected=expected)
class Down(Memory):
    def open(self, save_path, session_name):
        from sessionbag.errors import StoreUnavailable
        raise StoreUnavailable("no answer\\nfrom the store")
class Odd(Memory):
    def open(self, save_path, session_name):
        raise OSError("what is this")
"""


def environment(*paths, **variables):
    own = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONBAG_")}
    return own | {"PYTHONPATH": os.pathsep.join(map(str, paths))} | variables


def run(*arguments, paths=(), **variables):
    """Run the command to its end."""
    return subprocess.run(
        [*MODULE, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(*paths, **variables),
    )


def refused(ran):
    """Return the one line with which the command refuses its input."""
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1
    return ran.stderr


def test_command_is_installed_beside_python():
    """Installing the core installs the command, which is the module."""
    command = Path(sys.executable).with_name("sessionbag")

    ran = subprocess.run([command, "--version"], check=True, capture_output=True, text=True)

    assert ran.stdout == f"sessionbag {__version__}\n" == run("--version").stdout


@pytest.mark.parametrize("arguments", [(), ("adapters",), ("check",), ("gc",), ("config",)])
def test_help_shows_examples(arguments):
    """Every command explains itself by example."""
    ran = run(*arguments, "--help")

    assert ran.returncode == 0
    assert "examples:\n  sessionbag " in ran.stdout or "examples:\n  SESSIONBAG_URL" in ran.stdout


def test_adapters_are_listed_with_what_they_can_do():
    """Name, distribution, version, target, kind, parts, version of the spec, status."""
    ran = run("adapters")
    listed = {row["name"]: row for row in json.loads(run("adapters", "--json").stdout)}

    assert ran.returncode == 0
    assert ran.stdout.splitlines()[0].split() == [
        "name", "distribution", "version", "target", "kind", "parts", "spec", "status",
    ]  # fmt: skip
    assert listed["memory"] == {
        "name": "memory",
        "distribution": "sessionbag",
        "version": __version__,
        "target": "sessionbag.adapters.memory:Memory",
        "kind": "sync",
        "parts": ["lock", "scan"],
        "spec": 1,
        "status": "ok",
    }
    assert listed["noop"]["parts"] == []


def test_broken_adapter_is_shown_and_makes_the_list_fail(site):
    """One that cannot be imported does not hide the others; async ones are listed too."""
    site.install("acme-broken", modules={"acme": "import nowhere"}, adapters={"acme": "acme:Acme"})
    site.install(
        "acme-async", modules={"later": "class Later:\n    api_version = 1\n"}, async_adapters={"a": "later:Later"}
    )

    ran = run("adapters", "--json", paths=[site.path])
    listed = {row["name"]: row for row in json.loads(ran.stdout)}

    assert ran.returncode == 1
    assert "No module named 'nowhere'" in listed["acme"]["status"]
    assert listed["memory"]["status"] == "ok"
    assert (listed["a"]["kind"], listed["a"]["status"], listed["a"]["spec"]) == ("async", "ok", 1)


def test_name_that_two_claim_is_listed_twice(site):
    """Each of the two is looked at by itself."""
    source = "from sessionbag.adapters import Memory as Acme\n"
    site.install("acme-one", modules={"one": source}, adapters={"acme": "one:Acme"})
    site.install("acme-two", modules={"two": source}, adapters={"acme": "two:Acme"})

    ran = run("adapters", "--json", paths=[site.path])

    assert [row["distribution"] for row in json.loads(ran.stdout) if row["name"] == "acme"] == ["acme-one", "acme-two"]
    assert ran.returncode == 0


def test_check_tries_a_sound_store():
    """A store that keeps its promises passes every trial."""
    ran = run("check", "memory://", "--json")
    result = json.loads(ran.stdout)

    assert ran.returncode == 0
    assert result["ok"] is True
    assert [one["check"] for one in result["checks"]] == [
        "create and read", "compare and set", "destroy", "expiry", "latency", "scan", "lock",
    ]  # fmt: skip


def test_check_tells_which_promise_is_broken(site):
    """A store that overwrites and one that forgets to expire are found out, each by the right trial."""
    source = {"careless": CARELESS}
    site.install("careless", modules=source, adapters={"upsert": "careless:Upsert", "eternal": "careless:Eternal"})

    upsert = run("check", "upsert://", paths=[site.path])
    eternal = run("check", "eternal://", "--json", paths=[site.path])
    broken = [one["check"] for one in json.loads(eternal.stdout)["checks"] if not one["ok"]]

    assert upsert.returncode == eternal.returncode == 1
    assert "create and read  FAILED  creating twice is not refused" in upsert.stdout
    assert broken == ["expiry"]


def test_check_leaves_nothing_behind(site):
    """The records of the trials are removed."""
    source = (
        "from sessionbag.adapters import Memory\n"
        "class Kept(Memory):\n"
        "    def close(self):\n"
        "        import sys; sys.stderr.write(f'{len(list(self.scan()))} left')\n"
        "        return True\n"
    )
    site.install("kept", modules={"kept": source}, adapters={"kept": "kept:Kept"})

    assert run("check", "kept://", paths=[site.path]).stderr == "0 left"


def test_store_that_does_not_answer_is_one_line(site):
    """Whatever an adapter raises, there is no traceback."""
    source = {"careless": CARELESS}
    site.install("careless", modules=source, adapters={"down": "careless:Down", "odd": "careless:Odd"})

    down = run("check", "down://", paths=[site.path])
    odd = run("gc", "odd://", paths=[site.path])

    assert (down.returncode, down.stderr) == (1, "sessionbag: StoreUnavailable: no answer from the store\n")
    assert (odd.returncode, odd.stderr) == (1, "sessionbag: OSError: what is this\n")


def test_url_may_stand_in_the_environment():
    """Arguments show in the list of processes; the environment does not."""
    ran = run("gc", "--json", SESSIONBAG_URL="memory://")

    assert ran.returncode == 0
    assert json.loads(ran.stdout)["removed"] == 0


def test_gc_is_bounded(site):
    """It gives the store slices of time until the budget is spent, and says that there may be more."""
    site.install("slow", modules={"slow": SLOW_GC}, adapters={"slow": "slow:Slow"})

    ran = run("gc", "slow://", "--budget", "2", "--json", paths=[site.path])
    result = json.loads(ran.stdout)
    slices = ran.stderr.count("collecting")

    assert ran.returncode == 0
    assert result["finished"] is False
    assert result["removed"] == 2 * slices
    assert 1 <= slices <= 5


def test_gc_says_what_it_removed():
    """People read a sentence; no progress is shown where there is no terminal."""
    ran = run("gc", "memory://")

    assert ran.stdout.startswith("0 expired records removed in ")
    assert ran.stderr == ""


def test_interrupted_gc_reports_and_closes(site):
    """What was removed is told, the store is closed, and the status is that of an interrupt."""
    site.install("slow", modules={"slow": SLOW_GC}, adapters={"slow": "slow:Slow"})

    with subprocess.Popen(
        [*MODULE, "gc", "slow://"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(site.path),
    ) as process:
        lines = [process.stderr.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert lines == ["collecting\n"] * 2
    assert process.returncode == 130
    assert "expired records removed" in out
    assert out.strip().endswith("there may be more")
    assert err.endswith("closed\nsessionbag: interrupted\n")
    assert "Traceback" not in err


def test_gc_shows_progress_on_a_terminal(site):
    """On a terminal a line counts along, and is gone at the end."""
    site.install("slow", modules={"slow": SLOW_GC}, adapters={"slow": "slow:Slow"})
    master, slave = os.openpty()

    with subprocess.Popen(
        [*MODULE, "gc", "slow://", "--budget", "0.2"], stdout=subprocess.PIPE, stderr=slave, env=environment(site.path)
    ) as process:
        os.close(slave)
        process.communicate(timeout=60)
    shown = os.read(master, 10_000).decode()
    os.close(master)

    assert "2 removed in 0 s" in shown
    assert "\r\x1b[K" in shown


def test_configuration_is_explained(tmp_path):
    """Every option stands with its value and where it comes from."""
    path = tmp_path / "app.toml"
    path.write_text(
        '[sessionbag]\nadapter = "memory://?max_records=5"\nlifetime = 30\n[sessionbag.cookie]\nsecure = true\n'
    )

    text = run("config", path)
    result = json.loads(run("config", path, "--json").stdout)
    options = {row["option"]: (row["value"], row["source"]) for row in result["options"]}

    assert text.returncode == 0
    assert options["lifetime"] == (30, "given")
    assert options["rotation_grace"] == (30, "derived")
    assert options["name"] == ("session", "default")
    assert options["options.max_records"] == (5, "given")
    assert options["cookie.secure"] == (True, "given")
    assert result["adapter_class"] == "sessionbag.adapters.memory.Memory"
    assert "rotation_grace       30" in text.stdout


def test_secrets_are_not_shown(site, tmp_path):
    """Requirement 12: neither of a URL nor of a file."""
    source = (
        "import dataclasses\nfrom sessionbag.adapters import Memory\nfrom sessionbag.options import option\n"
        "class Acme(Memory):\n"
        "    @dataclasses.dataclass(frozen=True, kw_only=True, repr=False)\n"
        "    class Options(Memory.Options):\n"
        "        password: str = option('', doc='a password', secret=True)\n"
    )
    site.install("acme", modules={"acme": source}, adapters={"acme": "acme:Acme"})
    path = tmp_path / "app.toml"
    path.write_text('[sessionbag]\nadapter = "acme"\n[sessionbag.options]\npassword = "hunter2"\n')

    ran = [run("config", path, paths=[site.path]), run("config", path, "--json", paths=[site.path])]
    ran += [run("check", "nosql://ann:hunter2@host"), run("gc", "nosql:hunter2")]
    ran += [run("nosql://ann:hunter2@host"), run("gc", "memory://", "nosql://ann:hunter2@host")]

    assert [one.returncode for one in ran] == [0, 0, 2, 2, 2, 2]
    assert "hunter2" not in "".join(one.stdout + one.stderr for one in ran)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "the following arguments are required: command"),
        (("chek", "memory://"), "invalid choice: 'chek'"),
        (("check",), "no URL is given"),
        (("check", "memory"), "this is no URL of an adapter"),
        (("check", "nosql://host"), "no adapter is named 'nosql'"),
        (("check", "memory://?prefx=1"), "Did you mean 'prefix'?"),
        (("check", "memory://host"), "has a host"),
        (("gc", "memory://", "--budget", "soon"), "invalid float value: 'soon'"),
        (("gc", "memory://", "--budget", "nan"), "positive numbers of seconds"),
        (("gc", "memory://", "--max-lifetime", "0"), "positive numbers of seconds"),
        (("config", "nowhere.toml"), "nowhere.toml cannot be read: No such file"),
        (("adapters", "--jso"), "unrecognized arguments: --jso"),
    ],
)
def test_bad_input_is_one_line(arguments, words):
    """Exit status 2, one line, the mend in it, never a traceback."""
    assert words in refused(run(*arguments))


def test_reader_that_has_enough_is_no_error_to_tell():
    """``sessionbag adapters | head`` ends in silence."""
    with subprocess.Popen(
        [*MODULE, "adapters"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
