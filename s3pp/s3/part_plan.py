"""Part layout of an object: the size and offset of each part. Pure and deterministic.

All parts have the same size, except for a shorter last one; only copies of objects uploaded
differently deviate from this. An empty object has one empty part: an upload without parts cannot be
completed (API reference, "CompleteMultipartUpload").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import MAX_OBJECT, MAX_PART, MAX_PARTS, MIB, MIN_PART
from s3pp.records import Span


def part_size(size: int, wanted: int) -> int:
    """Choose the part size, in bytes, for an object of ``size`` bytes.

    This is ``wanted``, clamped to the limits of S3, or the smallest number of whole MiB that is
    enough where ``MAX_PARTS`` of it are not. Raises ``ObjectError`` for more than ``MAX_OBJECT``.
    """
    if fault := size_fault(size):
        raise ObjectError(FailureKind.TOO_LARGE, fault)
    allowed = min(max(wanted, MIN_PART), MAX_PART)
    if count_of(size, allowed) <= MAX_PARTS:
        return allowed
    return rounded_up(size, MAX_PARTS * MIB) // MAX_PARTS


def size_fault(size: int) -> str | None:
    """Why a body of ``size`` bytes cannot be stored, and what to do; None when it can."""
    if size <= MAX_OBJECT:
        return None
    most = f"{MAX_OBJECT // 10**12} TB"
    return f"{size} bytes is more than an object holds ({most}): split it"


def count_of(size: int, each: int) -> int:
    """The number of parts of ``each`` bytes in an object of ``size`` bytes: at least one."""
    return max(1, -(-size // each))


def rounded_up(size: int, step: int) -> int:
    """The smallest multiple of ``step`` that is not less than ``size``."""
    return -(-size // step) * step


class Spans:
    """The parts of an object of ``size`` bytes, ``part_size`` each; computed on demand.

    No limits are enforced: the function ``part_size`` does so, and a copy may have to follow a
    source whose store has other limits.
    """

    equal = True  # all but the last are equally long

    def __init__(self, size: int, part_size: int) -> None:
        self.size = size
        self.part_size = part_size
        self.count = count_of(size, part_size)

    def span(self, number: int) -> Span:
        """Return part ``number``, counted from 1. Raises ``IndexError`` if there is none."""
        if not 1 <= number <= self.count:
            raise IndexError(f"part {number} of {self.count}")
        offset = (number - 1) * self.part_size
        return Span(number, offset, min(self.part_size, self.size - offset))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Span]:
        return map(self.span, range(1, self.count + 1))


class UnequalSpans(Spans):
    """The parts of an object, given their sizes; ``part_size`` is the largest."""

    equal = False

    def __init__(self, sizes: Sequence[int]) -> None:
        """``sizes``, in bytes and in order: at least one."""
        super().__init__(sum(sizes), max(sizes))
        self.count = len(sizes)
        self._spans = [
            Span(number, end - size, size)
            for number, (size, end) in enumerate(zip(sizes, accumulate(sizes), strict=True), 1)
        ]

    def span(self, number: int) -> Span:
        """As ``Spans.span``."""
        if not 1 <= number <= self.count:
            raise IndexError(f"part {number} of {self.count}")
        return self._spans[number - 1]


def allowed(sizes: Sequence[int]) -> bool:
    """Whether S3 accepts an upload in parts of these sizes, in bytes; no part may be empty."""
    shortest = min(sizes[:-1], default=MIN_PART)
    return shortest >= MIN_PART and sizes[-1] > 0 and max(sizes) <= MAX_PART


def spans(size: int, part_size: int) -> Spans:
    """The parts of an object, in order; both in bytes."""
    return Spans(size, part_size)
