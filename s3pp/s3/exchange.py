"""What goes over the wire, and what comes back: requests, answers, and the absence of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

from s3pp.errors import S3ppError

LEAST_SPEED = 16  # bytes per second: less than this for the read timeout counts as silence
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


class Request(NamedTuple):
    """An HTTP request."""

    method: str
    url: str
    head: str  # the header lines, the signature among them, each with its end (CRLF)
    body: bytes | Stream | None = None
    sink: Sink | None = None
    patience: int = 0  # seconds added to the read timeout, for operations that take long


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
    CUT = "the connection was closed or reset before an answer came"
    PARTIAL = "the connection was closed in the middle of the answer"
    UNREADABLE = "the answer is not HTTP"
    OVERSIZED = "the answer is too long to hold in memory"
    PROXY = "the proxy refuses to connect"
    OTHER = "anything else"


_CONGESTION = frozenset({Fault.CONNECTION, Fault.SILENT, Fault.CUT})


class WireError(S3ppError):
    """No complete answer came: connection, name, TLS or timeout."""

    def __init__(self, fault: Fault, message: str = "") -> None:
        super().__init__(message or fault.value)
        self.fault = fault

    @property
    def congested(self) -> bool:
        """Whether the peer or the network may be overloaded: reset, silence, no connection."""
        return self.fault in _CONGESTION


@dataclass(frozen=True)
class WireSettings:
    """Settings of connections; times in seconds."""

    connections: int  # maximum kept open
    connect_timeout: float
    read_timeout: float  # without a byte in either direction
    ca_bundle: str | None = None
    verify: bool = True
    proxy: str = ""  # its URL; empty: none, even if the environment names one
