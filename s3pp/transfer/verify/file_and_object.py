"""Comparison of files with the objects that they were put to."""

from __future__ import annotations

from contextlib import closing
from functools import partial

from s3pp.integrity.compare import Body
from s3pp.integrity.etag import likely_sizes
from s3pp.integrity.stored_object import StoredObject
from s3pp.job import Job
from s3pp.limits import PIECE, SMALL
from s3pp.records import Entry, PutTask, SendReason
from s3pp.s3.client import Bucket
from s3pp.transfer.bodies import open_entry, unreadable
from s3pp.transfer.put.prepare import Prepared, Preparer
from s3pp.transfer.resources import WorkerResources
from s3pp.transfer.verify.certainty import certain_reason
from s3pp.transfer.verify.reading import BOTH, BodyDigests, ObjectReader, digests_of, same_bytes
from s3pp.transfer.verify.verdicts import Reason


class FileAndObject:
    """Files and the objects that they were put to."""

    def __init__(self, job: Job, dest: Bucket, resources: WorkerResources) -> None:
        self._preparer = Preparer(job, dest, resources.reader)
        self._dest = dest
        self._objects = ObjectReader(job, dest, resources)
        self._reader = resources.reader
        self._budget = resources.budget

    async def compare(self, task: PutTask) -> Reason:
        """``Comparer.compare``."""
        assert task.dest is not None, "else it is missing"
        entry, budget = task.entry, self._budget
        held = min(entry.size or 1 if entry.size <= SMALL else PIECE, budget.size)
        await budget.take(held)
        try:
            prepared = await self._preparer.prepare(entry, task.dest)
            with closing(prepared):
                reason = await self._preparer.compare(entry.key, prepared, task.dest)
                if reason in (SendReason.ETAG, SendReason.UNKNOWN):
                    reason = await self._make_certain(prepared, task)
                prepared.check()
                return reason
        finally:
            budget.give(held)

    async def _make_certain(self, prepared: Prepared, task: PutTask) -> Reason:
        assert task.dest is not None
        stored = StoredObject(self._dest, task.target, task.dest)
        body = Body(prepared.pieces, self._reader, likely_sizes(task.dest))
        return await certain_reason(stored, body)

    async def read_both(self, task: PutTask) -> int:
        """``Comparer.read_both``."""
        entry = task.entry
        ours = await self._reader.whole(lambda: _digest_file(entry))
        return await same_bytes(ours, partial(self._objects.read, task.target, ours.size, BOTH))


def _digest_file(entry: Entry) -> BodyDigests:
    try:
        opened = open_entry(entry)
        if isinstance(opened, bytes):
            return digests_of((opened,), BOTH)
        with closing(opened):
            found = digests_of(opened.pieces(), BOTH)
            opened.check()
            return found
    except OSError as error:
        raise unreadable(entry.source, error) from None
