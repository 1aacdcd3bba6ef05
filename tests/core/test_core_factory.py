"""From names to adapters, serializers, ciphers and plugins: real distributions, read from their metadata."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import importlib_metadata
import pytest
from sessionbag.adapters import Memory, Noop
from sessionbag.errors import (
    AdapterAmbiguous,
    AdapterError,
    AdapterIncompatible,
    AdapterIncomplete,
    AdapterLoadError,
    AdapterNotFound,
    CapabilityMissing,
    ConfigurationError,
    SessionError,
)
from sessionbag.factory import (
    AdapterFactory,
    Available,
    CipherFactory,
    PluginFactory,
    SerializerFactory,
    check_handler,
    require,
)
from sessionbag.handler import LockingHandler, ScanningHandler

ACME = "from sessionbag.adapters import Memory\nclass Acme(Memory):\n    pass\n"

COMPLETE = """
class Plain:
    api_version = 1
    evicts = False
    def open(self, save_path, session_name): return True
    def close(self): return True
    def read(self, key, ttl=None): return None
    def write(self, key, data, ttl, *, expected): return None
    def destroy(self, key, *, expected=None): return False
    def gc(self, max_lifetime, *, budget=None): return 0
"""


def run(source, *arguments):
    """Run a program in a process of its own and return what it printed."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source, *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_installed_adapter_is_found_by_its_name(site):
    """Installing a distribution is all that it takes to use its adapter."""
    site.install("acme-store", modules={"acme": ACME}, adapters={"acme": "acme:Acme"})

    handler = AdapterFactory().new_instance("acme", {"prefix": "x-", "max_records": 5})

    assert type(handler).__module__ == "acme"
    assert handler.options.max_records == 5


