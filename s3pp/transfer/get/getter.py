"""The getter: one task in, one outcome out.

::

    GetTask ─▶ look at what stands there ─▶ compare ─▶ Skipped
            ─▶ GET, into memory or a temporary file ─▶ verify (again, if it is not the object)
               (of a large one: ranges, by all getters, into one file)
               (of one sent in parts: by their ETag, see ``parted``)
            ─▶ unpack, if asked ─▶ mtime, name ─▶ Done | Failed
"""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from typing import NamedTuple

from s3pp.errors import FailureKind, Kept, ObjectError
from s3pp.integrity.compare import Body, compare
from s3pp.integrity.etag import is_md5, proves_content
from s3pp.integrity.multipart_etag import likely_sizes, part_count
from s3pp.integrity.received import Corrupt, Expected, fault, held
from s3pp.integrity.stored_object import ASK_CHECKSUM, StoredObject
from s3pp.job import Job, Mode
from s3pp.limits import PIECE
from s3pp.localfs.paths import is_marker
from s3pp.localfs.temporary_file import FileAttributes, TemporaryFile, Vanished, write_file
from s3pp.localfs.tree import Tree
from s3pp.records import (
    Dest,
    Done,
    GetPart,
    GetTask,
    Outcome,
    PartOutcome,
    SendReason,
    Skipped,
    SkipReason,
)
from s3pp.s3.answers import Answer, epoch_nanoseconds, is_gzip
from s3pp.s3.client import Bucket, Coding
from s3pp.s3.retry import Oversized, StoreError
from s3pp.transfer import modes
from s3pp.transfer.bodies import SMALL
from s3pp.transfer.ending import failed
from s3pp.transfer.get.in_ranges import InRanges
from s3pp.transfer.get.intake import Intake, md5_of, pieces_of
from s3pp.transfer.get.parted import Overtaken, Parted
from s3pp.transfer.get.range import RangeFetcher
from s3pp.transfer.get.unpack import GZIP, layers, unpacked
from s3pp.transfer.means import Means
from s3pp.transfer.refused import source_fault, vanished

_FETCHES = 3  # times a body is asked for before it counts as never arriving whole

Verdict = SkipReason | SendReason


class _Arrival(NamedTuple):
    """A body that came, and was verified."""

    answer: Answer
    etag: str
    size: int  # bytes
    landed: bool  # False: in mode add, something stood there meanwhile
    moved: int  # bytes that came; less than size where some were there already


