"""Grouping of tasks into batches, and splitting of batches that were lost.

A message costs about 33 µs in each direction regardless of size, so tasks are sent in batches; but
a batch goes to one worker, so the first are small, a large source is alone, and none waits long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from s3pp.errors import FailureKind
from s3pp.pipeline.ledger import MOST_LOSSES
from s3pp.pipeline.messages import (
    BatchReport,
    SpoolFile,
    TaskBatch,
    WalkDone,
    batch_report,
    task_batch,
)
from s3pp.pipeline.pipes import MessageWriter
from s3pp.records import Failed, Outcome, Task
from s3pp.sources import Spooled

FULL = 128  # tasks in a batch, once the run is under way
HEAVY = 8 * 1024 * 1024  # bytes of sources in a batch; a larger source is a batch of its own
STALE = 0.05  # seconds after which an incomplete batch is sent


class Batcher:
    """Collects tasks into batches: small at first, so that even few files reach every worker."""

    def __init__(
        self,
        outbox: MessageWriter,
        processes: int,
        *,
        large: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``large`` is the size in bytes above which an object's parts are shared among all."""
        self._outbox = outbox
        self._large = large
        self._processes = processes
        self._clock = clock
        self._tasks: list[Task] = []
        self._outcomes: list[Outcome] = []
        self._size = 0
        self._since = 0.0
        self._batches = 0

    def add(self, task: Task) -> None:
        """Add a task; send the batch if this completes it."""
        size = task.size
        if self._tasks and self._size + size > HEAVY:
            self.flush()
        if not self._tasks:
            self._since = self._clock()
        self._tasks.append(task)
        self._size += size
        if (
            len(self._tasks) >= self._full
            or self._size >= HEAVY
            or self._clock() - self._since > STALE
        ):
            self.flush()

    def ended(self, outcome: Outcome) -> None:
        """Add an outcome determined by the walker itself."""
        self._outcomes.append(outcome)
        if len(self._outcomes) >= FULL:
            self._flush_outcomes()

    def flush(self) -> None:
        """Send the batch, even if incomplete."""
        if self._tasks:
            self._send(self._tasks, self._size)
            self._tasks, self._size = [], 0
        self._flush_outcomes()

    def send_spooled(self, spooled: Spooled) -> None:
        """Send a batch whose sources are in one temporary file."""
        path, tasks, size = spooled
        self._outbox.send(SpoolFile(self._batches + 1, path))
        self._send(tasks, size)

    def report(self, requests: int) -> None:
        """Send what is left, and the number of requests that the walk took."""
        self.flush()
        if requests:
            self._outbox.send(batch_report([], requests))

    def end(self, requests: int) -> None:
        """Send what is left, and ``WalkDone``."""
        self.report(requests)
        self._outbox.send(WalkDone())

    @property
    def _full(self) -> int:
        return min(FULL, 1 + self._batches // (2 * self._processes))

    def _send(self, tasks: Sequence[Task], size: int) -> None:
        self._batches += 1
        self._outbox.send(_batch(tasks, self._batches, size=size, large=self._large))

    def _flush_outcomes(self) -> None:
        if self._outcomes:
            self._outbox.send(batch_report(self._outcomes, 0))
            self._outcomes = []


def halves(batch: TaskBatch, numbers: Iterator[int], *, large: int) -> list[TaskBatch]:
    """Split a batch in two; ``large`` in bytes, as for ``Batcher``."""
    tasks = batch.tasks
    middle = len(tasks) // 2
    return [
        _batch(part, next(numbers), size=sum(task.size for task in part), large=large)
        for part in (tasks[:middle], tasks[middle:])
    ]


def crashed(batch: TaskBatch, how: str) -> BatchReport:
    """The report of a batch whose workers died; ``how`` describes the end of the last one."""
    message = f"{MOST_LOSSES} workers died while they had only this object; the last {how}"
    kind = FailureKind.CRASHED
    outcomes = [Failed(task.source, task.target, kind, message) for task in batch.tasks]
    return batch_report(outcomes, 0, batch=batch.number)


def _batch(tasks: Sequence[Task], number: int, *, size: int, large: int) -> TaskBatch:
    led = len(tasks) == 1 and size > large  # one worker leads it, all transfer its parts
    return task_batch(tasks, number, 0 if led else size)
