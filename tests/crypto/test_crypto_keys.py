"""Where the keys of the ring come from, and that none is ever shown."""

import base64
import hashlib
import secrets
import traceback

import pytest
from sessionbag import CipherFactory, ConfigurationError, Manager, ManagerFactory, Memory, hookimpl
from sessionbag_crypto import AesGcm, CipherOptions
from sessionbag_crypto._keys import MAKE

ONE, TWO = (hashlib.sha256(name).hexdigest() for name in (b"one", b"two"))
NAME = AesGcm(CipherOptions(keys=[ONE])).key_name


def written_with(factory):
    """Return the name of the key that a factory's sessions are sealed with."""
    return factory._parts.codec.cipher.key_name


def refused(**options):
    """Return why options are refused, with all that a traceback would show."""
    with pytest.raises(ConfigurationError) as caught:
        AesGcm(CipherOptions(**options))
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "text",
    [
        ONE,
        ONE.upper(),
        base64.b64encode(bytes.fromhex(ONE)).decode(),
        base64.b64encode(bytes.fromhex(ONE)).decode().rstrip("="),
        base64.urlsafe_b64encode(bytes.fromhex(ONE)).decode(),
        f" {ONE}\n",
    ],
    ids=["hex", "upper case", "base64", "base64 without padding", "base64url", "with blanks around"],
)
def test_one_key_in_any_of_its_forms_is_the_same_key(text):
    """As the usual tools print it."""
    assert AesGcm(CipherOptions(keys=[text])).key_name == NAME


def test_keys_are_given_as_a_list_or_as_one_text():
    """The first one writes."""
    rings = ([ONE, TWO], (ONE, TWO), f"{ONE},{TWO}", f"{ONE}, {TWO},", ONE)

    assert {
        AesGcm(CipherOptions(keys=ring.rstrip(",") if isinstance(ring, str) else ring)).key_name for ring in rings
    } == {NAME}


def test_keys_from_the_environment(monkeypatch):
    """Beside the cipher's name."""
    monkeypatch.setenv("SESSIONBAG_URL", "memory://")
    monkeypatch.setenv("SESSIONBAG_CIPHER", "aesgcm")
    monkeypatch.setenv("SESSIONBAG_CIPHER_OPTIONS_KEYS", f"{ONE},{TWO}")
    with ManagerFactory.from_env() as factory:
        assert written_with(factory) == NAME


def test_key_file_from_the_environment(monkeypatch, tmp_path):
    """As secrets are mounted into containers; comments and empty lines do not count."""
    path = tmp_path / "keys"
    path.write_text(f"# of August\n{ONE}\n\n  # of July\n{TWO}\n")
    monkeypatch.setenv("SESSIONBAG_URL", "memory://")
    monkeypatch.setenv("SESSIONBAG_CIPHER", "aesgcm")
    monkeypatch.setenv("SESSIONBAG_CIPHER_OPTIONS_KEY_FILE", str(path))
    with ManagerFactory.from_env() as factory:
        assert written_with(factory) == NAME


def test_keys_from_a_toml_file(tmp_path):
    """As a list."""
    path = tmp_path / "sessions.toml"
    path.write_text(
        f'[sessionbag]\nadapter = "memory"\ncipher = "aesgcm"\n[sessionbag.cipher_options]\nkeys = ["{ONE}", "{TWO}"]\n'
    )
    with ManagerFactory.from_toml(path) as factory:
        assert written_with(factory) == NAME


def test_keys_from_a_plugin():
    """Its hook is asked before the cipher is made, and what it supplies takes precedence."""
    asked = []

    class Vault:
        @hookimpl
        def cipher_options(self, cipher, options):
            asked.append((cipher, dict(options)))
            return {"keys": [ONE]}

    with ManagerFactory(
        adapter="memory", cipher="aesgcm", cipher_options={"keys": [TWO]}, plugins=[Vault()]
    ) as factory:
        assert written_with(factory) == NAME
    assert asked == [("aesgcm", {"keys": [TWO]})]


def test_vault_that_is_sealed_stops_the_start():
    """No application begins without the keys that it asked for."""

    class Vault:
        @hookimpl
        def cipher_options(self, cipher):
            raise LookupError("the vault is sealed")

    with pytest.raises(LookupError, match="the vault is sealed"):
        ManagerFactory(adapter="memory", cipher="aesgcm", plugins=[Vault()])


