"""Rules about options, secrets and the name under which the adapter is found."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING

import pytest

from sessionbag.errors import AdapterError, ConfigurationError
from sessionbag.factory import AdapterFactory
from sessionbag.options import build
from sessionbag.testing.jobs import record
from sessionbag.testing.suite.base import TTL, Kit, KitBase, refusing
from sessionbag.testing.suite.secrets import CANARY, fields_of, looks_secret, options_of, with_canaries

if TYPE_CHECKING:
    from pathlib import Path


class ConfigurationRules(KitBase):
    """What a user of the adapter configures."""

    def test_its_options_are_a_frozen_dataclass(self) -> None:
        """``Options`` of the class: nobody changes them behind the handler's back."""
        options = getattr(self.adapter, "Options", None)

        assert inspect.isclass(options), "the class needs an attribute Options, a frozen dataclass"
        assert dataclasses.is_dataclass(options), "Options has to be a dataclass"
        assert vars(options)["__dataclass_params__"].frozen, (
            "Options has to be frozen: @dataclass(frozen=True, kw_only=True)"
        )

    def test_each_option_is_documented(self) -> None:
        """The documentation and the command line show these lines."""
        silent = [field.name for field in fields_of(self.adapter) if not field.metadata.get("doc")]

        assert not silent, f"each option has to be documented: declare {silent} with option(..., doc='...')"

    def test_an_unknown_option_is_refused(self, kit: Kit) -> None:
        """`ConfigurationError`: a misspelt option must not be ignored."""
        options = {**kit.recipe.options, "no_such_option": 1}

        with refusing(ConfigurationError, "an unknown option has to be refused with ConfigurationError"):
            build(options_of(self.adapter), options)

    def test_an_ill_typed_option_is_refused(self, kit: Kit) -> None:
        """`ConfigurationError` for each option that gets something of a strange type; nothing is guessed."""
        for field in fields_of(self.adapter):
            options = {**kit.recipe.options, field.name: object()}
            with refusing(ConfigurationError, f"the option {field.name!r} has to refuse an ill-typed value"):
                build(options_of(self.adapter), options)

    def test_what_looks_like_a_secret_is_declared_as_one(self) -> None:
        """Then no ``repr``, message or table shows its value."""
        open_ones = [
            field.name
            for field in fields_of(self.adapter)
            if looks_secret(field.name) and not field.metadata.get("secret")
        ]

        assert not open_ones, f"declare {open_ones} with option(..., secret=True), so that no message shows them"

    def test_no_repr_shows_a_secret(self, kit: Kit) -> None:
        """Requirement 12: neither that of the options nor that of the handler."""
        options = with_canaries(self.adapter, {})
        if options is None:
            pytest.skip(f"{self.adapter.__qualname__} has no option that is secret")
        handler = kit.make(**options)
        made: object = build(options_of(self.adapter), dict(kit.recipe.with_options(options).options))

        assert CANARY not in repr(made), "the repr of the options shows the value of a secret option"
        assert CANARY not in repr(handler), "the repr of the handler shows the value of a secret option"

    def test_open_ignores_a_path_that_it_does_not_need(self, kit: Kit, tmp_path: Path) -> None:
        """The factory passes the option ``save_path``, which an adapter without files does not have."""
        if any(field.name == "save_path" for field in fields_of(self.adapter)):
            pytest.skip(f"{self.adapter.__qualname__} has the option save_path: it needs the path")
        path = tmp_path / "no" / "such" / "folder"
        handler = kit.make()
        opened = handler.open(str(path), "session")
        key = kit.key()
        handler.write(key, record(b"data"), TTL, expected=None)
        found = handler.destroy(key)
        handler.close()

        assert (opened, found) == (True, True), "open() has to ignore a path that the adapter does not need"
        assert not path.parent.exists(), "open() must not make a path that the adapter does not need"

    def test_its_name_leads_to_this_class(self) -> None:
        """Through the entry point of its distribution, as an application names it."""
        if self.name is None:
            pytest.skip(f"{type(self).__name__} says no name: nothing is published under one yet")
        rule = (
            f"the name {self.name!r} has to lead to this class: declare it in pyproject.toml under "
            f'[project.entry-points."{self.group}"] and install the distribution'
        )
        try:
            found = self.class_of(self.name)
        except AdapterError as error:
            raise AssertionError(f"{rule}; it leads to {type(error).__name__}: {error}") from error

        assert found is self.adapter, rule

    def class_of(self, name: str) -> type:
        """Return the class that an application gets for that name."""
        return AdapterFactory().get_class(name)
