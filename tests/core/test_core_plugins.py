"""Plugins and adapters of other distributions, as an application meets them: by name, and each for itself."""

import sys

import importlib_metadata
import pytest
from sessionbag import AdapterFactory, ConfigurationError, ManagerFactory
from sessionbag.errors import AdapterAmbiguous, AdapterIncompatible, AdapterIncomplete, AdapterLoadError
from sessionbag.factory.discovery import offers

LISTENER = """
from sessionbag import hookimpl
heard = []
class Listener:
    @hookimpl
    def session_saved(self, key):
        heard.append(key)
"""
FAILING = LISTENER.replace("heard.append(key)", "raise RuntimeError('no ear')")
MISSPELT = LISTENER.replace("session_saved", "session_savd")
WRONG_ARGUMENT = LISTENER.replace("self, key", "self, session_id")

ACME = "from sessionbag.adapters import Memory as Acme\n"
OUTDATED = "from sessionbag.adapters import Memory\nclass Acme(Memory):\n    api_version = 99\n"
INCOMPLETE = "class Acme:\n    api_version = 1\n    evicts = False\n"


def visit(factory):
    with factory.new_instance() as session:
        session["visits"] = 1


def test_plugin_is_switched_on_by_its_name_and_not_by_being_installed(site):
    """One that nobody names is not even imported."""
    site.install("acme-ear", modules={"ear": LISTENER}, plugins={"ear": "ear:Listener"})
    site.install("acme-other", modules={"other": LISTENER}, plugins={"other": "other:Listener"})

    with ManagerFactory(adapter="memory", plugins=["ear"]) as factory:
        visit(factory)

    assert len(sys.modules["ear"].heard) == 1
    assert "other" not in sys.modules


def test_plugin_that_raises_stops_neither_the_request_nor_the_next_plugin(site, caplog):
    """Its failure is logged with its name."""
    site.install("acme-ear", modules={"ear": LISTENER}, plugins={"ear": "ear:Listener"})
    site.install("acme-bad", modules={"bad": FAILING}, plugins={"bad": "bad:Listener"})

    with ManagerFactory(adapter="memory", plugins=["ear", "bad"]) as factory:
        visit(factory)

    assert len(sys.modules["ear"].heard) == 1
    assert "the plugin 'bad' failed in the hook 'session_saved'" in caplog.text


@pytest.mark.parametrize(
    ("source", "words"),
    [(MISSPELT, "Did you mean 'session_saved'"), (WRONG_ARGUMENT, "Name some of these, as plain arguments: key")],
)
def test_plugin_with_a_mistake_is_refused_when_the_application_starts(site, source, words):
    """A hook or an argument that does not exist is answered with the right name."""
    site.install("acme-ear", modules={"ear": source}, plugins={"ear": "ear:Listener"})

    with pytest.raises(ConfigurationError, match=words):
        ManagerFactory(adapter="memory", plugins=["ear"])


def test_bad_adapters_leave_a_good_one_alone(site):
    """A broken, a doubly named, an incomplete and an outdated one: each fails for itself, by its own error."""
    site.install("acme-good", modules={"good": ACME}, adapters={"good": "good:Acme"})
    site.install("acme-broken", modules={"broken": "import nowhere"}, adapters={"broken": "broken:Acme"})
    site.install("acme-two", modules={"two": ACME}, adapters={"twice": "two:Acme"})
    site.install("acme-three", modules={"three": ACME}, adapters={"twice": "three:Acme"})
    site.install("acme-half", modules={"half": INCOMPLETE}, adapters={"half": "half:Acme"})
    site.install("acme-new", modules={"new": OUTDATED}, adapters={"new": "new:Acme"})
    expected = {
        "broken": AdapterLoadError,
        "twice": AdapterAmbiguous,
        "half": AdapterIncomplete,
        "new": AdapterIncompatible,
    }

    with ManagerFactory(adapter="good") as factory:
        visit(factory)
    for name, error in expected.items():
        with pytest.raises(error):
            AdapterFactory().new_instance(name)
    with ManagerFactory(adapter="good") as factory:
        visit(factory)


def test_discovery_among_many_distributions_reads_each_once(site, monkeypatch):
    """One file of each of 300 strangers, no other one of theirs, and nothing at all at the second time."""
    for number in range(300):
        site.install(f"stranger-{number}")
    site.install("acme-good", modules={"good": ACME}, adapters={"good": "good:Acme"})
    reads = []
    read_text = importlib_metadata.PathDistribution.read_text
    monkeypatch.setattr(
        importlib_metadata.PathDistribution,
        "read_text",
        lambda self, name: reads.append((self._path.name, name)) or read_text(self, name),
    )

    found = [offer for offer in offers() if offer.name == "good"]
    first = list(reads)
    AdapterFactory().new_instance("good")
    AdapterFactory().available()

    assert len(found) == 1
    assert [name for folder, name in first if folder.startswith("stranger")] == ["entry_points.txt"] * 300
    assert reads == first
