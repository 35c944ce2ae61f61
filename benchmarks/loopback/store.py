"""What the peer remembers: 28 bytes a key (size, time, MD5), and bodies only where asked to.

A million keys take about 250 MB that way; bodies that were not kept are not invented, except that
an object which is all zero bytes can be served at any size.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import md5
from struct import Struct

from loopback.request import Received

_VERSION = Struct(">QI16s")
_ZEROS = memoryview(bytes(1 << 18))


def version(received: Received, now: int, parts: int = 0) -> bytes:
    """Size, time (seconds since the epoch) and MD5, packed; ``-N`` follows where made of parts."""
    packed = _VERSION.pack(received.size, now, received.digest)
    return packed + b"-%d" % parts if parts else packed


def size_of(packed: bytes) -> int:
    """Bytes of the object."""
    return int.from_bytes(packed[:8], "big")


def time_of(packed: bytes) -> int:
    """When it was put, in seconds since the epoch."""
    return int.from_bytes(packed[8:12], "big")


def etag_of(packed: bytes) -> bytes:
    """The ETag, without quotes."""
    return packed[12:28].hex().encode() + packed[28:]


@lru_cache(maxsize=1024)
def zeros_md5(size: int) -> bytes:
    """The MD5 of ``size`` zero bytes."""
    digest = md5(usedforsecurity=False)
    for block in zeros(size):
        digest.update(block)
    return digest.digest()


def zeros(size: int) -> Iterator[memoryview]:
    """``size`` zero bytes in blocks."""
    for start in range(0, size, len(_ZEROS)):
        yield _ZEROS[: size - start]


@dataclass
class Upload:
    """A multipart upload that is neither complete nor aborted."""

    key: bytes
    parts: dict[int, Received] = field(default_factory=dict)


class Bucket:
    """Keys with their versions, listed in order."""

    def __init__(self) -> None:
        self.objects: dict[bytes, bytes] = {}  # key -> version
        self.bodies: dict[bytes, bytes] = {}  # key -> content, where bodies are kept
        self.uploads: dict[bytes, Upload] = {}  # upload id -> upload
        self._ordered: list[bytes] = []
        self._new: list[bytes] = []  # keys not yet in _ordered
        self._stale = False  # _ordered names keys that are gone

    def put(self, key: bytes, packed: bytes, content: bytes | None = None) -> None:
        """Set ``key``; ``content`` is remembered unless None."""
        if key not in self.objects:
            self._new.append(key)
        self.objects[key] = packed
        if content is not None:
            self.bodies[key] = content

    def delete(self, key: bytes) -> None:
        """Forget ``key``, if it is there."""
        if self.objects.pop(key, None) is not None:
            self.bodies.pop(key, None)
            self._stale = True

    def forget(self) -> None:
        """Forget everything."""
        for part in (self.objects, self.bodies, self.uploads, self._ordered, self._new):
            part.clear()
        self._stale = False

    def ordered(self) -> list[bytes]:
        """All keys, ascending; cheap when few were added since the last call."""
        if self._stale:
            self._ordered, self._new, self._stale = [], list(self.objects), False
        if self._new:
            self._ordered += self._new
            self._ordered.sort()  # two runs: Timsort merges them in linear time
            self._new = []
        return self._ordered


@dataclass
class Store:
    """All buckets, and what was done to them since the last reset."""

    keep: bool  # remember bodies
    buckets: dict[bytes, Bucket]
    counts: Counter[str] = field(default_factory=Counter)  # operation -> requests
    connections: int = 0  # accepted
    uploads_begun: int = 0
