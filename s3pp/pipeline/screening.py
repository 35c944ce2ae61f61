"""Decides arriving tasks that need no request, before the others wait for a slot.

::

    TaskBatch ──▶ Screening ──▶ unchanged: its outcome, at once
                      └───────▶ all others: a slot, or a lead

Reading and hashing happens on the event loop, which serves connections, so that it is interrupted
every few milliseconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from s3pp.records import Done, Skipped, Task

SLICE = 0.003  # seconds of screening at a time

B = TypeVar("B")  # a batch


class Screening(Generic[B]):
    """Screens the tasks of batches in order, a slice of time at a time."""

    def __init__(
        self,
        unchanged: Callable[[Task], Done | Skipped | None],
        deliver: Callable[[B, list[Done | Skipped], list[Task]], None],
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``unchanged`` returns the outcome of a task; None, or any exception: execute it.

        ``deliver`` is called with a batch, the outcomes of some of its tasks, and others that have
        to be executed.
        """
        self._unchanged = unchanged
        self._deliver = deliver
        self._clock = clock
        self._waiting: deque[tuple[B, Iterator[Task]]] = deque()

    def add(self, batch: B, tasks: Iterable[Task]) -> None:
        """Screen the tasks of a batch, soon."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._turn)
        self._waiting.append((batch, iter(tasks)))

    def drop(self) -> list[tuple[B, Task]]:
        """Screen no more; returns the tasks that were not screened."""
        left = [(batch, task) for batch, tasks in self._waiting for task in tasks]
        self._waiting.clear()
        return left

    def _turn(self) -> None:
        until, waiting = self._clock() + SLICE, self._waiting
        while waiting:
            batch, tasks = waiting[0]
            if self._screen(batch, tasks, until):
                waiting.popleft()
            else:
                asyncio.get_running_loop().call_soon(self._turn)
                return

    def _screen(self, batch: B, tasks: Iterator[Task], until: float) -> bool:
        """Screen tasks of one batch until a time; returns whether that was all of them."""
        unchanged, clock = self._unchanged, self._clock
        outcomes: list[Done | Skipped] = []
        others: list[Task] = []
        ended = True
        for task in tasks:
            try:
                outcome = unchanged(task)
            except Exception:  # the task's execution meets it again, and reports it
                outcome = None
            if outcome is None:
                others.append(task)
                continue
            outcomes.append(outcome)
            if clock() > until:
                ended = False
                break
        self._deliver(batch, outcomes, others)
        return ended
