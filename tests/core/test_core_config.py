"""One configuration, wherever it comes from: what it resolves to, and what is refused when it is loaded."""

import dataclasses
import os
import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sessionbag.adapters import Memory, Noop
from sessionbag.config import FactoryOptions, ManagerFactory
from sessionbag.cookies import CookiePolicy
from sessionbag.errors import (
    AdapterIncomplete,
    AdapterNotFound,
    CapabilityMissing,
    ConfigurationError,
    SessionError,
    StoreUnavailable,
)
from sessionbag.factory import registry
from sessionbag.hookspecs import hookimpl
from sessionbag.options import option
from sessionbag.serializers import JsonSerializer


class Bare(JsonSerializer):
    """A serializer whose bytes are shared with other software."""

    name = "bare"
    bare = True


class Recorder(Memory):
    """Writes down how it is opened, collected and closed."""

    @dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
    class Options(Memory.Options):
        """A path and a password, as a store's options have them."""

        save_path: str | None = option(None, doc="a path")
        password: str = option("", doc="a password", secret=True)

    def __init__(self, options=None):
        super().__init__(options)
        self.calls = []

    def open(self, save_path, session_name):
        self.calls.append(("open", save_path, session_name))
        return True

    def gc(self, max_lifetime, *, budget=None):
        self.calls.append(("gc", max_lifetime, budget))
        return 3

    def close(self):
        self.calls.append(("close",))
        return True


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Take away what the tests themselves are configured with."""
    for name in [name for name in os.environ if name.startswith("SESSIONBAG_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a TOML file."""

    def written(text):
        path = tmp_path / "app.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def made(source, *arguments, **options):
    """Make a factory, close it and return it: what it resolved to is still there."""
    with source(*arguments, **options) as factory:
        return factory


def refused(kind, *arguments, source=ManagerFactory, **options):
    """Return the message with which a configuration is refused."""
    with pytest.raises(kind) as caught:
        source(*arguments, **options).close()
    return str(caught.value)


def test_defaults_are_those_of_the_documentation():
    """An adapter's name is all that has to be given."""
    options = made(ManagerFactory, adapter="memory").options

    assert (options.name, options.lifetime, options.absolute_lifetime) == ("session", 3600, 86400)
    assert (options.rotate_every, options.rotation_grace, options.unique_id) == (None, 60, "")
    assert (options.concurrency, options.lock_wait, options.lock_lease) == ("merge", 10, 30)
    assert (options.serializer, options.cipher, options.hash_ids, options.enabled) == ("msgpack", None, True, True)
    assert options.cookie == CookiePolicy()


def test_all_sources_resolve_to_the_same(write):
    """Keywords, a mapping, a URL, TOML and the environment are five ways to say one thing."""
    path = write(
        """
        [tool.sessionbag]
        adapter = "memory"
        lifetime = 600
        absolute_lifetime = "none"
        [tool.sessionbag.options]
        prefix = "s-"
        [tool.sessionbag.cookie]
        secure = true
        """
    )
    plain = {"adapter": "memory", "lifetime": 600, "absolute_lifetime": None, "options": {"prefix": "s-"}}
    beside = {"lifetime": timedelta(minutes=10), "absolute_lifetime": None, "cookie": CookiePolicy(secure=True)}
    variables = {
        "SESSIONBAG_ADAPTER": "memory",
        "SESSIONBAG_LIFETIME": "600",
        "SESSIONBAG_ABSOLUTE_LIFETIME": "none",
        "SESSIONBAG_OPTIONS_PREFIX": "s-",
        "SESSIONBAG_COOKIE_SECURE": "yes",
        "HOME": "/root",
    }
    factories = [
        made(ManagerFactory, **plain, cookie={"secure": True}),
        made(ManagerFactory.from_config, {**plain, "cookie": {"secure": True}}),
        made(ManagerFactory.from_url, "memory://?prefix=s-", **beside),
        made(ManagerFactory.from_toml, path),
        made(ManagerFactory.from_env, variables),
    ]

    assert [factory.handler.prefix for factory in factories] == ["s-"] * 5
    assert [factory.options.lifetime for factory in factories] == [600] * 5
    assert [factory.options.absolute_lifetime for factory in factories] == [None] * 5
    assert [factory.cookies for factory in factories] == [CookiePolicy(secure=True)] * 5


