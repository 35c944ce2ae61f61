"""The copier: takes copy tasks and returns their outcomes.

::

    CopyTask ─▶ ask the destination, if its listing could not tell
             ─▶ decide ─▶ Skipped
             ─▶ by the store (CopyObject, or UploadPartCopy) ───┐
                    └ not possible ─▶ through this machine ─────┴─▶ Done | Failed
                      (GET, verify, PUT, or UploadPart)

``layout`` decides whether an object is copied whole or in parts; ``in_parts`` does the latter, and
parts that pass through this machine are transferred by any copier.
"""

from __future__ import annotations

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.compare import same_checksum
from s3pp.integrity.stored_object import StoredObject
from s3pp.job import Job, Mode
from s3pp.limits import MAX_SINGLE_PUT
from s3pp.records import (
    CopyPart,
    CopyTask,
    Dest,
    Outcome,
    PartOutcome,
    SendReason,
    Skipped,
    SkipReason,
)
from s3pp.s3.client import Bucket
from s3pp.s3.retry import StoreError
from s3pp.transfer import modes
from s3pp.transfer.condition import Taken, seen
from s3pp.transfer.copy.asked import Asked
from s3pp.transfer.copy.by_store import ByStore
from s3pp.transfer.copy.carry import Carrier
from s3pp.transfer.copy.course import (
    Course,
    OtherParts,
    Stale,
    Target,
    Unable,
    Written,
    check_size,
)
from s3pp.transfer.copy.in_parts import InParts, Way
from s3pp.transfer.copy.labels import Labels
from s3pp.transfer.copy.layout import Layouts
from s3pp.transfer.copy.parts_by_store import PartsByStore
from s3pp.transfer.copy.parts_through import PartsThrough
from s3pp.transfer.copy.through import Through
from s3pp.transfer.ending import failed
from s3pp.transfer.means import Means
from s3pp.transfer.parts.lead import Lead
from s3pp.transfer.refused import source_fault, vanished

_TRIES = 4  # of an object that changes, or arrives incomplete
_TWICE = (
    "some objects are sent twice: their parts are not of the size that was tried first, and only "
    "in parts like its source's is a copy known again by the next run"
)
_TWO_STORES = "source and destination are two stores: objects are copied through this machine"


