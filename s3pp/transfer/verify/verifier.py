"""The verifier: the role that compares what a journal says of an object with what is there.

::

    VerifyTask ─▶ a file: ``recorded_files``
               ─▶ HEAD ─▶ absent: missing
                       ─▶ ``match_recorded``
                       ─▶ --deep: its bytes, as digests that the journal has
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.stored_object import StoredObject, or_unknown
from s3pp.job import Job
from s3pp.recorded import MatchReason, VerifyTask
from s3pp.records import Dest, Done, Outcome, PartOutcome
from s3pp.s3.answers import Answer
from s3pp.s3.client import ASK_CHECKSUM, Bucket, Call
from s3pp.s3.endpoint import query_string
from s3pp.transfer.errors import failed
from s3pp.transfer.resources import WorkerResources
from s3pp.transfer.verify.digest_match import digest_fault, wanted_of
from s3pp.transfer.verify.object_evidence import comparable, etag_decides, part_size_of, seen
from s3pp.transfer.verify.reading import ObjectReader, settle_bytes
from s3pp.transfer.verify.verdicts import ABSENT, match_recorded

_VERDICTS = (FailureKind.MISSING, FailureKind.DIFFERS, FailureKind.UNDECIDED)


class JournalVerifier:
    """Verifies what a journal says of objects, and of files."""

    skip_unchanged = None

    def __init__(self, job: Job, buckets: Mapping[str, Bucket], resources: WorkerResources) -> None:
        """``buckets`` are those of the destinations, by name."""
        self.notes: list[str] = []
        self._job = job
        self._deep = job.verification.deep
        self._buckets = buckets
        self._resources = resources

    async def part(self, part: Any) -> PartOutcome:
        """``Role.part``, of which there is none."""
        raise AssertionError(f"{part} in a run that transfers nothing")

    async def transfer(self, task: VerifyTask) -> Outcome:
        """Verify one object, or file. Raises only ``FatalError`` and ``RunEnding``."""
        try:
            if not task.bucket:
                by = await self._match_file(task)
                return _done(task, task.recorded.size or 0, by)
            return await self._match_object(task, self._buckets[task.bucket])
        except Exception as error:
            return failed(task, error)

    async def _match_file(self, task: VerifyTask) -> MatchReason:
        from s3pp.transfer.verify.recorded_files import match_file

        reader, size = self._resources.reader, self._job.parts.size
        match = partial(match_file, task.name, task.recorded, deep=self._deep, part_size=size)
        return await (reader.whole(match) if self._deep else reader.run(match))

    async def _match_object(self, task: VerifyTask, bucket: Bucket) -> Done:
        answer = await bucket.look(task.name, headers=(ASK_CHECKSUM,))
        try:
            if answer is None:
                raise ObjectError(FailureKind.MISSING, ABSENT)
            if not self._deep:
                return _done(task, answer.size, match_recorded(task.recorded, seen(answer, bucket)))
            read = await self._read(task, answer, bucket)
            return _done(task, answer.size, MatchReason.BYTES, read)
        except ObjectError as error:
            if task.recorded.version and error.kind in _VERDICTS:
                raise ObjectError(
                    error.kind, await self._with_version(task, error, bucket)
                ) from None
            raise

    async def _read(self, task: VerifyTask, answer: Answer, bucket: Bucket) -> int:
        """Read an object, whose bytes must be the recorded ones; returns those received."""
        recorded, now = task.recorded, seen(answer, bucket)
        if recorded.size is not None and recorded.size != now.size:
            match_recorded(recorded, now)
        recorded = comparable(recorded, answer, now)
        stored = StoredObject(bucket, task.name, Dest(answer.size, answer.etag))
        each = await part_size_of(recorded, stored)
        known = [each] if each else []
        wanted = wanted_of(recorded._replace(size=now.size), self._job.parts.size, known)
        read = partial(
            ObjectReader(self._job, bucket, self._resources).read, task.name, now.size, wanted
        )
        try:
            return (await settle_bytes(read, partial(digest_fault, recorded))).size
        except ObjectError as error:
            if error.kind is not FailureKind.DIFFERS:
                raise
            is_proof = recorded.checksum is not None and recorded.checksum[0] in wanted.checksums
            if is_proof or await etag_decides(recorded, answer, stored, each):
                raise
            why = f"{error}, unless that ETag is no digest of them, or of parts of another size"
            raise ObjectError(FailureKind.UNDECIDED, f"{why} (--part-size)") from None

    async def _with_version(self, task: VerifyTask, error: ObjectError, bucket: Bucket) -> str:
        """Return a verdict, and whether the version that was recorded is still there."""
        query = query_string({"versionId": task.recorded.version})
        path = bucket.endpoint.path(task.name)
        there = await or_unknown(bucket.call(Call("HEAD", path, query)))
        if there is None:
            return f"{error}; nor does its version {task.recorded.version} show"
        return f"{error}; its version {task.recorded.version} is still there"


def _done(task: VerifyTask, size: int, by: MatchReason, read: int = 0) -> Done:
    return Done(task.source, task.target, size, read, task.recorded.etag, by)
