"""The putter: one task in, one outcome out.

::

    PutTask ─▶ ask the store, if the listing could not tell
            ─▶ prepare the body (again, if it changed or the store got other bytes)
            ─▶ decide ─▶ Skipped
            ─▶ PUT, verify the ETag ─▶ Done | Failed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from s3pp.errors import FailureKind
from s3pp.job import Job, Mode, Objects
from s3pp.records import Dest, Done, Outcome, PutTask, SendReason, Skipped, SkipReason
from s3pp.s3.operations import Answer, Bucket
from s3pp.s3.retry import StoreError
from s3pp.transfer import modes
from s3pp.transfer.bodies import Changed
from s3pp.transfer.ending import ended
from s3pp.transfer.etags import Mismatch, proves_content
from s3pp.transfer.put.prepare import Prepared, Preparer, held

_READINGS = 3  # times a source is read before it counts as always changing
_IF_ABSENT = ("if-none-match", "*")


@dataclass(slots=True)
class _Course:
    """How far one task has come, over all its attempts."""

    task: PutTask
    dest: Dest | None
    reason: SendReason | None = None  # once decided, it stays: what is there may be our own by now
    written: bool = False  # the store acknowledged a PUT of ours: no condition protects it from us


class Putter:
    """Puts objects into one bucket by the rules of one job."""

    def __init__(self, job: Job, bucket: Bucket, preparer: Preparer) -> None:
        self._mode = job.mode
        self._dry_run = job.dry_run
        self._bucket = bucket
        self._preparer = preparer
        self._headers = static_headers(job.objects)
        self._conditional = job.mode is Mode.ADD
        self.notes: list[str] = []  # what people should know once, read by the worker
        self.requests_spared = 0  # that a dry run did not make

    async def transfer(self, task: PutTask) -> Outcome:
        """Bring one object to its end. Raises ``FatalError`` only."""
        entry = task.entry
        budget = self._preparer.budget
        grant = budget.grant(held(entry))
        if not budget.take_at_once(grant):
            await budget.take(grant)
        try:
            return await ended(task, self._put(task))
        finally:
            budget.give(grant)

    async def _put(self, task: PutTask) -> Outcome:
        entry = task.entry
        # Where the store refuses the condition, a key is looked at right before it is written.
        ask = task.ask or (self._mode is Mode.ADD and not self._conditional)
        dest = await self._ask(entry.key) if ask else task.dest
        course = _Course(task, dest)
        if dest is not None and not modes.needs_content(self._mode):
            reason = modes.decide(self._mode, None, dest)
            if isinstance(reason, SkipReason):
                return _skipped(course, entry.size, reason)
        for _ in range(_READINGS - 1):
            try:
                return await self._attempt(course)
            except (Changed, Mismatch):
                continue
            except StoreError as error:
                if error.kind is not FailureKind.INTEGRITY:
                    raise
        return await self._attempt(course)

    async def _attempt(self, course: _Course) -> Outcome:
        prepared = await self._preparer.prepare(course.task.entry)
        try:
            reason = course.reason or self._decide(course.dest, prepared)
            if isinstance(reason, SkipReason):
                return _skipped(course, prepared.size, reason)
            course.reason = reason
            if self._dry_run:
                self.requests_spared += 1
                return _done(course, prepared, self._preparer.local(prepared).md5, 0)
            return await self._send(course, prepared)
        finally:
            prepared.close()

    def _decide(self, dest: Dest | None, prepared: Prepared) -> SkipReason | SendReason:
        compared = dest is not None and modes.needs_content(self._mode)
        local = self._preparer.local(prepared) if compared else None
        return modes.decide(self._mode, local, dest)

    async def _send(self, course: _Course, prepared: Prepared) -> Outcome:
        conditional = self._conditional and not course.written
        try:
            answer = await self._request(course, prepared, conditional=conditional)
        except StoreError as error:
            if error.kind is FailureKind.INTEGRITY:
                prepared.check()  # that is what the store noticed, if the source changed
            if error.status == 412 and conditional:
                return await self._taken(course, prepared, error)
            if error.status != 501 or not conditional:
                raise
            self._give_up_condition()
            if await self._ask(course.task.entry.key) is not None:
                return _skipped(course, prepared.size, SkipReason.EXISTS)
            answer = await self._request(course, prepared, conditional=False)
        course.written = True
        prepared.check()
        md5, etag = self._preparer.digests(prepared).md5, answer.etag
        if etag != md5 and md5 and proves_content(etag, answer.response, self._bucket.endpoint):
            raise Mismatch(md5, etag)
        return _done(course, prepared, etag, answer.attempts)

    async def _request(self, course: _Course, prepared: Prepared, *, conditional: bool) -> Answer:
        digests = self._preparer.digests(prepared)
        headers = [*self._headers, *prepared.labels, digests.header]
        if conditional:
            headers.append(_IF_ABSENT)
        return await self._bucket.put(
            course.task.entry.key,
            prepared.body,
            headers=headers,
            payload_hash=digests.payload_hash,
        )

    async def _ask(self, key: str) -> Dest | None:
        """HEAD a key; where that is forbidden nothing is known, as if it were absent."""
        try:
            return await self._bucket.head(key)
        except StoreError as error:
            if error.status == 403:
                return None
            raise

    async def _taken(self, course: _Course, prepared: Prepared, refusal: StoreError) -> Outcome:
        """The key exists: by another's hand, or by our own PUT whose answer was lost."""
        try:
            dest = await self._bucket.head(course.task.entry.key)
        except StoreError as error:
            if error.status != 403:
                raise
            return _skipped(course, prepared.size, SkipReason.EXISTS)
        if dest is None:  # and by now it does not
            raise refusal
        course.written = ours = dest == Dest(*self._preparer.local(prepared))
        prepared.check()
        if not ours:
            return _skipped(course, prepared.size, SkipReason.EXISTS)
        return _done(course, prepared, dest.etag, 1)

    def _give_up_condition(self) -> None:
        if self._conditional:
            self._conditional = False
            self.notes.append(
                "the store refuses If-None-Match: mode add asks with HEAD instead, "
                "which another writer can race"
            )


def _done(course: _Course, prepared: Prepared, etag: str, attempts: int) -> Done:
    entry = course.task.entry
    assert course.reason is not None
    return Done(
        entry.source, entry.key, prepared.size, prepared.sent, etag, course.reason, attempts
    )


def _skipped(course: _Course, size: int, reason: SkipReason) -> Skipped:
    return Skipped(course.task.entry.source, course.task.entry.key, size, reason)


def static_headers(objects: Objects) -> Sequence[tuple[str, str]]:
    """The headers that are the same for every object of a run, lower-case names."""
    headers = [(k.lower(), v) for k, v in objects.headers if k.lower() != "content-type"]
    headers += [(f"x-amz-meta-{k.lower()}", v) for k, v in objects.metadata]
    named = {
        "x-amz-acl": objects.acl,
        "x-amz-storage-class": objects.storage_class,
        "x-amz-server-side-encryption": objects.sse,
        "x-amz-server-side-encryption-aws-kms-key-id": objects.sse_kms_key_id,
        # As SDKs say it: some stores keep the checksum only of those who name its algorithm.
        "x-amz-sdk-checksum-algorithm": None
        if objects.checksum == "md5"
        else objects.checksum.upper(),
        "x-amz-tagging": "&".join(f"{quote(k, '')}={quote(v, '')}" for k, v in objects.tags),
    }
    return [*headers, *((k, v) for k, v in named.items() if v)]
