"""Option sets: checked by type, read from text by type, and never showing a secret."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessionbag.errors import ConfigurationError
from sessionbag.options import (
    OptionSet,
    build,
    describe,
    option,
    parse,
    paths_of,
    query_of,
    redact,
    split_url,
    whole_seconds,
)
from sessionbag.urls import hosts_of


def even(number):
    """Return an even number, doubled, or refuse it with its value."""
    if number % 2:
        raise ValueError(f"{number} is odd. Give an even number")
    return number * 2


def long_enough(password):
    """Refuse a short password, in a message that tells it."""
    if password is not None and len(password) < 4:
        raise ValueError(f"{password!r} is too short")
    return password


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """One option of each type. The decorator is the plain one, as an author would write it."""

    OWNER: ClassVar[str] = "the adapter 'sample'"
    host: str = option("127.0.0.1", doc="the server's name")
    port: int = option(6379, doc="the server's port")
    number: int = option(2, doc="an even number", convert=even)
    wait: float = option(0.5, doc="seconds")
    durable: bool = option(False, doc="sync")
    lifetime: int | timedelta | None = option(None, doc="seconds", convert=whole_seconds)
    path: Path | None = option(None, doc="a folder")
    mode: Literal["fast", "safe"] = option("fast", doc="how")
    level: Literal[1, 2] = option(1, doc="how much")
    servers: Sequence[str] = option((), doc="names")
    extra: Mapping[str, object] = option({}, doc="more")
    name: str | None = option(None, doc="a name")
    password: str | None = option(None, doc="the password", secret=True, convert=long_enough)
    anything: object = option(None, doc="anything")


def refusal(action, *arguments, **options):
    """Return the message with which options are refused."""
    with pytest.raises(ConfigurationError) as caught:
        action(*arguments, **options)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_defaults_stand_where_nothing_is_given():
    """An option set needs no argument, and its mappings are its own."""
    options = Options()

    assert (options.host, options.port, options.number, options.lifetime) == ("127.0.0.1", 6379, 4, None)
    assert options.extra == {}
    assert options.extra is not Options().extra


def test_values_of_the_declared_types_are_taken():
    """Nothing is converted but by the option's own function."""
    options = Options(wait=1, lifetime=timedelta(minutes=1), servers=["a", "b"], path=Path("x"), mode="safe")

    assert (options.wait, options.lifetime, options.servers) == (1, 60, ["a", "b"])
    assert (options.path, options.mode) == (Path("x"), "safe")


ILL_TYPED = {
    "text for a number": ({"port": "6379"}, "'port' of the adapter 'sample' must be int, not '6379' (str)"),
    "bool for a number": ({"port": True}, "'port' of the adapter 'sample' must be int, not True (bool)"),
    "bool for a float": ({"wait": True}, "must be float, not True (bool)"),
    "number for a bool": ({"durable": 1}, "must be bool, not 1 (int)"),
    "text for a bool": ({"durable": "false"}, "must be bool, not 'false' (str)"),
    "float for an int": ({"port": 1.0}, "must be int, not 1.0 (float)"),
    "number for a text": ({"host": 5}, "must be str, not 5 (int)"),
    "bytes for a text": ({"host": b"h"}, "must be str, not b'h' (bytes)"),
    "None where it is not allowed": ({"host": None}, "must be str, not None (NoneType)"),
    "text for a duration": ({"lifetime": "3600"}, "must be int or timedelta or None, not '3600' (str)"),
    "bool for a duration": ({"lifetime": True}, "must be int or timedelta or None, not True (bool)"),
    "another word": ({"mode": "Fast"}, "must be 'fast' or 'safe', not 'Fast' (str)"),
    "unhashable for a word": ({"mode": []}, "must be 'fast' or 'safe', not a value of type list"),
    "True for 1": ({"level": True}, "must be 1 or 2, not True (bool)"),
    "text for a sequence": ({"servers": "a,b"}, "must be sequence of str, not 'a,b' (str)"),
    "numbers in a sequence of texts": ({"servers": [1]}, "must be sequence of str, not a value of type list"),
    "pairs for a mapping": ({"extra": [("a", 1)]}, "must be mapping, not a value of type list"),
    "numbers as keys": ({"extra": {1: 1}}, "must be mapping, not a value of type dict"),
    "text for a path": ({"path": "x"}, "must be Path or None, not 'x' (str)"),
    "NaN": ({"wait": math.nan}, "must be float, not nan (float)"),
    "infinity": ({"wait": math.inf}, "must be float, not inf (float)"),
    "long text": ({"port": "x" * 500}, "must be int, not 'xxxx"),
}


