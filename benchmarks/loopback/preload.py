"""Objects that are there from the start, whose bodies are not kept but written when asked for.

The body of object ``n`` is ``n`` in 16 decimal digits, then zero bytes: from a size of 16 on no two
are equal. Which of them an object is, its MD5 tells, so that copies have bodies too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import md5

from loopback.request import Received
from loopback.version import digest_of, size_of, version

_ZEROS = memoryview(bytes(1 << 18))
_PER_SECOND = 1000  # how many seem to have been put in a second: a date is many objects', not all's


class Preload:
    """The objects, as ``stock`` (key -> version), and their bodies.

    They were put before ``now``, in seconds since the epoch: s5cmd passes by what is younger than
    its run.
    """

    def __init__(self, keys: Sequence[bytes] = (), *, size: int = 0, now: int = 0) -> None:
        begun = now - 1 - len(keys) // _PER_SECOND
        self.stock: dict[bytes, bytes] = {}
        self._numbers: dict[bytes, int] = {}  # MD5 -> which body
        for number, key in enumerate(keys):
            digest = _md5(body(number, size, 0, size))
            self._numbers[digest] = number
            self.stock[key] = version(Received(size, digest), begun + number // _PER_SECOND)

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
    for at in range(start, end, len(_ZEROS)):
        yield _ZEROS[: end - at]


def _md5(blocks: Iterable[memoryview]) -> bytes:
    digest = md5(usedforsecurity=False)
    for block in blocks:
        digest.update(block)
    return digest.digest()
