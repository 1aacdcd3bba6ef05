"""Shows the name of a file above its code: a block that begins with ```` ```python title=app.py ```` has a caption."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sphinx.application import Sphinx

TITLED: Final = re.compile(r"^```(\w+) title=(\S+\.\S+)$", re.MULTILINE)
"""The beginning of a block that is a file; a title without a dot is a name for the tests only."""


def add_captions(app: Sphinx, name: str, source: list[str]) -> None:  # noqa: ARG001  # Sphinx calls it so
    """Write titles as Sphinx wants them, in the text of one page."""
    source[0] = TITLED.sub(r"```{code-block} \1\n:caption: \2\n", source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Let Sphinx call it for each page that it reads."""
    app.connect("source-read", add_captions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