@pytest.mark.parametrize(("given", "message"), ILL_TYPED.values(), ids=ILL_TYPED)
def test_ill_typed_option_is_refused(given, message):
    """The error names option, owner, type and value; both ways to build say the same."""
    direct = refusal(Options, **given)

    assert message in direct
    assert len(direct) < 200
    assert refusal(Options.from_mapping, given) == direct


def test_reason_of_the_option_itself_is_told():
    """What its function says stands in the error."""
    assert refusal(Options, number=3) == (
        "the option 'number' of the adapter 'sample' cannot be 3 (int): 3 is odd. Give an even number"
    )


@pytest.mark.parametrize("value", [0, -1, timedelta(0), timedelta(seconds=1.5), timedelta(seconds=-1)])
def test_a_duration_is_a_positive_whole_number_of_seconds(value):
    """Anything else would be rounded in silence."""
    assert "give a positive whole number of seconds" in refusal(Options, lifetime=value)


def test_unknown_option_is_refused_with_the_nearest_one():
    """The error lists what there is."""
    message = refusal(Options.from_mapping, {"prot": 1})

    assert message.startswith("the adapter 'sample' has no option 'prot'. Did you mean 'port'? It takes: anything, ")
    assert refusal(Options.from_text, {"prot": "1"}) == message


def test_unknown_option_without_a_near_one_is_refused():
    """No far-fetched guess is made, also about a name that is none."""
    assert "has no option 'zzz'. It takes:" in refusal(Options.from_mapping, {"zzz": 1})
    assert "has no option 7. It takes:" in refusal(Options.from_mapping, {7: 1})


READ = {
    "password of digits": ({"password": "0123"}, "password", "0123"),
    "password that says none": ({"password": "none"}, "password", "none"),
    "number": ({"port": "-17"}, "port", -17),
    "float": ({"wait": "2.5"}, "wait", 2.5),
    "true": ({"durable": "True"}, "durable", True),
    "on": ({"durable": "on"}, "durable", True),
    "1 as a bool": ({"durable": "1"}, "durable", True),
    "no": ({"durable": "NO"}, "durable", False),
    "seconds": ({"lifetime": "90"}, "lifetime", 90),
    "seconds with a point": ({"lifetime": "90.0"}, "lifetime", 90),
    "no duration": ({"lifetime": "None"}, "lifetime", None),
    "empty duration": ({"lifetime": ""}, "lifetime", None),
    "path": ({"path": "/var/none"}, "path", Path("/var/none")),
    "path of that name": ({"path": "none"}, "path", Path("none")),
    "empty path": ({"path": ""}, "path", None),
    "word": ({"mode": "safe"}, "mode", "safe"),
    "list": ({"servers": "a, b,,c"}, "servers", ("a", "b", "c")),
    "text that looks like a number": ({"host": "1e5"}, "host", "1e5"),
    "empty text": ({"host": ""}, "host", ""),
    "empty text where None is allowed": ({"name": ""}, "name", None),
}


