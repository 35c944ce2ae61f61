"""A pool: a few large things at a time, beside the slots of the small ones."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class TaskPool(Generic[T]):
    """Works on ``most`` things at once, in the order they came; ``work`` must not raise."""

    def __init__(self, most: int, work: Callable[[T], Awaitable[None]]) -> None:
        self._most = most
        self._work = work
        self._waiting: deque[T] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def add(self, each: T) -> None:
        """Take one more."""
        self._waiting.append(each)
        self._start()

    def drop(self) -> list[T]:
        """Begin no other; returns those that will not be."""
        left = list(self._waiting)
        self._waiting.clear()
        return left

    async def idle(self) -> None:
        """Wait until nothing is at work."""
        while self._running:
            await asyncio.wait(self._running)

    def _start(self) -> None:
        while self._waiting and len(self._running) < self._most:
            task = asyncio.ensure_future(self._work(self._waiting.popleft()))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # as when the supervisor is gone: nobody is left to tell
        self._start()