class Copier:
    """Copies objects from one bucket to another by the rules of one job.

    ``shared``: the same store serves both buckets, so that it may copy by itself.
    """

    def __init__(
        self, job: Job, source: Bucket, dest: Bucket, *, shared: bool, means: Means
    ) -> None:
        self.notes: list[str] = []  # notices for users, read by the worker
        self._told: set[str] = set()
        self._mode = job.mode
        self._dry_run = job.dry_run
        self._looks_back = job.parts.resume
        self._source = source
        self._dest = dest
        # Why objects are copied through this machine; None: they are not.
        self._detour = None if shared else _TWO_STORES
        self._carrier = Carrier(job.objects, dest.endpoint)
        self._asked = Asked(self._carrier.given, dest)
        buckets = (source, dest)
        labels = Labels(source, self._carrier, self._tell)
        self._layouts = Layouts(job, buckets)
        self._by_store = ByStore(source, dest, self._carrier, job.mode, self._tell)
        self._through = Through(job, buckets, labels, means, self._tell)
        lead = Lead(job, dest, self._tell, own=means.own)
        self._in_parts = InParts(lead, dest, labels, self._layouts, self._tell)
        self._parts_by_store = PartsByStore(job, buckets, means.parts)
        self._parts_through = PartsThrough(job, buckets, means)
        self.requests_spared = 0  # that a dry run did not make

    async def transfer(self, task: CopyTask) -> Outcome:
        """Copy one object and return its outcome. Raises only ``FatalError``."""
        try:
            return await self._copy(task)
        except Exception as error:
            return failed(task, error)

    async def part(self, part: CopyPart) -> PartOutcome:
        """Transfer one range. Raises only ``FatalError``."""
        return await self._parts_through.part(part)

    async def _copy(self, task: CopyTask) -> Outcome:
        source = Dest(task.size, task.etag)
        dest = await seen(self._dest, task.target) if task.ask else task.dest
        reason = modes.decide_copy(self._mode, source, dest)
        if isinstance(reason, SkipReason):
            return Skipped(task.source, task.target, task.size, reason)
        if reason is SendReason.UNKNOWN and dest and await self._is_same(task, source, dest):
            return Skipped(task.source, task.target, task.size, SkipReason.SAME_CHECKSUM)
        check_size(task.size)
        course = Course(task, source, task.storage_class, reason)
        if self._detour:
            course.streamed = True
            self._tell(self._detour)
        return await (self._imagined(course) if self._dry_run else self._tried(course))

    async def _is_same(self, task: CopyTask, source: Dest, dest: Dest) -> bool:
        here = StoredObject(self._source, task.source, source)
        return await same_checksum(here, StoredObject(self._dest, task.target, dest))

    async def _imagined(self, course: Course) -> Outcome:
        cut = await self._layouts.cut(course)
        each = 2 if course.streamed else 1
        if cut is None:
            self.requests_spared += each
        else:  # two more to create and to complete it, and one to find an earlier upload
            self.requests_spared += each * len(cut.spans) + 2 + self._looks_back
        self._tell(self._carrier.left_behind)
        return course.done(Written(course.source.etag, 0))

    async def _tried(self, course: Course) -> Outcome:
        for _ in range(_TRIES - 1):
            try:
                return await self._attempt(course)
            except Stale as stale:
                changed = await self._look_again(course)
                if not changed and (outcome := self._judged(course, stale)):
                    return outcome
            except ObjectError as error:
                if error.kind is not FailureKind.INTEGRITY:
                    raise
        return await self._attempt(course)

    async def _attempt(self, course: Course) -> Outcome:
        try:
            written = await self._written(course)
        except Taken as taken:
            return await self._taken(course, taken)
        except Unable as unable:
            await self._asked.check(course.task.target)
            self._detoured(course, unable)
            return await self._attempt(course)
        except OtherParts as other:
            course.spans = other.spans
            if course.streamed:
                self._tell(_TWICE)
            return await self._attempt(course)
        self._tell(self._carrier.left_behind)
        return course.done(written)

    async def _written(self, course: Course) -> Written:
        cut = await self._layouts.cut(course)
        course.parted = cut is not None
        if cut is not None:
            return await self._in_parts.write(course, cut, self._way(course))
        written = await (self._through if course.streamed else self._by_store).write(course)
        await self._in_parts.clear(course.task.target)
        return written

    def _way(self, course: Course) -> Way:
        return self._parts_through if course.streamed else self._parts_by_store

    def _detoured(self, course: Course, unable: Unable) -> None:
        """Switch to another way: whole after parts have failed, else through this machine."""
        if course.parted and course.source.size <= MAX_SINGLE_PUT:
            course.whole = True
            if unable.lasting:
                self._layouts.give_up(streamed=course.streamed)
            return
        course.streamed, course.whole = True, False
        note = f"{unable}: objects are copied through this machine"
        self._tell(note)
        # A store that has copied other objects refuses only this one.
        self._detour = None if self._by_store.trusted else note

    async def _taken(self, course: Course, taken: Taken) -> Outcome:
        """Return the outcome for an existing target; raises ``Stale`` if the source may be why."""
        dest, refusal = taken.dest, taken.refusal
        if course.doubted and course.streamed:
            self._by_store.absence.kept = True  # its answer was right
        try:
            dest = dest or await self._dest.head(course.task.target)
        except StoreError as error:
            if error.status != 403:
                raise
            if refusal is None or course.certain:
                return course.skipped(SkipReason.EXISTS)
            raise Stale(refusal, Target.UNSEEN) from None
        if dest is None:
            assert refusal is not None
            raise refusal if course.certain else Stale(refusal, Target.ABSENT)
        if refusal and dest.etag and dest == course.ours:
            return course.done(Written(dest.etag, 1))
        reason = modes.decide_copy(Mode.ADD, course.source, dest)
        assert isinstance(reason, SkipReason)
        return course.skipped(reason)

    def _judged(self, course: Course, stale: Stale) -> Outcome | None:
        """Return the outcome of a failed condition for an unchanged source; None: try once more.

        OpenStack Swift applies If-None-Match of a CopyObject to the source, which exists.
        """
        if stale.target is Target.FREE:
            raise stale.refusal
        course.doubted = True
        if stale.target is Target.ABSENT:
            self._by_store.doubt()
        elif self._by_store.absence.kept:
            return course.skipped(SkipReason.EXISTS)
        else:
            course.streamed = True  # the condition of a PUT is unambiguous
        return None

    async def _look_again(self, course: Course) -> bool:
        """Update the source to its current state; returns false if it is unchanged.

        If its ETag turns out to be unusable for conditions, later requests omit them.
        """
        try:
            found = await self._source.look(course.task.source)
        except StoreError as error:
            raise source_fault(error) from None
        if found is None:
            raise vanished()
        if (found.etag, found.pin) == (course.source.etag, course.pin):
            return False
        storage_class = found.response.header(b"x-amz-storage-class") or ""
        course.take(Dest(found.size, found.etag), storage_class)
        course.pin = found.pin
        return True

    def _tell(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            self.notes.append(note)