def test_only_the_adapter_asked_for_is_imported(site):
    """Neither importing the package nor listing names imports an adapter, and using one imports only that one."""
    site.install("acme-one", modules={"acme_one": ACME}, adapters={"one": "acme_one:Acme"})
    site.install("acme-two", modules={"acme_two": ACME}, adapters={"two": "acme_two:Acme"})
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import sessionbag, sessionbag.factory
early = [name for name in ("importlib_metadata", "pluggy") if name in sys.modules]
factory = sessionbag.factory.AdapterFactory()
names = [one.name for one in factory.available()]
listed = [name for name in ("acme_one", "acme_two") if name in sys.modules]
factory.new_instance("two")
print(early, "one" in names and "two" in names, listed, [n for n in ("acme_one", "acme_two") if n in sys.modules])
"""

    assert run(program, str(site.path)) == "[] True [] ['acme_two']"


def test_available_names_who_provides_what(site):
    """Every name stands with distribution, version and target, in alphabetical order; a broken one too."""
    site.install("Acme_Store", version="2.1", adapters={"zz-acme": "not_there:Acme"})

    listed = AdapterFactory(services={"aa-mine": Noop}).available()

    assert listed[0] == Available("aa-mine", None, None, "sessionbag.adapters.noop:Noop")
    assert listed[-1] == Available("zz-acme", "Acme_Store", "2.1", "not_there:Acme")
    assert [one.name for one in listed] == sorted(one.name for one in listed)


def test_metadata_are_read_once(site, monkeypatch):
    """However many factories, threads and names: the distributions of an unchanged import path are read once."""
    site.install("acme-store", modules={"acme": ACME}, adapters={"acme": "acme:Acme"})
    reads = []
    read = importlib_metadata.distributions
    monkeypatch.setattr(importlib_metadata, "distributions", lambda: reads.append(1) or read())
    factory = AdapterFactory()

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(factory.new_instance, ["acme", "memory", "noop"] * 8))
    SerializerFactory().available()
    AdapterFactory().available()

    assert len(made) == 24
    assert reads == [1]


def test_metadata_are_not_read_before_they_are_needed(site, monkeypatch):
    """A factory that is given all it needs never looks at what is installed."""
    monkeypatch.setattr(importlib_metadata, "distributions", lambda: pytest.fail("read"))
    site.touch()

    factory = AdapterFactory(services={"mine": Memory})

    assert isinstance(factory.new_instance("mine"), Memory)
    assert isinstance(factory.new_instance("sessionbag.adapters:Noop"), Noop)


def test_what_is_installed_later_is_seen_by_a_new_factory(site):
    """Discovery is kept by the factory, not for ever by the process."""
    before = AdapterFactory()
    names = [one.name for one in before.available()]
    site.install("acme-store", modules={"acme": ACME}, adapters={"acme": "acme:Acme"})

    assert "acme" not in names
    assert isinstance(AdapterFactory().new_instance("acme"), Memory)
    with pytest.raises(AdapterNotFound):
        before.new_instance("acme")


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("rediss", "Install it with: pip install sessionbag-redis"),
        ("redis+cluster", "Install it with: pip install sessionbag-redis"),
        ("memcached", "Install it with: pip install sessionbag-memcached"),
        ("libmemcached", "Install it with: pip install sessionbag-memcached"),
    ],
)
def test_adapter_of_ours_that_is_not_installed_names_the_command(name, mend, monkeypatch):
    """Whoever names an adapter of this project is told how to get it."""
    monkeypatch.setattr("sessionbag.factory.discovery._read", list)
    monkeypatch.setattr("sessionbag.factory.discovery._cache._state", None)

    with pytest.raises(AdapterNotFound) as caught:
        AdapterFactory(services={"mine": Memory}).new_instance(name)

    assert str(caught.value) == f"no adapter is named {name!r} (installed: mine). {mend}"
    assert caught.value.name == name


def test_misspelt_adapter_of_ours_gets_the_nearest_name(monkeypatch):
    """The nearest match is offered also among what could be installed."""
    monkeypatch.setattr("sessionbag.factory.discovery._read", list)
    monkeypatch.setattr("sessionbag.factory.discovery._cache._state", None)

    with pytest.raises(
        AdapterNotFound, match=r"'memcachd'.*Did you mean 'memcached'\? .*pip install sessionbag-memcached"
    ):
        AdapterFactory().new_instance("memcachd")


def test_misspelt_adapter_gets_the_nearest_name(site):
    """The nearest match is offered, among what is installed."""
    site.install("acme-store", modules={"acme": ACME}, adapters={"acme-store": "acme:Acme"})

    with pytest.raises(AdapterNotFound, match=r"no adapter is named 'acmestore' .*Did you mean 'acme-store'\?$"):
        AdapterFactory().new_instance("acmestore")
    with pytest.raises(
        AdapterNotFound, match=r"\(installed: .*acme-store, .*memory, noop.*Install the distribution that"
    ):
        AdapterFactory().new_instance("qqq")


def test_broken_adapter_harms_nobody_else(site):
    """An adapter that cannot be imported is an error that names it, and the others work."""
    site.install("acme-broken", version="0.9", modules={"broken": "import nowhere"}, adapters={"broken": "broken:Acme"})
    factory = AdapterFactory()

    with pytest.raises(AdapterLoadError) as caught:
        factory.new_instance("broken")

    assert "acme-broken 0.9 (broken:Acme) cannot be loaded: ModuleNotFoundError: No module named 'nowhere'" in str(
        caught.value
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert isinstance(caught.value, ImportError)
    assert isinstance(factory.new_instance("memory"), Memory)


@pytest.mark.parametrize("target", ["acme:Missing", "acme", "acme:number", "acme:", "::"])
def test_entry_point_that_leads_nowhere_is_a_load_error(site, target):
    """A target that is missing, malformed or no class is the adapter's fault, said in one error."""
    site.install("acme-odd", modules={"acme": "number = 5"}, adapters={"odd": target})

    with pytest.raises(AdapterLoadError, match=r"'odd' from acme-odd 1.0"):
        AdapterFactory().new_instance("odd")


