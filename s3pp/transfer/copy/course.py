"""The state of the copy of one object, and the errors that change its course."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import MAX_PART, MAX_SINGLE_PUT
from s3pp.records import CopyTask, Dest, Done, SendReason, Skipped, SkipReason
from s3pp.s3.answers import pin_of
from s3pp.s3.multipart import Spans, part_size


class Written(NamedTuple):
    """A write that the store acknowledged."""

    etag: str
    attempts: int
    kept: int = 0  # bytes that the store had already, for a resumed upload


class Target(Enum):
    """Whether the condition that the target be absent may be what failed."""

    FREE = "there was no such condition"
    ABSENT = "there was, and it holds"
    UNSEEN = "there was, and nobody may look whether it holds"


class Stale(ObjectError):
    """Raised when a condition failed, probably that of the source, which then has changed.

    ``refusal`` is the store's error; ``target`` the state of the other condition.
    """

    def __init__(self, refusal: ObjectError, target: Target) -> None:
        super().__init__(FailureKind.CHANGED, "the object kept changing while it was copied")
        self.refusal = refusal
        self.target = target


class Unable(Exception):
    """Raised when the store cannot copy this object in this way; another may work.

    ``lasting``: it cannot copy any other object either.
    """

    def __init__(self, why: str, *, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


class OtherParts(ObjectError):
    """Raised when the source has other parts: the copy gets its ETag only with the same parts."""

    def __init__(self, spans: Spans) -> None:
        super().__init__(FailureKind.INTEGRITY, "the source was sent in parts of another size")
        self.spans = spans


@dataclass(slots=True)
class Course:
    """The state of one task, over all its attempts."""

    task: CopyTask
    source: Dest  # as last seen; only this state is copied
    storage_class: str
    reason: SendReason
    ours: Dest = field(init=False)  # the target after a successful write of ours
    pin: str = field(init=False)  # the source's If-Match; empty: ETags are compared instead
    written: bool = False  # a write of ours succeeded: later ones are unconditional
    doubted: bool = False  # the store's answers to the target's condition are inconsistent
    streamed: bool = False  # the store cannot copy it by itself
    whole: bool = False  # it cannot be copied in parts in this way
    parted: bool = False  # the last attempt was in parts
    spans: Spans | None = None  # the source's parts, if an attempt has found them

    def __post_init__(self) -> None:
        self.ours, self.pin = self.source, pin_of(self.source.etag)

    @property
    def certain(self) -> bool:
        """Whether a 412 can only concern the target: the request had no condition on the source."""
        return self.streamed or self.parted

    @property
    def has_another_way(self) -> bool:
        """Whether another way is left if copying in parts in this way fails."""
        return not self.streamed or self.source.size <= MAX_SINGLE_PUT

    def take(self, source: Dest, storage_class: str) -> None:
        """Set the current state of the source. Raises ``ObjectError`` if it is now too large."""
        check_size(source.size)
        self.source = self.ours = source
        self.pin = pin_of(source.etag)
        self.storage_class = storage_class
        self.spans = None

    def done(self, written: Written) -> Done:
        """Return the outcome of a completed copy."""
        source, target, size = self.task.source, self.task.target, self.source.size
        sent = size - written.kept
        return Done(source, target, size, sent, written.etag, self.reason, written.attempts)

    def skipped(self, reason: SkipReason) -> Skipped:
        """Return the outcome of an object that is not copied."""
        return Skipped(self.task.source, self.task.target, self.source.size, reason)


def check_size(size: int) -> None:
    """Raise ``ObjectError`` if no object can have ``size`` bytes in any number of parts."""
    part_size(size, MAX_PART)
