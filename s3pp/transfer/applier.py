"""The applier: a role that executes the tasks of a plan, each only if both ends are as planned.

::

    task ─▶ the destination is as it was seen ─▶ putter, getter, copier, under conditions ─▶ Done
                └─ it is not, or no longer ─▶ the role that compares
                                                 ├─ it holds what is planned ─▶ Skipped
                                                 └─ it does not ─▶ Failed: outdated

The role that transfers sees a destination that is absent, and replaces nothing but what the plan
saw (``ConditionalWrite``, ``FileAttributes.over``). The source is compared where it is opened. The
role that compares makes a dry run of ``--mode update``, so that whatever that recognises as
unchanged counts as applied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol

from s3pp.errors import outdated
from s3pp.job import Compare, Job, Mode
from s3pp.localfs.paths import is_marker
from s3pp.localfs.tree import Tree
from s3pp.records import (
    CopyTask,
    Dest,
    Done,
    GetTask,
    Outcome,
    PartOutcome,
    Planned,
    PutTask,
    Skipped,
    SkipReason,
    Task,
)
from s3pp.s3.client import Bucket
from s3pp.sources.destination_index import DestinationIndex
from s3pp.transfer.conditional_write import head_if_allowed
from s3pp.transfer.errors import failed
from s3pp.transfer.get.file_facts import file_state
from s3pp.transfer.resources import Reader

Look = Callable[[str], Awaitable[Dest | None]]  # at what a target is now


class PlannedRole(Protocol):
    """A role that an applier uses."""

    notes: list[str]

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task. Raises only ``FatalError`` and ``RunEnding``."""

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part. Raises only ``FatalError`` and ``RunEnding``."""


class Applier:
    """A role for the tasks of a plan."""

    skip_unchanged = None  # the plan has decided

    def __init__(self, acting: PlannedRole, comparing: PlannedRole, look: Look) -> None:
        """``acting`` transfers, ``comparing`` finds what is applied already; see ``look_at``."""
        self.notes = acting.notes
        self._acting = acting
        self._comparing = comparing
        self._look = look

    async def part(self, part: Any) -> PartOutcome:
        """``Role.part``."""
        return await self._acting.part(part)

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task of a plan. Raises only ``FatalError`` and ``RunEnding``."""
        planned: Planned = task.planned
        try:
            there = await self._find(task)
            if there != planned.dest:
                return await self._compare(task, there)
            outcome = await self._acting.transfer(_at_absent(task))
            if isinstance(outcome, Skipped):  # another writer was faster, or it is a directory
                return await self._compare(task, await self._look(task.target))
        except Exception as error:
            return failed(task, error)
        return outcome._replace(reason=planned.reason) if isinstance(outcome, Done) else outcome

    async def _find(self, task: Any) -> Dest | None:
        """Return what is at the destination; the walker has looked at most objects."""
        if isinstance(task, GetTask) or task.ask:
            return await self._look(task.target)
        there: Dest | None = task.dest
        return there

    async def _compare(self, task: Any, there: Dest | None) -> Outcome:
        """Return the outcome for a destination that is not as the plan saw it."""
        if there is None:
            how = "has been removed" if task.planned.dest else "has changed"
            return failed(task, outdated("the destination", how))
        outcome = await self._comparing.transfer(_unplanned(task, there))
        if isinstance(outcome, Skipped):
            return outcome._replace(reason=SkipReason.APPLIED)
        return failed(task, outdated("the destination")) if isinstance(outcome, Done) else outcome


def _at_absent(task: Any) -> Any:
    """Return a task whose destination appears to be absent: what exists is up to the conditions."""
    return task if isinstance(task, GetTask) else task._replace(dest=None, ask=False)


def _unplanned(task: Any, there: Dest) -> Any:
    """Return a task of a run that is no apply."""
    if isinstance(task, GetTask):
        return task._replace(planned=None)
    return task._replace(planned=None, dest=there, ask=False)


def acting_job(job: Job) -> Job:
    """Return the job of the role that transfers what ``job``, an apply, has planned.

    Objects are written under the conditions of mode ``add``; files are replaced as in ``stupid``,
    which compares nothing, under those of ``FileAttributes``.
    """
    mode = Mode.STUPID if job.verb == "get" else Mode.ADD
    return replace(job, mode=mode, compare=Compare.ETAG)


def comparing_job(job: Job) -> Job:
    """Return the job of the role that finds what of ``job``, an apply, is applied already."""
    return replace(job, mode=Mode.UPDATE, compare=Compare.ETAG, dry_run=True)


def look_at_objects(bucket: Bucket, *, timed: bool) -> Look:
    """Return a function that looks at keys of ``bucket``; ``timed``: with their times."""

    async def look(key: str) -> Dest | None:
        return await head_if_allowed(bucket, key, timed=timed)

    return look


def look_at_files(tree: Tree, reader: Reader) -> Look:
    """Return a function that looks at the files of ``tree``, and at its directories."""

    def find(path: str) -> Dest | None:
        if not is_marker(path):
            return file_state(tree.status(path))
        there = tree.directory(path.removesuffix("/"), make=False)
        return None if there is None else Dest(0, "")

    async def look(path: str) -> Dest | None:
        return await reader.run(find, path)

    return look


def find_applied(task: Task, index: DestinationIndex) -> Task | Skipped:
    """Return a task of a plan with what its destination is now; or its outcome, if that is applied.

    Runs in the walker, so that what was applied earlier costs no worker anything.
    """
    assert isinstance(task, PutTask | CopyTask), "it writes an object"
    planned = task.planned
    assert planned is not None, "it is of a plan"
    there = index.as_dest(index.lookup(task.target))
    if index.ask:
        return task._replace(ask=True)
    if there != planned.dest and _is_result(there, planned.result):
        return Skipped(task.source, task.target, task.size, SkipReason.APPLIED)
    return task._replace(dest=there)


def _is_result(there: Dest | None, result: Dest | None) -> bool:
    """Return whether an object is what a plan would make it; its time does not matter."""
    if there is None or result is None:
        return False
    return (there.size, there.etag) == (result.size, result.etag)
