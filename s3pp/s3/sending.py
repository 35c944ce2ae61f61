"""The sending half of a connection: what the socket takes at once, and the rest as it can.

::

    head, body in memory ─────────────┐
    Stream ── SENT at a time ─────────┴──▶ unsent ──writable──▶ socket
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from s3pp.s3.exchange import Fault, Pace, Response, Sink, Stream, WireError

JOINED = 64 * 1024  # bytes of a body up to which it is copied, to be sent with the head
SENT = 256 * 1024  # bytes of a stream that are sent in one turn of the event loop


class SentRequest(NamedTuple):
    """A request as it is sent, and what its answer resolves."""

    head: bytes
    body: bytes | Stream | None
    bodiless: bool  # the answer has no body, whatever its head says
    patience: float  # seconds of silence after which it fails
    future: asyncio.Future[Response]
    sink: Sink | None = None  # receives the body of a successful answer
    total: float = inf  # seconds after which it fails
    pace: Pace | None = None  # of the stream, or of what the sink receives


class OutgoingBody:
    """The rest of a stream that is being sent."""

    __slots__ = ("_left", "_pace", "_stream")

    def __init__(self, stream: Stream, pace: Pace | None) -> None:
        stream.rewind()
        self._stream = stream
        self._pace = pace
        self._left = stream.size  # bytes

    def read(self, resume: Callable[[], None]) -> bytes | None:
        """Return the next piece; empty at the end. None: ``resume`` is called when it may be sent.

        Raises ``WireError`` if the stream ends before its size, and the errors of the stream.
        """
        if not self._left:
            return b""
        count = min(SENT, self._left)
        if self._pace is not None and not (count := self._pace.take(count, resume)):
            return None
        piece = self._stream.read(count)
        if not piece:
            raise WireError(Fault.OTHER, f"the body ends {self._left} bytes before its size")
        if self._pace is not None:
            self._pace.give_back(count - len(piece))
        self._left -= len(piece)
        return piece


class SendingHalf(ABC):
    """A socket in the event loop, and what has to be sent on it."""

    __slots__ = (
        "_failure",
        "_fd",
        "_held",
        "_loop",
        "_moved",
        "_outgoing",
        "_send",
        "_sock",
        "_unsent",
        "_writing",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self._sock = sock
        self._fd = sock.fileno()
        self._send = sock.send
        self._unsent: deque[bytes | memoryview] = deque()
        self._outgoing: OutgoingBody | None = None  # the rest of a stream
        self._writing = False  # the event loop waits until the socket takes more
        self._failure: OSError | None = None  # of sending: only an answer sent before can come
        self._moved = 0  # bytes since the last tick
        self._held = False  # the body waits for its pace

    @abstractmethod
    def fail(self, error: Exception) -> None:
        """End the exchange without an answer, and close the connection."""

    @abstractmethod
    def _on_readable(self) -> None:
        """Receive what has come."""

    def _queue(self, head: bytes, body: bytes | Stream, pace: Pace | None) -> None:
        """Add a request with a large body."""
        self._unsent.append(head)
        if isinstance(body, bytes):
            self._unsent.append(body)
        else:
            # Read before the head is sent: its beginning is what it was when it was digested, as
            # far as that can be, even if the arrival of the head makes others change it.
            self._outgoing = OutgoingBody(body, pace)
            self._read_stream(self._outgoing)

    def _flush(self) -> None:
        """Send as much as the socket takes; the event loop calls again for the rest."""
        unsent = self._unsent
        try:
            while unsent:
                piece = unsent[0]
                sent = self._send(piece)
                self._moved += sent
                if sent == len(piece):
                    unsent.popleft()
                else:
                    unsent[0] = memoryview(piece)[sent:]
            if self._outgoing is not None and self._read_stream(self._outgoing):
                self._start_writing()  # in the next turn of the loop, so that others have theirs
                return
        except (BlockingIOError, InterruptedError, ssl.SSLWantWriteError):
            self._start_writing()
            return
        except ssl.SSLWantReadError:
            pass  # ``_on_readable`` flushes
        except OSError as error:
            # The peer may have answered, before it had all, that it will not take it. The event
            # loop may have reported the end of the connection before, and does so only once.
            self._failure = error
            self._loop.call_soon(self._on_readable)
        if self._writing:
            self._stop_writing()

    def _read_stream(self, outgoing: OutgoingBody) -> bool:
        """Read what is sent next; return whether there is more."""
        try:
            piece = outgoing.read(self._resume_sending)
        except Exception as error:
            self.fail(error)
            return False
        if piece is None:
            self._held = True
        elif piece:
            self._unsent.append(piece)
        else:
            self._outgoing = None
        return bool(piece)

    def _resume_sending(self) -> None:
        self._held = False
        if self._outgoing is not None and self._failure is None:
            self._flush()

    def _start_writing(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._flush)

    def _stop_writing(self) -> None:
        self._writing = False
        self._loop.remove_writer(self._fd)