def test_two_distributions_with_one_name_ask_for_a_choice(site):
    """Both are named, and so is the option that chooses; the choice then counts, however it is spelt."""
    site.install("acme-redis", modules={"acme": ACME}, adapters={"store": "acme:Acme"})
    site.install("other-redis", version="3", modules={"other": ACME}, adapters={"store": "other:Acme"})

    with pytest.raises(AdapterAmbiguous) as caught:
        AdapterFactory().new_instance("store")

    assert "acme-redis 1.0 (acme:Acme)" in str(caught.value)
    assert "other-redis 3 (other:Acme)" in str(caught.value)
    assert 'prefer={"store": "' in str(caught.value)
    chosen = AdapterFactory(prefer={"store": "Other_Redis"}).new_instance("store")
    assert type(chosen).__module__ == "other"


def test_preferred_distribution_that_does_not_provide_the_name_is_refused(site):
    """A preference is a promise: another distribution never slips in."""
    site.install("other-redis", modules={"other": ACME}, adapters={"store": "other:Acme"})

    with pytest.raises(
        AdapterNotFound, match=r"'store' to 'acme-redis', which does not provide it. Provided by: other-"
    ):
        AdapterFactory(prefer={"store": "acme-redis"}).new_instance("store")


def test_distribution_that_is_installed_twice_is_not_ambiguous(make_site):
    """An editable install beside a wheel of the same distribution: the first on the path counts, as for an import."""
    make_site().install("acme-store", version="1.0", modules={"acme": ACME}, adapters={"acme": "acme:Acme"})
    make_site().install("Acme_Store", version="2.0", modules={"acme": ACME}, adapters={"acme": "acme:Acme"})
    factory = AdapterFactory()

    assert isinstance(factory.new_instance("acme"), Memory)
    assert [one.version for one in factory.available() if one.name == "acme"] == ["2.0"]


def test_damaged_metadata_of_a_stranger_do_no_harm(site, caplog):
    """A distribution whose metadata cannot be read is logged and passed over."""
    folder = site.install("stranger", adapters={"stranger": "x:Y"})
    (folder / "entry_points.txt").write_text("[sessionbag.adapters]\nthis is no entry point\n")
    (folder / "METADATA").unlink()
    site.touch()

    assert isinstance(AdapterFactory().new_instance("memory"), Memory)
    assert "stranger" not in [one.name for one in AdapterFactory().available()]
    assert [record.name for record in caplog.records] == ["sessionbag.factory.discovery"]


@pytest.mark.parametrize(
    ("version", "mend"), [(2, "Upgrade sessionbag"), (0, "Upgrade the adapter"), ("'1'", "Upgrade the adapter")]
)
def test_adapter_for_another_spec_is_refused(site, version, mend):
    """Both versions of the handler spec are named, and which side to upgrade."""
    source = COMPLETE.replace("api_version = 1", f"api_version = {version}")
    site.install("acme-old", modules={"acme": source}, adapters={"old": "acme:Plain"})

    with pytest.raises(AdapterIncompatible) as caught:
        AdapterFactory().new_instance("old")

    assert f"is written for version {version} of the handler spec" in str(caught.value)
    assert str(caught.value).endswith(f"this sessionbag speaks version 1. {mend}")


@pytest.mark.parametrize("member", ["open", "close", "read", "write", "destroy", "gc", "evicts", "api_version"])
def test_missing_member_is_named(site, member):
    """An adapter that lacks a member of the handler spec is refused before it is used."""
    source = "\n".join(line for line in COMPLETE.splitlines() if f" {member}" not in line)
    site.install("acme-half", modules={"acme": source}, adapters={"half": "acme:Plain"})

    with pytest.raises(AdapterIncomplete, match=rf"'half'.* lacks '{member}' of the handler spec"):
        AdapterFactory().new_instance("half")


