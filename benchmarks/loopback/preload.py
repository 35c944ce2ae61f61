"""Objects that are there from the start, whose bodies are not kept but written when asked for.

The body of object ``n`` is ``n`` in 16 decimal digits, then random bytes that are the same for all:
from a size of 16 on no two are equal. Which of them an object is, its digest tells, so that copies
have bodies too. The random bytes recur, at such a distance that no two ranges of a large object
that a client might exchange are equal.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from hashlib import md5
from typing import NamedTuple

from loopback.checksums import crc64nvme
from loopback.layout import Layout
from loopback.request import Received
from loopback.version import digest_of, size_of, version

PART_SIZE = 16 << 20  # bytes, of objects that seem to have been put in parts
_BLOCK = 1 << 18  # bytes, at most, of an answer written at a time
_PERIOD = (1 << 20) + 7  # bytes; a prime, and parts have sizes that are no multiples of it
_DIGITS = 16
_PER_SECOND = 1000  # how many seem to have been put in a second: a date is many objects', not all's


class Kind(NamedTuple):
    """How the objects seem to have been put, which shows in their ETags and checksums."""

    in_parts: bool = False  # compound ETags, of parts of PART_SIZE
    checksum: bool = False  # with a CRC64NVME, as S3 has kept of every object since 2025


WHOLE = Kind()


class Preload:
    """The objects, as ``stock`` (key -> version), and their bodies.

    They were put before ``now``, in seconds since the epoch: s5cmd passes by what is younger than
    its run. Raises ``SystemExit`` where awscrt is needed and missing.
    """

    def __init__(
        self, keys: Sequence[bytes] = (), *, size: int = 0, now: int = 0, kind: Kind = WHOLE
    ) -> None:
        begun = now - 1 - len(keys) // _PER_SECOND
        self.stock: dict[bytes, bytes] = {}
        self.layouts: dict[bytes, Layout] = {}  # digest -> layout
        self._numbers: dict[bytes, int] = {}  # digest -> which body
        parts = -(-size // PART_SIZE) if kind.in_parts and size else 0
        for number, key in enumerate(keys):
            digest = _compound(number, size) if parts else _md5(body(number, size, 0, size))
            self._numbers[digest] = number
            put = begun + number // _PER_SECOND
            self.stock[key] = version(Received(size, digest), put, parts)
            if parts or kind.checksum:
                checksum = crc64nvme(body(number, size, 0, size)) if kind.checksum else b""
                self.layouts[digest] = Layout(PART_SIZE if parts else 0, checksum)

    def body_of(self, packed: bytes, start: int, end: int) -> Iterator[memoryview] | None:
        """The bytes from ``start`` to ``end`` of an object, in blocks; None where it is no such."""
        number = self._numbers.get(digest_of(packed))
        return None if number is None else body(number, size_of(packed), start, end)


def body(number: int, size: int, start: int, end: int) -> Iterator[memoryview]:
    """The bytes from ``start`` to ``end`` of body ``number``, which has ``size``, in blocks."""
    digits = (b"%016d" % number)[-size:] if size else b""
    if start < len(digits):
        yield memoryview(digits)[start:end]
        start = len(digits)
    for at in range(start, end, _BLOCK):
        recurring = (at - _DIGITS) % _PERIOD
        yield _FILLING[recurring : recurring + min(_BLOCK, end - at)]


# Longer than its period by a block, so that no block has to be put together.
_RANDOM = random.Random(1).randbytes(_PERIOD)
_FILLING = memoryview(_RANDOM + _RANDOM[:_BLOCK])


def _md5(blocks: Iterable[memoryview]) -> bytes:
    digest = md5(usedforsecurity=False)
    for block in blocks:
        digest.update(block)
    return digest.digest()


def _compound(number: int, size: int) -> bytes:
    starts = range(0, size, PART_SIZE)
    parts = (_md5(body(number, size, at, min(at + PART_SIZE, size))) for at in starts)
    return _md5(map(memoryview, parts))