class Getter:
    """Gets objects of one bucket into one directory by the rules of one job."""

    def __init__(self, job: Job, bucket: Bucket, tree: Tree, means: Means) -> None:
        self._mode = job.mode
        self._if_absent = SendReason.ALWAYS if job.mode is Mode.STUPID else SendReason.NEW
        self._dry_run = job.dry_run
        self._options = job.download
        self._bucket = bucket
        self._tree = tree
        self._reader = means.reader
        self._budget = means.budget
        self._threshold = job.parts.threshold
        self._part_size = job.parts.size
        self._parted = Parted(bucket, means.reader)
        self._ranges = RangeFetcher(bucket, tree, means.reader)
        self._in_ranges = InRanges(job, bucket, tree, means, self._tell)
        self._coding = Coding.GZIP  # in which the last object came as it is stored
        self.notes: list[str] = []
        self.requests_spared = 0  # that a dry run did not make

    async def transfer(self, task: GetTask) -> Outcome:
        """Bring one object to its end. Raises ``FatalError`` only."""
        budget = self._budget
        held = min(task.size or 1 if task.size <= SMALL else PIECE, budget.size)
        if not budget.take_at_once(held):
            await budget.take(held)
        try:
            return await self._get(task)
        except Exception as error:
            return failed(task, error)
        finally:
            budget.give(held)

    async def part(self, part: GetPart) -> PartOutcome:
        """Move one range. Raises ``FatalError`` only."""
        return await self._ranges.part(part)

    async def _get(self, task: GetTask) -> Outcome:
        if is_marker(task.target):
            return await self._reader.run(self._make_directory, task)
        reader = self._reader
        if reader.threaded:
            here = await reader.run(self._tree.status, task.target)
        else:
            here = reader.here(self._tree.status, task.target)
        try:
            verdict = self._if_absent if here is None else await self._verdict(task, here)
            if isinstance(verdict, SkipReason):
                return Skipped(task.source, task.target, task.size, verdict)
            if self._dry_run:
                self.requests_spared += self._requests(task)
                return Done(task.source, task.target, task.size, task.size, task.etag, verdict, 0)
            return await self._fetch(task, verdict, mode=here.st_mode if here else None)
        except StoreError as error:
            raise source_fault(error) from None

    # What stands there already

    async def _verdict(self, task: GetTask, here: os.stat_result) -> Verdict:
        """Whether to get it, and why. Raises ``ObjectError`` where no file can take the place."""
        if not stat.S_ISREG(here.st_mode):
            return self._irregular(task, here.st_mode)
        verdict = modes.decide_get(self._mode, task.size, here.st_size)
        if verdict is SkipReason.OTHER_SIZE and self._options.gunzip:
            return SkipReason.EXISTS  # another size is what unpacking makes
        if verdict is None and task.size == 0 and not self._options.gunzip:
            return modes.by_emptiness(task.etag, modes.EMPTY_MD5)
        if verdict is None and is_md5(task.etag):
            verdict = modes.by_content(await self._md5(task), task.etag)
            if verdict is SkipReason.SAME_ETAG and self._options.gunzip:
                return await self._packed_look(task)
        elif verdict is None:
            verdict = await self._parted_verdict(task, here)
            if verdict is not SkipReason.SAME_ETAG or not self._options.gunzip:
                return verdict
            return await self._packed_look(task)
        if verdict is SendReason.SIZE or verdict is SendReason.ETAG:
            return await self._second_look(task, here, verdict)
        return verdict

    async def _parted_verdict(self, task: GetTask, here: os.stat_result) -> Verdict:
        verdict = await self._compared(task)
        # What differs may be what it was unpacked to, which only the time tells.
        unpacked = self._options.gunzip and isinstance(verdict, SendReason)
        return _by_time(task, here) if verdict is SendReason.UNKNOWN or unpacked else verdict

    def _likely(self, task: GetTask) -> Sequence[int]:
        """The part sizes, in bytes, that an object was likely sent in; none: not in parts."""
        return likely_sizes(Dest(task.size, task.etag), self._part_size)

    async def _compared(self, task: GetTask) -> Verdict:
        """What the bytes of a file of the same size say, where the ETag is one of parts."""
        if part_count(task.etag) is None:
            return SendReason.UNKNOWN
        there = Dest(task.size, task.etag)
        likely = self._likely(task)
        body = Body(lambda: pieces_of(self._tree, task.target), self._reader, likely)
        if likely and await body.makes(there, likely):
            return SkipReason.SAME_ETAG
        stored = StoredObject(self._bucket, task.source, there)
        return await compare(stored, body, conclusive=True)

    def _irregular(self, task: GetTask, mode: int) -> Verdict:
        """A link, a directory or a device: mode ``add`` leaves links, nothing is ever replaced."""
        if stat.S_ISLNK(mode) and self._mode is Mode.ADD:
            return SkipReason.EXISTS
        kind = next(word for test, word in _KINDS if test(mode))
        message = f"{task.target!r} is {kind} here, and is left alone: move it away"
        raise ObjectError(FailureKind.CONFLICT, message)

    async def _md5(self, task: GetTask) -> str:
        if task.size <= SMALL:
            return await self._reader.run(self._md5_now, task)
        return await self._reader.whole(lambda: self._md5_now(task))

    def _md5_now(self, task: GetTask) -> str:
        return md5_of(self._tree, task.target)

    async def _second_look(
        self, task: GetTask, here: os.stat_result, verdict: SendReason
    ) -> Verdict:
        """A file with the object's time differs: was it unpacked, or is the ETag only like an MD5?

        Both are seen in a HEAD alone, and both leave the time to tell. Costs a request for files
        that somebody changed without changing their time, and for those that are meant.
        """
        unpacking = self._options.gunzip
        if verdict is SendReason.SIZE and not unpacking:
            return verdict
        if _by_time(task, here) is not SkipReason.SAME_TIME:
            return verdict
        answer = await self._bucket.look(task.source)
        if answer is None:
            raise vanished()
        response = answer.response
        opaque = not proves_content(answer.etag, response, self._bucket.endpoint)
        if (verdict is SendReason.ETAG and opaque) or (unpacking and is_gzip(response)):
            return SkipReason.SAME_TIME
        return verdict

    async def _packed_look(self, task: GetTask) -> Verdict:
        """The file is the object as it is stored; is that packed, and to be unpacked now?"""
        if await self._reader.run(self._starts_packed, task):
            answer = await self._bucket.look(task.source)
            if answer is not None and is_gzip(answer.response):
                return SendReason.SIZE
        return SkipReason.SAME_ETAG

    def _starts_packed(self, task: GetTask) -> bool:
        fd = self._tree.open_read(task.target)
        try:
            return os.read(fd, len(GZIP)) == GZIP
        finally:
            os.close(fd)

    def _make_directory(self, task: GetTask) -> Outcome:
        if self._dry_run:
            made = self._tree.directory(task.target.removesuffix("/"), make=False) is None
        else:
            made = self._tree.make_directory(task.target)
        if not made:
            return Skipped(task.source, task.target, 0, SkipReason.EXISTS)
        return Done(task.source, task.target, 0, 0, task.etag, SendReason.NEW, 0)

    # Getting it

    async def _fetch(self, task: GetTask, reason: SendReason, *, mode: int | None) -> Outcome:
        fetches, coding = 0, self._coding
        way = self._small if task.size <= SMALL else self._way(task)
        while True:
            fetches += 1
            try:
                answer, etag, size, landed, moved = await way(task, mode, coding)
                break
            except Oversized:  # it has grown since it was listed
                way = self._large
            except Corrupt as corrupt:
                if fetches >= _FETCHES:
                    raise
                coding = corrupt.coding or coding
            except (Vanished, Overtaken):
                if fetches >= _FETCHES:
                    raise
        self._coding = coding
        if not landed:
            return Skipped(task.source, task.target, size, SkipReason.EXISTS)
        return Done(task.source, task.target, size, moved, etag, reason, answer.attempts)

    def _way(self, task: GetTask) -> Callable[[GetTask, int | None, Coding], Awaitable[_Arrival]]:
        return self._large if task.size <= self._threshold else self._ranged

    def _requests(self, task: GetTask) -> int:
        return 1 if task.size <= self._threshold else self._in_ranges.requests(task.size)

    async def _small(self, task: GetTask, mode: int | None, coding: Coding) -> _Arrival:
        headers = () if is_md5(task.etag) else (ASK_CHECKSUM,)
        answer = await self._bucket.get(task.source, headers=headers, coding=coding)
        body, etag = answer.response.body, answer.etag
        arrived = held(body)
        proved = (arrived.size, arrived.etag, etag) == (task.size, etag, task.etag)
        if not proved:
            wrong = fault(arrived, self._expected(task, answer))
            if wrong := wrong or await self._parted.fault(task.source, answer, arrived):
                raise wrong
        manner = self._manner(task, answer, etag=etag, mode=mode)
        reader = self._reader
        if self._options.gunzip and (times := self._layers(answer)):
            landed = await self._unpack(task, (body,), manner, times=times)
        elif manner.fsync:
            landed = await reader.away(lambda: write_file(self._tree, task.target, body, manner))
        elif reader.threaded:
            landed = await reader.run(write_file, self._tree, task.target, body, manner)
        else:
            landed = reader.here(write_file, self._tree, task.target, body, manner)
        return _Arrival(answer, etag, len(body), landed, len(body))

    async def _large(self, task: GetTask, mode: int | None, coding: Coding) -> _Arrival:
        ordinary = is_md5(task.etag)
        headers = () if ordinary else (ASK_CHECKSUM,)
        likely = () if ordinary else self._likely(task)
        each = likely[0] if likely else None
        with closing(Intake(self._tree, task.target, mode=mode, part_size=each)) as intake:
            answer = await self._bucket.get(
                task.source, headers=headers, sink=intake, coding=coding
            )
            etag, arrived, expected = answer.etag, intake.arrived(), self._expected(task, answer)
            wrong = await self._reader.away(lambda: fault(arrived, expected))
            if wrong := wrong or await self._parted.fault(task.source, answer, arrived):
                raise wrong
            manner = self._manner(task, answer, etag=etag, mode=mode)
            if times := self._layers(answer):
                landed = await self._unpack(task, intake.pieces(), manner, times=times)
            else:
                landed = await self._reader.away(lambda: intake.finish(manner))
            return _Arrival(answer, etag, intake.size, landed, intake.size)

    async def _ranged(self, task: GetTask, mode: int | None, coding: Coding) -> _Arrival:
        fetched = await self._in_ranges.fetch(task, mode=mode)
        if fetched is None:
            return await self._large(task, mode, coding)
        file, answer, moved = fetched
        manner = self._manner(task, answer, etag=answer.etag, mode=mode)
        try:
            if times := self._layers(answer):
                landed = await self._unpack(task, file.pieces(), manner, times=times)
                await self._reader.away(file.discard)
            else:
                landed = await self._reader.away(lambda: _finished(file, manner))
        except ObjectError as error:
            if await self._reader.away(file.keep_or_discard):
                error.kept = Kept.FILE
            raise
        finally:
            await self._reader.away(file.keep_or_discard)
        return _Arrival(answer, answer.etag, answer.size, landed, moved)

    def _tell(self, note: str) -> None:
        self.notes.append(note)

    def _layers(self, answer: Answer) -> int:
        """How many times what came has to be unpacked. Raises as ``unpack.layers`` does."""
        return layers(answer.response) if self._options.gunzip else 0

    async def _unpack(
        self, task: GetTask, packed: Iterable[bytes], manner: FileAttributes, *, times: int
    ) -> bool:
        tree, target = self._tree, task.target
        return await self._reader.away(lambda: unpacked(tree, target, packed, manner, times=times))

    def _expected(self, task: GetTask, answer: Answer) -> Expected:
        return Expected(Dest(task.size, task.etag), answer, self._bucket.endpoint)

    def _manner(
        self, task: GetTask, answer: Answer, *, etag: str, mode: int | None
    ) -> FileAttributes:
        # What took the place of the listed object has a time of its own.
        replaced = etag != task.etag or not task.modified
        modified = answer.response.header(b"last-modified") if replaced else task.modified
        return FileAttributes(
            epoch_nanoseconds(modified) if modified else None,
            mode,
            self._options.fsync,
            fresh=self._mode is Mode.ADD,
        )


def _finished(file: TemporaryFile, manner: FileAttributes) -> bool:
    return file.finish(manner.mtime_ns, fsync=manner.fsync, fresh=manner.fresh)


def _by_time(task: GetTask, here: os.stat_result) -> Verdict:
    return modes.by_time(epoch_nanoseconds(task.modified), here.st_mtime_ns)


_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (lambda _: True, "no regular file"),
)