def test_forgotten_abstract_method_is_named(site):
    """A subclass of the base class that leaves methods out is told which."""
    source = """
from sessionbag.adapters import AbstractAdapter
class Half(AbstractAdapter):
    def open(self, save_path, session_name): return True
    def close(self): return True
    def read(self, key, ttl=None): return None
    def destroy(self, key, *, expected=None): return True
"""
    site.install("acme-half", modules={"acme": source}, adapters={"half": "acme:Half"})

    with pytest.raises(AdapterIncomplete, match=r"lacks 'write', 'gc' of the handler spec"):
        AdapterFactory().new_instance("half")


def test_async_adapter_is_not_taken_for_a_sync_one(site):
    """Its methods would answer with coroutines, which are all true."""
    source = COMPLETE.replace("    def", "    async def")
    site.install("acme-async", modules={"acme": source}, adapters={"later": "acme:Plain"})

    with pytest.raises(AdapterIncomplete, match=r"has async methods"):
        AdapterFactory().new_instance("later")


def test_every_error_of_an_adapter_is_a_session_error():
    """One except clause is enough for an application's start."""
    with pytest.raises(SessionError) as caught:
        AdapterFactory().new_instance("nothing")

    assert isinstance(caught.value, (AdapterError, ConfigurationError))


def test_module_and_class_stand_where_a_name_does(site):
    """For adapters that are part of the application, nothing has to be installed."""
    (site.path / "shop_store.py").write_text("class Outer:\n    from sessionbag.adapters import Memory as Inner\n")

    assert isinstance(AdapterFactory().new_instance("shop_store:Outer.Inner"), Memory)
    with pytest.raises(AdapterLoadError, match=r"'shop_store:Nothing'"):
        AdapterFactory().new_instance("shop_store:Nothing")
    with pytest.raises(AdapterLoadError, match=r"No module named 'shop_stor'"):
        AdapterFactory().new_instance("shop_stor:Outer")


def test_name_of_the_application_stands_before_an_installed_one():
    """Services given to the constructor or registered later count for this factory only."""
    factory = AdapterFactory(services={"memory": Noop})
    factory.register("mine", Memory)

    assert isinstance(factory.new_instance("memory"), Noop)
    assert isinstance(factory.new_instance("mine"), Memory)
    assert isinstance(AdapterFactory().new_instance("memory"), Memory)
    with pytest.raises(ConfigurationError, match=r"give a class, not Memory"):
        factory.register("made", Memory())


def test_configuration_of_an_adapter_is_loaded():
    """``load`` takes what a configuration file holds, and refuses what is not meant for it."""
    factory = AdapterFactory()

    assert factory.load({"adapter": "memory", "options": {"prefix": "x"}}).prefix == "x"
    assert factory.load({"adapter": "noop"}).prefix == ""
    with pytest.raises(ConfigurationError, match=r"has no 'option'. It takes: adapter, options"):
        factory.load({"adapter": "noop", "option": {}})
    with pytest.raises(ConfigurationError, match=r"needs 'adapter'"):
        factory.load({"options": {}})
    with pytest.raises(ConfigurationError, match=r"a mapping of names to values, not str"):
        factory.load({"adapter": "noop", "options": "prefix"})


def test_unknown_or_ill_typed_option_names_the_accepted_ones():
    """What an adapter's Options declare is what it takes."""
    factory = AdapterFactory()

    with pytest.raises(
        ConfigurationError, match=r"no option 'prefx'. Did you mean 'prefix'\? It takes: lifetime, max_rec"
    ):
        factory.new_instance("memory", {"prefx": "a"})
    with pytest.raises(ConfigurationError, match=r"'max_records' of the adapter 'memory' must be int, not '5' "):
        factory.new_instance("memory", {"max_records": "5"})


def test_adapter_without_options_takes_none(site):
    """The handler spec does not ask for Options; then the class is made without arguments."""
    site.install("acme-plain", modules={"acme": COMPLETE}, adapters={"plain": "acme:Plain"})
    factory = AdapterFactory()

    assert factory.new_instance("plain").evicts is False
    with pytest.raises(ConfigurationError, match=r"the adapter 'plain' takes no options. Leave out: host"):
        factory.new_instance("plain", {"host": "h"})
    with pytest.raises(ConfigurationError, match=r"takes no options. Leave out: host"):
        factory.new_instance("plain://?host=h")
    with pytest.raises(ConfigurationError, match=r"has a host, a path or a fragment"):
        factory.new_instance("plain://host")


