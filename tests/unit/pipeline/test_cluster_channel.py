"""The bridge's part of one worker, with a Dask worker that this test plays."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from s3pp.pipeline.cluster.channel import Channel, Ends
from s3pp.pipeline.cluster.dask_worker import KILL, READ, WRITE

pytestmark = pytest.mark.timeout(60)


class Task:
    """The Dask future of a process, which ends when that does."""

    def __init__(self, ended: asyncio.Future[str]) -> None:
        self._ended = ended

    def __await__(self) -> Any:
        return self._ended.__await__()

    def release(self) -> None:
        """Forget it."""


class Process:
    """Writes without end until its input does, and then some last bytes."""

    def __init__(self) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.called: list[str] = []
        self._last = [b"cleaned up", b""]
        self._has_input = True

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Answer as a Dask worker does."""
        self.called.append(operation)
        if operation == WRITE:
            self._has_input = bool(arguments["content"])
            return True
        if operation == READ and self._has_input:
            return b"report"
        content = self._last.pop(0) if operation == READ else None
        if content == b"":
            self.ended.set_result("ended with code 1")
        return content


def test_a_process_cleans_up_when_the_supervisor_is_gone() -> None:
    """It is not killed: its input ends, and what it still writes is dropped."""
    theirs_in, to_child = os.pipe()
    from_child, theirs_out = os.pipe()
    sentinel, theirs_end = os.pipe()

    async def run() -> Process:
        process = Process()
        channel = Channel("p", Ends(theirs_in, theirs_out, theirs_end), process)
        running = asyncio.ensure_future(channel.run(Task(process.ended)))
        while READ not in process.called:
            await asyncio.sleep(0)
        for fd in (to_child, from_child, sentinel):
            os.close(fd)
        await running
        return process

    process = asyncio.run(run())
    assert process.ended.done()
    assert KILL not in process.called
