"""Comparison of objects with their copies."""

from __future__ import annotations

import asyncio

from s3pp.integrity.etag import proves_content
from s3pp.integrity.stored_object import whole_checksums
from s3pp.job import Job
from s3pp.records import CopyTask, SendReason, SkipReason
from s3pp.s3.answers import Answer
from s3pp.s3.client import ASK_CHECKSUM, Bucket, Coding
from s3pp.transfer.errors import object_vanished
from s3pp.transfer.resources import WorkerResources
from s3pp.transfer.verify.reading import BOTH, BodyDigests, ObjectReader, difference, settle_bytes
from s3pp.transfer.verify.verdicts import Reason, same_strong_checksum


class TwoObjects:
    """Objects and their copies."""

    def __init__(self, job: Job, source: Bucket, dest: Bucket, resources: WorkerResources) -> None:
        self._source = source
        self._dest = dest
        self._readers = [ObjectReader(job, each, resources) for each in (source, dest)]

    async def compare(self, task: CopyTask) -> Reason:
        """``Comparer.compare``: what the listings have is not conclusive."""
        here, there = await asyncio.gather(
            self._source.look(task.source, headers=(ASK_CHECKSUM,)),
            self._dest.look(task.target, headers=(ASK_CHECKSUM,)),
        )
        if here is None:
            raise object_vanished()
        if there is None:
            return SendReason.NEW
        if here.size != there.size:
            return SendReason.SIZE
        if here.etag and here.etag == there.etag:
            return SkipReason.SAME_ETAG
        same = same_strong_checksum(
            whole_checksums(here.response), dict(whole_checksums(there.response))
        )
        if same is not None:
            return SkipReason.SAME_CHECKSUM if same else SendReason.CHECKSUM
        proven = _is_digest(here, self._source) and _is_digest(there, self._dest)
        return SendReason.ETAG if proven else SendReason.UNKNOWN

    async def read_both(self, task: CopyTask) -> int:
        """``Comparer.read_both``."""
        one, other = self._readers
        size = task.size
        ours = await one.read(task.source, size, BOTH)

        async def read(coding: Coding) -> BodyDigests:
            nonlocal ours
            if coding is not Coding.GZIP:  # once more: the first reading may be what is wrong
                ours = await one.read(task.source, size, BOTH, coding)
            return await other.read(task.target, size, BOTH, coding)

        found = await settle_bytes(read, lambda theirs: difference(ours, theirs))
        return ours.size + found.size


def _is_digest(answer: Answer, bucket: Bucket) -> bool:
    return proves_content(answer.etag, answer.response, bucket.endpoint)
