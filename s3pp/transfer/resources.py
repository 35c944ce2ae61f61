"""What a worker shares among the objects that it transfers: threads, memory, other workers.

Reads must not stall the sockets: they run on the event loop while they are fast, else on threads.

From the page cache an open and a read take some 15 µs, and handing them to a thread takes more
than that. On a disk or a network file system an open can take 5 ms, during which no socket would
be served: then the hop is cheap, and many threads read at once. The choice follows measurements
made during the run.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, NamedTuple, ParamSpec, TypeVar

from s3pp.errors import RunEnding, no_thread
from s3pp.transfer.parts import PartRunner
from s3pp.transfer.resume import OwnUploads

_SLOW = 0.001  # seconds per read above which threads read
_QUICK = 0.0003  # seconds below which the loop reads again
_WEIGHT = 0.01  # of the newest measurement in the running mean
_LONGEST = 0.005  # maximum of a measurement in seconds: preemption is no sign of a slow disk
_PROBE = 16  # while threads read, one in so many reads is made and measured on the loop

T = TypeVar("T")
P = ParamSpec("P")


def on_thread(threads: Executor, work: Callable[[], T]) -> asyncio.Future[T]:
    """Start ``work()`` on a thread. Raises ``FatalError`` if no thread can be started."""
    try:
        return asyncio.get_running_loop().run_in_executor(threads, work)
    except RuntimeError:
        raise no_thread() from None


class Reader:
    """A runner of short blocking reads, on the loop or on threads.

    Only reads on the loop are measured: on a thread the wait for the interpreter would count too,
    and keep a busy process on threads for ever.
    """

    def __init__(
        self, threads: Executor, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._threads = threads
        self._clock = clock
        self._mean = 0.0
        self._reads = 0
        self._whole: set[asyncio.Future[Any]] = set()
        self._ended = False
        self.threaded = False

    async def run(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``read(*args, **kwargs)``, called here or on a thread."""
        if self.threaded:
            self._reads += 1
            if self._reads % _PROBE:
                return await self.away(lambda: read(*args, **kwargs))
        return self.here(read, *args, **kwargs)

    def here(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``read(*args, **kwargs)``, called here even while threads read.

        Saves small objects a coroutine: see ``threaded``.
        """
        start = self._clock()
        try:
            return read(*args, **kwargs)
        finally:
            spent = self._clock() - start
            self._mean += _WEIGHT * ((spent if spent < _LONGEST else _LONGEST) - self._mean)
            self.threaded = self._mean > (_QUICK if self.threaded else _SLOW)

    async def away(self, work: Callable[[], T]) -> T:
        """Return ``work()``, always called on a thread: for work known to be slow."""
        return await on_thread(self._threads, work)

    async def whole(self, work: Callable[[], T]) -> T:
        """Return ``work()``, which reads a whole body and changes nothing; called on a thread.

        Raises ``RunEnding`` once the run is ending. The thread then continues and its result is
        dropped: a body may be of any size.
        """
        if self._ended:
            raise RunEnding
        reading = on_thread(self._threads, work)
        self._whole.add(reading)
        try:
            return await reading
        except asyncio.CancelledError:
            if self._ended:
                raise RunEnding from None
            raise
        finally:
            self._whole.discard(reading)

    def end(self) -> None:
        """End the waits for whole bodies, as the run is ending."""
        self._ended = True
        for reading in self._whole:
            reading.cancel()


class StopSwitch:
    """Ends the wait for work that may take for ever, such as the next bytes of a pipe."""

    def __init__(self) -> None:
        self._stopped = False
        self._waiting: asyncio.Task[Any] | None = None

    def stop(self) -> bool:
        """End the wait, and each later one; returns whether there was one."""
        self._stopped = True
        return self._waiting is not None and self._waiting.cancel()

    async def until_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of ``work``. Raises ``RunEnding`` if ``stop`` was called before."""
        if self._stopped:
            work.close()
            raise RunEnding
        task = self._waiting = asyncio.ensure_future(work)
        try:
            result: T = await task
            return result
        except asyncio.CancelledError:
            if self._stopped:
                raise RunEnding from None
            task.cancel()
            raise
        finally:
            self._waiting = None


class Budget:
    """A limit on bytes of bodies, or turns, held at once; waiters are served in order."""

    def __init__(self, size: int) -> None:
        self.size = size  # the most that is ever granted
        self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def grant(self, count: int) -> int:
        """Return the grant for ``count`` bytes: at most the whole budget, so that it can be met."""
        return min(count, self.size)

    def take_at_once(self, count: int) -> bool:
        """Take ``count`` bytes, as granted, if they are free and there are no waiters."""
        if self._waiting or count > self._free:
            return False
        self._free -= count
        return True

    async def take(self, count: int) -> None:
        """Wait until ``count`` bytes, as granted, are free, and take them."""
        if self.take_at_once(count):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # already granted
                self.give(count)
            raise

    def give(self, count: int) -> None:
        """Release ``count`` bytes."""
        self._free += count
        while self._waiting and self._waiting[0][0] <= self._free:
            count, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._free -= count
                turn.set_result(None)


NotedDigest = tuple[tuple[int, ...], str, str]  # as ``FileDigest``, which few runs import


class DigestNotes:
    """Digests of local files that a worker has computed, until it sends them."""

    def __init__(self) -> None:
        self.waiting: list[NotedDigest] = []

    def add(self, state: tuple[int, ...], kind: str, value: str) -> None:
        """Note a digest of the file in this ``FileState``; see ``file_digests``."""
        self.waiting.append((state, kind, value))

    def take(self) -> list[NotedDigest]:
        """Return all digests since the last call."""
        taken, self.waiting = self.waiting, []
        return taken


class WorkerResources(NamedTuple):
    """The resources of one worker, shared by all objects that it transfers."""

    reader: Reader
    budget: Budget  # of memory for bodies
    parts: PartRunner  # the workers that transfer the parts of a large object
    own: OwnUploads  # the uploads that this run has created
    digests: DigestNotes | None = None  # for the ETag cache
