"""Proofs, under each verb, that the source of a transfer stands at the destination.

put
    The putter verifies what it has read. The stamp of the file is taken before that: if the file
    has it still when it is deleted, it is what was read.
get
    The file is read again, and compared with the object's ETag or checksum, as for an update.
copy
    The copy has the ETag of the source; or both have a checksum in common.

Where nothing proves it, as for an ETag that says nothing about the content, the source stays.
"""

from __future__ import annotations

import os

from s3pp.integrity.compare import Body, compare, same_checksum
from s3pp.integrity.stored_object import StoredObject
from s3pp.job import Job
from s3pp.localfs.tree import Tree
from s3pp.records import (
    CopyTask,
    DeleteReason,
    DeleteTask,
    Dest,
    Done,
    GetTask,
    PutTask,
    Skipped,
    SkipReason,
)
from s3pp.s3.client import Bucket
from s3pp.transfer.bodies import stamp_of
from s3pp.transfer.get.existing_file import ExistingFiles
from s3pp.transfer.move.mover import proved, unproved
from s3pp.transfer.resources import Reader

_PROOFS = frozenset({SkipReason.SAME_ETAG, SkipReason.SAME_CHECKSUM})


class PutProof:
    """The proof for files."""

    def observe(self, task: PutTask) -> os.stat_result | None:
        """As ``Proof.observe``: the status of the file, of no link; None: there is none."""
        try:
            return os.lstat(task.entry.path)
        except OSError:
            return None

    async def prove(
        self, task: PutTask, outcome: Done | Skipped, before: os.stat_result | None
    ) -> DeleteTask:
        """As ``Proof.prove``."""
        # Where it has vanished: that of no file.
        stamp, links = (stamp_of(before), before.st_nlink) if before else ((-1, 0, 0), 1)
        return DeleteTask(task.entry.path, stamp[0], "", "", DeleteReason.MOVED, stamp, links)


class GetProof:
    """The proof for objects that became files below a directory."""

    def __init__(self, job: Job, bucket: Bucket, tree: Tree, reader: Reader) -> None:
        self._existing = ExistingFiles(job, bucket, tree, reader)
        self._bucket = bucket
        self._tree = tree
        self._reader = reader
        self._dry_run = job.dry_run

    def observe(self, task: GetTask) -> None:
        """As ``Proof.observe``."""

    async def prove(self, task: GetTask, outcome: Done | Skipped, before: None) -> DeleteTask:
        """As ``Proof.prove``."""
        etag = outcome.etag if isinstance(outcome, Done) and outcome.etag else task.etag
        if self._dry_run or outcome.target.endswith("/"):  # a directory has no content
            return proved(outcome, etag)
        if isinstance(outcome, Skipped) and outcome.reason in _PROOFS:
            return proved(outcome, etag) if etag else unproved(outcome)
        fetched = task._replace(etag=etag, size=outcome.size)
        verified = etag != "" and await self._is_verified(fetched)
        return proved(outcome, etag) if verified else unproved(outcome)

    async def _is_verified(self, task: GetTask) -> bool:
        here = await self._reader.run(self._tree.status, task.target)
        if here is None or here.st_size != task.size:
            return False
        if await self._existing.compare(task, here) in _PROOFS:
            return True
        stored = StoredObject(self._bucket, task.source, Dest(task.size, task.etag))
        body = Body(lambda: self._tree.read(task.target), self._reader, ())
        return await compare(stored, body, conclusive=False) in _PROOFS


class CopyProof:
    """The proof for copies."""

    def __init__(self, job: Job, source: Bucket, dest: Bucket) -> None:
        self._source = source
        self._dest = dest
        self._dry_run = job.dry_run
        # Two names of one store: an object and its copy may be one and the same.
        ends = source.endpoint, dest.endpoint
        self._may_be_one = ends[0].bucket == ends[1].bucket and not ends[0].same_bucket(ends[1])

    def observe(self, task: CopyTask) -> None:
        """As ``Proof.observe``."""

    async def prove(self, task: CopyTask, outcome: Done | Skipped, before: None) -> DeleteTask:
        """As ``Proof.prove``."""
        if self._may_be_one and task.source == task.target and await self._is_one(task):
            return unproved(outcome)
        if self._dry_run or (task.etag and outcome.etag == task.etag):
            return proved(outcome, task.etag)
        source = await self._source.head(task.source)
        dest = await self._dest.head(task.target)
        if source is None or dest is None or source.size != dest.size or not source.etag:
            return unproved(outcome)
        if source.size == 0 or source.etag == dest.etag:
            return proved(outcome, source.etag)
        here = StoredObject(self._source, task.source, source)
        there = StoredObject(self._dest, task.target, dest)
        return (
            proved(outcome, source.etag) if await same_checksum(here, there) else unproved(outcome)
        )

    async def _is_one(self, task: CopyTask) -> bool:
        """Return whether nothing shows that the object and its copy are two."""
        one, other = await self._source.look(task.source), await self._dest.look(task.target)
        if one is None or other is None:
            return True
        written = (each.response.header(b"last-modified") for each in (one, other))
        return len(set(written)) == 1
