"""The walker's part in deletions that are the steps of a walk: they wait until all are known.

It stands in the place of a ``Mirror``, of which nothing has to be found: the steps are those of a
plan, whose guards have been held against it when it was made, or of a remove with ``--max-delete``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s3pp.pipeline.delete_spool import DeleteSpool
from s3pp.pipeline.messages import WalkDone
from s3pp.records import DeleteTask, Outcome, Task
from s3pp.sources.filters import Filters


class PlannedDeletions:
    """The deletions of a plan that a run applies, or of a remove."""

    def __init__(self, filters: Filters) -> None:
        """``filters``: what they refuse of a listing counts as what is there."""
        self._filters = filters
        self._spool = DeleteSpool()

    def follow(self, steps: Iterable[Task | Outcome]) -> Iterator[Task | Outcome]:
        """Yield ``steps``, but for those that delete. Raises ``FatalError`` if the disk is full."""
        for step in steps:
            if isinstance(step, DeleteTask):
                self._spool.add(step)
            else:
                yield step

    def finish(self) -> None:
        """Do nothing: the walk has come to its end."""

    def done(self) -> WalkDone:
        """Return the message that ends the walk."""
        count = self._spool.count
        return WalkDone(count, count + self._filters.refused, empty=False, fault="")

    def batches(self) -> Iterator[list[DeleteTask]]:
        """Yield tasks to send."""
        return self._spool.batches()
