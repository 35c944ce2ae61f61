"""Standard input and output as the source or the destination of one object.

A read may wait for as long as a producer takes, a write for as long as a consumer does, so they are
made in a thread that ends with the process, whatever it waits for.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import select
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from os import readv, writev
from queue import SimpleQueue
from typing import Any, TypeVar

from s3pp.errors import FailureKind, FatalError, RunEnding
from s3pp.limits import PIECE
from s3pp.pipeline.connect import start_thread
from s3pp.transfer.bodies import unreadable

INPUT, OUTPUT = 0, 1  # descriptors
_MOST_BUFFERS = 64  # written by one call; Linux allows 1024

T = TypeVar("T")


class ReaderGone(RunEnding):
    """Raised when whoever read standard output has exited, as ``head`` does."""


class BlockingCalls:
    """Makes calls, one at a time, in a thread of their own."""

    def __init__(self) -> None:
        """Start the thread. Raises ``FatalError``."""
        self._queue: SimpleQueue[tuple[concurrent.futures.Future[Any], Callable[[], Any]]]
        self._queue = SimpleQueue()
        start_thread(self._serve)

    async def run(self, call: Callable[[], T]) -> T:
        """Return ``call()``; if the wait is cancelled, the thread is left to it."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._queue.put((future, call))
        return await asyncio.wrap_future(future)

    def _serve(self) -> None:
        while True:
            future, call = self._queue.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # raised where ``run`` is awaited
                with suppress(RuntimeError):  # its event loop is closed
                    future.set_exception(error)
            else:
                with suppress(RuntimeError):
                    future.set_result(result)
            del future, call


def read_pieces(descriptor: int, count: int) -> list[bytes]:
    """Read ``count`` bytes in pieces of up to ``PIECE``; fewer at the end. Blocks.

    Raises ``ObjectError``.
    """
    pieces: list[bytes] = []
    while count > 0:
        wanted = min(count, PIECE)
        piece = _read_piece(descriptor, wanted)
        if piece:
            pieces.append(piece)
        if len(piece) < wanted:
            break
        count -= wanted
    return pieces


def _read_piece(descriptor: int, count: int) -> bytes:
    """Read ``count`` bytes, fewer at the end: a pipe hands out less than that at a time."""
    space, filled = memoryview(bytearray(count)), 0
    while filled < count:
        try:
            came = readv(descriptor, [space[filled:]])
        except BlockingIOError:  # another process has made it so
            _wait(descriptor, select.POLLIN)
            continue
        except OSError as error:
            raise unreadable("standard input", error) from None
        if not came:
            break
        filled += came
    return bytes(space[:filled])


def write_pieces(descriptor: int, pieces: Iterable[bytes]) -> None:
    """Write all ``pieces``. Blocks. Raises ``ReaderGone``, ``FatalError``, and what they raise."""
    several = iter(pieces)
    while some := list(islice(several, _MOST_BUFFERS)):
        _write_buffers(descriptor, [memoryview(piece) for piece in reversed(some) if piece])


def _write_buffers(descriptor: int, left: list[memoryview]) -> None:
    """Write buffers, the last one first."""
    while left:
        try:
            written = writev(descriptor, left[::-1])
        except BlockingIOError:
            _wait(descriptor, select.POLLOUT)
            continue
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as error:
            why = f"standard output cannot be written: {error.strerror}"
            raise FatalError(why, FailureKind.UNREADABLE) from None
        while left and written >= len(left[-1]):
            written -= len(left.pop())
        if written:
            left[-1] = left[-1][written:]


def _wait(descriptor: int, event: int) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    poll.poll()
