"""What the peer remembers: of each key its version, and bodies only where asked to.

A million keys take about 250 MB that way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from loopback.layout import Layout
from loopback.preload import Preload
from loopback.request import Checksum, Received
from loopback.throttle import Throttle
from loopback.version import digest_of, size_of

_PAGES = 1024  # remembered; of 1,000 keys they take 300 MB
_NOTHING: Mapping[bytes, bytes] = MappingProxyType({})


class Part(NamedTuple):
    """A part of an upload that is under way."""

    received: Received
    checksum: Checksum | None


@dataclass
class Upload:
    """A multipart upload that is neither complete nor aborted."""

    key: bytes
    begun: int  # seconds since the epoch
    parts: dict[int, Part] = field(default_factory=dict)


class Bucket:
    """Keys with their versions, listed in order; those of ``stock`` are there from the start."""

    alike: bytes | None = None  # the version of all objects, where they have only one

    def __init__(self, stock: Mapping[bytes, bytes] = _NOTHING) -> None:
        self._stock = stock
        self.objects = dict(stock)  # key -> version
        self.bodies: dict[bytes, bytes] = {}  # key -> content, where bodies are kept
        self.uploads: dict[bytes, Upload] = {}  # upload id -> upload
        self._pages: dict[bytes, bytes] = {}  # request target -> answer, until anything changes
        self._ordered: list[bytes] = []
        self._new = list(stock)  # keys not yet in _ordered
        self.gone: set[bytes] = set()  # keys in _ordered that are not there any more

    def put(self, key: bytes, packed: bytes, content: bytes | None = None) -> None:
        """Set ``key``; ``content`` is remembered unless None."""
        if self._pages:
            self._pages = {}
        if key in self.gone:
            self.gone.remove(key)
        elif key not in self.objects:
            self._new.append(key)
        self.objects[key] = packed
        if content is not None:
            self.bodies[key] = content

    def delete(self, key: bytes) -> None:
        """Forget ``key``, if it is there."""
        self._pages.clear()
        if self.objects.pop(key, None) is not None:
            self.bodies.pop(key, None)
            self.ordered()  # which has the key, if it is new
            self.gone.add(key)

    def forget(self) -> None:
        """Be as at the start."""
        for part in (self.objects, self.bodies, self.uploads, self._pages):
            part.clear()
        self.objects.update(self._stock)
        self._ordered, self._new = [], list(self.objects)
        self.gone.clear()

    def page(self, target: bytes, write: Callable[[], bytes]) -> bytes:
        """The answer to a listing request for ``target``, written if it is not remembered."""
        found = self._pages.get(target)
        if found is None:
            found = write()
            if len(self._pages) >= _PAGES:
                self._pages.clear()
            self._pages[target] = found
        return found

    @property
    def held(self) -> tuple[int, int]:
        """The number of objects, and their bytes."""
        return len(self.objects), sum(map(size_of, self.objects.values()))

    def ordered(self, *, exactly: bool = False) -> Sequence[bytes]:
        """All keys, ascending, and those that are ``gone``, unless ``exactly`` they are wanted."""
        if self._new:
            self._ordered += self._new
            self._ordered.sort()  # two runs: Timsort merges them in linear time
            self._new = []
        if self.gone and (exactly or len(self.gone) > len(self._ordered) // 2):
            self._ordered = [key for key in self._ordered if key not in self.gone]
            self.gone.clear()
        return self._ordered


@dataclass
class Store:
    """All buckets, and what was done to them since the last reset."""

    keep: bool  # remember bodies
    buckets: dict[bytes, Bucket]
    preload: Preload = field(default_factory=Preload)
    trust: bool = False  # take the MD5 of a body from its headers, where they tell one
    throttle: Throttle | None = None  # requests per second; None: as many as come
    throttled_below: bytes = b""  # a prefix: other requests are not limited
    counts: Counter[str] = field(default_factory=Counter)  # operation -> requests
    connections: int = 0  # accepted
    uploads_begun: int = 0
    layouts: dict[bytes, Layout] = field(init=False)  # MD5, or that of the parts' -> layout

    def __post_init__(self) -> None:
        self.layouts = dict(self.preload.layouts)

    def layout_of(self, packed: bytes) -> Layout:
        """How an object was cut, as far as is known; else it is in one piece."""
        return self.layouts.get(digest_of(packed)) or Layout()
