"""The copier: takes copy tasks and returns their outcomes.

::

    CopyTask ─▶ HEAD of the destination, if its listing is inconclusive
             ─▶ decide ─▶ Skipped
             ─▶ by the store (CopyObject, or UploadPartCopy) ───┐
                    └ not possible ─▶ through this machine ─────┴─▶ Done | Failed
                      (GET, verify, PUT, or UploadPart)

``ways`` chooses whether an object is copied whole or in parts; parts that pass through this machine
are transferred by any copier.
"""

from __future__ import annotations

from s3pp.errors import FailureKind, ObjectError, outdated
from s3pp.integrity.checksum_choice import copying_job
from s3pp.integrity.compare import same_checksum
from s3pp.integrity.stored_object import StoredObject
from s3pp.job import Compare, Job, Mode
from s3pp.records import (
    CopyPart,
    CopyTask,
    Dest,
    Foreseen,
    Outcome,
    PartOutcome,
    SendReason,
    Skipped,
    SkipReason,
    other_size,
)
from s3pp.s3.client import Bucket
from s3pp.s3.retry import StoreError
from s3pp.transfer import modes
from s3pp.transfer.conditional_write import AlreadyExists, head_if_allowed
from s3pp.transfer.copy.copy_attempt import (
    CannotCopy,
    CopyAttempt,
    OtherParts,
    SourceChanged,
    Target,
    Written,
)
from s3pp.transfer.copy.ways import CopyWays
from s3pp.transfer.errors import failed, object_vanished
from s3pp.transfer.resources import WorkerResources

_SAME = (SkipReason.SAME_ETAG, SkipReason.SAME_CHECKSUM)
_TRIES = 4  # of an object that changes, or arrives incomplete
_TWICE = (
    "some objects are sent twice: the part size that was tried first was not their source's, and "
    "the next run recognizes a copy only in the same parts"
)
_TWO_STORES = "source and destination are two stores: objects are copied through this machine"


