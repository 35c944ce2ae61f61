"""What is remembered of an object, in 28 bytes: its size, time and MD5.

``-N`` follows where it was put in N parts, as in its ETag.
"""

from __future__ import annotations

from struct import Struct

from loopback.request import Received

_VERSION = Struct(">QI16s")


def version(received: Received, now: int, parts: int = 0) -> bytes:
    """``received``, put at ``now`` (seconds since the epoch) in so many ``parts`` (0: whole)."""
    packed = _VERSION.pack(received.size, now, received.digest)
    return packed + b"-%d" % parts if parts else packed


def size_of(packed: bytes) -> int:
    """Bytes of the object."""
    return int.from_bytes(packed[:8], "big")


def time_of(packed: bytes) -> int:
    """When it was put, in seconds since the epoch."""
    return int.from_bytes(packed[8:12], "big")


def digest_of(packed: bytes) -> bytes:
    """The MD5 of the object, or of the MD5s of its parts."""
    return packed[12:28]


def parts_of(packed: bytes) -> int:
    """In how many parts it was put; 0: whole."""
    return int(packed[29:] or 0)


def etag_of(packed: bytes) -> bytes:
    """The ETag, without quotes."""
    return packed[12:28].hex().encode() + packed[28:]