def test_plugin_that_returns_no_mapping_is_refused():
    """With the hook's name."""

    class Vault:
        @hookimpl
        def cipher_options(self):
            return [ONE]

    with pytest.raises(ConfigurationError, match="a plugin's cipher_options returned list"):
        ManagerFactory(adapter="memory", cipher="aesgcm", plugins=[Vault()])


def test_manager_made_by_hand_takes_the_cipher():
    """By the same options."""
    store, data = Memory(), {"user": "bob"}
    for expected in ({}, data):
        with Manager({"cipher": "aesgcm", "cipher_options": {"keys": [ONE]}}).set_adapter(store) as session:
            if expected:
                assert session.info().adapter == "Memory"
            session.update(data)
    assert all(b"bob" not in store.read(entry.key).data for entry in store.scan())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({}, "gets no key"),
        ({"keys": []}, "the option 'keys' holds no key"),
        ({"keys": ""}, "key 1 of the option 'keys' is no key of 256 bits"),
        ({"keys": [ONE], "key_file": "keys"}, "gets its keys twice"),
        ({"keys": [ONE, "correct horse battery staple"]}, "key 2 of the option 'keys' is no key of 256 bits"),
        ({"keys": [ONE[:-2]]}, "key 1 of the option 'keys' is no key of 256 bits"),
        ({"keys": ["g" * 64]}, "is no key of 256 bits"),
        ({"keys": [f"{ONE[:40]}{' ' * 22}{ONE[-2:]}"]}, "is no key of 256 bits"),
        ({"keys": ["!" * 43]}, "is no key of 256 bits"),
        ({"keys": ["é" * 64]}, "is no key of 256 bits"),
        ({"keys": [ONE, ONE.upper()]}, "key 2 of the option 'keys' is there twice"),
        ({"keys": ["00" * 32]}, "key 1 of the option 'keys' is not random"),
        ({"keys": [ONE.encode()]}, "must be sequence of str or str or None, not *** (list)"),
        ({"key_file": "/nonexistent/keys"}, "the key file /nonexistent/keys cannot be read: No such file"),
    ],
)
def test_keys_that_are_none_are_refused_without_being_shown(options, why):
    """At start-up, with what to do; neither message nor chained errors hold any part of what was given."""
    shown = refused(**options)

    assert why in shown
    assert ONE[:12] not in shown.lower()
    assert "staple" not in shown


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"# nothing but this\n"])
def test_key_file_without_keys_is_refused(tmp_path, content):
    """It names the file."""
    path = tmp_path / "keys"
    path.write_bytes(content)

    assert f"the key file {path}" in refused(key_file=path)


def test_keys_are_shown_nowhere():
    """Requirement 12: not in the repr of options, ciphers, factories, managers or what they are made of."""
    with ManagerFactory(adapter="memory", cipher="aesgcm", cipher_options={"keys": [ONE, TWO]}) as factory:
        session = factory.new_instance()
        cipher = factory._parts.codec.cipher
        shown = [factory, factory.options, cipher, session, CipherOptions(keys=[ONE]), vars(cipher), cipher._ring]

        text = " ".join(map(repr, shown)) + str(cipher)

    assert ONE[:12] not in text
    assert bytes.fromhex(ONE)[:4].hex() not in text
    assert repr(bytes.fromhex(ONE)[:6])[2:-1] not in text
    assert repr(cipher) == f"<AesGcm writes with the key {NAME}, 2 in the ring>"


def test_missing_distribution_is_answered_with_its_installation():
    """By the names of both ciphers; and the nearest name is offered."""
    with pytest.raises(ConfigurationError, match=r"Did you mean 'aesgcm'\?"):
        CipherFactory().new_instance("aes-gcm", {"keys": [ONE]})
    assert CipherFactory.kind.distributions["chacha20poly1305"] == "sessionbag-crypto"


def test_printed_command_makes_a_key():
    """What every message and page says."""
    assert "secrets.token_hex(32)" in MAKE
    assert AesGcm(CipherOptions(keys=[secrets.token_hex(32)])).key_name.startswith("aesgcm-")
