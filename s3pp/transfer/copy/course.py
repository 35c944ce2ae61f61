"""How far the copy of one object has come, and what can turn up on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import MAX_PART, MAX_SINGLE_PUT
from s3pp.records import CopyTask, Dest, Done, SendReason, Skipped, SkipReason
from s3pp.s3.etag import pin_of
from s3pp.s3.part_plan import Spans, part_size
from s3pp.s3.retry import StoreError


class Written(NamedTuple):
    """A write that the store acknowledged."""

    etag: str
    attempts: int
    kept: int = 0  # bytes that the store had already, of an upload that was resumed


class Target(Enum):
    """Whether the condition that a target be absent can be what failed."""

    FREE = "there was no such condition"
    ABSENT = "there was, and it holds"
    UNSEEN = "there was, and nobody may look whether it holds"


class Stale(ObjectError):
    """A condition failed, it seems that of the source: it is not what it was when last seen.

    ``refusal`` is how the store put it; ``target`` what is known of the other condition.
    """

    def __init__(self, refusal: StoreError, target: Target) -> None:
        super().__init__(FailureKind.CHANGED, "the object kept changing while it was copied")
        self.refusal = refusal
        self.target = target


class Unable(Exception):
    """The store cannot copy this object so; in another way it may arrive.

    ``lasting``: nor any other object.
    """

    def __init__(self, why: str, *, lasting: bool = False) -> None:
        super().__init__(why)
        self.lasting = lasting


class OtherParts(ObjectError):
    """The source was sent in other parts than these: only in its own can the copy have its ETag."""

    def __init__(self, spans: Spans) -> None:
        super().__init__(FailureKind.INTEGRITY, "the source was sent in parts of another size")
        self.spans = spans


@dataclass(slots=True)
class Course:
    """One task, over all its attempts."""

    task: CopyTask
    source: Dest  # as last seen: what is copied, or nothing
    storage_class: str
    reason: SendReason
    ours: Dest = field(init=False)  # what the target is once a write of ours succeeded
    pin: str = field(init=False)  # the source's If-Match; empty: only comparing ETags tells
    written: bool = False  # one has: no condition protects the target from us
    doubted: bool = False  # what the store says of the condition on the target makes no sense
    streamed: bool = False  # the store cannot copy it by itself
    whole: bool = False  # it cannot go in parts, this way
    parted: bool = False  # what was tried last: in parts
    spans: Spans | None = None  # the source's parts, where an attempt has found them out

    def __post_init__(self) -> None:
        self.ours, self.pin = self.source, pin_of(self.source.etag)

    @property
    def certain(self) -> bool:
        """Whether a 412 can but mean the target: no condition on the source went with it."""
        return self.streamed or self.parted

    @property
    def has_another_way(self) -> bool:
        """Whether there is one left, if it cannot be copied in parts as it was to be."""
        return not self.streamed or self.source.size <= MAX_SINGLE_PUT

    def take(self, source: Dest, storage_class: str) -> None:
        """Go on with the source as it is now. Raises ``ObjectError`` if it is too large by now."""
        check_size(source.size)
        self.source = self.ours = source
        self.pin = pin_of(source.etag)
        self.storage_class = storage_class
        self.spans = None

    def done(self, written: Written) -> Done:
        """The outcome of a copy that is there."""
        source, target, size = self.task.source, self.task.target, self.source.size
        sent = size - written.kept
        return Done(source, target, size, sent, written.etag, self.reason, written.attempts)

    def skipped(self, reason: SkipReason) -> Skipped:
        """The outcome where nothing was to be copied."""
        return Skipped(self.task.source, self.task.target, self.source.size, reason)


def check_size(size: int) -> None:
    """Raise ``ObjectError`` where no object can have ``size`` bytes, in however many parts."""
    part_size(size, MAX_PART)
