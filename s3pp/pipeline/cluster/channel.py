"""The bridge's part of one worker: bytes between the supervisor's pipes and its process.

Both directions wait for the other end: what a worker has not read, or the supervisor, stays where
it is, and memory does not grow with it.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from s3pp.escaping import one_line
from s3pp.pipeline.cluster.control import close_all
from s3pp.pipeline.cluster.dask_worker import KILL, READ, WRITE
from s3pp.pipeline.cluster.descriptors import read_some, write_all

GATHERED = 0.01  # seconds between two calls in one direction: what comes meanwhile goes together
MOST_TEXT = 500  # characters of an error
KILLED = 5.0  # seconds that a Dask worker may take to kill a process


class Calls(Protocol):
    """The operations of one Dask worker."""

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Call an operation. Raises ``OSError``, or what the Dask worker raised."""


class Ends(NamedTuple):
    """The bridge's ends of the pipes to the supervisor."""

    inbox: int  # what the supervisor sends
    outbox: int  # what it receives
    sentinel: int  # closed at the end, after the reason was written

    def unblock(self) -> None:
        """Make them non-blocking."""
        for fd in self:
            os.set_blocking(fd, False)


class Channel:
    """Moves bytes until the process has ended, the supervisor drops it, or the way is cut."""

    def __init__(self, process: str, ends: Ends, worker: Calls) -> None:
        """``process`` identifies it, on all machines."""
        self._process = process
        self._ends = ends
        self._worker = worker
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        ends.unblock()

    def lose(self, why: str) -> None:
        """End the channel, and kill the process if it can be reached."""
        if not self._lost.done():
            self._lost.set_result(why)

    async def run(self, task: Any) -> None:
        """Serve the process that the Dask future ``task`` runs, to its end."""
        outward = asyncio.ensure_future(self._outward())
        inward = asyncio.ensure_future(self._inward())
        ending = asyncio.ensure_future(self._result(task))
        works: set[asyncio.Future[Any]] = {outward, inward, ending}
        try:
            how = await self._end(outward, ending)
        finally:
            for each in works:
                each.cancel()
        await asyncio.wait(works)  # nothing uses the pipes any more
        self._close(how)
        if self._lost.done():
            with suppress(Exception):
                await asyncio.wait_for(self._worker.call(KILL, process=self._process), KILLED)
        task.release()

    async def _end(self, outward: asyncio.Task[None], task: asyncio.Task[str]) -> str:
        """Return how it ended; what it has written before that is delivered."""
        works: set[asyncio.Future[Any]] = {outward, task}
        await asyncio.wait(works | {self._lost}, return_when=asyncio.FIRST_COMPLETED)
        if not self._lost.done():
            await asyncio.wait(works, timeout=KILLED)
        if self._lost.done():
            return self._lost.result()
        return task.result() if task.done() else "is lost: its end was not reported"

    def _close(self, how: str) -> None:
        with suppress(BrokenPipeError):  # the supervisor is gone
            os.write(self._ends.sentinel, how.encode("utf-8", "replace")[:MOST_TEXT])
        close_all(self._ends)

    async def _result(self, task: Any) -> str:
        """Wait for the end of the task; returns how the process ended."""
        try:
            how: str = await task
        except Exception as error:
            is_cancelled = "Cancelled" in type(error).__name__
            why = "is lost: its task was dropped" if is_cancelled else "could not be started"
            self.lose(why if is_cancelled else f"{why}: {describe_error(error)}")
            return ""
        return how

    async def _outward(self) -> None:
        """Move bytes from the process to the supervisor.

        Once nobody reads them they are dropped: the process, whose input has ended, cleans up.
        """
        content: bytes | None = None
        is_read = True
        while content != b"":
            called = time.monotonic()
            content = await self._call(READ)
            if content and is_read:
                is_read = await write_all(self._ends.outbox, content)
            await asyncio.sleep(max(0.0, GATHERED - (time.monotonic() - called)))

    async def _inward(self) -> None:
        """Move bytes from the supervisor to the process."""
        content: bytes | None = None
        while content != b"":
            content = await read_some(self._ends.inbox)
            while not await self._call(WRITE, content=content):
                await asyncio.sleep(GATHERED)  # it waits for a thread of its Dask worker
            await asyncio.sleep(GATHERED)

    async def _call(self, operation: str, **arguments: Any) -> Any:
        """Call an operation; one that fails is not repeated, since it may have had its effect."""
        try:
            return await self._worker.call(operation, process=self._process, **arguments)
        except Exception as error:
            self.lose(f"is lost: {describe_error(error)}")
            raise asyncio.CancelledError from None


def describe_error(error: BaseException) -> str:
    """Describe an error of Dask in one line."""
    if type(error).__name__ == "CommClosedError":  # whose text is of sockets
        return "the connection was closed"
    text = one_line(" ".join(str(error).split()))[:MOST_TEXT]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
