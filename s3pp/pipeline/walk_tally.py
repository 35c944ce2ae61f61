"""What the walker has found so far, as the supervisor counts it for displays and for the end."""

from __future__ import annotations

from s3pp.pipeline.messages import BatchReport, TaskBatch
from s3pp.pipeline.progress_messages import WalkProgress


class WalkTally:
    """Counts what the walk of one run has found."""

    def __init__(self) -> None:
        self.objects = 0
        self.size = 0  # bytes
        self.done = False  # all are found, but for what is deleted at the end
        self._sent = WalkProgress(0, walk_done=False)

    def add(self, message: TaskBatch | BatchReport) -> None:
        """Count what the walker has sent: tasks, or outcomes that it determined itself."""
        self.objects += message.objects
        self.size += message.listed_bytes

    def take_progress(self) -> WalkProgress | None:
        """Return how far the walk has come; None: no further than it had when this was called."""
        now = WalkProgress(self.objects, self.done, self.size)
        if now == self._sent:
            return None
        self._sent = now
        return now
