"""Millions of objects that are computed when they are listed, and take no memory.

They are named as ``data.name`` names files, and have one size, one time and one ETag. They can be
listed and deleted; only what was deleted takes memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import md5
from typing import overload

from loopback.answers import S3Error
from loopback.request import Received
from loopback.store import Bucket
from loopback.version import size_of, version


class Numbered(Sequence[bytes]):
    """The keys below ``p/``, ascending."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            numbers = range(*at.indices(self._count))
            return [b"p/d%04d/f%07d.txt" % (number // 1000, number) for number in numbers]
        if not 0 <= at < self._count:
            raise IndexError(at)
        return b"p/d%04d/f%07d.txt" % (at // 1000, at)


class Alike(Mapping[bytes, bytes]):
    """One version for each of the keys that are not ``gone``."""

    def __init__(self, keys: Numbered, packed: bytes, gone: set[bytes]) -> None:
        self._keys = keys
        self._packed = packed
        self._gone = gone

    def __len__(self) -> int:
        return len(self._keys) - len(self._gone)

    def __iter__(self) -> Iterator[bytes]:
        return (key for key in self._keys if key not in self._gone)

    def __getitem__(self, key: bytes) -> bytes:
        number = key[-11:-4]
        named = number.isdigit() and int(number) < len(self._keys)
        if not named or key in self._gone or self._keys[int(number)] != key:
            raise KeyError(key)
        return self._packed


class ListedBucket(Bucket):
    """A bucket whose objects can be listed and deleted, and nothing else."""

    def __init__(self, count: int, *, size: int, now: int) -> None:
        super().__init__()
        self._keys = Numbered(count)
        digest = md5(usedforsecurity=False).digest()
        self.alike = self._packed = version(Received(size, digest), now)
        self.objects = Alike(self._keys, self._packed, self.gone)  # type: ignore[assignment]

    def put(self, key: bytes, packed: bytes, content: bytes | None = None) -> None:
        """Refuse."""
        raise S3Error("501 Not Implemented", "NotImplemented")

    def delete(self, key: bytes) -> None:
        """Forget ``key``, if it is there."""
        if key in self.objects:
            self.gone.add(key)

    def forget(self) -> None:
        """Be as at the start."""
        self.gone.clear()

    def page(self, target: bytes, write: Callable[[], bytes]) -> bytes:
        """The answer to a listing request; it is not remembered."""
        return write()

    @property
    def held(self) -> tuple[int, int]:
        """The number of objects, and their bytes."""
        return len(self.objects), len(self.objects) * size_of(self._packed)

    def ordered(self, *, exactly: bool = False) -> Sequence[bytes]:
        """All keys, ascending, and those that are ``gone``."""
        return self._keys
