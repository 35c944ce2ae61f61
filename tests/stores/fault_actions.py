"""What can happen to a request between s3pp and a store: the actions of the fault proxy.

An action meets a request twice: ``arrive`` when its headers are here and its body is not, and
``answer`` when it is whole. Either may answer it, pass it on, wait, or raise ``Cut``.
"""

from __future__ import annotations

import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace

Headers = tuple[tuple[str, str], ...]

_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>{}</Code><Message>injected by a test</Message><RequestId>1</RequestId></Error>"
)


@dataclass(frozen=True)
class Request:
    """What the client asks; ``path`` is the target with its query, as it was sent."""

    method: str
    path: str
    headers: Headers
    body: bytes = b""
    port: int = 0  # the client's end of the connection

    def header(self, name: str) -> str:
        """The value of the first header called ``name``, or an empty string."""
        return next((v for k, v in self.headers if k.lower() == name.lower()), "")


@dataclass(frozen=True)
class Response:
    """What the client is told."""

    status: int
    headers: Headers
    body: bytes = b""
    pace: float = 0.0  # seconds each byte of the body takes
    stall: float = 0.0  # seconds between the two halves of the body
    missing: int = 0  # bytes that are announced, and never come
    unmeasured: bool = False  # no length is announced: the body ends with the connection


class Cut(Exception):
    """The connection is to be reset instead of answered."""


class Exchange:
    """One request, and the means to deal with it."""

    def __init__(
        self, request: Request, send: Callable[[Request], Response], stopped: threading.Event
    ) -> None:
        self.request = request
        self._send = send
        self._stopped = stopped

    def forward(self, request: Request | None = None) -> Response:
        """Ask the store, by default for what the client asked."""
        return self._send(request or self.request)

    def behind(self, action: Action) -> Exchange:
        """The same, with ``action`` between us and the store."""

        def send(request: Request) -> Response:
            return action.answer(Exchange(request, self._send, self._stopped))

        return Exchange(self.request, send, self._stopped)

    def pause(self, seconds: float) -> None:
        """Let time pass, but no longer than the proxy lives."""
        self._stopped.wait(seconds)

    def await_event(self, event: threading.Event) -> None:
        """Wait until ``event`` is set, but no longer than the proxy lives."""
        while not event.wait(0.02) and not self._stopped.is_set():
            pass


class Action:
    """What happens to a request that a rule matches; this one lets it pass."""

    def arrive(self, exchange: Exchange) -> Response | None:
        """Act on the headers while the body is still unread; a response ends the matter."""
        return None

    def answer(self, exchange: Exchange) -> Response:
        """Act on the whole request."""
        return exchange.forward()


def error(status: int, code: str, headers: Headers = ()) -> Response:
    """A store's error document with the S3 error ``code``."""
    body = _ERROR.format(code).encode()
    return Response(status, (("Content-Type", "application/xml"), *headers), body)


@dataclass(frozen=True)
class Status(Action):
    """Refuse with an HTTP status and an S3 error code, ``early`` before the body is read."""

    status: int
    code: str
    headers: Headers = ()
    early: bool = False

    def arrive(self, exchange: Exchange) -> Response | None:
        return self.answer(exchange) if self.early else None

    def answer(self, exchange: Exchange) -> Response:
        return error(self.status, self.code, self.headers)


@dataclass(frozen=True)
class Say(Action):
    """Answer so, without asking the store."""

    response: Response

    def answer(self, exchange: Exchange) -> Response:
        return self.response


class Reset(Action):
    """Reset the connection before the store sees the request."""

    def answer(self, exchange: Exchange) -> Response:
        raise Cut


class LoseResponse(Action):
    """Let the store do its work, then reset the connection."""

    def answer(self, exchange: Exchange) -> Response:
        exchange.forward()
        raise Cut


@dataclass(frozen=True)
class Hang(Action):
    """Say nothing for ``seconds``, then reset; the store never sees the request."""

    seconds: float = 3600.0

    def answer(self, exchange: Exchange) -> Response:
        exchange.pause(self.seconds)
        raise Cut


@dataclass(frozen=True)
class Delay(Action):
    """Wait ``seconds``, then pass the request on."""

    seconds: float

    def answer(self, exchange: Exchange) -> Response:
        exchange.pause(self.seconds)
        return exchange.forward()


@dataclass(frozen=True)
class Gate(Action):
    """Hold every request until the test calls ``open()``, then pass them on."""

    opened: threading.Event = field(default_factory=threading.Event)

    def open(self) -> None:
        """Let everything held, and everything to come, through."""
        self.opened.set()

    def answer(self, exchange: Exchange) -> Response:
        exchange.await_event(self.opened)
        return exchange.forward()


