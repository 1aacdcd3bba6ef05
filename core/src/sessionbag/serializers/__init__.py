"""How a session's data becomes bytes and comes back: the spec, and the two serializers of the core.

Neither can build anything but plain values from bytes, whatever the bytes are.
"""

from sessionbag.serializers.base import Serializer
from sessionbag.serializers.json_serializer import JsonSerializer
from sessionbag.serializers.msgpack_serializer import MsgpackSerializer

__all__ = ["JsonSerializer", "MsgpackSerializer", "Serializer"]
