"""The getter: one task in, one outcome out.

::

    GetTask ─▶ look at what stands there ─▶ compare ─▶ Skipped
            ─▶ GET, into memory or a temporary file ─▶ verify (again, if it is not the object)
            ─▶ unpack, if asked ─▶ mtime, name ─▶ Done | Failed
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import closing
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.job import Job, Mode
from s3pp.records import Dest, Done, GetTask, Outcome, SendReason, Skipped, SkipReason
from s3pp.s3.operations import Answer, Bucket, Oversized
from s3pp.s3.retry import StoreError
from s3pp.transfer import modes
from s3pp.transfer.bodies import PIECE, SMALL
from s3pp.transfer.ending import ended
from s3pp.transfer.etags import is_md5, proves_content
from s3pp.transfer.files import times
from s3pp.transfer.files.landing import Manner, Vanished, land
from s3pp.transfer.files.paths import is_marker
from s3pp.transfer.files.tree import Tree
from s3pp.transfer.files.unpack import GZIP, is_packed, unpacked
from s3pp.transfer.get.intake import Intake, md5_of
from s3pp.transfer.reading import Budget, Reader
from s3pp.transfer.refused import source_fault, vanished
from s3pp.transfer.verify import ASK_CHECKSUM, Corrupt, Expected, body_fault

_FETCHES = 3  # times a body is asked for before it counts as never arriving whole

Verdict = SkipReason | SendReason


class _Arrival(NamedTuple):
    """A body that came, and was verified."""

    answer: Answer
    etag: str
    size: int  # bytes
    landed: bool  # False: in mode add, something stood there meanwhile


class Getter:
    """Gets objects of one bucket into one directory by the rules of one job."""

    def __init__(
        self, job: Job, bucket: Bucket, tree: Tree, *, reader: Reader, budget: Budget
    ) -> None:
        self._mode = job.mode
        self._dry_run = job.dry_run
        self._landing = job.landing
        self._bucket = bucket
        self._tree = tree
        self._reader = reader
        self._budget = budget
        self.notes: list[str] = []
        self.requests_spared = 0  # that a dry run did not make

    async def transfer(self, task: GetTask) -> Outcome:
        """Bring one object to its end. Raises ``FatalError`` only."""
        grant = self._budget.grant(max(task.size, 1) if task.size <= SMALL else PIECE)
        if not self._budget.take_at_once(grant):
            await self._budget.take(grant)
        try:
            return await ended(task, self._get(task))
        finally:
            self._budget.give(grant)

    async def _get(self, task: GetTask) -> Outcome:
        if is_marker(task.target):
            return await self._reader.run(self._make_directory, task)
        here = await self._reader.run(self._tree.status, task.target)
        try:
            verdict = await self._verdict(task, here)
            if isinstance(verdict, SkipReason):
                return Skipped(task.source, task.target, task.size, verdict)
            if self._dry_run:
                self.requests_spared += 1
                return Done(task.source, task.target, task.size, task.size, task.etag, verdict, 0)
            return await self._fetch(task, verdict, mode=here.st_mode if here else None)
        except StoreError as error:
            raise source_fault(error) from None

    # What stands there already

    async def _verdict(self, task: GetTask, here: os.stat_result | None) -> Verdict:
        """Whether to get it, and why. Raises ``ObjectError`` where no file can take the place."""
        if here is None:
            return modes.decide_get(self._mode, task.size, None) or SendReason.NEW
        if not stat.S_ISREG(here.st_mode):
            return self._irregular(task, here.st_mode)
        verdict = modes.decide_get(self._mode, task.size, here.st_size)
        if verdict is SkipReason.OTHER_SIZE and self._landing.gunzip:
            return SkipReason.EXISTS  # another size is what unpacking makes
        if verdict is None and is_md5(task.etag):
            verdict = modes.by_content(await self._md5(task), task.etag)
            if verdict is SkipReason.SAME_ETAG and self._landing.gunzip:
                return await self._packed_look(task)
        elif verdict is None:
            return _by_time(task, here)
        if verdict is SendReason.SIZE or verdict is SendReason.ETAG:
            return await self._second_look(task, here, verdict)
        return verdict

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
        return await self._reader.away(lambda: self._md5_now(task))

    def _md5_now(self, task: GetTask) -> str:
        return md5_of(self._tree, task.target)

    async def _second_look(
        self, task: GetTask, here: os.stat_result, verdict: SendReason
    ) -> Verdict:
        """A file with the object's time differs: was it unpacked, or is the ETag only like an MD5?

        Both are seen in a HEAD alone, and both leave the time to tell. Costs a request for files
        that somebody changed without changing their time, and for those that are meant.
        """
        unpacking = self._landing.gunzip
        if verdict is SendReason.SIZE and not unpacking:
            return verdict
        if _by_time(task, here) is not SkipReason.SAME_TIME:
            return verdict
        answer = await self._bucket.look(task.source)
        if answer is None:
            raise vanished()
        response = answer.response
        opaque = not proves_content(answer.etag, response, self._bucket.endpoint)
        if (verdict is SendReason.ETAG and opaque) or (unpacking and is_packed(response)):
            return SkipReason.SAME_TIME
        return verdict

    async def _packed_look(self, task: GetTask) -> Verdict:
        """The file is the object as it is stored; is that packed, and to be unpacked now?"""
        if await self._reader.run(self._starts_packed, task):
            answer = await self._bucket.look(task.source)
            if answer is not None and is_packed(answer.response):
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
        for _ in range(_FETCHES - 1):
            try:
                return await self._attempt(task, reason, mode)
            except (Corrupt, Vanished):
                continue
        return await self._attempt(task, reason, mode)

    async def _attempt(self, task: GetTask, reason: SendReason, mode: int | None) -> Outcome:
        if task.size <= SMALL:
            try:
                arrival = await self._small(task, mode)
            except Oversized:  # it has grown since it was listed
                arrival = await self._large(task, mode)
        else:
            arrival = await self._large(task, mode)
        answer, etag, size, landed = arrival
        if not landed:
            return Skipped(task.source, task.target, size, SkipReason.EXISTS)
        return Done(task.source, task.target, size, size, etag, reason, answer.attempts)

    async def _small(self, task: GetTask, mode: int | None) -> _Arrival:
        headers = () if is_md5(task.etag) else (ASK_CHECKSUM,)
        answer = await self._bucket.get(task.source, headers=headers)
        body = answer.response.body
        if fault := body_fault(body, self._expected(task, answer)):
            raise fault
        etag = answer.etag
        manner = self._manner(task, answer, etag=etag, mode=mode)

        def write(path: str) -> bool:
            return land(self._tree, path, body, manner)

        if self._unpacks(answer):
            landed = await self._unpack(task, (body,), manner)
        elif manner.fsync:
            landed = await self._reader.away(lambda: write(task.target))
        else:
            landed = await self._reader.run(write, task.target)
        return _Arrival(answer, etag, len(body), landed)

    async def _large(self, task: GetTask, mode: int | None) -> _Arrival:
        headers = () if is_md5(task.etag) else (ASK_CHECKSUM,)
        with closing(Intake(self._tree, task.target, mode=mode)) as intake:
            answer = await self._bucket.get(task.source, headers=headers, sink=intake)
            expected = self._expected(task, answer)
            if fault := await self._reader.away(lambda: intake.fault(expected)):
                raise fault
            etag = answer.etag
            manner = self._manner(task, answer, etag=etag, mode=mode)
            if self._unpacks(answer):
                landed = await self._unpack(task, intake.pieces(), manner)
            else:
                landed = await self._reader.away(lambda: intake.finish(manner))
            return _Arrival(answer, etag, intake.size, landed)

    def _unpacks(self, answer: Answer) -> bool:
        return self._landing.gunzip and is_packed(answer.response)

    async def _unpack(self, task: GetTask, packed: Iterable[bytes], manner: Manner) -> bool:
        return await self._reader.away(lambda: unpacked(self._tree, task.target, packed, manner))

    def _expected(self, task: GetTask, answer: Answer) -> Expected:
        return Expected(Dest(task.size, task.etag), answer, self._bucket.endpoint)

    def _manner(self, task: GetTask, answer: Answer, *, etag: str, mode: int | None) -> Manner:
        # What took the place of the listed object has a time of its own.
        replaced = etag != task.etag or not task.modified
        modified = answer.response.header(b"last-modified") if replaced else task.modified
        return Manner(
            times.nanoseconds(modified) if modified else None,
            mode,
            self._landing.fsync,
            fresh=self._mode is Mode.ADD,
        )


def _by_time(task: GetTask, here: os.stat_result) -> Verdict:
    return modes.by_time(times.nanoseconds(task.modified), here.st_mtime_ns)


_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a directory"),
    (lambda mode: True, "no regular file"),
)
