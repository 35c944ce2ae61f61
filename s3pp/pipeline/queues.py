"""Queues that survive a killed process: pipes with one writer and one reader each.

A ``multiprocessing.Queue`` shared by several processes freezes when one of them is killed while
it holds the queue's lock (measured: 6 of 14 runs). A pipe has no lock; what a killed writer left
unfinished stays an unfinished frame and is dropped. The supervisor's ends never block, so that a
stopped child stops nobody else; a child may block on its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections import deque

from s3pp.pipeline.messages import HEAD, Frame, Kind

_CHUNK = 256 * 1024  # bytes per read, and the pipe's capacity where it can be set


class FrameReader:
    """Takes frames off a pipe; ``closed`` once the other end is."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.closed = False
        self._buffer = bytearray()
        self._at = 0  # where the next frame begins in the buffer

    def receive(self) -> Frame | None:
        """The next frame, waiting for it; None once the other end is closed."""
        while True:
            if (frame := self._next()) is not None:
                return frame
            if self.closed:
                return None
            self._read()

    def buffered(self) -> list[Frame]:
        """The frames that earlier reads brought along."""
        return self._whole()

    def available(self) -> list[Frame]:
        """The frames that are there now, waiting for none; the pipe must not block."""
        with contextlib.suppress(BlockingIOError):
            while not self.closed:
                self._read()
        return self._whole()

    def once(self) -> list[Frame]:
        """The frames that one read completes; the pipe must be readable or must not block."""
        with contextlib.suppress(BlockingIOError):
            self._read()
        return self._whole()

    def _read(self) -> None:
        chunk = os.read(self.fd, _CHUNK)
        self._buffer += chunk
        self.closed = not chunk

    def _whole(self) -> list[Frame]:
        return list(iter(self._next, None))

    def _next(self) -> Frame | None:
        buffer, at = self._buffer, self._at
        if len(buffer) - at >= HEAD.size:
            length, kind, batch, objects, size = HEAD.unpack_from(buffer, at)
            start = at + HEAD.size
            end = start + length
            if len(buffer) >= end:
                self._at = end
                with memoryview(buffer) as view:
                    return Frame(Kind(kind), bytes(view[start:end]), batch, objects, size)
        del buffer[:at]
        self._at = 0
        return None


class FrameWriter:
    """Puts frames on a pipe that blocks: the children's end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._lock = threading.Lock()  # the walker's threads share one

    def send(self, frame: Frame) -> None:
        """Write a frame whole. Raises ``BrokenPipeError`` when the supervisor is gone."""
        view = memoryview(frame.encode())
        with self._lock:
            while view:
                view = view[os.write(self.fd, view) :]


class Outbox:
    """Frames on their way into a pipe that must not block: the supervisor's end."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._waiting: deque[memoryview] = deque()

    def __len__(self) -> int:
        """Frames that still wait for room."""
        return len(self._waiting)

    def send(self, frame: Frame) -> None:
        """Write what fits, keep the rest for ``flush``."""
        self._waiting.append(memoryview(frame.encode()))
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
