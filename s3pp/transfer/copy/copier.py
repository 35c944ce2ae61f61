"""The copier: one task in, one outcome out.

::

    CopyTask ─▶ ask the destination, if its listing could not tell
             ─▶ decide ─▶ Skipped
             ─▶ by the store (CopyObject) ──────────────────────┐
                    └ not possible ─▶ through this machine ─────┴─▶ Done | Failed
                      (GET, verify, PUT)
"""

from __future__ import annotations

from s3pp.errors import FailureKind, ObjectError
from s3pp.job import Job, Mode
from s3pp.records import CopyTask, Dest, Outcome, SendReason, Skipped, SkipReason
from s3pp.s3.operations import Bucket
from s3pp.s3.retry import StoreError
from s3pp.transfer import modes
from s3pp.transfer.copy.alike import alike
from s3pp.transfer.copy.by_store import ByStore
from s3pp.transfer.copy.carry import Carrier
from s3pp.transfer.copy.condition import Taken, seen
from s3pp.transfer.copy.course import Course, Stale, Target, Unable, check_size
from s3pp.transfer.copy.fetch import Means
from s3pp.transfer.copy.through import Through
from s3pp.transfer.ending import ended
from s3pp.transfer.refused import source_fault, vanished

_TRIES = 4  # of an object that changes, or does not come whole
_TWO_STORES = "source and destination are two stores: objects are copied through this machine"


class Copier:
    """Copies objects from one bucket to another by the rules of one job.

    ``shared``: one store serves both buckets, so that it may copy by itself.
    """

    def __init__(
        self, job: Job, source: Bucket, dest: Bucket, *, shared: bool, means: Means
    ) -> None:
        self.notes: list[str] = []  # what people should know once, read by the worker
        self._told: set[str] = set()
        self._mode = job.mode
        self._dry_run = job.dry_run
        self._source = source
        self._dest = dest
        # Why objects go through this machine; None: they do not.
        self._detour = None if shared else _TWO_STORES
        self._carrier = Carrier(job.objects, dest.endpoint)
        self._by_store = ByStore(source, dest, self._carrier, job.mode, self._tell)
        self._through = Through(job, (source, dest), self._carrier, means, self._tell)
        self.requests_spared = 0  # that a dry run did not make

    async def transfer(self, task: CopyTask) -> Outcome:
        """Bring one object to its end. Raises ``FatalError`` only."""
        return await ended(task, self._copy(task))

    async def _copy(self, task: CopyTask) -> Outcome:
        source = Dest(task.size, task.etag)
        dest = await seen(self._dest, task.target) if task.ask else task.dest
        reason = modes.decide_copy(self._mode, source, dest)
        if isinstance(reason, SkipReason):
            return Skipped(task.source, task.target, task.size, reason)
        if reason is SendReason.UNKNOWN and dest and await self._alike(task, source, dest):
            return Skipped(task.source, task.target, task.size, SkipReason.SAME_CHECKSUM)
        check_size(task.size)
        course = Course(task, source, task.storage_class, reason)
        if self._detour:
            course.streamed = True
            self._tell(self._detour)
        return self._imagined(course) if self._dry_run else await self._tried(course)

    async def _alike(self, task: CopyTask, source: Dest, dest: Dest) -> bool:
        return await alike((self._source, task.source, source), (self._dest, task.target, dest))

    def _imagined(self, course: Course) -> Outcome:
        self.requests_spared += 2 if course.streamed else 1
        self._tell(self._carrier.left_behind(streamed=course.streamed))
        return course.done(course.source.etag, 0)

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
            way = self._through if course.streamed else self._by_store
            written = await way.write(course)
        except Taken as taken:
            return await self._taken(course, taken)
        except Unable as unable:
            course.streamed = True
            note = f"{unable}: objects are copied through this machine"
            self._tell(note)
            # What a store that has copied others refuses, it refuses to this one object.
            self._detour = None if self._by_store.trusted else note
            return await self._attempt(course)
        self._tell(self._carrier.left_behind(streamed=course.streamed))
        return course.done(written.etag, written.attempts)

    async def _taken(self, course: Course, taken: Taken) -> Outcome:
        """The target exists, by another's hand or our own; or the source is what was refused."""
        dest, refusal = taken.dest, taken.refusal
        if course.doubted and course.streamed:
            self._by_store.trusted = True  # it has told the truth
        try:
            dest = dest or await self._dest.head(course.task.target)
        except StoreError as error:
            if error.status != 403:
                raise
            if refusal is None or course.streamed:
                return course.skipped(SkipReason.EXISTS)
            raise Stale(refusal, Target.UNSEEN) from None
        if dest is None:
            assert refusal is not None
            raise refusal if course.streamed else Stale(refusal, Target.ABSENT)
        if refusal and dest.etag and dest == course.ours:
            return course.done(dest.etag, 1)
        reason = modes.decide_copy(Mode.ADD, course.source, dest)
        assert isinstance(reason, SkipReason)
        return course.skipped(reason)

    def _judged(self, course: Course, stale: Stale) -> Outcome | None:
        """What a failed condition means if the source has not changed; None: try once more.

        OpenStack Swift holds If-None-Match of a CopyObject against the source, which is there.
        """
        if stale.target is Target.FREE:
            raise stale.refusal
        course.doubted = True
        if stale.target is Target.ABSENT:
            self._by_store.doubt()
        elif self._by_store.trusted:
            return course.skipped(SkipReason.EXISTS)
        else:
            course.streamed = True  # the one condition of a PUT means one thing
        return None

    async def _look_again(self, course: Course) -> bool:
        """Take the source as it is now; False if that is what it was before."""
        try:
            found = await self._source.look(course.task.source)
        except StoreError as error:
            raise source_fault(error) from None
        if found is None:
            raise vanished()
        if found.etag == course.source.etag:
            return False
        storage_class = found.response.header(b"x-amz-storage-class") or ""
        course.take(Dest(found.size, found.etag), storage_class)
        return True

    def _tell(self, note: str) -> None:
        if note not in self._told:
            self._told.add(note)
            self.notes.append(note)