def test_environment_of_the_process_is_the_default(monkeypatch):
    """``from_env()`` reads what the process was started with."""
    monkeypatch.setenv("SESSIONBAG_URL", "memory://?max_records=5")
    monkeypatch.setenv("SESSIONBAG_LOCK_WAIT", "0.5")

    factory = made(ManagerFactory.from_env)

    assert factory.handler.options.max_records == 5
    assert factory.options.lock_wait == 0.5


def test_factory_makes_managers_that_share_the_store():
    """What one request saved, the next one reads."""
    with ManagerFactory(adapter="memory") as factory:
        first = factory.new_instance()
        first["user"] = "ann"
        first.save()
        second = factory.new_instance(first.get_id())

        assert second["user"] == "ann"


def test_adapter_is_opened_at_construction_and_closed_once():
    """What is wrong with the store shows when the application starts."""
    handler = Recorder(Recorder.Options(save_path="/srv/s"))
    factory = ManagerFactory(adapter=handler, name="shop")
    factory.close()
    factory.close()

    assert handler.calls == [("open", "/srv/s", "shop"), ("close",)]
    with pytest.raises(SessionError, match=r"this ManagerFactory is closed"):
        factory.new_instance()


def test_adapter_without_a_path_is_opened_with_none():
    """The save path is the adapter's option of that name, or the empty text."""
    assert made(ManagerFactory, adapter=Recorder).handler.calls[0] == ("open", "", "session")
    assert made(ManagerFactory, adapter=Recorder, options={"save_path": "/p"}).handler.calls[0] == (
        "open",
        "/p",
        "session",
    )


def test_adapter_that_does_not_open_is_an_outage():
    """An adapter may say no without an exception."""

    class Shut(Memory):
        def open(self, save_path, session_name):
            return False

    assert "the adapter" in refused(StoreUnavailable, adapter=Shut())


def test_gc_passes_the_larger_lifetime_and_tells_its_end():
    """A record without a deadline of its own is bounded by the longer of the two clocks."""
    heard = []

    class Audit:
        @hookimpl
        def gc_finished(self, removed, seconds):
            heard.append((removed, seconds >= 0))

    with ManagerFactory(adapter=Recorder, lifetime=100, absolute_lifetime=50, plugins=[Audit]) as short:
        assert short.gc() == 3
        assert short.gc(budget=0.5) == 3
    with ManagerFactory(adapter=Recorder, lifetime=100, absolute_lifetime=200) as long:
        long.gc()

    assert short.handler.calls[1:3] == [("gc", 100, None), ("gc", 100, 0.5)]
    assert long.handler.calls[1] == ("gc", 200, None)
    assert heard == [(3, True)] * 2


def test_gc_in_an_outage_is_told_and_raised():
    """The hook hears of the outage, and so does the caller."""
    heard = []

    class Down(Memory):
        def gc(self, max_lifetime, *, budget=None):
            raise StoreUnavailable("no answer")

    class Audit:
        @hookimpl
        def store_failed(self, operation, error):
            heard.append((operation, str(error)))

    with ManagerFactory(adapter=Down(), plugins=[Audit()]) as factory, pytest.raises(StoreUnavailable):
        factory.gc()

    assert heard == [("gc", "no answer")]


def test_disabled_sessions_open_no_adapter(monkeypatch):
    """With ``enabled=False`` the store need not even be installed, and nothing is stored."""
    factory = ManagerFactory(adapter="redis://nowhere/0", enabled=False)
    manager = factory.new_instance("ab" * 32)

    assert manager.status().name == "SESSION_DISABLED"
    assert isinstance(factory.handler, Noop)
    assert factory.gc() == 0
    factory.close()


