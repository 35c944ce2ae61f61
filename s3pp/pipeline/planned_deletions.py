"""The walker's part in deletions that a plan has decided: they wait until all transfers succeeded.

It stands in the place of a ``Mirror``, of which nothing has to be found: no destination is listed
for it, and ``--max-delete`` and the other guards have been held against the plan when it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s3pp.pipeline.delete_spool import DeleteSpool
from s3pp.pipeline.messages import WalkDone
from s3pp.records import DeleteTask, Outcome, Skipped, Task


class PlannedDeletions:
    """The deletions of the plan that a run applies."""

    def __init__(self) -> None:
        self._spool = DeleteSpool()

    def follow(self, steps: Iterable[Task | Outcome]) -> Iterator[Task | Outcome]:
        """Yield ``steps``, but for those that delete. Raises ``FatalError`` if the disk is full."""
        for step in steps:
            if isinstance(step, DeleteTask):
                self._spool.add(step)
            else:
                yield step

    def finish(self) -> None:
        """Do nothing: the plan has been read to its end."""

    def done(self) -> WalkDone:
        """Return the message that ends the walk."""
        return WalkDone(self._spool.count, self._spool.count, empty=False, fault="")

    def batches(self) -> Iterator[tuple[list[DeleteTask], list[Skipped]]]:
        """Yield tasks to send; none has an outcome before it is."""
        for tasks in self._spool.batches():
            yield tasks, []
