"""How much there is to do: what the walker has found, and what a counter finds ahead of it.

The walker is ahead of the workers, but waits while they have enough: what it has not come to is not
known. Where progress is shown, a process of its own counts all of the source meanwhile. It is
started late, so that short runs do without, and ended once the walk has ended.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from math import inf
from typing import Any

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.pipeline.child import Child
from s3pp.pipeline.messages import BatchReport, Message, TaskBatch, WalkProgress

AFTER = 0.5  # seconds of a run before counting begins


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


class CountAhead:
    """Starts the counter of one run, where there is to be one, and ends it."""

    def __init__(
        self,
        job: Job,
        started: float,
        launch: Callable[[str, Callable[..., None], tuple[object, ...]], Child],
        send: Callable[[Child, Message], None],
    ) -> None:
        """``started``: when the run was, on the clock of ``advance``, in seconds.

        ``launch`` starts a child, ``send`` sends it a message.
        """
        self.counter: Child | None = None
        self._job = job
        self._launch = launch
        self._send = send
        self._due = started + AFTER

    def advance(self, now: float, setup: Callable[[], Message], *, wanted: bool) -> None:
        """Start the counter once it is due, or end it where it is not ``wanted`` any more.

        ``setup`` returns its first message.
        """
        if not wanted:
            self._due, counter = inf, self.counter
            if counter is not None and counter.process.is_alive():
                counter.kill()
        elif now >= self._due:
            self._due = inf
            if is_counted(self._job):
                self._start(setup())

    def _start(self, setup: Message) -> None:
        try:
            self.counter = self._launch("counter", _run_counter, ())
        except FatalError:  # no room for a process: progress is of what the walker has found
            return
        self._send(self.counter, setup)


def is_counted(job: Job) -> bool:
    """Return whether what ``job`` has to do is counted ahead: where that is shown, and possible."""
    if not job.output.precount or not (job.output.progress or _is_terminal(2)):
        return False
    from s3pp.report.outlet import Streams
    from s3pp.report.progress import is_shown
    from s3pp.sources.counting import CountWay, way_to_count

    shown = is_shown(job, Streams.of(sys.stdout, sys.stderr))
    return shown and way_to_count(job) is not CountWay.NOT


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _run_counter(*arguments: Any) -> None:
    from s3pp.pipeline.counter import run_counter

    run_counter(*arguments)