class Copier:
    """Copies objects from one bucket to another by the rules of one job.

    ``shared``: the same store serves both buckets, so that it may copy by itself.
    """

    skip_unchanged = None  # the planner has compared two listings

    def __init__(
        self, job: Job, source: Bucket, dest: Bucket, *, shared: bool, resources: WorkerResources
    ) -> None:
        job = copying_job(job, dest.endpoint)
        self.notes: list[str] = []  # notices for users, read by the worker
        self._noted: set[str] = set()
        self._rule = modes.SendRule.of(job)
        self._dry_run = job.dry_run
        self._plans = job.plan is not None
        self._source = source
        self._dest = dest
        # Why objects are copied through this machine; None: they are not.
        self._detour = None if shared else _TWO_STORES
        self._ways = CopyWays(job, source, dest, resources, self._notify)

    async def transfer(self, task: CopyTask) -> Outcome:
        """Copy one object and return its outcome. Raises only ``FatalError`` and ``RunEnding``."""
        try:
            source = Dest(task.size, task.etag)
            dest = await self._ask(task.target) if task.ask else task.dest
            reason = modes.decide_copy(self._rule, source, dest, modified_ns=task.modified_ns)
            if isinstance(reason, SkipReason):
                return _skipped(task, reason, dest)
            if reason is SendReason.UNKNOWN and dest and await self._is_same(task, source, dest):
                return _skipped(task, SkipReason.SAME_CHECKSUM, dest)
            attempt = CopyAttempt(task, source, task.storage_class, reason)
            if self._detour:
                attempt.streamed = True
                self._notify(self._detour)
            elif task.planned is not None and not self._source.endpoint.is_aws:
                await self._check_source(task)
            return await (self._pretend(attempt, dest) if self._dry_run else self._retry(attempt))
        except Exception as error:
            return failed(task, error)

    async def _check_source(self, task: CopyTask) -> None:
        """Raise ``ObjectError`` if the source is not what a plan means.

        The copy has a condition on it, which stores other than AWS may ignore.
        """
        there = await self._source.head(task.source)
        if there is None:
            raise object_vanished()
        if there != Dest(task.size, task.etag):
            raise outdated("the source")

    async def part(self, part: CopyPart) -> PartOutcome:
        """Transfer one range. Raises only ``FatalError`` and ``RunEnding``."""
        return await self._ways.part(part)

    async def _ask(self, key: str) -> Dest | None:
        timed = self._rule.compare is Compare.MTIME
        return await head_if_allowed(self._dest, key, timed=timed)

    async def _pretend(self, attempt: CopyAttempt, dest: Dest | None) -> Outcome:
        """Return the outcome in a dry run; ``dest``: what is at the target."""
        foreseen = Foreseen(await self._ways.foresee_calls(attempt))
        if self._plans:
            foreseen = foreseen._replace(task=attempt.task, dest=dest)
        self._notify(self._ways.not_copied)
        return attempt.done(Written(attempt.source.etag, 0))._replace(foreseen=foreseen)

    async def _is_same(self, task: CopyTask, source: Dest, dest: Dest) -> bool:
        here = StoredObject(self._source, task.source, source)
        return await same_checksum(here, StoredObject(self._dest, task.target, dest))

    async def _retry(self, attempt: CopyAttempt) -> Outcome:
        for _ in range(_TRIES - 1):
            try:
                return await self._copy(attempt)
            except SourceChanged as changed:
                if await attempt.refresh(self._source):
                    continue
                if outcome := self._decide_unchanged(attempt, changed):
                    return outcome
            except ObjectError as error:
                if error.kind is not FailureKind.INTEGRITY:
                    raise
        return await self._copy(attempt)

    async def _copy(self, attempt: CopyAttempt) -> Outcome:
        try:
            written = await self._ways.write(attempt)
        except AlreadyExists as exists:
            return await self._decide_existing(attempt, exists)
        except CannotCopy as cannot:
            await self._change_way(attempt, cannot)
            return await self._copy(attempt)
        except OtherParts as other:
            attempt.spans = other.spans
            if attempt.streamed:
                self._notify(_TWICE)
            return await self._copy(attempt)
        if self._ways.not_copied not in self._noted:
            self._notify(self._ways.not_copied)
        return attempt.done(written)

    async def _change_way(self, attempt: CopyAttempt, cannot: CannotCopy) -> None:
        if await self._ways.change(attempt, cannot):
            note = f"{cannot}: objects are copied through this machine"
            self._notify(note)
            # A store that has copied other objects refuses only this one.
            self._detour = None if self._ways.by_store.is_trusted else note

    async def _decide_existing(self, attempt: CopyAttempt, exists: AlreadyExists) -> Outcome:
        """Return the outcome for an existing target.

        Raises ``SourceChanged`` if the condition on the source may be what failed.
        """
        dest, refusal = exists.dest, exists.refusal
        if attempt.doubted and attempt.streamed:
            self._ways.by_store.conditional.is_supported = True  # its answer was right
        try:
            dest = dest or await self._dest.head(attempt.task.target)
        except StoreError as error:
            if error.status != 403:
                raise
            if refusal is None or attempt.is_certain:
                return attempt.skipped(SkipReason.EXISTS)
            raise SourceChanged(refusal, Target.UNKNOWN) from None
        if dest is None:
            assert refusal is not None
            raise refusal if attempt.is_certain else SourceChanged(refusal, Target.ABSENT)
        if refusal and dest.etag and dest == attempt.ours:
            return attempt.done(Written(dest.etag, 1))
        reason = modes.decide_copy(modes.SendRule(Mode.ADD), attempt.source, dest)
        assert isinstance(reason, SkipReason)
        return attempt.skipped(reason, dest)

    def _decide_unchanged(self, attempt: CopyAttempt, changed: SourceChanged) -> Outcome | None:
        """Return the outcome of a failed condition for an unchanged source; None: try once more.

        OpenStack Swift applies If-None-Match of a CopyObject to the source, which exists.
        """
        if changed.target is Target.UNCONDITIONAL:
            changed.refusal.kept = changed.kept
            raise changed.refusal
        attempt.doubted = True
        if changed.target is Target.ABSENT:
            self._ways.by_store.add_doubt()
        elif self._ways.by_store.conditional.is_supported:
            return attempt.skipped(SkipReason.EXISTS)
        else:
            attempt.streamed = True  # the condition of a PUT is unambiguous
        return None

    def _notify(self, note: str) -> None:
        if note not in self._noted:
            self._noted.add(note)
            self.notes.append(note)


def _skipped(task: CopyTask, reason: SkipReason, dest: Dest | None) -> Skipped:
    other = other_size(task.size, dest)
    etag = task.etag if reason in _SAME else ""
    return Skipped(task.source, task.target, task.size, reason, None, other, etag)
