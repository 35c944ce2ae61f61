"""Download of a large object by ranges, which all workers fetch, into one file.

::

    HEAD ─▶ its size, its ETag, what will prove it
    ─▶ a partial file, of an earlier run or a new one ─▶ ranges, fetched by all workers
                                                         (unless the file has them already)
    ─▶ their digests, compared with what the HEAD showed ─▶ Fetched
             └─ replaced meanwhile: start again │ no ranges here: None, fetch it with one request

Every range is pinned to the ETag, so that two objects are never mixed. A weak ETag pins nothing,
and neither does one that the store rejects although it is unchanged: then the ETag of each answer
is compared, and an object that nothing else proves at the end is fetched with one request. After a
failure the partial file is kept for the next run.

A digest such as MD5 takes the bytes one after another: an ``OrderedReader`` reads them while ranges
still arrive in any order. What has just been written is still in the system's page cache, so that
this costs no disk. To keep it so, and to leave little of the digest's work to the end, no range is
started far ahead of the reader.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from s3pp.errors import Kept, ObjectError, RunEnding
from s3pp.integrity.stored_object import StoredObject
from s3pp.integrity.verifiers import LONGEST, Corrupt, Feed, Verifier, choose_verifier
from s3pp.job import Job
from s3pp.localfs.partial_file import PartialFiles, RangeLayout
from s3pp.localfs.temporary_file import TemporaryFile, Vanished
from s3pp.localfs.tree import Tree
from s3pp.records import Calls, Dest, GetPart, GetTask, PartDone, PartFault, PartOutcome, Span
from s3pp.s3.answers import Answer
from s3pp.s3.client import ASK_CHECKSUM
from s3pp.s3.multipart import Spans, part_size
from s3pp.transfer.errors import ObjectReplaced, check_planned, fault_of, object_vanished
from s3pp.transfer.get.range_fetcher import RangeFetcher
from s3pp.transfer.parts import PartError, RunPart, run_parts
from s3pp.transfer.resources import Reader, WorkerResources

_STARTS = 3  # objects started under one key before it counts as always being replaced
_NOWHERE = Span(0, 0, 0)
_AHEAD = 2  # times as many ranges as are fetched at once may wait to be digested


class Fetched(NamedTuple):
    """An object that was received and verified."""

    file: TemporaryFile  # to be finished
    answer: Answer  # of the HEAD
    moved: int  # bytes received, without those that were in the file already


class _NoRanges(Exception):
    """Raised when an object cannot be fetched by ranges."""


class RangeDownload:
    """A leader of downloads by the rules of one job. ``notify`` informs users."""

    def __init__(
        self,
        job: Job,
        fetcher: RangeFetcher,
        tree: Tree,
        resources: WorkerResources,
        *,
        notify: Callable[[str], None],
    ) -> None:
        self._bucket = fetcher.bucket
        self._parts = job.parts
        self._at_once = job.speed.parts_at_once
        self._reader = resources.reader
        self._run = resources.parts.run
        self._notify = notify
        self._files = PartialFiles(tree, notify)

    def calls(self, size: int) -> Calls:
        """Return the requests for an object of ``size`` bytes."""
        return ("HeadObject", 1), ("GetObject", Spans(size, self._range_size(size)).count)

    async def fetch(self, task: GetTask, *, mode: int | None) -> Fetched | None:
        """Fetch an object, and verify it; None if it has to be fetched with one request.

        ``mode`` is as in ``FileAttributes``. Raises ``Corrupt`` and ``Vanished``, after which
        fetching it again may help, and ``ObjectError``, ``FatalError`` and ``RunEnding``.
        """
        before = None
        for _ in range(_STARTS):
            answer = await self._head(task)
            check_planned(task, answer.etag)
            if not answer.etag or answer.size <= self._parts.threshold:  # it may have shrunk
                return None
            # The store rejects the pin of an object that was not replaced.
            pin = "" if answer.etag == before else answer.pin
            before = answer.etag
            try:
                return await self._start(task, answer, pin, mode=mode)
            except ObjectReplaced:
                continue
            except _NoRanges:
                return None
        raise ObjectReplaced

    async def _head(self, task: GetTask) -> Answer:
        answer = await self._bucket.look(task.source, headers=(ASK_CHECKSUM,))
        if answer is None:
            raise object_vanished()
        declared = answer.declared is not None
        if declared and answer.etag == task.etag and answer.size != task.size:
            here, listed = answer.size, task.size
            raise Corrupt(f"the answer announces {here} bytes, but the listing has {listed}")
        return answer

    async def _start(self, task: GetTask, answer: Answer, pin: str, *, mode: int | None) -> Fetched:
        verifier = await self._choose_verifier(task, answer)
        if not (pin or verifier.proves):
            raise _NoRanges
        work = await self._reader.away(lambda: self._open(task, answer, verifier, mode))
        file = work.file
        try:
            parts = await self._run_ranges(
                work._replace(part=work.part._replace(pin=pin)), verifier
            )
            if fault := await verifier.find_fault(parts):
                raise fault
        except ObjectError as error:
            what = error
            raise await self._reader.away(lambda: _classify(what, task, file)) from None
        except BaseException as error:  # the run is ending
            if file.keep_or_discard() and isinstance(error, RunEnding):
                self._notify(f"{task.target}: not finished; {Kept.FILE.value}")
            raise
        kept = sum(not part.moved for part in parts)
        if kept:
            self._notify(f"{task.target}: {kept} of {len(parts)} ranges exist already")
        return Fetched(file, answer, sum(part.size for part in parts if part.moved))

    async def _choose_verifier(self, task: GetTask, answer: Answer) -> Verifier:
        stored = StoredObject(self._bucket, task.source, Dest(answer.size, answer.etag))
        try:
            return await choose_verifier(stored, answer, longest=max(LONGEST, self._parts.size))
        except ObjectError as error:
            replaced = fault_of(error) is PartFault.REPLACED
            raise (ObjectReplaced() if replaced else error) from None

    def _open(self, task: GetTask, answer: Answer, verifier: Verifier, mode: int | None) -> _Work:
        """Open the file; blocks."""
        size, etag, endpoint = answer.size, answer.etag, self._bucket.endpoint
        origin = (endpoint.service, endpoint.bucket, task.source, etag)
        each = verifier.part_size or self._range_size(size)
        layout = RangeLayout(etag, size, each, verifier.digest)
        opened = self._files.open(
            task.target, layout, origin if self._parts.resume else (), mode=mode
        )
        file = opened.file
        part = GetPart(task.source, etag, _NOWHERE, file.temporary, verifier.digest)
        part = part._replace(claim=opened.claim, inode=file.inode)
        return _Work(file, part, Spans(size, opened.layout.part_size), opened.known)

    def _range_size(self, size: int) -> int:
        # Parts have to grow if there would be too many; ranges do not.
        wanted = self._parts.size
        return min(part_size(size, wanted), max(LONGEST, wanted))

    async def _run_ranges(self, work: _Work, verifier: Verifier) -> list[PartDone]:
        if verifier.feed is None:
            return await run_parts(work.parts(), self._run, at_once=self._at_once)
        ahead = _AHEAD * self._at_once
        ordered = OrderedReader(work.file, work.plan, verifier.feed, self._reader, ahead=ahead)
        try:
            done = await run_parts(
                work.parts(),
                lambda part: ordered.run_part(part, self._run),
                at_once=self._at_once,
            )
            await ordered.wait()
            return done
        finally:
            await ordered.stop()


class _Work(NamedTuple):
    """A file and the ranges that it needs."""

    file: TemporaryFile
    part: GetPart  # what all of them have in common
    plan: Spans
    known: Mapping[int, str]  # digests of ranges that the file has, by number

    def parts(self) -> Iterator[GetPart]:
        for span in self.plan:
            yield self.part._replace(span=span, known=self.known.get(span.number, ""))


def _classify(error: ObjectError, task: GetTask, file: TemporaryFile) -> Exception:
    """Return what an error means for the object; discards the file if it is of no more use."""
    meaning = {
        PartFault.NONE: error,
        PartFault.NO_RANGES: _NoRanges(),
        PartFault.REPLACED: ObjectReplaced(),
        PartFault.REMOVED: object_vanished(),
        PartFault.FILE_REMOVED: Vanished(task.target),
    }
    fault = error.fault if isinstance(error, PartError) else fault_of(error)
    if fault is not PartFault.NONE or isinstance(error, Corrupt):
        file.discard()
        return meaning[fault]
    if file.keep_or_discard():
        error.kept = Kept.FILE
    return error


class OrderedReader:
    """Passes the bytes of all ranges of ``plan``, in order, to ``feed``. Stop it in any case."""

    def __init__(
        self, file: TemporaryFile, plan: Spans, feed: Feed, reader: Reader, *, ahead: int
    ) -> None:
        """``ahead``: the maximum number of ranges that were started and not read."""
        self._file = file
        self._plan = plan
        self._feed = feed
        self._reader = reader
        self._complete: set[int] = set()  # ranges in the file that were not reached yet
        self._added = asyncio.Event()
        self._ahead = ahead
        self._read_up_to = 0  # the number of the last range that was read
        self._advanced = asyncio.Event()
        self._stopped = False
        self._task = asyncio.ensure_future(self._read_all())
        self._task.add_done_callback(lambda _: self._advanced.set())

    async def run_part(self, part: GetPart, run: RunPart) -> PartOutcome:
        """Have ``run`` fetch a range once it is not too far ahead, or nothing is read any more."""
        number = part.span.number
        while number > self._read_up_to + self._ahead and not self._task.done():
            self._advanced.clear()
            await self._advanced.wait()
        outcome = await run(part)
        if isinstance(outcome, PartDone):
            self._complete.add(number)
            self._added.set()
        return outcome

    async def wait(self) -> None:
        """Wait until everything has been read. Raises as ``TemporaryFile`` does."""
        await self._task

    async def stop(self) -> None:
        """Stop reading, and wait until nothing is read any more."""
        self._stopped = True
        self._added.set()
        with contextlib.suppress(Exception):
            await self._task

    async def _read_all(self) -> None:
        for span in self._plan:
            while span.number not in self._complete and not self._stopped:
                self._added.clear()
                await self._added.wait()
            if self._stopped:
                return
            self._complete.remove(span.number)
            await self._read(span)
            self._read_up_to = span.number
            self._advanced.set()

    async def _read(self, span: Span) -> None:
        def read() -> None:
            for piece in self._file.pieces(span.offset, span.size):
                if self._stopped:
                    return
                self._feed(piece)

        await self._reader.away(read)
