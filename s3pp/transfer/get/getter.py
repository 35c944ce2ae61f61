"""The getter: takes download tasks and returns their outcomes.

::

    GetTask ─▶ transfer ─▶ lstat: nothing ────▶ _fetch ─▶ _fetch_small ─▶ Done
                           │                       │  ▲         │
                           │                       │  └─────────┴─ not the object: fetch it again
                           │                       ├─ more than ``SMALL`` bytes: ``FileDownload``
                           │                       └─ above the threshold: ``RangeDownload``
                           └─ something: ``ExistingFiles.compare`` ─▶ Skipped

Rare cases branch off; a small object without complications takes only this path.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from hashlib import md5

from s3pp.integrity.verifiers import Corrupt, ReceivedBody
from s3pp.job import Job, Mode
from s3pp.limits import PIECE, SMALL
from s3pp.localfs.paths import is_marker
from s3pp.localfs.temporary_file import Vanished, write_file
from s3pp.localfs.tree import Tree
from s3pp.records import (
    Calls,
    Dest,
    Done,
    Facts,
    Foreseen,
    GetPart,
    GetTask,
    Outcome,
    PartOutcome,
    SendReason,
    Skipped,
    SkipReason,
    other_size,
)
from s3pp.s3.client import Bucket, Coding
from s3pp.s3.retry import Oversized, StoreError
from s3pp.transfer.errors import ObjectReplaced, failed, source_fault
from s3pp.transfer.get.existing_file import ExistingFiles
from s3pp.transfer.get.file_download import Arrival, FileDownload, checksum_headers, get_headers
from s3pp.transfer.get.range_download import RangeDownload
from s3pp.transfer.get.range_fetcher import RangeFetcher
from s3pp.transfer.resources import WorkerResources

_WHOLE = (("GetObject", 1),)  # the requests of an object that is fetched whole
_FETCHES = 3  # times a body is requested before it counts as never arriving whole

Fetch = Callable[[GetTask, "int | None", Coding], Awaitable[Arrival]]


class Getter:
    """A downloader from one bucket to one directory by the rules of one job."""

    skip_unchanged: Callable[[GetTask], Skipped | None] | None = None  # see ``roles.Role``

    def __init__(
        self,
        job: Job,
        bucket: Bucket,
        tree: Tree,
        resources: WorkerResources,
        existing: ExistingFiles | None = None,
    ) -> None:
        """``existing`` compares objects with files: by default as its class does."""
        self._if_absent = SendReason.ALWAYS if job.mode is Mode.STUPID else SendReason.NEW
        self._dry_run = job.dry_run
        self._plans = job.plan is not None
        self._keeps_facts = job.output.keeps_facts
        self._gunzip = job.download.gunzip
        self._bucket = bucket
        self._tree = tree
        self._reader = resources.reader
        self._budget = resources.budget
        self._threshold = job.parts.threshold
        self.notes: list[str] = []  # notices for users, read by the worker
        self._existing = existing or ExistingFiles(job, bucket, tree, resources.reader)
        self._download = FileDownload(job, bucket, tree, resources.reader)
        self._fetcher = RangeFetcher.into(tree, bucket, resources.reader)
        self._ranges = RangeDownload(job, self._fetcher, tree, resources, notify=self.notes.append)
        self._coding = Coding.GZIP  # in which the last object arrived as it is stored

    async def part(self, part: GetPart) -> PartOutcome:
        """Fetch one range of a download that any getter may lead. Raises only ``FatalError``."""
        return await self._fetcher.part(part)

    async def transfer(self, task: GetTask) -> Outcome:
        """Download one object and return its outcome. Raises ``FatalError`` and ``RunEnding``."""
        budget = self._budget
        held = min(task.size or 1 if task.size <= SMALL else PIECE, budget.size)
        if not budget.take_at_once(held):
            await budget.take(held)
        try:
            if not task.size and is_marker(task.target):
                return await self._reader.run(self._make_directory, task)
            if (reader := self._reader).threaded:
                here = await reader.run(self._tree.status, task.target)
            else:
                here = reader.here(self._tree.status, task.target)
            reason = self._if_absent if here is None else await self._existing.compare(task, here)
            if isinstance(reason, SkipReason):
                return self._skip(task, reason, here)
            if self._dry_run:
                return self._pretend(task, reason, here)
            return await self._fetch(task, reason, here.st_mode if here else None)
        except StoreError as error:
            return failed(task, source_fault(error, planned=task.planned is not None))
        except Exception as error:
            return failed(task, error)
        finally:
            budget.give(held)

    def _skip(self, task: GetTask, reason: SkipReason, here: os.stat_result | None) -> Skipped:
        size = self._existing.size(task, here)
        there = None if size is None else other_size(task.size, Dest(size, ""))
        skipped = Skipped(task.source, task.target, task.size, reason, dest_size=there)
        if not self._keeps_facts or here is None or size is None:
            return skipped
        return skipped._replace(facts=Facts(file_ns=here.st_mtime_ns))

    async def _fetch(self, task: GetTask, reason: SendReason, mode: int | None) -> Outcome:
        """Fetch an object, again if what arrived is not the object, or was removed."""
        fetch = self._fetch_small if task.size <= SMALL else self._way(task)
        fetches, coding = 0, self._coding
        while True:
            fetches += 1
            try:
                arrival = await fetch(task, mode, coding)
                break
            except Oversized:  # it has grown since it was listed
                fetch = self._download.fetch
            except (Corrupt, Vanished, ObjectReplaced) as error:
                if fetches >= _FETCHES:
                    raise
                coding = (isinstance(error, Corrupt) and error.coding) or coding
        self._coding = coding
        answer, etag, size, finished, moved, _ = arrival
        if not finished:
            return Skipped(task.source, task.target, size, SkipReason.EXISTS)
        done = Done(task.source, task.target, size, moved, etag, reason, answer.attempts)
        return done._replace(facts=self._facts(task, arrival)) if self._keeps_facts else done

    def _facts(self, task: GetTask, arrival: Arrival) -> Facts:
        """Return what a journal has of the file."""
        version = arrival.answer.version
        there = self._tree.status(task.target)  # a file system may round its time
        time = there.st_mtime_ns if there else None
        if not (task.pack or self._download.unpacking(arrival.answer, arrival.size)):
            return Facts(arrival.md5 and f"md5:{arrival.md5}", version, file_ns=time)
        # Its bytes are others than the object's.
        return Facts("", version, there.st_size if there else None, file_ns=time)

    async def _fetch_small(self, task: GetTask, mode: int | None, coding: Coding) -> Arrival:
        """Fetch an object into memory, and write it to its file."""
        headers = checksum_headers(task.etag) if task.planned is None else get_headers(task)
        size = task.size
        answer = await self._bucket.get(task.source, headers=headers, coding=coding, size=size)
        body, etag = answer.response.body, answer.etag
        ours = md5(body, usedforsecurity=False).hexdigest()
        if not (ours == etag == task.etag and len(body) == task.size):
            arrived = ReceivedBody(len(body), ours, lambda: (body,))
            await self._download.verify(task, answer, arrived)
        attributes = self._download.attributes(task, answer, etag, mode)
        if self._gunzip and (unpacking := self._download.unpacking(answer, len(body))):
            finished = await self._download.unpack(task, (body,), attributes, unpacking)
        elif task.pack:
            finished = await self._download.pack(task, (body,), attributes)
        elif attributes.fsync:
            finished = await self._reader.away(
                lambda: write_file(self._tree, task.target, body, attributes)
            )
        elif (reader := self._reader).threaded:
            finished = await reader.run(write_file, self._tree, task.target, body, attributes)
        else:
            finished = reader.here(write_file, self._tree, task.target, body, attributes)
        return Arrival(answer, etag, len(body), finished, len(body), ours)

    def _way(self, task: GetTask) -> Fetch:
        return self._download.fetch if task.size <= self._threshold else self._fetch_ranges

    async def _fetch_ranges(self, task: GetTask, mode: int | None, coding: Coding) -> Arrival:
        """Fetch an object by ranges, or with one request where that is impossible."""
        fetched = await self._ranges.fetch(task, mode=mode)
        if fetched is None:
            return await self._download.fetch(task, mode, coding)
        file, answer, moved = fetched
        finished = await self._download.finish(task, file, answer, mode)
        return Arrival(answer, answer.etag, answer.size, finished, moved)

    def _pretend(self, task: GetTask, reason: SendReason, here: os.stat_result | None) -> Done:
        """Return the outcome in a dry run."""
        calls = self._ranges.calls(task.size) if task.size > self._threshold else _WHOLE
        done = Done(task.source, task.target, task.size, task.size, task.etag, reason, 0)
        return done._replace(foreseen=self._foresee(calls, task, here))

    def _foresee(self, calls: Calls, task: GetTask, here: os.stat_result | None) -> Foreseen:
        there = self._existing.describe(here)
        return Foreseen(calls, task, there) if self._plans else Foreseen(calls)

    def _make_directory(self, task: GetTask) -> Outcome:
        if self._dry_run:
            made = self._tree.directory(task.target.removesuffix("/"), make=False) is None
        else:
            made = self._tree.make_directory(task.target)
        if not made:
            return Skipped(task.source, task.target, 0, SkipReason.EXISTS)
        done = Done(task.source, task.target, 0, 0, task.etag, SendReason.NEW, 0)
        return done._replace(foreseen=self._foresee((), task, None)) if self._dry_run else done
