"""A pool with limited concurrency, for large objects and parts beside a worker's slots."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class TaskPool(Generic[T]):
    """Runs ``work`` on up to ``most`` elements at once, in order; ``work`` must not raise."""

    def __init__(self, most: int, work: Callable[[T], Awaitable[None]]) -> None:
        self._most = most
        self._work = work
        self._waiting: deque[T] = deque()
        self._running: set[asyncio.Task[None]] = set()

    def add(self, each: T) -> None:
        """Add one element."""
        self._waiting.append(each)
        self._start()

    def drop(self) -> list[T]:
        """Start no more elements; returns those not started."""
        left = list(self._waiting)
        self._waiting.clear()
        return left

    async def idle(self) -> None:
        """Wait until nothing is running."""
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
            task.exception()  # retrieved and ignored: the supervisor is gone
        self._start()