def test_unknown_option_is_refused_with_the_nearest():
    """What a later version may know is unknown now, and said so."""
    assert "no option 'lifetim'. Did you mean 'lifetime'?" in refused(ConfigurationError, adapter="memory", lifetim=5)
    assert "no option 'principal_indx'" in refused(ConfigurationError, adapter="memory", principal_indx=True)
    assert "no option 'prefx'" in refused(ConfigurationError, adapter="memory", options={"prefx": "x"})
    assert "no option 'secur'" in refused(ConfigurationError, adapter="memory", cookie={"secur": True})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"lifetime": "3600"}, "'lifetime' of sessionbag must be int or timedelta, not '3600' (str)"),
        ({"lifetime": 0}, "'lifetime' of sessionbag cannot be 0 (int): give a positive"),
        ({"options": "prefix"}, "'options' of sessionbag must be mapping"),
        ({"cookie": "Lax"}, "'cookie' of sessionbag must be CookiePolicy or mapping"),
        ({"plugins": "audit"}, "'plugins' of sessionbag must be sequence"),
        ({"plugin_options": {"audit": 5}}, "plugin_options for 'audit' must be a mapping of its options, not int"),
        ({"prefer": {"redis": 5}}, "prefer for 'redis' must be the name of a distribution, not int"),
        ({"concurrency": "lok"}, "must be 'merge' or 'strict' or 'lock' or 'readonly'"),
        ({"enabled": 1}, "'enabled' of sessionbag must be bool"),
    ],
)
def test_ill_typed_option_is_refused(given, words):
    """Strings are never guessed into other types."""
    assert words in refused(ConfigurationError, **{"adapter": "memory", **given})


def test_missing_adapter_is_said():
    """There is no default store: nobody keeps sessions in memory by accident."""
    assert refused(ConfigurationError).startswith("no adapter is given. Name one")
    assert refused(ConfigurationError, {"lifetime": 5}, source=ManagerFactory.from_config).startswith("no adapter")
    assert refused(ConfigurationError, {}, source=ManagerFactory.from_env).startswith("no adapter")


def test_object_that_is_no_adapter_is_refused():
    """An instance is checked against the handler spec and used as it is; it has its options already."""
    memory = Memory()

    assert made(ManagerFactory, adapter=memory).handler is memory
    assert "lacks 'api_version'" in refused(AdapterIncomplete, adapter=5)
    assert "Leave out: prefix" in refused(ConfigurationError, adapter=memory, options={"prefix": "x"})


def test_lifetime_may_stand_in_the_adapters_options():
    """The one that was given counts, whichever it is."""
    assert made(ManagerFactory, adapter="memory", options={"lifetime": 500}).options.lifetime == 500
    assert made(ManagerFactory.from_url, "memory://?lifetime=500").options.lifetime == 500
    assert made(ManagerFactory, adapter=Memory(Memory.Options(lifetime=500))).options.lifetime == 500
    assert made(ManagerFactory, adapter="memory", lifetime=500, options={"prefix": "x"}).options.lifetime == 500


def test_two_lifetimes_have_to_agree():
    """A contradiction is refused, naming both; the same value in two forms is none."""
    both = made(ManagerFactory, adapter="memory", lifetime=timedelta(minutes=5), options={"lifetime": 300})

    assert both.options.lifetime == 300
    assert refused(ConfigurationError, adapter="memory", lifetime=300, options={"lifetime": 400}) == (
        "lifetime is 300 s, and in the adapter's options it is 400 s. Give it once"
    )
    assert "3600 s" in refused(
        ConfigurationError, "memory://?lifetime=400", source=ManagerFactory.from_url, lifetime=3600
    )


def test_adapters_lifetime_is_whole_seconds_too():
    """An adapter of somebody else may declare it otherwise; sessions need whole seconds."""

    class Own(Memory):
        @dataclasses.dataclass(frozen=True)
        class Options:
            lifetime: float = 60.0
            prefix: str = ""

    assert made(ManagerFactory, adapter=Own, options={"lifetime": 90.0}).options.lifetime == 90
    assert "lifetime in the adapter's options cannot be 1.5" in refused(
        ConfigurationError, adapter=Own, options={"lifetime": 1.5}
    )


