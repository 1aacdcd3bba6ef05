"""What may be configured, and what each mistake is told."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from sessionbag.errors import ConfigurationError, StoreUnavailable
from sessionbag_stream import Stream


def record_path(folder, key):
    return folder / key[:2] / f"sess_{key}"


def test_a_missing_save_path_is_made_for_its_owner_alone(tmp_path):
    """Also its parents."""
    path = tmp_path / "not" / "there"

    Stream(Stream.Options(save_path=path)).open("", "session")

    assert path.is_dir()
    assert path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("shards", [0, 256])
def test_a_save_path_that_is_a_file_is_an_error_naming_it(tmp_path, shards):
    """And the file stays as it was."""
    path = tmp_path / "taken"
    path.write_text("mine")

    with pytest.raises(ConfigurationError, match=r"taken is not a folder.*Give the path of a folder"):
        Stream(Stream.Options(save_path=path, shards=shards)).open("", "session")
    assert path.read_text() == "mine"


def test_a_save_path_that_leads_through_a_file_is_an_error_naming_it(tmp_path):
    """A file cannot hold a folder."""
    (tmp_path / "taken").write_text("mine")

    with pytest.raises(ConfigurationError, match="taken/below is not a folder"):
        Stream(Stream.Options(save_path=tmp_path / "taken" / "below")).open("", "session")


def test_before_it_is_opened_a_missing_save_path_is_an_outage(tmp_path, key):
    """A save path that is not there, such as an unmounted disk, is never taken for an empty one."""
    store = Stream(Stream.Options(save_path=tmp_path / "missing"))

    for call in (
        lambda: store.read(key),
        lambda: store.write(key, b"12345678", 60, expected=None),
        lambda: store.write(key, b"12345678", 60, expected=b"old"),
        lambda: store.destroy(key),
        lambda: store.gc(60),
        lambda: list(store.scan()),
        lambda: store.acquire(key, 60),
    ):
        with pytest.raises(StoreUnavailable, match=r"missing is missing. Mount it, or call open\(\)"):
            call()


def test_the_option_wins_over_the_path_that_open_gets(tmp_path, key):
    """As in the reference; without the option, open's path counts."""
    with_option = Stream(Stream.Options(save_path=tmp_path / "option"))
    with_option.open(str(tmp_path / "given"), "session")
    with_option.write(key, b"12345678", 60, expected=None)
    without = Stream()
    without.open(str(tmp_path / "given"), "session")
    without.write(key, b"12345678", 60, expected=None)

    assert record_path(tmp_path / "option", key).exists()
    assert record_path(tmp_path / "given", key).exists()


def test_the_default_save_path_is_in_the_users_state_directory(tmp_path, key):
    """It follows the platform's convention."""
    program = """
        import sys
        from sessionbag_stream import Stream
        store = Stream()
        store.open("", "session")
        store.write(sys.argv[1], b"12345678", 60, expected=None)
    """
    home = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}

    subprocess.run([sys.executable, "-c", textwrap.dedent(program), key], env=home, check=True)  # ours

    found = [path.relative_to(tmp_path) for path in tmp_path.rglob(f"sess_{key}")]
    assert len(found) == 1
    if sys.platform == "linux":
        assert found == [Path("state/sessionbag/stream", key[:2], f"sess_{key}")]