@pytest.mark.parametrize(("texts", "name", "expected"), READ.values(), ids=READ)
def test_text_is_read_by_the_declared_type(texts, name, expected):
    """The text alone never decides what it means."""
    value = getattr(Options.from_text(texts), name)

    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize(
    "texts",
    [
        {"port": "1_000"},
        {"port": " 1"},
        {"port": "٣"},
        {"port": "1.0"},
        {"port": ""},
        {"port": "9" * 5000},
        {"wait": "nan"},
        {"wait": "inf"},
        {"wait": "1e999"},
        {"wait": "soon"},
        {"durable": "2"},
        {"durable": ""},
        {"lifetime": "nan"},
        {"lifetime": "1e300"},
        {"lifetime": "1h"},
        {"mode": "SAFE"},
        {"extra": "{}"},
    ],
)
def test_text_of_another_type_is_refused(texts):
    """The error says what the option has to be."""
    (name,) = texts

    message = refusal(Options.from_text, texts)

    assert message.startswith(f"the option {name!r} of the adapter 'sample' must be ")
    assert message.endswith("cannot be read as that")


SECRET = "hunter2"


@pytest.mark.parametrize(
    "action",
    [
        lambda: Options(password=[SECRET]),
        lambda: Options(password=SECRET.encode()),
        lambda: Options(password="hu2"),
        lambda: Options(host=["redis://user:hunter2@h"]),
        lambda: Options(extra=[("password", SECRET)]),
        lambda: Options(port="redis://:hunter2@h"),
        lambda: Options.from_text({"port": "redis://:hunter2@h"}),
        lambda: Options.from_mapping({"port": {"password": SECRET}}),
    ],
)
def test_secret_is_never_in_a_message(action):
    """Security requirement 12: not of the option that is secret, nor of one that should not have got it."""
    message = refusal(action)

    assert SECRET not in message
    assert "hu2" not in message


def test_secret_is_never_in_a_repr():
    """Security requirement 12: also where an author forgot to switch the repr of dataclasses off."""
    options = Options(password=SECRET, host="redis://me:hunter2@h", port=1)

    assert repr(options) == "Options(host='redis://***@h', port=1, number=4, password=***)"
    assert SECRET not in f"{options}{options!r}{dataclasses.replace(options, number=2)}"


def test_subclass_may_show_itself():
    """A repr that an author wrote is kept."""

    @dataclass(frozen=True, kw_only=True)
    class Mine(Options):
        def __repr__(self):
            return "mine"

    assert repr(Mine()) == "mine"


def test_default_secret_is_not_in_the_table():
    """Security requirement 12: a table of the documentation shows no password either."""

    @dataclass(frozen=True, kw_only=True)
    class Mine(OptionSet):
        password: str = option(SECRET, doc="the password", secret=True)

    assert tuple(Mine.table()[0]) == ("password", "str", "***", "the password")


def test_table_explains_every_option():
    """Name, type, default and explanation, in the order of the declaration."""
    rows = {row.name: row for row in Options.table()}

    assert list(rows) == [field.name for field in dataclasses.fields(Options)]
    assert tuple(rows["lifetime"]) == ("lifetime", "int or timedelta or None", "None", "seconds")
    assert tuple(rows["mode"]) == ("mode", "'fast' or 'safe'", "'fast'", "how")


def test_paths_are_those_of_the_options_that_take_one():
    """Where they are given and no secret; what happens to look like a path is none."""

    @dataclass(frozen=True, kw_only=True)
    class Options(OptionSet):
        folder: Path | str | None = option(None, doc="a folder")
        other: Path | None = option(None, doc="another one")
        hidden: Path | None = option(None, doc="of a key", secret=True)
        name: str = option("/like/one", doc="a name")

    assert paths_of(Options(folder="/a", hidden=Path("/b"))) == {"folder": "/a"}
    assert paths_of(None) == {}