def test_default_of_an_adapters_lifetime_contradicts_nothing():
    """Only a lifetime that somebody gave counts."""

    class Own(Memory):
        @dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
        class Options(Memory.Options):
            lifetime: int | timedelta | None = option(777, doc="idle")  # it is a field

    assert made(ManagerFactory, adapter=Own, lifetime=100).options.lifetime == 100
    assert made(ManagerFactory, adapter=Own(Own.Options()), lifetime=100).options.lifetime == 100


def test_default_grace_fits_a_short_lifetime():
    """Only a grace that was given can be too long."""
    assert made(ManagerFactory, adapter="memory", lifetime=30).options.rotation_grace == 30
    assert made(ManagerFactory, adapter="memory", lifetime=timedelta(seconds=20)).options.rotation_grace == 20
    assert made(ManagerFactory, adapter="memory", options={"lifetime": 20}).options.rotation_grace == 20
    assert "rotation_grace (60 s)" in refused(ConfigurationError, adapter="memory", lifetime=30, rotation_grace=60)


def test_given_grace_stays_when_the_adapter_gives_the_lifetime():
    """A grace that was given is kept or refused, never changed."""
    kept = made(ManagerFactory, adapter="memory", options={"lifetime": 30}, rotation_grace=10)

    assert kept.options.rotation_grace == 10
    assert "rotation_grace (40 s)" in refused(
        ConfigurationError, adapter="memory", options={"lifetime": 30}, rotation_grace=40
    )


def test_bare_serializer_has_no_absolute_lifetime():
    """Bare data has no header to keep the time of creation in, so the default is none."""
    factory = made(ManagerFactory, adapter="memory", serializer=Bare())

    assert factory.options.absolute_lifetime is None
    assert factory.handler.bare is True
    assert made(ManagerFactory, adapter="memory").handler.bare is False


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"absolute_lifetime": 5000}, "absolute_lifetime"),
        ({"rotate_every": 600}, "rotate_every"),
        ({"cipher": SimpleNamespace(key_name="k", seal=None, open=None)}, "cipher"),
        ({"principal_index": True}, "principal_index"),
        ({"absolute_lifetime": 5000, "rotate_every": 600}, "absolute_lifetime, rotate_every"),
    ],
)
def test_bare_serializer_refuses_what_needs_a_header(given, named):
    """What could not be kept is not promised."""
    message = refused(ConfigurationError, adapter="memory", serializer=Bare(), **given)

    assert f"the serializer 'bare' stores bare data, which has no place for: {named}. " in message


def test_bare_serializer_accepts_none_as_absolute_lifetime():
    """Saying explicitly what holds anyway is no contradiction."""
    assert made(ManagerFactory, adapter="memory", serializer=Bare, absolute_lifetime=None).handler.bare is True


def test_lock_needs_an_adapter_that_locks():
    """The capability is looked for when the configuration is loaded, not at the first request."""
    assert made(ManagerFactory, adapter="memory", concurrency="lock").options.concurrency == "lock"
    assert "needs an adapter that is a LockingHandler" in refused(CapabilityMissing, adapter="noop", concurrency="lock")


def test_lists_of_sessions_need_a_store_that_keeps_them():
    """A list that the store may drop would hide sessions from who ends them all."""
    assert made(ManagerFactory, adapter="memory", principal_index=True).options.principal_index is True
    message = refused(CapabilityMissing, adapter="noop", principal_index=True)
    assert message.startswith("principal_index=True needs a store that keeps what it was given, and that of Noop may")


def test_cookie_that_contradicts_the_name_is_refused():
    """The cookie's rules are checked against the session's name at start-up."""
    assert "'__Host-s'" in refused(ConfigurationError, adapter="memory", name="__Host-s")
    assert made(ManagerFactory, adapter="memory", name="__Host-s", cookie={"secure": True}).options.name == "__Host-s"
    assert "123" in refused(ConfigurationError, adapter="memory", name="123")


