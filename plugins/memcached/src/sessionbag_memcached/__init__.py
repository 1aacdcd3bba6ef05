"""Sessions on memcached."""

from sessionbag_memcached._options import MemcachedOptions
from sessionbag_memcached._places import Place
from sessionbag_memcached._version import __version__
from sessionbag_memcached.adapter import Memcached

__all__ = ["Memcached", "MemcachedOptions", "Place", "__version__"]
