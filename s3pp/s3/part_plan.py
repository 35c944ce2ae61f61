"""The plan of an object's parts: how long they are, and where each lies. Pure, and deterministic.

All parts but the last are equally long, which the last is at most; only copies of objects that were
sent otherwise differ. An object of no bytes has one part of no bytes: an upload of no parts cannot
be completed (API reference, "CompleteMultipartUpload").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import MAX_OBJECT, MAX_PART, MAX_PARTS, MIB, MIN_PART
from s3pp.records import Span


def part_size(size: int, wanted: int) -> int:
    """The part size, in bytes, for an object of ``size`` bytes.

    ``wanted``, brought within what S3 allows; where ``MAX_PARTS`` of it would not do, as few whole
    MiB as will. Raises ``ObjectError`` for more than ``MAX_OBJECT``.
    """
    if fault := size_fault(size):
        raise ObjectError(FailureKind.TOO_LARGE, fault)
    allowed = min(max(wanted, MIN_PART), MAX_PART)
    if count_of(size, allowed) <= MAX_PARTS:
        return allowed
    return rounded_up(size, MAX_PARTS * MIB) // MAX_PARTS


def size_fault(size: int) -> str | None:
    """Why a body of ``size`` bytes cannot go, and what to do; None when it can."""
    if size <= MAX_OBJECT:
        return None
    most = f"{MAX_OBJECT // 10**12} TB"
    return f"{size} bytes is more than an object holds ({most}): split it"


def count_of(size: int, each: int) -> int:
    """How many parts of ``each`` bytes make an object of ``size`` bytes: at least one."""
    return max(1, -(-size // each))


def rounded_up(size: int, step: int) -> int:
    """The first multiple of ``step`` that is no less than ``size``."""
    return -(-size // step) * step


class Spans:
    """The parts of an object of ``size`` bytes in parts of ``part_size``, each made when asked for.

    Keeps to no limit: ``part_size`` chooses one that does, and a copy may have to follow a source
    whose store knows others.
    """

    equal = True  # all but the last are equally long

    def __init__(self, size: int, part_size: int) -> None:
        self.size = size
        self.part_size = part_size
        self.count = count_of(size, part_size)

    def span(self, number: int) -> Span:
        """The part of that number. Raises ``IndexError`` where there is none."""
        if not 1 <= number <= self.count:
            raise IndexError(f"part {number} of {self.count}")
        offset = (number - 1) * self.part_size
        return Span(number, offset, min(self.part_size, self.size - offset))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Span]:
        return map(self.span, range(1, self.count + 1))


class UnequalSpans(Spans):
    """The parts of an object by their sizes; ``part_size`` is that of the longest."""

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
    """Whether S3 takes an upload in parts of these sizes, in bytes; none of them may be empty."""
    shortest = min(sizes[:-1], default=MIN_PART)
    return shortest >= MIN_PART and sizes[-1] > 0 and max(sizes) <= MAX_PART


def spans(size: int, part_size: int) -> Spans:
    """The parts of an object, in order; both in bytes."""
    return Spans(size, part_size)