def test_options_of_a_cipher_need_a_cipher():
    """Options for nothing are a mistake."""
    assert "but no cipher" in refused(ConfigurationError, adapter="memory", cipher_options={"key": "k"})


def test_unknown_scheme_hides_the_password(monkeypatch):
    """Requirement 12: the URL is shown without what may be secret, here that of an adapter that is not installed."""
    others = [offer for offer in registry.offers() if offer.name != "redis"]
    monkeypatch.setattr(registry, "offers", lambda: others)
    message = refused(AdapterNotFound, "redis://ann:hunter2@host/0?token=hunter2", source=ManagerFactory.from_url)

    assert message.startswith("the URL redis://***@host/0?token=***: no adapter is named 'redis'")
    assert message.endswith("pip install sessionbag-redis")
    assert "no scheme" in refused(ConfigurationError, "hunter2@host", source=ManagerFactory.from_url)
    assert "name://" in refused(ConfigurationError, "redis:hunter2@host", source=ManagerFactory.from_url)
    assert "hunter2" not in refused(ConfigurationError, "redis:hunter2@host", source=ManagerFactory.from_url)


def test_representation_hides_secrets_and_looks_into_no_object():
    """Requirement 12: options of adapter, cipher and plugins are hidden, and so is a URL's authority."""

    class Cipher:
        key_name = "k1"

        def seal(self, key, header, body):
            return body

        def open(self, key, header, sealed):
            return sealed

        def __repr__(self):
            return "Cipher(key='hunter2')"

    plain = made(ManagerFactory, adapter=Recorder, options={"password": "hunter2"}, cipher=Cipher())
    by_url = FactoryOptions(adapter="x://ann:hunter2@host", plugins=["http://ann:hunter2@host", Cipher()])

    assert "hunter2" not in repr(plain) + repr(plain.options) + repr(plain.handler) + repr(by_url)
    assert "options=***" in repr(plain)
    assert repr(by_url).startswith("FactoryOptions(adapter='x://***@host', plugins=['http://***@host', <")


def test_ill_typed_secret_is_not_shown():
    """Requirement 12: neither as a value nor as a text of the environment."""
    typed = refused(ConfigurationError, adapter=Recorder, options={"password": b"hunter2"})
    in_query = refused(AdapterIncomplete, "sessionbag.options:OptionSet", options={"password": "hunter2"})

    assert "hunter2" not in typed + in_query
    assert "'password'" in typed


def test_plugins_may_supply_secrets(site):
    """A plugin's options take precedence, and are checked like any other."""
    asked = []

    class Vault:
        @hookimpl
        def adapter_options(self, adapter, options):
            asked.append((adapter, dict(options)))
            return {"password": "hunter2"}

    by_name = made(ManagerFactory, adapter="memory", options={"prefix": "x"}, plugins=[Odd(None)])
    factory = made(ManagerFactory, adapter=Recorder, options={"save_path": "/p"}, plugins=[Vault])

    assert by_name.handler.prefix == "x"
    assert factory.handler.options.password == "hunter2"
    assert asked == [(f"{__name__}:Recorder", {"save_path": "/p"})]
    assert "no option 'nothing'" in refused(ConfigurationError, adapter="memory", plugins=[Odd({"nothing": 1})])
    assert "returned str" in refused(ConfigurationError, adapter="memory", plugins=[Odd("hunter2")])


class Odd:
    """A plugin that answers whatever it is told to."""

    def __init__(self, answer):
        self.answer = answer

    @hookimpl
    def adapter_options(self):
        return self.answer


