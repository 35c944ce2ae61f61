"""The putter: one task in, one outcome out.

::

    PutTask ─▶ ask the store, if the listing could not tell
            ─▶ prepare the body (again, if it changed or the store got other bytes)
            ─▶ decide (asking for a checksum, if the ETag cannot tell) ─▶ Skipped
            ─▶ PUT, verify the ETag ─▶ Done | Failed
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from s3pp.errors import FailureKind
from s3pp.job import Job, Objects
from s3pp.records import (
    Dest,
    Done,
    Failed,
    Outcome,
    PartOutcome,
    PutPart,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
)
from s3pp.s3.operations import Answer, Bucket, Headers
from s3pp.s3.retry import StoreError
from s3pp.transfer import modes
from s3pp.transfer.acknowledged import confirm_whole
from s3pp.transfer.bodies import Changed
from s3pp.transfer.condition import Absence, Taken, seen
from s3pp.transfer.ending import failed
from s3pp.transfer.etags import Mismatch, OtherBytes, proves_content
from s3pp.transfer.means import Offer
from s3pp.transfer.parts.own import OwnUploads
from s3pp.transfer.parts.resume import LEFT
from s3pp.transfer.put.in_parts import InParts, work_of
from s3pp.transfer.put.part import PartSender
from s3pp.transfer.put.prepare import Prepared, Preparer, held
from s3pp.transfer.put.second_look import Compared, second_look

_READINGS = 3  # times a source is read before it counts as always changing


@dataclass(slots=True)
class _Course:
    """How far one task has come, over all its attempts."""

    task: PutTask
    dest: Dest | None
    reason: SendReason | None = None  # once decided, it stays: what is there may be our own by now
    written: bool = False  # the store acknowledged a PUT of ours: no condition protects it from us


class Putter:
    """Puts objects into one bucket by the rules of one job."""

    def __init__(
        self,
        job: Job,
        bucket: Bucket,
        preparer: Preparer,
        offer: Offer,
        own: OwnUploads | None = None,
    ) -> None:
        self._own = own = own or OwnUploads()
        self._mode = job.mode
        self._dry_run = job.dry_run
        self._bucket = bucket
        self._preparer = preparer
        self._headers = static_headers(job.objects)
        self.notes: list[str] = []  # what users should know once, read by the worker
        self._absence = Absence(job.mode, bucket, self.notes.append)
        self.requests_spared = 0  # that a dry run did not make
        self._threshold = job.parts.threshold
        self._sender = PartSender(job, bucket, preparer.reader)
        self._in_parts = InParts(job, self._sender, offer, self.notes.append, own=own)

    async def part(self, part: PutPart) -> PartOutcome:
        """Send one part of an upload that some putter leads. Raises ``FatalError`` only."""
        return await self._sender.part(part)

    async def transfer(self, task: PutTask) -> Outcome:
        """Bring one object to its end. Raises ``FatalError`` and ``Unfinished`` only."""
        entry = task.entry
        budget = self._preparer.budget
        grant = budget.grant(held(entry))
        if not budget.take_at_once(grant):
            await budget.take(grant)
        try:
            return await self._put(task)
        except Exception as error:
            return await self._hinted(failed(task, error))
        finally:
            budget.give(grant)

    async def _hinted(self, outcome: Failed) -> Failed:
        """A failure, with what it leaves in the store."""
        if not self._own.left(outcome.target):
            return outcome
        stays = await self._in_parts.stays(outcome.target, outcome.kind)
        message = outcome.message.removesuffix(LEFT)
        return outcome._replace(message=f"{message}{LEFT if stays else ''}")

    async def _put(self, task: PutTask) -> Outcome:
        entry = task.entry
        dest = await seen(self._bucket, entry.key) if task.ask else task.dest
        course = _Course(task, dest)
        if dest is not None and not modes.needs_content(self._mode):
            reason = modes.decide(self._mode, None, dest)
            if isinstance(reason, SkipReason):
                return _skipped(course, entry.size, reason)
        for _ in range(_READINGS - 1):
            try:
                return await self._attempt(course)
            except (Changed, OtherBytes):
                continue
            except StoreError as error:
                if error.kind is not FailureKind.INTEGRITY:
                    raise
        return await self._attempt(course)

    async def _attempt(self, course: _Course) -> Outcome:
        undecided = course.reason is None and modes.needs_content(self._mode)
        there = course.dest if undecided else None
        prepared = await self._preparer.prepare(course.task.entry, there)
        try:
            reason = course.reason or await self._decide(course, prepared)
            if isinstance(reason, SkipReason):
                return _skipped(course, prepared.size, reason)
            course.reason = reason
            if self._dry_run:
                self.requests_spared += self._requests(prepared)
                return _done(course, prepared, self._preparer.local(prepared).md5, 0)
            if prepared.sent > self._threshold:
                return await self._send_in_parts(course, prepared)
            outcome = await self._send(course, prepared)
            if self._own.left(course.task.entry.key):  # it was larger, when it was begun
                await self._in_parts.clear(course.task.entry.key)
            return outcome
        finally:
            prepared.close()

    async def _decide(self, course: _Course, prepared: Prepared) -> SkipReason | SendReason:
        dest = course.dest
        if dest is None or not modes.needs_content(self._mode):
            return modes.decide(self._mode, None, dest)
        reason = modes.decide(self._mode, self._preparer.local(prepared), dest)
        if reason is SendReason.UNKNOWN:
            source = Compared(prepared, self._preparer.tried(dest), self._preparer.reader)
            reason = await second_look(self._bucket, course.task.entry.key, dest, source)
            prepared.check()
        return reason

    async def _send(self, course: _Course, prepared: Prepared) -> Outcome:
        key = course.task.entry.key
        try:
            answer = await self._absence.write(
                key, lambda condition: self._request(key, prepared, condition), ours=course.written
            )
        except Taken as taken:
            return await self._taken(course, prepared, taken)
        except StoreError as error:
            if error.kind is FailureKind.INTEGRITY:
                prepared.check()  # that is what the store noticed, if the source changed
            raise
        course.written = True
        prepared.check()
        md5, etag = self._preparer.digests(prepared).md5, answer.etag
        if not etag:
            etag = await confirm_whole(self._bucket, key, prepared.sent, md5)
        elif etag != md5 and md5 and proves_content(etag, answer.response, self._bucket.endpoint):
            raise Mismatch(md5, etag)
        return _done(course, prepared, etag, answer.attempts)

    async def _send_in_parts(self, course: _Course, prepared: Prepared) -> Outcome:
        headers = [*self._headers, *prepared.labels]
        try:
            sent = await self._in_parts.put(work_of(course.task.entry, prepared, headers))
        except Taken:
            return _skipped(course, prepared.size, SkipReason.EXISTS)
        course.written = True
        done = _done(course, prepared, sent.etag, sent.attempts)
        return done._replace(sent=sent.sent)

    def _requests(self, prepared: Prepared) -> int:
        """How many requests it would take to send a body."""
        if prepared.sent <= self._threshold:
            return 1
        return self._in_parts.count(prepared.sent) + 2  # it is begun, and completed

    def _request(self, key: str, prepared: Prepared, condition: Headers) -> Awaitable[Answer]:
        digests = self._preparer.digests(prepared)
        return self._bucket.put(
            key,
            prepared.body,
            headers=[*self._headers, *prepared.labels, digests.header, *condition],
            payload_hash=digests.payload_hash,
        )

    async def _taken(self, course: _Course, prepared: Prepared, taken: Taken) -> Outcome:
        """The key exists: by another's hand, or by our own PUT whose answer was lost."""
        if taken.refusal is None:  # it was there before anything was sent
            return _skipped(course, prepared.size, SkipReason.EXISTS)
        try:
            dest = await self._bucket.head(course.task.entry.key)
        except StoreError as error:
            if error.status != 403:
                raise
            return _skipped(course, prepared.size, SkipReason.EXISTS)
        if dest is None:  # and by now it does not
            raise taken.refusal
        local = self._preparer.local(prepared)
        course.written = ours = dest == Dest(local.size, local.md5)
        prepared.check()
        if not ours:
            return _skipped(course, prepared.size, SkipReason.EXISTS)
        return _done(course, prepared, dest.etag, 1)


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