def test_constructor_that_needs_arguments_is_told_how_options_are_declared(site):
    """An author who forgot Options gets told, rather than a bare TypeError."""
    source = COMPLETE + "    def __init__(self, client): pass\n"
    site.install("acme-plain", modules={"acme": source}, adapters={"plain": "acme:Plain"})

    with pytest.raises(ConfigurationError, match=r"Declare them in a frozen dataclass named Options"):
        AdapterFactory().new_instance("plain")


def test_any_frozen_dataclass_serves_as_options(site):
    """An author needs none of our base classes, and gets checking and URLs all the same."""
    source = COMPLETE + (
        "    def __init__(self, options): self.options = options\n"
        "    from dataclasses import dataclass\n"
        "    @dataclass(frozen=True)\n"
        "    class Options:\n"
        "        size: int\n"
        "        color: str = 'red'\n"
    )
    site.install("acme-plain", modules={"acme": source}, adapters={"plain": "acme:Plain"})
    factory = AdapterFactory()

    assert factory.new_instance("plain", {"size": 5}).options.color == "red"
    assert factory.new_instance("plain://?size=5&color=0123").options.color == "0123"
    with pytest.raises(ConfigurationError, match=r"size"):
        factory.new_instance("plain")
    with pytest.raises(ConfigurationError, match=r"It takes: color, size"):
        factory.new_instance("plain", {"size": 5, "colour": "blue"})


def test_url_stands_for_name_and_options():
    """The scheme is the name, the query holds the options, and options beside the URL add to it."""
    handler = AdapterFactory().new_instance("memory://?max_records=7", {"prefix": "x"})

    assert (handler.options.max_records, handler.options.prefix) == (7, "x")


def test_option_in_the_url_and_beside_it_must_agree():
    """Nobody has to guess which of two values counts."""
    factory = AdapterFactory()

    assert factory.new_instance("memory://?max_records=7", {"max_records": 7}).options.max_records == 7
    with pytest.raises(ConfigurationError, match=r"'max_records' stands in the URL memory://\?max_records=\*\*\*"):
        factory.new_instance("memory://?max_records=7", {"max_records": 8})


@pytest.mark.parametrize(
    "name",
    ["nosql://ann:hunter2@host/0", "nosql://host/?password=hunter2", "nosql:hunter2@host", "nosql:hunter2@:Class"],
)
def test_password_in_a_name_is_never_shown(name):
    """Requirement 12: an unknown scheme is reported without what may be a password."""
    with pytest.raises(AdapterError) as caught:
        AdapterFactory().new_instance(name)

    assert "hunter2" not in f"{caught.value} {caught.value.name} {caught.value!r}"


def test_capability_that_an_adapter_lacks_is_named():
    """Asking for a part that is missing says who asks and who lacks it."""
    require(Memory(), ScanningHandler, "sessions_of()")

    with pytest.raises(
        CapabilityMissing, match='concurrency="lock" needs an adapter that is a LockingHandler, and Noop'
    ):
        require(Noop(), LockingHandler, 'concurrency="lock"')


def test_object_that_is_no_handler_is_refused():
    """A store's client given as adapter is a common mistake."""
    memory = Memory()

    assert check_handler(memory) is memory
    with pytest.raises(
        AdapterIncomplete, match=r"object of builtins.dict given as adapter lacks 'api_version', 'evicts'"
    ):
        check_handler({})