@dataclass(frozen=True)
class Drip(Action):
    """Answer rightly, but at one byte of the body per ``seconds``."""

    seconds: float

    def answer(self, exchange: Exchange) -> Response:
        return replace(exchange.forward(), pace=self.seconds)


@dataclass(frozen=True)
class Stall(Action):
    """Send the first half of the body, then nothing for ``seconds``, then the rest."""

    seconds: float = 3600.0

    def answer(self, exchange: Exchange) -> Response:
        return replace(exchange.forward(), stall=self.seconds)


class Truncate(Action):
    """Announce the whole body, send the first half, and close the connection."""

    def answer(self, exchange: Exchange) -> Response:
        response = exchange.forward()
        sent = halved(response.body)
        return replace(response, body=sent, missing=len(response.body) - len(sent))


class FlipBit(Action):
    """Flip one bit in the middle of the request's body; the headers stay as they were."""

    def answer(self, exchange: Exchange) -> Response:
        return exchange.forward(replace(exchange.request, body=flipped(exchange.request.body)))


@dataclass(frozen=True)
class SetHeaders(Action):
    """Replace headers of a successful response, or add them."""

    headers: Headers

    def answer(self, exchange: Exchange) -> Response:
        response = exchange.forward()
        named = {name.lower() for name, _ in self.headers}
        kept = tuple(pair for pair in response.headers if pair[0].lower() not in named)
        return replace(response, headers=kept + self.headers) if response.status < 300 else response


@dataclass(frozen=True)
class Rewrite(Action):
    """Pass the body of a successful response through ``change``."""

    change: Callable[[bytes], bytes]

    def answer(self, exchange: Exchange) -> Response:
        response = exchange.forward()
        if response.status >= 300:
            return response
        return replace(response, body=self.change(response.body))


@dataclass(frozen=True)
class KeepsCrc64(Action):
    """Have a store keep the CRC64NVME of uploads in parts, as S3 does; ``wrong``: another one.

    That of a part is verified, that of a whole is believed.
    """

    wrong: str = ""  # "part", "whole", or neither

    def answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        asked = request.header("x-amz-checksum-algorithm")
        given = request.header(_CRC64)
        if given and request.method == "PUT" and given != crc64(request.body):
            return error(400, "BadDigest")
        response = exchange.forward()
        if response.status >= 300 or not (asked or given):
            return response
        if asked:
            named = (("x-amz-checksum-algorithm", asked), ("x-amz-checksum-type", "FULL_OBJECT"))
            return replace(response, headers=response.headers + named)
        if request.method == "PUT":
            told = "AAAAAAAAAAA=" if self.wrong == "part" else given
            return replace(response, headers=(*response.headers, (_CRC64, told)))
        told = "AAAAAAAAAAA=" if self.wrong == "whole" else given
        end = b"</CompleteMultipartUploadResult>"
        whole = f"<ChecksumCRC64NVME>{told}</ChecksumCRC64NVME>".encode() + end
        return replace(response, body=response.body.replace(end, whole))


_CRC64 = "x-amz-checksum-crc64nvme"


def crc64(body: bytes) -> str:
    """The CRC64NVME of ``body``, as S3 writes it."""
    from awscrt import checksums

    return b64encode(checksums.crc64nvme(body).to_bytes(8, "big")).decode()


@dataclass(frozen=True)
class Call(Action):
    """Run ``callback`` when the headers are here and the body is not, then pass the request on.

    A body larger than the client's socket buffer (4 MiB at most, as Linux comes) is then still
    being read.
    """

    callback: Callable[[Request], object]

    def arrive(self, exchange: Exchange) -> Response | None:
        self.callback(exchange.request)
        return None


@dataclass(frozen=True)
class Chain(Action):
    """Several actions on one request, each between the client and the next one."""

    actions: tuple[Action, ...]

    def arrive(self, exchange: Exchange) -> Response | None:
        return next(filter(None, (each.arrive(exchange) for each in self.actions)), None)

    def answer(self, exchange: Exchange) -> Response:
        first, *rest = self.actions
        return first.answer(exchange.behind(Chain(tuple(rest))) if rest else exchange)


def chain(*actions: Action) -> Chain:
    """The actions, the one nearest to the client first."""
    return Chain(actions)


def flipped(body: bytes) -> bytes:
    """``body`` with one bit in its middle changed."""
    at = len(body) // 2
    return body[:at] + bytes((body[at] ^ 1,)) + body[at + 1 :]


def halved(body: bytes) -> bytes:
    """The first half of ``body``."""
    return body[: len(body) // 2]
