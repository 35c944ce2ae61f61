"""A large object, led through its ranges: looked at, fetched by all workers, verified whole.

::

    HEAD ─▶ its size, its ETag, what will prove it
    ─▶ a partial file, of an earlier run or a new one ─▶ ranges, offered to all workers
                                                         (each fetched, or there already)
    ─▶ their digests, held against what the HEAD told ─▶ Fetched
             └─ replaced meanwhile: look again │ no ranges here: None, fetch it in one

Every range is pinned to the ETag, so that two objects are never mixed. A weak ETag pins nothing,
and neither does one to which the store holds ranges without success: then the ETag of each answer
is compared, and an object that nothing else proves at the end is fetched in one. A failure leaves
the partial file, for the next run to go on with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from s3pp.errors import FailureKind, Kept, ObjectError, Unfinished
from s3pp.integrity.received import Corrupt
from s3pp.integrity.stored_object import ASK_CHECKSUM, StoredObject
from s3pp.integrity.verifiers import LONGEST, Verifier, verifier_of
from s3pp.job import Job
from s3pp.localfs.partial_file import InUse, NoLocks, PartialFile, RangeLayout
from s3pp.localfs.paths import partial_name
from s3pp.localfs.stale_files import SupersededFiles
from s3pp.localfs.temporary_file import TemporaryFile, Vanished
from s3pp.localfs.tree import Tree, split
from s3pp.records import Dest, GetPart, GetTask, PartDone, PartFault, PartOutcome, PartTask, Span
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket
from s3pp.s3.multipart import Spans, part_size
from s3pp.transfer.get.follower import Follower
from s3pp.transfer.get.range import fault_of
from s3pp.transfer.means import Means
from s3pp.transfer.parts.moving import PartError, moved
from s3pp.transfer.refused import vanished

_STARTS = 3  # objects begun under one key before it counts as always being replaced
_NOWHERE = Span(0, 0, 0)
_AHEAD = 2  # times as many ranges as are fetched at once may wait to be digested


class Fetched(NamedTuple):
    """An object that has come, and was verified."""

    file: TemporaryFile  # to be finished
    answer: Answer  # of the HEAD
    moved: int  # bytes, those left out that were there already


class _Replaced(ObjectError):
    """The object is another by now."""

    def __init__(self) -> None:
        message = f"it was replaced while it was fetched, {_STARTS} times: get it again later"
        super().__init__(FailureKind.CHANGED, message)


class _Unranged(Exception):
    """The store has no ranges."""


class InRanges:
    """Leads downloads by the rules of one job."""

    def __init__(
        self, job: Job, bucket: Bucket, tree: Tree, means: Means, tell: Callable[[str], None]
    ) -> None:
        self._parts = job.parts
        self._at_once = job.speed.parts_at_once
        self._bucket = bucket
        self._tree = tree
        self._reader = means.reader
        self._run = means.parts.run
        self._tell = tell
        self._superseded = SupersededFiles(tree)

    def requests(self, size: int) -> int:
        """How many requests an object of ``size`` bytes costs."""
        return 1 + Spans(size, self._range_size(size)).count

    async def fetch(self, task: GetTask, *, mode: int | None) -> Fetched | None:
        """Bring an object here, verified; None where that has to be done with one request.

        ``mode`` is as in ``FileAttributes``. Raises ``Corrupt`` and ``Vanished``, after which
        fetching it again may help, and ``ObjectError``, ``FatalError`` and ``Unfinished``.
        """
        before = None
        for _ in range(_STARTS):
            answer = await self._looked(task)
            if not self._has_ranges(answer):
                return None
            # What is said to be replaced, and is not, is refused for its pin.
            pin = "" if answer.etag == before else answer.pin
            before = answer.etag
            with suppress(_Replaced):
                try:
                    return await self._once(task, answer, pin, mode=mode)
                except _Unranged:
                    return None
        raise _Replaced

    async def _looked(self, task: GetTask) -> Answer:
        answer = await self._bucket.look(task.source, headers=(ASK_CHECKSUM,))
        if answer is None:
            raise vanished()
        told = answer.declared is not None
        if told and answer.etag == task.etag and answer.size != task.size:
            here, listed = answer.size, task.size
            raise Corrupt(f"{here} bytes are announced, and the listing has {listed}")
        return answer

    def _has_ranges(self, answer: Answer) -> bool:
        # What has become small needs no ranges.
        return bool(answer.etag) and answer.size > self._parts.threshold

    async def _once(self, task: GetTask, answer: Answer, pin: str, *, mode: int | None) -> Fetched:
        try:
            stored = StoredObject(self._bucket, task.source, Dest(answer.size, answer.etag))
            verifier = await verifier_of(stored, answer, longest=max(LONGEST, self._parts.size))
        except ObjectError as error:
            replaced = fault_of(error) is PartFault.REPLACED
            raise (_Replaced() if replaced else error) from None
        if not (pin or verifier.proves):
            raise _Unranged
        work = await self._reader.away(lambda: self._opened(task, answer, verifier, mode))
        file = work.file
        try:
            parts = await self._moved(work._replace(part=work.part._replace(pin=pin)), verifier)
            if fault := await verifier.fault(parts):
                raise fault
        except ObjectError as error:
            what = error
            raise await self._reader.away(lambda: _meant(what, task, file)) from None
        except BaseException as error:  # the run is ending
            if file.keep_or_discard() and isinstance(error, Unfinished):
                self._tell(f"{task.target}: not finished; {Kept.FILE.value}")
            raise
        kept = sum(not part.moved for part in parts)
        if kept:
            self._tell(f"{task.target}: {kept} of {len(parts)} ranges were there already")
        return Fetched(file, answer, sum(part.size for part in parts if part.moved))

    # The file

    def _opened(self, task: GetTask, answer: Answer, verifier: Verifier, mode: int | None) -> _Work:
        size, etag = answer.size, answer.etag
        each = verifier.part_size or self._range_size(size)
        part = GetPart(task.source, etag, _NOWHERE, "", verifier.digest)
        name = self._name(task, etag) if self._parts.resume else ""
        try:
            if name:
                layout = RangeLayout(etag, size, each, verifier.digest)
                partial = PartialFile(self._tree, task.target, name, layout, mode=mode)
                part = part._replace(path=partial.temporary, claim=partial.claim)
                part = part._replace(inode=partial.inode)
                plan = Spans(size, partial.layout.part_size)
                return _Work(partial, part, plan, partial.known)
        except NoLocks as error:
            self._tell(str(error))
        except InUse:
            pass
        finally:
            self._superseded.remove(task.target, keep=name)
        file = TemporaryFile(self._tree, task.target, mode=mode)
        file.preallocate(size)
        part = part._replace(path=file.temporary, inode=file.inode)
        return _Work(file, part, Spans(size, each), {})

    def _name(self, task: GetTask, etag: str) -> str:
        endpoint = self._bucket.endpoint
        name = split(task.target)[1]
        return partial_name(name, endpoint.service, endpoint.bucket, task.source, etag)

    def _range_size(self, size: int) -> int:
        # Parts have to grow where there would be too many; ranges have not.
        wanted = self._parts.size
        return min(part_size(size, wanted), max(LONGEST, wanted))

    # The ranges

    async def _moved(self, work: _Work, verifier: Verifier) -> list[PartDone]:
        if verifier.feed is None:
            return await moved(work.parts(), self._run, at_once=self._at_once)
        ahead = _AHEAD * self._at_once
        follower = Follower(work.file, work.plan, verifier.feed, self._reader, ahead=ahead)

        async def followed(part: PartTask) -> PartOutcome:
            await follower.near(part.span.number)
            outcome = await self._run(part)
            if isinstance(outcome, PartDone):
                follower.hear(outcome.number)
            return outcome

        try:
            done = await moved(work.parts(), followed, at_once=self._at_once)
            await follower.done()
            return done
        finally:
            await follower.stop()


class _Work(NamedTuple):
    """A file and the ranges it is to have."""

    file: TemporaryFile
    part: GetPart  # any of them: what all have in common
    plan: Spans
    known: dict[int, str]  # digests, by the numbers of ranges that are there

    def parts(self) -> Iterator[GetPart]:
        for span in self.plan:
            yield self.part._replace(span=span, known=self.known.get(span.number, ""))


def _meant(error: ObjectError, task: GetTask, file: TemporaryFile) -> Exception:
    """What an error means for the object; what is of no use any more is removed."""
    meant = {
        PartFault.NONE: error,
        PartFault.NO_RANGES: _Unranged(),
        PartFault.REPLACED: _Replaced(),
        PartFault.REMOVED: vanished(),
        PartFault.FILE_REMOVED: Vanished(task.target),
    }
    fault = error.fault if isinstance(error, PartError) else fault_of(error)
    if fault is not PartFault.NONE or isinstance(error, Corrupt):
        file.discard()
        return meant[fault]
    if file.keep_or_discard():
        error.kept = Kept.FILE
    return error
