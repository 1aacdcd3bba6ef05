"""Names to classes: adapters, serializers, ciphers and plugins, found through entry points."""

from sessionbag.factory.adapters import AdapterFactory, AsyncAdapterFactory
from sessionbag.factory.checks import check_async_handler, check_handler, require, require_keeping
from sessionbag.factory.parts import CipherFactory, PluginFactory, SerializerFactory
from sessionbag.factory.registry import Available

__all__ = [
    "AdapterFactory",
    "AsyncAdapterFactory",
    "Available",
    "CipherFactory",
    "PluginFactory",
    "SerializerFactory",
    "check_async_handler",
    "check_handler",
    "require",
    "require_keeping",
]
