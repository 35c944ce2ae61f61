"""Descriptors: how many there may be, and pipes on an asyncio event loop, without buffers."""

from __future__ import annotations

import asyncio
import os
import resource
import select
from collections.abc import Callable
from contextlib import suppress

CHUNK = 256 * 1024  # bytes of a read: the capacity of our pipes


def is_readable(fd: int, seconds: float = 0.0) -> bool:
    """Whether ``fd`` can be read, or has been closed, within ``seconds``; of any number."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def raise_limit() -> None:
    """Raise the limit on open descriptors as far as this process may: each worker has some."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def read_some(fd: int, seconds: float | None = None) -> bytes | None:
    """Return what a non-blocking pipe holds, up to ``CHUNK`` bytes; empty: it has been closed.

    None: nothing came within ``seconds``.
    """
    while True:
        with suppress(BlockingIOError):
            return os.read(fd, CHUNK)
        loop = asyncio.get_running_loop()
        if not await _ready(fd, loop.add_reader, loop.remove_reader, seconds):
            return None


async def write_all(fd: int, content: bytes) -> bool:
    """Write to a non-blocking pipe, as fast as it is read. Returns false if nobody reads it."""
    view = memoryview(content)
    loop = asyncio.get_running_loop()
    try:
        while view:
            with suppress(BlockingIOError):
                view = view[os.write(fd, view) :]
                continue
            await _ready(fd, loop.add_writer, loop.remove_writer, None)
    except BrokenPipeError:
        return False
    return True


async def _ready(
    fd: int,
    add: Callable[..., object],
    remove: Callable[[int], object],
    seconds: float | None,
) -> bool:
    """Wait until ``fd`` is ready; false: it was not within ``seconds``."""
    ready = asyncio.get_running_loop().create_future()
    add(fd, _resolve, ready)
    try:
        await asyncio.wait_for(ready, seconds)
    except (asyncio.TimeoutError, TimeoutError):
        return False
    finally:
        remove(fd)
    return True


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
