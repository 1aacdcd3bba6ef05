"""The base for authors of adapters, and the two adapters that need no other software."""

from sessionbag.adapters.base import AbstractAdapter, AdapterOptions
from sessionbag.adapters.memory import Memory
from sessionbag.adapters.noop import Noop

__all__ = ["AbstractAdapter", "AdapterOptions", "Memory", "Noop"]
