"""Messages over pipes with one writer and one reader each, robust against killed processes.

A ``multiprocessing.Queue`` shared by several processes freezes when one of them is killed while
it holds the queue's lock (measured: 6 of 14 runs). A pipe has no lock; an incomplete message of a
killed writer is dropped. The supervisor's ends never block, so that a stopped child affects no
other process; a child's ends may block.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from s3pp.pipeline.messages import HEAD, Message, decode, encode

LEAVING = 2.0  # seconds that a child may take to clean up once the supervisor is gone

_CHUNK = 256 * 1024  # bytes per read, and the pipe's capacity where it can be set


class MessageReader:
    """Reads messages from a pipe; ``closed`` is set once the other end is closed."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.closed = False
        self._buffer = bytearray()
        self._at = 0  # offset of the next message in the buffer

    def receive(self) -> Any:
        """Wait for and return the next message; None once the other end is closed."""
        while True:
            if (message := self._next()) is not None:
                return message
            if self.closed:
                return None
            self._read()

    def take_buffered(self) -> list[Any]:
        """Return the complete messages already in the buffer."""
        return self._whole()

    def available(self) -> list[Any]:
        """Return the messages available now without waiting; the pipe must be non-blocking."""
        with contextlib.suppress(BlockingIOError):
            while not self.closed:
                self._read()
        return self._whole()

    def once(self) -> list[Any]:
        """Read once and return the complete messages; the pipe must be readable or non-blocking."""
        with contextlib.suppress(BlockingIOError):
            self._read()
        return self._whole()

    def _read(self) -> None:
        chunk = os.read(self.fd, _CHUNK)
        self._buffer += chunk
        self.closed = not chunk

    def _whole(self) -> list[Any]:
        return list(iter(self._next, None))

    def _next(self) -> Any:
        buffer, at = self._buffer, self._at
        if len(buffer) - at >= HEAD.size:
            length, tag = HEAD.unpack_from(buffer, at)
            start = at + HEAD.size
            end = start + length
            if len(buffer) >= end:
                self._at = end
                with memoryview(buffer) as view, view[start:end] as body:
                    return decode(tag, body)
        del buffer[:at]
        self._at = 0
        return None


class MessageWriter:
    """Writes messages to a blocking pipe: the children's end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        # Called when the supervisor turns out to be gone: the process is to end.
        self.on_gone: Callable[[], None] = partial(os._exit, 1)
        self._lock = threading.Lock()  # the walker's threads share one

    def send(self, message: Message) -> None:
        """Write a complete message; call ``on_gone`` if nobody reads it.

        An exception would be reported by whatever calls this, such as an event loop.
        """
        view = memoryview(encode(message))
        with self._lock:
            try:
                while view:
                    view = view[os.write(self.fd, view) :]
            except BrokenPipeError:
                self.on_gone()


class Outbox:
    """Queues messages for a non-blocking pipe: the supervisor's end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._waiting: deque[memoryview] = deque()

    def __len__(self) -> int:
        """The number of messages not yet written."""
        return len(self._waiting)

    def send(self, message: Message) -> None:
        """Write as much as the pipe accepts, and keep the rest for ``flush``."""
        self._waiting.append(memoryview(encode(message)))
        self.flush()

    def flush(self) -> None:
        """Write as much as the pipe accepts; if the reader is gone, discard everything."""
        try:
            while self._waiting:
                view = self._waiting[0]
                written = os.write(self.fd, view)
                if written < len(view):
                    self._waiting[0] = view[written:]
                else:
                    self._waiting.popleft()
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self._waiting.clear()


def widen(fd: int) -> None:
    """Enlarge a pipe to hold a batch or two, where the system allows it."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _CHUNK)