def test_serializers_are_found_like_adapters(site):
    """By name, module:Class, class or instance; the same kinds of message, as plain configuration errors."""
    site.install("acme-format", serializers={"half": "builtins:object", "odd": "builtins:len"})
    factory = SerializerFactory()

    json = factory.new_instance("json")
    assert json.name == "json"
    assert factory.new_instance(json) is json
    assert factory.new_instance(type(json)).name == "json"
    with pytest.raises(ConfigurationError, match=r"no serializer is named 'jsn' .*Did you mean 'json'\?"):
        factory.new_instance("jsn")
    with pytest.raises(ConfigurationError, match=r"the serializer 'half' lacks 'name', 'bare', 'dumps', 'loads'"):
        factory.new_instance("half")
    with pytest.raises(ConfigurationError, match=r"the serializer 'odd' is no class"):
        factory.new_instance("odd")
    with pytest.raises(ConfigurationError, match=r"the object given as serializer lacks 'name'"):
        factory.new_instance(5)
    assert "half" in [one.name for one in factory.available()]


def test_ciphers_are_made_with_their_options(site):
    """A cipher declares its options as an adapter does; an instance has them already."""

    class Cipher:
        @dataclass(frozen=True)
        class Options:
            key: bytes

        def __init__(self, options):
            self.key_name = options.key.decode()

        def seal(self, key, header, body):
            return body

        def open(self, key, header, sealed):
            return sealed

    factory = CipherFactory(services={"rot0": Cipher})
    factory.register("rot1", Cipher)

    made = factory.new_instance("rot0", {"key": b"k1"})
    assert made.key_name == "k1"
    assert factory.new_instance(made) is made
    with pytest.raises(ConfigurationError, match=r"given as an object, which has its options already. Leave out: key"):
        factory.new_instance(made, {"key": b"k1"})
    with pytest.raises(ConfigurationError, match=r"no cipher is named 'aes'"):
        factory.new_instance("aes")


def test_plugins_are_made_by_name_and_by_object(site):
    """A class is made, with its options where it declares some; modules and objects are taken as they are."""
    source = "class Diary:\n    pass\nready = Diary()\n"
    site.install(
        "acme-diary", modules={"acme_diary": source}, plugins={"diary": "acme_diary:Diary", "all": "acme_diary"}
    )
    mine, other = object(), object()

    made = PluginFactory().new_instances(["diary", "all", mine, other, "acme_diary:ready"], {})

    assert list(made) == ["diary", "all", "object", "object#2", "acme_diary:ready"]
    assert type(made["diary"]).__name__ == "Diary"
    assert made["all"].__name__ == "acme_diary"
    assert made["object"] is mine
    assert made["object#2"] is other


def test_options_of_plugins_are_checked(site):
    """Options go to a plugin that is named and that takes them."""
    site.install(
        "acme-diary", modules={"acme_diary": "class Diary:\n    pass\n"}, plugins={"diary": "acme_diary:Diary"}
    )
    factory = PluginFactory()

    with pytest.raises(ConfigurationError, match=r"plugin_options are given for 'dairy', .* \(diary\)"):
        factory.new_instances(["diary"], {"dairy": {}})
    with pytest.raises(ConfigurationError, match=r"the plugin 'diary' takes no options. Leave out: level"):
        factory.new_instances(["diary"], {"diary": {"level": 1}})
    with pytest.raises(ConfigurationError, match=r"the plugin 'diary' is given twice"):
        factory.new_instances(["diary", "diary"], {})
    with pytest.raises(ConfigurationError, match=r"no plugin is named 'dairy'"):
        factory.new_instances(["dairy"], {})


def test_a_folder_that_could_not_be_read_once_does_not_hide_the_adapters(monkeypatch, site):
    """A moment with too many open files is over with the next look."""

    def listdir(path="."):
        raise OSError(errno.EMFILE, "Too many open files")

    site.touch()  # so that everything is read again
    with monkeypatch.context() as moment:
        moment.setattr(os, "listdir", listdir)
        with pytest.raises(AdapterNotFound):
            AdapterFactory().new_instance("memory")

    assert isinstance(AdapterFactory().new_instance("memory"), Memory)