def test_options_stand_in_the_query_of_a_url():
    """Each is read by its type, after its escapes."""
    options = Options.from_url("sample://?port=1&password=a%26b%2Fc%3F&durable=yes&servers=a,b")

    assert (options.port, options.password, options.durable, options.servers) == (1, "a&b/c?", True, ("a", "b"))
    assert Options.from_url("sample:") == Options()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "sample://host",
            "the URL sample://host has a host, a path or a fragment, which the adapter 'sample' does not",
        ),
        ("sample:///path", "the URL sample:///path has a host, a path or a fragment"),
        ("sample://#x", "has a host, a path or a fragment"),
        ("sample://?port=1&port=2", "the URL gives the option 'port' twice. Give it once"),
        ("sample://?host=%ff", "the query of the URL cannot be read"),
        ("sample://?prot=1", "Did you mean 'port'?"),
        ("sample://?host=a@b", "the URL sample://*** has an @ after its ? or #. Write the characters"),
        ("sample", "the URL sample has no scheme. Begin it with the adapter's name"),
        ("", "has no scheme"),
        ("sample://[::1", "cannot be read: its host or port is malformed"),
    ],
)
def test_bad_url_is_refused(url, message):
    """The error says what is wrong with it."""
    assert message in refusal(Options.from_url, url)


HOSTILE = [
    "sample://user:hunter2@host:1/0",
    "sample://:hunter2@host",
    "sample://hunter2@host",
    "sample://user:hun/hunter2@host/0",
    "sample://user:hunter2/hun@host/0",
    "sample://user:hunter2@@host/0",
    "sample://user:@hunter2@host/0",
    "sample://user:hunter2?x@host/0",
    "sample://user:x?hunter2@host/0",
    "sample://user:hunter2#x@host/0",
    "sample://user:x#hunter2@host/0",
    "sample:hunter2@://host",
    "sample:user:hunter2://",
    "sample://user:hunter2",
    "sample://user:hunter2/0",
    "sample://:hunter2",
    "sample://user:hunter2:6379",
    "sample://host:6379:hunter2",
    "sample://user:hunter2%40host",
    "sample://user:[hunter2@host",
    "sample://[hunter2",
    "sample://h1:1,h2:hunter2",
    "sample://?password=hunter2",
    "sample://host/0?password=a@hunter2",
    "sample://host/0?password=a@b&other=hunter2",
    "sample://host/0?hunter2",
    "sample://host/0?a=1&hunter2",
    "sample://host/0#hunter2",
    "sample://host/0?password=a#hunter2",
    "sample://host/0?password=a?hunter2",
    "sample:user:hunter2@host",
    "sample:hunter2",
    "user:hunter2@host",
    "//user:hunter2@host",
    "sample:/user:hunter2@host",
    "sample://user:x//hunter2@host",
]


def told(action, url):
    """Return what somebody who reads logs learns from a URL."""
    try:
        return repr(action(url))
    except ConfigurationError as error:
        return str(error)


def accept(url):
    """Read the options in a URL as an adapter does that takes a host and a path."""
    return Options.from_text(query_of(split_url(url)))


@pytest.mark.parametrize("url", HOSTILE)
def test_password_in_a_url_is_never_shown(url):
    """Security requirement 12: whatever its characters, and wherever they make the URL fall apart."""
    assert SECRET not in redact(url)
    assert SECRET not in told(Options.from_url, url)
    assert SECRET not in told(accept, url)


@given(st.text("/@?#:%[]&=; 1x", max_size=8), st.text("/@?#:%[]&=; 1x", max_size=8))
def test_password_before_an_at_sign_is_never_shown(before, after):
    """Security requirement 12: a password between unescaped characters of any kind."""
    url = f"sample://user:{before}hunter2{after}@host:1/path"

    assert SECRET not in redact(url)
    assert SECRET not in told(Options.from_url, url)
    assert SECRET not in told(accept, url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sample://host:6379/0", "sample://host:6379/0"),
        ("sample://[::1]:6379/0", "sample://[::1]:6379/0"),
        ("sample://h1:1,h2:2/0", "sample://h1:1,h2:2/0"),
        ("sample:///var/lib/x", "sample:///var/lib/x"),
        ("sample://user:pw@host/0?timeout=5&tls=1", "sample://***@host/0?timeout=***&tls=***"),
        ("sample://host\nevil", "sample://host\N{REPLACEMENT CHARACTER}evil"),
        ("sample", "sample"),
    ],
)
def test_what_is_no_secret_in_a_url_is_shown(url, shown):
    """A reader of the error finds the URL that is meant."""
    assert redact(url) == shown