def test_plugin_is_switched_on_by_naming_it(site):
    """Installing a plugin is not enough, and its options reach it by its name."""
    source = """
from dataclasses import dataclass
from sessionbag.factory import discovery
from sessionbag.hookspecs import hookimpl
heard = []
class Audit:
    @dataclass(frozen=True)
    class Options:
        level: int = 1
        log_file: str = ""
    def __init__(self, options):
        self.options = options
    @hookimpl
    def gc_finished(self, removed):
        heard.append((self.options.level, self.options.log_file, removed))
"""
    site.install("acme-audit", modules={"acme_audit": source}, plugins={"acme-audit": "acme_audit:Audit"})
    variables = {
        "SESSIONBAG_URL": "memory://",
        "SESSIONBAG_PLUGINS": "acme-audit",
        "SESSIONBAG_PLUGIN_OPTIONS_ACME_AUDIT_LEVEL": "7",
        "SESSIONBAG_PLUGIN_OPTIONS_ACME_AUDIT_LOG_FILE": "a.log",
    }

    with ManagerFactory(adapter="memory") as without:
        without.gc()
    with ManagerFactory(adapter="memory", plugins=["acme-audit"], plugin_options={"acme-audit": {"level": 3}}) as plain:
        plain.gc()
    with ManagerFactory.from_env(variables) as by_environment:
        by_environment.gc()

    assert sys.modules["acme_audit"].heard == [(3, "", 0), (7, "a.log", 0)]


def test_without_plugins_pluggy_is_not_imported():
    """Nobody pays for hooks that nobody hears."""
    program = (
        "import sys; from sessionbag.config import ManagerFactory\n"
        "with ManagerFactory(adapter='memory') as factory:\n"
        "    session = factory.new_instance(); session['a'] = 1; session.save(); factory.gc()\n"
        "print('pluggy' in sys.modules)"
    )

    assert (
        subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "False\n"
    )


def test_preference_reaches_every_kind_of_name(site):
    """``prefer`` decides a doubly claimed name, from the environment too."""
    source = "from sessionbag.adapters import Memory\nclass Acme(Memory):\n    pass\n"
    site.install("acme-one", modules={"acme_one": source}, adapters={"acme": "acme_one:Acme"})
    site.install("acme-two", modules={"acme_two": source}, adapters={"acme": "acme_two:Acme"})
    variables = {"SESSIONBAG_URL": "acme://", "SESSIONBAG_PREFER": "acme = acme-one", "SESSIONBAG_OPTIONS_PREFIX": "x"}

    assert type(made(ManagerFactory, adapter="acme", prefer={"acme": "acme-two"}).handler).__module__ == "acme_two"
    assert type(made(ManagerFactory.from_env, variables).handler).__module__ == "acme_one"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[other]\nx = 1", "has neither of the tables [sessionbag] and [tool.sessionbag]. Write one"),
        ("tool = 5", "has neither of the tables"),
        ("[sessionbag]\n[tool.sessionbag]", "has both tables [sessionbag] and [tool.sessionbag]"),
        ("sessionbag = 5", "is no table"),
        ("[sessionbag\n", "is no TOML: "),
        (
            '[sessionbag]\nadapter = "memory"\nlifetime = "600"',
            "'lifetime' of sessionbag must be int or timedelta, not '600'",
        ),
        ('[sessionbag]\nadapter = "memory"\nlifetime = "none"', "'lifetime' of sessionbag must be int or timedelta"),
    ],
)
def test_bad_file_is_refused(write, text, words):
    """A file that says nothing, too much or nonsense is an error that says which."""
    assert words in refused(ConfigurationError, write(text), source=ManagerFactory.from_toml)


def test_file_that_cannot_be_read_is_named(tmp_path):
    """A missing file is a fault of the configuration, with its cause chained."""
    with pytest.raises(ConfigurationError, match=r"nothing\.toml cannot be read: No such file") as caught:
        ManagerFactory.from_toml(tmp_path / "nothing.toml")
    (tmp_path / "latin.toml").write_bytes(b"[sessionbag]\nname = '\xff'")

    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert "is no TOML" in refused(ConfigurationError, str(tmp_path / "latin.toml"), source=ManagerFactory.from_toml)