def test_a_relative_save_path_does_not_move_with_the_working_directory(tmp_path, monkeypatch, key):
    """It is fixed when the options are made."""
    monkeypatch.chdir(tmp_path)
    store = Stream(Stream.Options(save_path="sessions"))
    store.open("", "session")

    monkeypatch.chdir("/")
    store.write(key, b"12345678", 60, expected=None)

    assert record_path(tmp_path / "sessions", key).exists()


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch):
    """A configuration file may use it."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert Stream.Options(save_path="~/sessions").save_path == str(tmp_path / "sessions")


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_a_save_path_that_is_no_path_is_refused(path):
    """With the mend."""
    with pytest.raises(ConfigurationError, match=r"'save_path' of the adapter 'stream' .*give the path of a folder"):
        Stream.Options(save_path=path)


@pytest.mark.parametrize("prefix", ["../", "a/b", "/", ".", "..", ".hidden", "a\0", "a b", "-x", "é", "a\n", "x" * 65])
def test_a_prefix_that_could_leave_the_folder_is_refused(prefix):
    """It becomes a part of file names."""
    with pytest.raises(ConfigurationError, match=r"'prefix' of the adapter 'stream' .*Use up to 64 letters"):
        Stream.Options(prefix=prefix)


def test_an_empty_prefix_needs_shards(make, key):
    """In one folder with other files, records could not be told from them."""
    with pytest.raises(ConfigurationError, match=r"empty prefix and shards=0. Give a prefix"):
        Stream.Options(prefix="", shards=0)

    store = make(prefix="")
    store.write(key, b"12345678", 60, expected=None)
    assert [key] == [entry.key for entry in store.scan()]


@pytest.mark.parametrize("shards", [1, 16, 255, -1])
def test_another_number_of_shards_is_refused(shards):
    """The two forms are named."""
    with pytest.raises(ConfigurationError, match="give 256 for one level of 256 folders, or 0 for one folder"):
        Stream.Options(shards=shards)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"durable": "yes"}, "'durable' of the adapter 'stream' must be bool"),
        ({"shards": True}, "'shards' of the adapter 'stream' must be int"),
        ({"save_path": 7}, "'save_path' of the adapter 'stream' must be"),
        ({"savepath": "/x"}, "has no option 'savepath'. Did you mean 'save_path'"),
    ],
)
def test_a_wrong_option_is_told_with_the_right_ones(options, message):
    """By name and type."""
    with pytest.raises(ConfigurationError, match=message):
        Stream.Options.from_mapping(options)


def test_a_url_gives_path_and_options():
    """The path is the save path, with its escapes resolved; the query holds the rest."""
    options = Stream.Options.from_url("stream:///var/lib/my%20shop?prefix=s_&durable=true&shards=0&lifetime=60")

    expected = Stream.Options(save_path="/var/lib/my shop", prefix="s_", durable=True, shards=0, lifetime=60)
    assert expected == options


@pytest.mark.parametrize("url", ["stream://", "stream:"])
def test_a_url_without_a_path_means_the_default_path(url):
    """The shortest configuration there is."""
    assert Stream.Options() == Stream.Options.from_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "stream://host/path",
        "stream://user:tops3cret@host/path",
        "stream://:tops3cret@/path",
        "stream://:tops3cret@",
        "stream:relative/path",
        "stream:///path#tops3cret",
        "stream:///path?durable=tops3cret%FF&durable=x",
    ],
)
def test_a_url_with_what_it_does_not_take_is_refused_without_showing_a_password(url):
    """A host, a user, a fragment or a relative path are mistakes; the mend is shown, the secret is not."""
    with pytest.raises(ConfigurationError) as caught:
        Stream.Options.from_url(url)

    assert "tops3cret" not in str(caught.value)


def test_a_url_with_a_host_says_what_to_write_instead():
    """The usual mistake is two slashes."""
    with pytest.raises(ConfigurationError, match="Write three slashes and an absolute path"):
        Stream.Options.from_url("stream://var/lib/sessions")


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("durable=maybe", "'durable'.*must be bool"),
        ("shards=many", "'shards'.*must be int"),
        ("shards=7", "give 256"),
        ("colour=red", "no option 'colour'"),
        ("prefix=a&prefix=b", "'prefix' twice"),
        ("save_path=/other", "gives the save path twice"),
    ],
)
def test_a_wrong_query_is_told(query, message):
    """Text is read by the option's type and never guessed."""
    with pytest.raises(ConfigurationError, match=message):
        Stream.Options.from_url(f"stream:///path?{query}")


def test_a_platform_without_flock_is_refused_at_construction():
    """Importing works, so that the error can say why and what to do."""
    program = """
        import sys
        sys.modules["fcntl"] = None
        from sessionbag_stream import Stream
        try:
            Stream()
        except ValueError as error:
            print(type(error).__name__, error)
    """

    run = subprocess.run(  # ours
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )

    assert run.stdout.startswith("ConfigurationError the adapter 'stream' needs Linux or macOS")
