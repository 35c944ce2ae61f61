"""The roles of a ``verify SOURCE DEST``: they compare both ends of an object, and change neither.

::

    task ─▶ HEAD of the destination, if its listing is inconclusive ─▶ absent, or of another size
         ─▶ ``Comparer``, one for each kind of ends: as an update compares, or the bytes of both
                 └─ the ETag is another ─▶ HEAD: is it a digest of the bytes at all?

An update that takes two equal ends for different ones transfers once more than it has to. A verdict
must be certain: what is not is undecided.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from s3pp.job import Compare, Job
from s3pp.recorded import MatchReason
from s3pp.records import (
    Dest,
    Done,
    Failed,
    GetTask,
    Outcome,
    PartOutcome,
)
from s3pp.s3.client import Bucket
from s3pp.s3.timestamps import epoch_nanoseconds
from s3pp.transfer.errors import failed
from s3pp.transfer.unchanged import SkipUnchanged
from s3pp.transfer.verify.verdicts import EndsRule, Reason, as_verdict, match_of, verified


class Comparer(Protocol):
    """Compares the two ends of tasks of one kind. Raises ``ObjectError``."""

    async def compare(self, task: Any) -> Reason:
        """Return what an update would decide, as far as it is certain."""

    async def read_both(self, task: Any) -> int:
        """Read the bytes of both ends, which must be the same; return those received."""


class EndsVerifier:
    """The role: one object a task."""

    def __init__(
        self, job: Job, comparer: Comparer, dest: Bucket | None, skip: SkipUnchanged | None = None
    ) -> None:
        """``dest``: the bucket of the destination; ``skip`` finds what is the same at once."""
        self.notes: list[str] = []
        self.skip_unchanged = None if job.verification.deep or skip is None else _matching(skip)
        self._rule = EndsRule(job)
        self._compare = job.compare
        self._deep = job.verification.deep
        self._comparer = comparer
        self._dest = dest

    async def part(self, part: Any) -> PartOutcome:
        """``Role.part``, of which there is none."""
        raise AssertionError(f"{part} in a run that transfers nothing")

    async def transfer(self, task: Any) -> Outcome:
        """Compare both ends of an object. Raises only ``FatalError`` and ``RunEnding``."""
        try:
            if not isinstance(task, GetTask) and task.ask:
                task = task._replace(dest=await self._look(task.target), ask=False)
                settled = self._rule.settle_seen(task)
                if isinstance(settled, Failed):
                    return settled
            if self._deep:
                read = await self._comparer.read_both(task)
                return verified(task, MatchReason.BYTES, read=read)
            reason = await self._comparer.compare(task)
            return verified(task, match_of(reason, self._compare))
        except Exception as error:
            return as_verdict(failed(task, error))

    async def _look(self, key: str) -> Dest | None:
        """Return what the destination has; unlike a put, raise where that may not be known."""
        assert self._dest is not None
        answer = await self._dest.look(key)
        if answer is None:
            return None
        modified = answer.response.header(b"last-modified") or ""
        time = epoch_nanoseconds(modified) if self._compare is Compare.MTIME else None
        return Dest(answer.size, answer.etag, time)


def _matching(skip: SkipUnchanged) -> Callable[[Any], Done | None]:
    def match(task: Any) -> Done | None:
        return None if skip(task) is None else verified(task, MatchReason.ETAG)

    return match
