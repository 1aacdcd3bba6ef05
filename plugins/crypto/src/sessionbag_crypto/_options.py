"""The options of the ciphers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from sessionbag.errors import ConfigurationError
from sessionbag.options import OptionSet, option

from sessionbag_crypto._keys import MAKE, read_key_file, read_keys


@dataclass(frozen=True, kw_only=True, repr=False)
class CipherOptions(OptionSet):
    """What the ciphers accept: the keys themselves, or the file that holds them."""

    OWNER: ClassVar[str] = "the ciphers of sessionbag-crypto"

    keys: Sequence[str] | str | None = option(
        None,
        doc="the keys, each in 64 hexadecimal digits or base64: the first one writes, all read; a text may be one key, "
        "or several with commas between them",
        secret=True,
    )
    key_file: Path | str | None = option(None, doc="a file that holds the keys instead, one a line")

    def __post_init__(self) -> None:
        """Check each option, then that the keys come from one place.

        Raises `ConfigurationError`.
        """
        super().__post_init__()
        if (self.keys is None) == (self.key_file is None):
            fault = "gets no key" if self.keys is None else "gets its keys twice"
            raise ConfigurationError(
                f"the cipher {fault}. Give either keys or key_file, as options, in the environment "
                "(SESSIONBAG_CIPHER_OPTIONS_KEYS) or from a plugin's hook cipher_options. "
                f"Make a key with: {MAKE}"
            )

    def read(self) -> list[bytes]:
        """Return the keys, the one to write with first; the file is read now.

        Raises `ConfigurationError`, which shows no part of a key.
        """
        if self.key_file is not None:
            return read_keys(read_key_file(Path(self.key_file)), f"the key file {self.key_file}")
        given = self.keys if self.keys is not None else ()
        texts = given.split(",") if isinstance(given, str) else given
        return read_keys([text.strip() for text in texts], "the option 'keys'")
