"""What all deleters have in common, and the outcomes of their tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from s3pp.errors import FailureKind, outdated
from s3pp.records import (
    Calls,
    Deleted,
    DeleteReason,
    DeleteTask,
    Failed,
    Foreseen,
    Outcome,
    Skipped,
    SkipReason,
)
from s3pp.transfer.errors import failure

AT_ONCE = 32  # requests of a batch in which each object takes one
REPLACED = "it was replaced since it was listed, and is kept: run the same command again"

UNVERIFIED = "it is kept: neither ETag nor checksum proves that what was transferred is the same"

T = TypeVar("T")

Ended = dict[str, Outcome]  # by target


class Deleter(Protocol):
    """Deletes batches of tasks."""

    notes: list[str]  # notices for the user, each shown once; the reader removes them

    async def delete(self, tasks: Sequence[DeleteTask], ended: Ended) -> None:
        """Execute ``tasks``, and add their outcomes to ``ended``, by target.

        Raises any error that concerns the rest of them; ``RunEnding`` if that was not attempted.
        """


def foresee(tasks: Sequence[DeleteTask], ended: Ended, calls: Calls) -> None:
    """Add the outcomes of a dry run, in which ``calls`` would delete ``tasks``."""
    for task in tasks:
        ended[task.target] = deleted(task, attempts=0)._replace(foreseen=Foreseen(calls, task))
        calls = ()  # the first has those of all


def deleted(task: DeleteTask, marker: str = "", attempts: int = 1) -> Deleted:
    """Return the outcome of a task that was executed."""
    return Deleted(task.target, task.size, task.reason, task.etag, marker, attempts)


def gone(task: DeleteTask) -> Skipped:
    """Return the outcome of a task whose target no longer exists."""
    return Skipped(task.target, task.target, task.size, SkipReason.GONE, deleting=True)


def replaced(task: DeleteTask, code: str = "") -> Failed:
    """Return the outcome of a task whose target is another one by now."""
    kind = FailureKind.CHANGED
    return Failed(task.target, task.target, kind, REPLACED, code, deleting=True)


class PlannedDeleter:
    """The deleter of a run that applies a plan: what has changed is outdated, as is a transfer."""

    def __init__(self, deleter: Deleter) -> None:
        self._deleter = deleter
        self.notes = deleter.notes

    async def delete(self, tasks: Sequence[DeleteTask], ended: Ended) -> None:
        """As ``Deleter.delete``."""
        outcomes: Ended = {}
        try:
            await self._deleter.delete(tasks, outcomes)
        finally:
            ended.update((target, _since_plan(each)) for target, each in outcomes.items())


def _since_plan(outcome: Outcome) -> Outcome:
    """Return an outcome; a target that has changed has done so since the plan was made."""
    if not isinstance(outcome, Failed) or outcome.kind is not FailureKind.CHANGED:
        return outcome
    fault = outdated("it")
    return outcome._replace(kind=fault.kind, message=str(fault))


def is_unverified(task: DeleteTask) -> bool:
    """Return whether the target was moved, and nothing has proved that the copy is the same."""
    return not task.etag and task.stamp is None and task.reason is DeleteReason.MOVED


def unverified(task: DeleteTask) -> Failed:
    """Return the outcome of such a task."""
    kind = FailureKind.INTEGRITY
    return Failed(task.target, task.target, kind, UNVERIFIED, deleting=True)


def not_deleted(task: DeleteTask, error: Exception) -> Failed:
    """Return the outcome of a task that raised ``error``; raises as ``errors.failure`` does."""
    return failure(task.target, task.target, error)._replace(deleting=True)


async def run_each(work: Callable[[T], Awaitable[None]], elements: Sequence[T]) -> None:
    """Call ``work`` with each element, ``AT_ONCE`` side by side.

    An exception is raised when all others have ended.
    """
    left = iter(elements)

    async def run() -> None:
        for each in left:
            await work(each)

    slots = [run() for _ in range(min(AT_ONCE, len(elements)))]
    for result in await asyncio.gather(*slots, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
