"""The putter: takes upload tasks and returns their outcomes.

::

    PutTask ─▶ transfer ─▶ _attempt ─▶ Bucket.put ─▶ ETag is the MD5 ─▶ Done
                  ▲           │
                  │           ├─ the key exists: ``Preparer.compare`` ─▶ Skipped
                  │           ├─ above the threshold: ``_send_in_parts``
                  │           └─ mode add: under the condition that it is absent
                  └─ the source changed, or the store got other bytes: read again

Rare cases branch off; a small file without complications takes only this path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from s3pp.errors import FailureKind, Kept
from s3pp.integrity.etag import OtherBytes
from s3pp.integrity.stored_object import confirm_whole
from s3pp.job import Compare, Job, Mode
from s3pp.limits import PIECE, SMALL
from s3pp.records import (
    Calls,
    Dest,
    Done,
    Entry,
    Facts,
    Failed,
    Foreseen,
    Outcome,
    PartOutcome,
    PutPart,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
    other_size,
)
from s3pp.s3.client import Bucket
from s3pp.s3.retry import StoreError
from s3pp.transfer.bodies import Changed, Slice
from s3pp.transfer.conditional_write import AlreadyExists, ConditionalWrite, head_if_allowed
from s3pp.transfer.errors import failed
from s3pp.transfer.modes import SendRule, decide_unread
from s3pp.transfer.part_upload import FileUploader, upload_body
from s3pp.transfer.put.prepare import Prepared, Preparer
from s3pp.transfer.resources import WorkerResources

_WHOLE = (("PutObject", 1),)  # the requests of an object that is sent whole
READINGS = 3  # times a source is read before it counts as always changing


@dataclass(slots=True)
class PutAttempt:
    """The state of one task, over all readings of its source."""

    task: PutTask
    dest: Dest | None
    reason: SendReason | None = None  # decided only once: the stored object may be our own by now
    written: bool = False  # the store acknowledged a PUT of ours: later ones are unconditional


class Putter:
    """An uploader to one bucket by the rules of one job."""

    skip_unchanged: Callable[[PutTask], Skipped | None] | None = None  # see ``roles.Role``

    def __init__(
        self, job: Job, bucket: Bucket, preparer: Preparer, resources: WorkerResources
    ) -> None:
        self._only_absent = job.mode is Mode.ADD
        self._rule = SendRule.of(job)
        self._if_absent = SendReason.ALWAYS if job.mode is Mode.STUPID else SendReason.NEW
        self._dry_run = job.dry_run
        self._plans = job.plan is not None
        self._keeps_facts = job.output.keeps_facts
        self._bucket = bucket
        self._preparer = preparer
        self._checksum = preparer.checksum
        self._budget = resources.budget
        self._own = resources.own
        self.notes: list[str] = []  # notices for users, read by the worker
        self._conditional = ConditionalWrite(job.mode, bucket, self.notes.append)
        self._threshold = job.parts.threshold
        self._in_parts = FileUploader(job, bucket, resources, self.notes.append)

    async def part(self, part: PutPart) -> PartOutcome:
        """Send one part of an upload that any putter may lead. Raises only ``FatalError``."""
        return await self._in_parts.sender.part(part)

    async def transfer(self, task: PutTask) -> Outcome:
        """Upload one file and return its outcome. Raises only ``FatalError`` and ``RunEnding``."""
        entry, budget = task.entry, self._budget
        held = min(entry.size or 1 if entry.size <= SMALL else PIECE, budget.size)
        if not budget.take_at_once(held):
            await budget.take(held)
        try:
            dest = await self._ask(entry.key) if task.ask else task.dest
            attempt = PutAttempt(task, dest)
            for _ in range(READINGS - 1):
                try:
                    return await self._attempt(attempt)
                except (Changed, OtherBytes):
                    continue
                except StoreError as error:
                    if error.kind is not FailureKind.INTEGRITY:
                        raise
            return await self._attempt(attempt)
        except Exception as error:
            return await self._add_kept(failed(task, error))
        finally:
            budget.give(held)

    async def _attempt(self, attempt: PutAttempt) -> Outcome:
        """Read the source, decide whether to send it, and send it."""
        entry, dest = attempt.task.entry, attempt.dest
        reason: SkipReason | SendReason | None = attempt.reason
        if reason is None:
            reason = self._if_absent if dest is None else self._decide_unread(entry, dest)
        if isinstance(reason, SkipReason):
            return _skip(attempt, entry.size, reason, dest)
        prepared = await self._preparer.prepare(entry, None if reason else dest)
        try:
            if reason is None:
                assert dest is not None, "else it would be sent as new"
                reason = await self._preparer.compare(entry.key, prepared, dest)
            if isinstance(reason, SkipReason):
                return _skip(attempt, prepared.size, reason, dest)
            attempt.reason = reason
            if self._dry_run:
                return self._pretend(attempt, prepared)
            if prepared.sent > self._threshold and isinstance(prepared.body, Slice):
                return await self._send_in_parts(attempt, prepared)
            return await self._send(attempt, prepared)
        finally:
            if prepared.source is not None:
                prepared.close()

    async def _ask(self, key: str) -> Dest | None:
        timed = self._rule.compare is Compare.MTIME
        return await head_if_allowed(self._bucket, key, timed=timed)

    def _decide_unread(self, entry: Entry, dest: Dest) -> SkipReason | SendReason | None:
        return decide_unread(self._rule, dest, size=entry.size, modified_ns=entry.mtime_ns)

    async def _send(self, attempt: PutAttempt, prepared: Prepared) -> Outcome:
        """Send a body in one request, and verify the ETag in the answer."""
        entry = attempt.task.entry
        key = entry.key
        digests = prepared.digests or self._preparer.digest(prepared)
        headers = [*prepared.headers, digests.header]
        put = partial(self._bucket.put, key, prepared.body, payload_hash=digests.payload_hash)
        try:
            if self._only_absent and not attempt.written:
                answer = await self._conditional.write(
                    key,
                    lambda condition: put(headers=[*headers, *condition]),
                    planned=attempt.task.planned,
                )
            else:
                answer = await put(headers=headers)
        except AlreadyExists as exists:
            return await self._decide_existing(attempt, prepared, exists)
        except StoreError as error:
            if error.kind is FailureKind.INTEGRITY:
                prepared.check()  # if the source changed, that is the cause
            raise
        attempt.written = True
        if prepared.source is not None:
            prepared.check()
        etag = answer.etag
        if etag != digests.md5 or not etag:
            sent = Dest(prepared.sent, digests.md5)
            etag = await confirm_whole(self._bucket, key, answer, sent, digests.header)
        if key in self._own.idle:  # from when the source was larger
            await self._in_parts.abort_own(key)
        source, size, reason = entry.name or entry.path, prepared.size, attempt.reason
        assert reason is not None, "it was decided before anything was sent"
        attempts, encoding = answer.attempts, prepared.encoding
        sent_as = (attempts, None, encoding, self._checksum)
        done = Done(source, key, size, prepared.sent, etag, reason, *sent_as)
        if self._keeps_facts:
            return done._replace(facts=Facts(digests.named, answer.version, prepared.sent))
        return done

    async def _add_kept(self, outcome: Failed) -> Failed:
        """Return ``outcome`` with what the store keeps of it by now."""
        if outcome.target not in self._own.idle:
            return outcome
        if await self._in_parts.keeps_parts(outcome.target, outcome.kind):
            return outcome._replace(kept=Kept.PARTS)
        stuck = outcome.kept is Kept.STUCK_PARTS
        return outcome if stuck else outcome._replace(kept=Kept.NOTHING)

    async def _send_in_parts(self, attempt: PutAttempt, prepared: Prepared) -> Outcome:
        body, headers = prepared.body, prepared.headers
        assert isinstance(body, Slice)
        shared = body is prepared.source
        try:
            completed = await self._in_parts.put(
                upload_body(attempt.task.entry, body, headers, is_shared=shared)._replace(
                    planned=attempt.task.planned
                )
            )
        except AlreadyExists as exists:
            return _skip(attempt, prepared.size, SkipReason.EXISTS, exists.dest)
        attempt.written = True
        self._preparer.note_parts(prepared, completed.parts, completed.checksum)
        done = _done(attempt, prepared, completed.etag, completed.attempts)
        sent, checksum = completed.sent, completed.checksum
        facts = completed.facts and completed.facts._replace(size=prepared.sent)
        return done._replace(sent=sent, checksum=checksum, facts=facts)

    def _pretend(self, attempt: PutAttempt, prepared: Prepared) -> Outcome:
        """Return the outcome in a dry run."""
        done = _done(attempt, prepared, self._preparer.local(prepared).md5, 0)
        if prepared.sent <= self._threshold or isinstance(prepared.body, bytes):
            return done._replace(checksum=self._checksum, foreseen=self._foresee(attempt, _WHOLE))
        foreseen = self._foresee(attempt, self._in_parts.calls(prepared.sent))
        checksum = self._in_parts.checksums.choose(is_repeatable=True).name
        return done._replace(checksum=checksum, foreseen=foreseen)

    def _foresee(self, attempt: PutAttempt, calls: Calls) -> Foreseen:
        return Foreseen(calls, attempt.task, attempt.dest) if self._plans else Foreseen(calls)

    async def _decide_existing(
        self, attempt: PutAttempt, prepared: Prepared, exists: AlreadyExists
    ) -> Outcome:
        """Return the outcome for an existing key: another's object, or ours after a lost answer."""
        if exists.refusal is None:  # it existed before anything was sent
            return _skip(attempt, prepared.size, SkipReason.EXISTS, exists.dest)
        try:
            dest = await self._bucket.head(attempt.task.entry.key)
        except StoreError as error:
            if error.status != 403:
                raise
            return _skip(attempt, prepared.size, SkipReason.EXISTS)
        if dest is None:  # it no longer exists
            raise exists.refusal
        local = self._preparer.local(prepared)
        attempt.written = ours = dest == Dest(local.size, local.md5)
        prepared.check()
        if not ours:
            return _skip(attempt, prepared.size, SkipReason.EXISTS, dest)
        return _done(attempt, prepared, dest.etag, 1)._replace(checksum=self._checksum)


def _done(attempt: PutAttempt, prepared: Prepared, etag: str, attempts: int) -> Done:
    entry = attempt.task.entry
    assert attempt.reason is not None
    size, sent, reason = prepared.size, prepared.sent, attempt.reason
    return Done(
        entry.source, entry.key, size, sent, etag, reason, attempts, encoding=prepared.encoding
    )


def _skip(attempt: PutAttempt, size: int, reason: SkipReason, dest: Dest | None = None) -> Skipped:
    entry = attempt.task.entry
    return Skipped(entry.source, entry.key, size, reason, dest_size=other_size(size, dest))
