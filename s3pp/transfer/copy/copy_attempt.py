"""The state of the copy of one object, over all attempts, and what makes another necessary."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError, outdated
from s3pp.limits import MAX_PART, MAX_SINGLE_PUT
from s3pp.records import (
    CopyTask,
    Dest,
    Done,
    Facts,
    SendReason,
    Skipped,
    SkipReason,
    other_size,
)
from s3pp.s3.answers import Answer, pin_of
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import Spans, part_size
from s3pp.s3.retry import StoreError
from s3pp.transfer.errors import object_vanished, source_fault

_GROWN = "the object has grown beyond what one request carries: copy it again"
_OTHER = "the source is another by now"
_NO_ETAG = "the store reports no ETag, to which the copied parts could be pinned"


class Written(NamedTuple):
    """A write that the store acknowledged."""

    etag: str
    attempts: int
    kept: int = 0  # bytes that the store had already, for a resumed upload
    facts: Facts | None = None  # in a run with a journal


class Target(Enum):
    """Whether the condition that the target be absent may be what failed."""

    UNCONDITIONAL = "there was no such condition"
    ABSENT = "there was, and it holds"
    UNKNOWN = "there was, and whether it holds cannot be seen"


class SourceChanged(ObjectError):
    """Raised when a condition failed, probably that of the source, which then has changed.

    ``refusal`` is the failure of the request; ``target`` the state of the other condition.
    """

    def __init__(self, refusal: ObjectError, target: Target = Target.UNCONDITIONAL) -> None:
        super().__init__(FailureKind.CHANGED, "the object kept changing while it was copied")
        self.refusal = refusal
        self.target = target

    @classmethod
    def unnoticed(cls) -> SourceChanged:
        """Return the error for a store that answers in spite of the condition."""
        return cls(StoreError(412, "PreconditionFailed", _OTHER))


class CannotCopy(Exception):
    """Raised when the store cannot copy this object in this way; another may work.

    ``is_lasting``: it cannot copy any other object either.
    """

    def __init__(self, why: str, *, is_lasting: bool = False) -> None:
        super().__init__(why)
        self.is_lasting = is_lasting


class OtherParts(ObjectError):
    """Raised when the source has other parts: the copy gets its ETag only with the same parts."""

    def __init__(self, spans: Spans) -> None:
        super().__init__(FailureKind.INTEGRITY, "the source was sent in parts of another size")
        self.spans = spans


@dataclass(slots=True)
class CopyAttempt:
    """The state of one task, over all its attempts. Raises as ``check_size`` when created."""

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
        if self.source.size > MAX_SINGLE_PUT:
            check_size(self.source.size)
        self.ours, self.pin = self.source, pin_of(self.source.etag)

    @property
    def is_certain(self) -> bool:
        """Whether a 412 can only concern the target: the request had no condition on the source."""
        return self.streamed or self.parted

    @property
    def fits_one_request(self) -> bool:
        """Whether the object can be copied whole."""
        return self.source.size <= MAX_SINGLE_PUT

    @property
    def has_another_way(self) -> bool:
        """Whether another way is left if copying in parts in this way fails."""
        return not self.streamed or self.fits_one_request

    def set_source(self, source: Dest, storage_class: str) -> None:
        """Set the current state of the source.

        Raises ``ObjectError`` if it is now too large, or not what a plan means.
        """
        check_size(source.size)
        if self.task.planned is not None and source.etag != self.task.etag:
            raise outdated("the source")
        self.source = self.ours = source
        self.pin = pin_of(source.etag)
        self.storage_class = storage_class
        self.spans = None

    def set_fetched(self, source: Dest) -> None:
        """Set the state in which the source was fetched whole. Raises if that is too large now."""
        self.set_source(source, self.storage_class)
        if not self.fits_one_request:
            raise ObjectError(FailureKind.CHANGED, _GROWN)

    def see(self, found: Answer) -> None:
        """Set the current state of the source from the answer to a HEAD."""
        storage_class = found.response.header(b"x-amz-storage-class") or ""
        self.set_source(Dest(found.size, found.etag), storage_class)

    async def refresh(self, bucket: Bucket) -> bool:
        """HEAD the source and set its current state; return false if it is unchanged.

        If its ETag turns out to be unusable for conditions, later requests omit them.
        """
        found = await _look(bucket, self.task.source, ())
        if (found.etag, found.pin) == (self.source.etag, self.pin):
            return False
        self.see(found)
        self.pin = found.pin
        return True

    async def look_pinned(self, bucket: Bucket, headers: Headers = ()) -> Answer:
        """HEAD the source, which is pinned from now on if the listing had no ETag.

        Raises ``SourceChanged`` if it is not the pinned one, and ``ObjectError``.
        """
        pin = [("if-match", self.pin)] if self.pin else []
        found = await _look(bucket, self.task.source, [*pin, *headers])
        if not found.etag:
            raise ObjectError(FailureKind.REJECTED, _NO_ETAG)
        if not self.source.etag:
            self.set_source(Dest(found.size, found.etag), self.storage_class)
        elif self.source.etag != found.etag:
            raise SourceChanged.unnoticed()
        self.pin = found.pin
        return found

    def done(self, written: Written) -> Done:
        """Return the outcome of a completed copy."""
        source, target, size = self.task.source, self.task.target, self.source.size
        sent, facts = size - written.kept, written.facts
        done = Done(source, target, size, sent, written.etag, self.reason, written.attempts)
        if facts is None:
            return done
        return done._replace(facts=facts._replace(source_etag=self.source.etag))

    def skipped(self, reason: SkipReason, dest: Dest | None = None) -> Skipped:
        """Return the outcome of an object that is not copied; ``dest``: the target, if known."""
        source, target, size = self.task.source, self.task.target, self.source.size
        return Skipped(source, target, size, reason, dest_size=other_size(size, dest))


async def _look(bucket: Bucket, key: str, headers: Headers) -> Answer:
    try:
        found = await bucket.look(key, headers=headers)
    except StoreError as error:
        raise (SourceChanged(error) if error.status == 412 else source_fault(error)) from None
    if found is None:
        raise object_vanished()
    return found


def classify_refusal(error: StoreError, *, same_keys: bool) -> Exception:
    """Return the error for a refused CopyObject or UploadPartCopy, the target's condition aside.

    ``same_keys``: source and destination use the same access keys.
    """
    if error.status == 412:
        return SourceChanged(error)
    if error.status in (405, 501):
        return CannotCopy(f"the store does not copy by itself ({error.code})", is_lasting=True)
    if error.code == "AccessDenied" and not same_keys:
        return CannotCopy("the keys of the destination may not read the source")
    return source_fault(error)


def check_size(size: int) -> None:
    """Raise ``ObjectError`` if no object can have ``size`` bytes in any number of parts."""
    part_size(size, MAX_PART)
