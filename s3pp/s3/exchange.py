"""What goes over the wire, and what comes back: requests, answers, and the absence of an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import NamedTuple, Protocol

from s3pp.errors import S3ppError

LEAST_SPEED = 16  # bytes per second: less than this for the read timeout counts as silence
TICK = 1.0  # seconds after which timeouts are checked
_LEAST_MOVED = LEAST_SPEED * TICK  # bytes in a tick; less counts as silence
MOST_HELD = 16 * 1024 * 1024  # bytes of an answer without a sink; a listing page has 4 MiB at most


class Stream(Protocol):
    """A body too large to hold in memory: read in order, and again from the start on a retry."""

    size: int

    def read(self, count: int) -> bytes:
        """Return up to ``count`` bytes, empty at the end."""

    def rewind(self) -> None:
        """Start again from the first byte."""


class Sink(Protocol):
    """Receives the body of a successful answer piece by piece; error bodies are not passed."""

    def restart(self) -> None:
        """Start a body: discard what an earlier attempt wrote."""

    def write(self, piece: bytes | memoryview) -> None:
        """Append the next piece; a view is valid only until this returns."""


class Pace(Protocol):
    """Limits how fast a body moves."""

    def take(self, most: int, resume: Callable[[], None]) -> int:
        """Return how many bytes may move now, at most ``most``; 0: ``resume`` is called later."""

    def give_back(self, count: int) -> None:
        """Return what was taken and did not move."""

    def charge(self, count: int) -> None:
        """Count bytes that have moved without being taken."""


class Request(NamedTuple):
    """An HTTP request."""

    method: str
    url: str
    head: str  # the header lines, the signature among them, each with its end (CRLF)
    body: bytes | Stream | None = None
    sink: Sink | None = None
    patience: int = 0  # seconds added to the read timeout, for operations that take long
    pace: Pace | None = None  # of the stream, or of what the sink receives


class Response(NamedTuple):
    """An HTTP response of any status."""

    status: int
    head: bytes  # the status line and the header lines, each with its end
    body: bytes

    @property
    def lines(self) -> list[bytes]:
        """The status line and the header lines; each may end in a carriage return."""
        return self.head.split(b"\n")

    def header(self, name: bytes) -> str | None:
        """The value of the header ``name`` (given in lower case), or None."""
        # A search in C is faster than a loop in Python.
        head = self.head
        at = head.lower().find(b"\n%s:" % name)
        if at < 0:
            return None
        start = at + len(name) + 2
        end = head.find(b"\n", start)
        return head[start : end if end >= 0 else len(head)].strip().decode("latin-1")


class Fault(Enum):
    """Why there is no complete answer."""

    UNRESOLVED = "the host has no address"
    CONNECTION = "no connection could be made"
    UNTRUSTED = "the certificate is not trusted"
    SILENT = "nothing came for too long"
    SLOW = "it was not complete in time"
    CUT = "the connection was closed or reset before an answer came"
    PARTIAL = "the connection was closed in the middle of the answer"
    UNREADABLE = "the answer is not HTTP"
    OVERSIZED = "the answer is too long to hold in memory"
    PROXY = "the proxy refuses to connect"
    OTHER = "anything else"


_CONGESTION = frozenset({Fault.CONNECTION, Fault.SILENT, Fault.SLOW, Fault.CUT})


_LABELS = {
    Fault.UNRESOLVED: "host not found",
    Fault.CONNECTION: "no connection",
    Fault.UNREADABLE: "unreadable answer",
}


class WireError(S3ppError):
    """No complete answer came: connection, name, TLS or timeout."""

    def __init__(self, fault: Fault, message: str = "") -> None:
        super().__init__(message or fault.value)
        self.fault = fault

    @property
    def label(self) -> str:
        """What displays call it."""
        return _LABELS.get(self.fault, "no answer")

    @property
    def congested(self) -> bool:
        """Whether the peer or the network may be overloaded: reset, silence, no connection."""
        return self.fault in _CONGESTION


class TimeLimits:
    """Bounds one attempt by time, counted in ticks.

    Ticks are counted, not read off a clock: a process that was stopped for a while finds the
    answers waiting, and must not take its own absence for silence.
    """

    __slots__ = ("_age", "_quiet", "_silence", "_total")

    def __init__(self, silence: float, total: float) -> None:
        """``silence``: seconds with less than ``LEAST_SPEED``; ``total``: of the attempt."""
        self._silence = silence
        self._total = total
        self._quiet = self._age = 0.0

    def tick(self, moved: int) -> WireError | None:
        """Account for a tick in which ``moved`` bytes were transferred; return why it must end."""
        self._age += TICK
        self._quiet = 0.0 if moved >= _LEAST_MOVED else self._quiet + TICK
        if self._quiet >= self._silence:
            return WireError(Fault.SILENT, f"no data for {self._silence:g} s")
        if self._age >= self._total:
            return WireError(Fault.SLOW, f"not complete after {self._total:g} s")
        return None


@dataclass(frozen=True)
class WireSettings:
    """Settings of connections; times in seconds."""

    connections: int  # maximum kept open
    connect_timeout: float
    read_timeout: float  # with less than ``LEAST_SPEED`` in either direction
    ca_bundle: str | None = None
    verify: bool = True
    proxy: str = ""  # its URL; empty: none, even if the environment names one
    request_timeout: float = inf  # for an attempt, once it is connected
    receive_buffer: int = 0  # bytes that the system receives ahead of us; 0: as it likes
