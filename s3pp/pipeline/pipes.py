"""Messages through pipes with one writer and one reader each, which survive a killed process.

A ``multiprocessing.Queue`` shared by several processes freezes when one of them is killed while
it holds the queue's lock (measured: 6 of 14 runs). A pipe has no lock; what a killed writer left
unfinished stays an unfinished message and is dropped. The supervisor's ends never block, so that a
stopped child stops nobody else; a child may block on its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections import deque
from typing import Any

from s3pp.pipeline.messages import HEAD, Message, decode, encode

_CHUNK = 256 * 1024  # bytes per read, and the pipe's capacity where it can be set


class MessageReader:
    """Takes messages off a pipe; ``closed`` once the other end is."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.closed = False
        self._buffer = bytearray()
        self._at = 0  # where the next message begins in the buffer

    def receive(self) -> Any:
        """The next message, waiting for it; None once the other end is closed."""
        while True:
            if (message := self._next()) is not None:
                return message
            if self.closed:
                return None
            self._read()

    def buffered(self) -> list[Any]:
        """The messages that earlier reads brought along."""
        return self._whole()

    def available(self) -> list[Any]:
        """The messages that are there now, waiting for none; the pipe must not block."""
        with contextlib.suppress(BlockingIOError):
            while not self.closed:
                self._read()
        return self._whole()

    def once(self) -> list[Any]:
        """The messages that one read completes; the pipe must be readable or must not block."""
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
    """Puts messages on a pipe that blocks: the children's end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._lock = threading.Lock()  # the walker's threads share one

    def send(self, message: Message) -> None:
        """Write a message whole. Raises ``BrokenPipeError`` when the supervisor is gone."""
        view = memoryview(encode(message))
        with self._lock:
            while view:
                view = view[os.write(self.fd, view) :]


class Outbox:
    """Messages on their way into a pipe that must not block: the supervisor's end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._waiting: deque[memoryview] = deque()

    def __len__(self) -> int:
        """Messages that still wait for room."""
        return len(self._waiting)

    def send(self, message: Message) -> None:
        """Write what fits, keep the rest for ``flush``."""
        self._waiting.append(memoryview(encode(message)))
        self.flush()

    def flush(self) -> None:
        """Write what fits now; a reader that is gone takes everything, as it takes nothing."""
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
    """Give a pipe room for a batch or two, where the system lets us."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _CHUNK)
