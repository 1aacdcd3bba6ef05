"""The version of this distribution: read by the build, shown as ``sessionbag.__version__``."""

from typing import Final

__version__: Final = "0.1.0"