def test_url_that_cannot_be_read_says_how_to_escape_a_password():
    """The usual reason is a password with unescaped characters."""
    message = refusal(split_url, "sample://user:pass/word@host:1/0")

    assert "Write the characters / ? # @ : and % of a password or an option as %2F" in message
    assert "pass" not in message.replace("of a password", "")


@pytest.mark.parametrize(
    "url", ["sample://h:11211:2", "sample://g,h:11211:2/", "sample://h:1:2,g:1:1?timeout=1", "sample://[::1]:11211:2"]
)
def test_a_weight_behind_the_port_is_told_where_it_belongs(url):
    """The adapter's option takes it in this form, and a URL cannot."""
    assert "The weights of servers stand in the query, as in memcached://" in refusal(split_url, url)


@pytest.mark.parametrize("url", ["sample://h:x", "sample://user:1234:5678/@h:y", "sample://[::1"])
def test_what_looks_like_no_weight_is_not_taken_for_one(url):
    """The mend would be for something else."""
    message = refusal(split_url, url)

    assert "malformed" in message
    assert "weights" not in message


def test_query_keeps_empty_values():
    """An option that is there without a value is there."""
    assert query_of(split_url("sample://?a=&b=1")) == {"a": "", "b": "1"}


@pytest.mark.parametrize("query", ["a", "a=1&b", "=1", "a-b=1", "a=1&", "a=%ff", "%ff=1"])
def test_query_that_is_none_is_refused(query):
    """A part that is no option with a value is never passed over."""
    assert "Write name=value&name=value" in refusal(query_of, split_url(f"sample://?{query}"))


def test_any_frozen_dataclass_is_checked_alike():
    """An author need not extend our base."""

    @dataclass(frozen=True)
    class Plain:
        size: int
        label: str = "x"

    assert build(Plain, {"size": 3}) == Plain(3)
    assert parse(Plain, {"size": "3"}) == {"size": 3}
    assert refusal(build, Plain, {"size": "3"}).endswith("must be int, not '3' (str)")
    assert refusal(build, Plain, {}).endswith("is missing, and has no default. Give it")
    assert "has no option 'sise'. Did you mean 'size'?" in refusal(build, Plain, {"sise": 3})


def test_types_that_are_not_there_at_run_time_are_told_to_the_author():
    """A type that only a type checker imports cannot be checked."""

    @dataclass(frozen=True, kw_only=True)
    class Mine(OptionSet):
        lifetime: Missing = option(None, doc="x")  # noqa: F821

    with pytest.raises(ConfigurationError, match="Import it outside of TYPE_CHECKING"):
        Mine()


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        (int | None, "int or None"),
        (Sequence[str], "sequence of str"),
        (Mapping[str, object], "mapping"),
        (Literal["a", "b"] | None, "'a' or 'b' or None"),
        (dict[str, int], "dict"),
        (object, "object"),
    ],
)
def test_types_are_described_in_words(declared, words):
    """As they stand in error messages and tables."""
    assert describe(declared) == words


def test_several_hosts_are_told_apart():
    """``hosts_of`` reads what stands between commas, with and without ports."""
    parts = split_url("sample://ann:pw@one:1,[::1]:2,three/0")

    assert hosts_of(parts) == [("one", 1), ("::1", 2), ("three", None)]
    assert hosts_of(split_url("sample:///path")) == []
    assert "malformed" in refusal(split_url, "sample://one:1,two:x")
    assert "hunter2" not in refusal(split_url, "sample://ann:1,hunter2/x@host:1/0")
