"""Sessions as files."""

from sessionbag_stream._options import StreamOptions
from sessionbag_stream._version import __version__
from sessionbag_stream.adapter import Stream

__all__ = ["Stream", "StreamOptions", "__version__"]
