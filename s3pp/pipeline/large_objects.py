"""The large objects that a worker leads, and how far each is: for displays."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from s3pp.pipeline.progress_messages import ActiveObject, ActiveObjects
from s3pp.records import Task

REPORT = 1.0  # seconds between reports, while any is active


class _Lead:
    """A large object that is being transferred."""

    def __init__(self, task: Task) -> None:
        self.name, self.size = task.source, task.size
        self.moved = 0  # bytes


# Of the coroutine that leads it, and of those that it starts for its parts.
_LEAD: ContextVar[_Lead | None] = ContextVar("lead", default=None)


def current_lead() -> Callable[[int], None]:
    """Return what counts bytes that were transferred of the object that the caller leads."""
    lead = _LEAD.get()

    def count(size: int) -> None:
        if lead is not None:
            lead.moved += size

    return count


class LargeObjects:
    """Reports on the large objects of one worker; used on its event loop."""

    def __init__(self, send: Callable[[ActiveObjects], None]) -> None:
        self._send = send
        self._leads: list[_Lead] = []
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def lead(self, task: Task) -> Iterator[None]:
        """Report on ``task`` while the block, in which it is transferred, lasts."""
        lead = _Lead(task)
        self._leads.append(lead)
        _LEAD.set(lead)  # in the context of the coroutine, which ends with it
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(REPORT, self._report)
        try:
            yield
        finally:
            self._leads.remove(lead)

    def _report(self) -> None:
        active = tuple(ActiveObject(each.name, each.size, each.moved) for each in self._leads)
        self._send(ActiveObjects(os.getpid(), active))
        self._timer = None
        if active:
            self._timer = asyncio.get_running_loop().call_later(REPORT, self._report)