def test_text_stays_text_in_a_file(write):
    """``"none"`` is None only where an option takes no text."""
    path = write(
        '[sessionbag]\nadapter = "memory"\nunique_id = "none"\n[sessionbag.cookie]\nmax_age = "none"\ndomain = "none"'
    )

    factory = made(ManagerFactory.from_toml, path)

    assert factory.options.unique_id == "none"
    assert (factory.cookies.max_age, factory.cookies.domain) == (None, "none")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"LIFETIM": "5"}, "SESSIONBAG_LIFETIM is unknown. Did you mean SESSIONBAG_LIFETIME?"),
        ({"COOKIE_SECUR": "1"}, "SESSIONBAG_COOKIE_SECUR: the session's cookie has no option 'secur'"),
        ({"COOKIE": "1"}, "SESSIONBAG_COOKIE is unknown"),
        ({"lifetime": "5"}, "SESSIONBAG_lifetime is unknown"),
        (
            {"LIFETIME": "soon"},
            "SESSIONBAG_LIFETIME: the option 'lifetime' of sessionbag must be int or timedelta, and 'soon'",
        ),
        ({"COOKIE_SECURE": "maybe"}, "SESSIONBAG_COOKIE_SECURE: the option 'secure' of the session's cookie must be"),
        ({"OPTIONS_PREFX": "x"}, "SESSIONBAG_OPTIONS_PREFX: the adapter 'memory' has no option 'prefx'"),
        (
            {"OPTIONS_MAX_RECORDS": "x"},
            "SESSIONBAG_OPTIONS_MAX_RECORDS: the option 'max_records' of the adapter 'memory' must",
        ),
        ({"ADAPTER": "memory"}, "SESSIONBAG_URL and SESSIONBAG_ADAPTER both name the adapter"),
        ({"URL": "memory"}, "SESSIONBAG_URL is no URL"),
        ({"CIPHER_OPTIONS_KEY": "k"}, "SESSIONBAG_CIPHER_OPTIONS_... are set, but SESSIONBAG_CIPHER is not"),
        ({"PLUGIN_OPTIONS_AUDIT_LEVEL": "k"}, "SESSIONBAG_PLUGIN_OPTIONS_AUDIT_LEVEL names no plugin"),
        ({"PREFER": "redis"}, "SESSIONBAG_PREFER is a list of name=distribution"),
    ],
)
def test_bad_variable_is_named(variables, words):
    """An unknown or unreadable variable is refused by its own name."""
    given = {"SESSIONBAG_URL": "memory://", **{f"SESSIONBAG_{name}": text for name, text in variables.items()}}

    assert words in refused(ConfigurationError, given, source=ManagerFactory.from_env)


def test_secret_in_a_variable_is_not_shown(site):
    """Requirement 12: not even when it cannot be read."""
    source = (
        "import dataclasses\nfrom sessionbag.adapters import Memory\nfrom sessionbag.options import option\n"
        "class Acme(Memory):\n"
        "    @dataclasses.dataclass(frozen=True, kw_only=True, repr=False)\n"
        "    class Options(Memory.Options):\n"
        "        pin: int = option(0, doc='a pin', secret=True)\n"
    )
    site.install("acme-store", modules={"acme": source}, adapters={"acme": "acme:Acme"})
    variables = {"SESSIONBAG_ADAPTER": "acme", "SESSIONBAG_OPTIONS_PIN": "hunter2"}

    message = refused(ConfigurationError, variables, source=ManagerFactory.from_env)

    assert message.startswith("SESSIONBAG_OPTIONS_PIN: ")
    assert "hunter2" not in message


def test_environment_needs_an_adapter_before_its_options():
    """Options for no adapter cannot be read."""
    message = refused(ConfigurationError, {"SESSIONBAG_OPTIONS_PREFIX": "x"}, source=ManagerFactory.from_env)

    assert message == "SESSIONBAG_OPTIONS_... are set, but SESSIONBAG_ADAPTER is not. Set it"


def test_names_of_options_are_texts():
    """A mapping from anywhere is looked at before it is used."""
    assert "not int" in refused(ConfigurationError, {1: 2}, source=ManagerFactory.from_config)
    assert "no option 'self'" in refused(ConfigurationError, {"self": 2}, source=ManagerFactory.from_config)
