"""The mover: it has a role transfer objects, and names those of the sources that may be deleted.

::

    task ─▶ role ─▶ Done, or Skipped as the same ─▶ Proof ─▶ DeleteTask ─┐ with the batch's report
               └──▶ Skipped otherwise, Failed: the source stays          ▼
                                                          supervisor ─▶ a batch of deletes

The deletions of a batch are a batch of their own, which is queued when the transfers have been
reported. So the journal has an object as done before its source is deleted, and what a worker that
dies leaves is either transfers, whose sources are all there, or deletions, which can be repeated.
They do not wait for the end of the run: that would have to keep all that it has verified until
then, and would leave it twice if it were stopped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from s3pp.errors import FatalError, RunEnding
from s3pp.records import DeleteReason, DeleteTask, Done, Outcome, PartOutcome, Skipped, SkipReason

_SAME = frozenset({SkipReason.SAME_ETAG, SkipReason.SAME_CHECKSUM, SkipReason.SAME_TIME})


class MovedRole(Protocol):
    """The role that transfers the objects."""

    notes: list[str]

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task. Raises only ``FatalError`` and ``RunEnding``."""

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part. Raises only ``FatalError`` and ``RunEnding``."""


class Proof(Protocol):
    """Finds out which source was verified to stand at the destination."""

    def observe(self, task: Any) -> Any:
        """Return what ``prove`` needs of the source as it is before the transfer."""

    async def prove(self, task: Any, outcome: Done | Skipped, before: Any) -> DeleteTask:
        """Return the task that deletes the source; without a condition if it was not verified."""


class Mover:
    """A role that has another one transfer objects, and collects what is to be deleted."""

    skip_unchanged = None  # every object passes through ``transfer``

    def __init__(self, role: MovedRole, proof: Proof, *, dry_run: bool) -> None:
        self.notes = role.notes
        self._role = role
        self._proof = proof
        self._dry_run = dry_run
        self._moved: dict[str, DeleteTask] = {}  # by the source of the outcome

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part, as the other role does."""
        return await self._role.part(part)

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task, and verify it. Raises only ``FatalError`` and ``RunEnding``."""
        before = self._proof.observe(task)
        outcome = await self._role.transfer(task)
        if isinstance(outcome, Done) or (isinstance(outcome, Skipped) and stands(outcome)):
            self._moved[outcome.source] = await self._prove(task, outcome, before)
        return outcome

    def take_deletions(self, outcomes: Iterable[Outcome]) -> list[DeleteTask]:
        """Return the deletions that follow these outcomes, once."""
        found = (self._moved.pop(outcome.source, None) for outcome in outcomes)
        return [task for task in found if task is not None]

    async def _prove(self, task: Any, outcome: Done | Skipped, before: Any) -> DeleteTask:
        try:
            return await self._proof.prove(task, outcome, before)
        except (FatalError, RunEnding):
            raise
        except Exception:  # whatever it was, nothing is verified
            return unproved(outcome)


def stands(outcome: Skipped) -> bool:
    """Return whether an object was skipped because the destination has it."""
    marker = outcome.reason is SkipReason.EXISTS and outcome.target.endswith("/")
    return outcome.reason in _SAME or (marker and outcome.size == 0)


def unproved(outcome: Done | Skipped) -> DeleteTask:
    """Return the task of a source that was not verified: the deleter names it, and keeps it."""
    return DeleteTask(outcome.source, outcome.size, "", "", DeleteReason.MOVED)


def proved(outcome: Done | Skipped, etag: str) -> DeleteTask:
    """Return the task that deletes the object that was verified, which has ``etag``."""
    return unproved(outcome)._replace(etag=etag)
