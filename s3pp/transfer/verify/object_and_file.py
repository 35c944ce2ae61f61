"""Comparison of objects with the files that they were fetched to."""

from __future__ import annotations

import stat
from functools import partial

from s3pp.integrity.compare import Body
from s3pp.integrity.stored_object import StoredObject
from s3pp.job import Compare, Job
from s3pp.localfs.paths import is_marker
from s3pp.localfs.tree import Tree
from s3pp.records import Dest, GetTask, SendReason, SkipReason
from s3pp.s3.client import Bucket
from s3pp.transfer.get.existing_file import ExistingFiles
from s3pp.transfer.resources import WorkerResources
from s3pp.transfer.verify.certainty import certain_reason
from s3pp.transfer.verify.reading import BOTH, ObjectReader, digests_of, same_bytes
from s3pp.transfer.verify.verdicts import Reason, match_of


class ObjectAndFile:
    """Objects and the files that they were fetched to."""

    def __init__(self, job: Job, source: Bucket, tree: Tree, resources: WorkerResources) -> None:
        self._existing = ExistingFiles(job, source, tree, resources.reader)
        self._source = source
        self._tree = tree
        self._objects = ObjectReader(job, source, resources)
        self._reader = resources.reader

    async def compare(self, task: GetTask) -> Reason:
        """``Comparer.compare``."""
        if not task.size and is_marker(task.target):
            there = await self._reader.run(self._has_directory, task)
            return SkipReason.EXISTS if there else SendReason.NEW
        here = await self._reader.run(self._tree.status, task.target)
        if here is None:
            return SendReason.NEW
        reason = await self._existing.compare(task, here)
        if reason is SendReason.ETAG:
            stored = StoredObject(self._source, task.source, Dest(task.size, task.etag))
            body = Body(lambda: self._tree.read(task.target), self._reader, ())
            return await certain_reason(stored, body)
        return reason

    def _has_directory(self, task: GetTask) -> bool:
        return self._tree.directory(task.target.removesuffix("/"), make=False) is not None

    async def read_both(self, task: GetTask) -> int:
        """``Comparer.read_both``."""
        if not task.size and is_marker(task.target):
            match_of(await self.compare(task), Compare.ETAG)
            return 0
        here = await self._reader.run(self._tree.status, task.target)
        if here is None:
            match_of(SendReason.NEW, Compare.ETAG)
        elif not stat.S_ISREG(here.st_mode):
            await self._existing.compare(task, here)  # which says what it is
        elif here.st_size != task.size:
            match_of(SendReason.SIZE, Compare.ETAG)
        ours = await self._reader.whole(lambda: digests_of(self._tree.read(task.target), BOTH))
        return await same_bytes(ours, partial(self._objects.read, task.source, task.size, BOTH))
