"""The second phase of a run that deletes: whether it begins, decided when all transfers have ended.

::

    walker ──WalkDone, with the number of deletions that wait──▶ supervisor
       when the ledger is empty:  supervisor ──CountFailures──▶ statter ──FailureCount──▶ supervisor
    walker ◀──SendDeletes── supervisor, or nothing is deleted, and one line says why
    walker ──TaskBatch …, WalkDone──▶ supervisor

What is to be deleted waits in the walker, so that the supervisor holds only numbers.
"""

from __future__ import annotations

import os
from enum import Enum

from s3pp.job import Job
from s3pp.pipeline.messages import WalkDone
from s3pp.report.lines import pluralize


class NoDeletion(Enum):
    """Why nothing is deleted."""

    FAILED = "something was not transferred"
    UNKNOWN = "what the destination holds is not known"
    EMPTY = "the source is empty"
    UNSELECTED = "the filters select nothing of the source"
    IRREGULAR = "the source has nothing that can be an object"
    VANISHED = "the source is not what was read"
    TOO_MANY = "more than --max-delete"
    ENDED = "the run did not come to its end"


def decide_deletion(
    job: Job, planned: WalkDone, *, failed: int, vanished: bool
) -> NoDeletion | None:
    """Return why nothing is deleted; None: all that is planned.

    ``failed``: objects that were not transferred; ``vanished``: the source has been replaced.
    """
    if failed:
        return NoDeletion.FAILED
    if planned.fault:
        return NoDeletion.UNKNOWN
    if vanished:
        return NoDeletion.VANISHED
    if (why := _emptiness(job, planned)) is not None:
        return why
    most = job.deletion.most
    if most is not None and most.exceeded(planned.deletes, planned.held):
        return NoDeletion.TOO_MANY
    return None


def _emptiness(job: Job, planned: WalkDone) -> NoDeletion | None:
    """Return how the source is empty, where it must not be; None: it is not, or may be."""
    if not planned.empty or job.deletion.from_empty:
        return None
    if job.choosing.rules:
        return NoDeletion.UNSELECTED
    return NoDeletion.IRREGULAR if planned.irregular else NoDeletion.EMPTY


# Guards that know what would be deleted: a dry run shows it all the same.
_SHOWN = frozenset(
    {NoDeletion.EMPTY, NoDeletion.UNSELECTED, NoDeletion.IRREGULAR, NoDeletion.TOO_MANY}
)


class _Stage(Enum):
    WALK = 0  # what is to be deleted is not known yet
    TRANSFERS = 1  # it is, and transfers are under way
    COUNTING = 2  # the statter has been asked how many failed
    DELETING = 3
    OVER = 4  # also where there is nothing to delete or to refuse


class DeletePhase:
    """The state of the second phase of one run."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._stage = _Stage.WALK if job.deletes_last else _Stage.OVER
        self._planned = WalkDone()
        self._source = _identity(job)
        self.reason = ""  # why nothing is deleted; empty: nothing is against it so far

    @property
    def loss(self) -> str:
        """What is lost where the walker dies."""
        if self.deleting:
            return "what it had not sent is not deleted"
        known = self._stage in (_Stage.TRANSFERS, _Stage.COUNTING)
        return "nothing is deleted" if known else "what it had not listed is not transferred"

    @property
    def deleting(self) -> bool:
        """Whether batches of deletions are being sent: ``count`` in all."""
        return self._stage is _Stage.DELETING

    def plan(self, done: WalkDone) -> bool:
        """Take the end of a walk; returns whether a second phase has to be decided about."""
        if self._stage is not _Stage.WALK:
            return False
        self._planned = done
        waits = done.deletes > 0 or done.fault != "" or _emptiness(self._job, done) is not None
        self._stage = _Stage.TRANSFERS if waits else _Stage.OVER
        return waits

    def ask(self) -> bool:
        """All transfers have ended: return whether to ask, now, how many failed."""
        asks = self._stage is _Stage.TRANSFERS
        if asks:
            self._stage = _Stage.COUNTING
        return asks

    def decide(self, failed: int) -> NoDeletion | None:
        """Begin the second phase, and return why nothing may be deleted; ``failed``: transfers.

        Where something is against it, only a dry run begins it, to show what would be deleted.
        """
        vanished = _identity(self._job) != self._source
        why = decide_deletion(self._job, self._planned, failed=failed, vanished=vanished)
        if why is not None:
            self.reason = self._explain(why, failed)
        begins = why is None or (self._job.dry_run and why in _SHOWN)
        self._stage = _Stage.DELETING if begins else _Stage.OVER
        return why

    @property
    def count(self) -> int:
        """The number of deletions that are planned."""
        return self._planned.deletes

    def end(self) -> str:
        """End with the run; returns why nothing was deleted if that is not known yet, else ""."""
        early = self._stage not in (_Stage.DELETING, _Stage.OVER)
        self._stage = _Stage.OVER
        if early:
            self.reason = self._explain(NoDeletion.ENDED)
        return self.refusal if early else ""

    @property
    def refusal(self) -> str:
        """``reason`` as a line for users."""
        return f"nothing is deleted from {self._job.writes or self._job.reads[0]}: {self.reason}"

    def _explain(self, why: NoDeletion, failed: int = 0) -> str:
        job, planned, source = self._job, self._planned, self._job.reads[0]
        read = "file" if job.verb == "put" else "object"
        noun = "file" if job.verb == "get" else "object"
        again = (
            "run the same command again" if job.applies is None else "plan again, or apply again"
        )
        causes = {
            NoDeletion.FAILED: f"{pluralize(failed, noun)} failed: {again}"
            " once the cause is removed",
            NoDeletion.UNKNOWN: planned.fault,
            NoDeletion.EMPTY: f"{source} is empty; --delete-from-empty deletes all the same",
            NoDeletion.UNSELECTED: f"{source} has no {read} that the filters select: check them",
            NoDeletion.IRREGULAR: f"{source} has no regular file, only what is not sent, such as"
            " FIFOs: check what it should have",
            NoDeletion.VANISHED: f"{source} has vanished, or is another directory by now:"
            " run the same command again once it is back",
            NoDeletion.TOO_MANY: f"{planned.deletes} of {pluralize(planned.held, noun)} would be,"
            f" and --max-delete allows {job.deletion.most}",
            NoDeletion.ENDED: "the run did not come to its end: run the same command again",
        }
        return causes[why]


def _identity(job: Job) -> tuple[int, int] | None:
    """The device and inode of the directory that a put reads; None: there is none."""
    if not job.sources:
        return None
    try:
        found = os.stat(job.sources[0].path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
