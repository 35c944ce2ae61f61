"""Two buckets for the copier's tests: one that does as scripted, one that behaves like a store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any

from s3pp.access import Keys
from s3pp.errors import RunEnding
from s3pp.records import Dest, PartOutcome, PartTask
from s3pp.s3.answers import Answer, Copied
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Response, Sink, Stream
from s3pp.s3.retry import Oversized, StoreError
from s3pp.s3.sigv4 import Signer
from s3pp.transfer.resources import Budget, Reader, WorkerResources
from s3pp.transfer.resume import OwnUploads

KEYS, OTHER_KEYS = Keys("access", "secret"), Keys("other", "secret")
EVERYTHING = 1 << 20  # bytes of the budget
DENIED = StoreError(403, "AccessDenied", "Access Denied")
FAILED = StoreError(412, "PreconditionFailed", "At least one of the conditions did not hold")
UNKNOWN = StoreError(501, "NotImplemented", "A header you provided implies functionality")
GONE = StoreError(404, "NoSuchKey", "The specified key does not exist")

Pairs = Sequence[tuple[str, str]]


def endpoint(bucket: str) -> Endpoint:
    return Endpoint("https", f"{bucket}.example", "", "us-east-1", bucket)


async def nobody(part: PartTask) -> PartOutcome:
    """Where no object is large enough to have parts."""
    raise AssertionError(f"{part} was to be run")


@dataclass
class Workers:
    """A ``PartRunner``: parts are run by ``runs``, unless the run is ``ending``."""

    runs: Callable[[Any], Awaitable[PartOutcome]] = nobody
    ending: bool = False
    reported: list[int] = field(default_factory=list)

    def run(self, part: Any, /) -> Awaitable[PartOutcome]:
        return self.runs(part)

    def check(self) -> None:
        if self.ending:
            raise RunEnding

    def report(self, size: int) -> None:
        self.reported.append(size)


def resources(run: Callable[[Any], Awaitable[PartOutcome]] = nobody) -> WorkerResources:
    reader = Reader(ThreadPoolExecutor(2))
    return WorkerResources(reader, Budget(EVERYTHING), Workers(run), OwnUploads())


def etag_of(body: bytes) -> str:
    return md5(body).hexdigest()


def response(*lines: str, body: bytes = b"") -> Response:
    head = ["HTTP/1.1 200 OK", "Server: x", *lines]
    return Response(200, b"".join([f"{line}\r\n".encode() for line in head]), body)


def answer(etag: str, *lines: str, body: bytes = b"", attempts: int = 1) -> Answer:
    told = (f'ETag: "{etag}"', f"Content-Length: {len(body)}")
    return Answer(response(*told, *lines, body=body), attempts)


def looked(etag: str, size: int, *lines: str) -> Answer:
    return Answer(response(f'ETag: "{etag}"', f"Content-Length: {size}", *lines), 1)


def copied(etag: str, *lines: str, attempts: int = 1) -> Copied:
    return Copied(etag, Answer(response(*lines), attempts))


def next_of(script: list[Any]) -> Any:
    """The next of a script, whose last goes on for ever; exceptions are raised."""
    step = script.pop(0) if len(script) > 1 else script[0]
    if isinstance(step, BaseException):
        raise step
    return step


def read(body: bytes | Stream) -> bytes:
    if isinstance(body, bytes):
        return body
    body.rewind()
    pieces = []
    while piece := body.read(1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def pour(got: Answer, sink: Sink | None) -> Answer:
    """Give an answer's body to the sink, as the wire does: an empty one is no call at all."""
    body = got.response.body
    if sink is None:
        return got
    for start in range(0, len(body), 1 << 16):
        if start == 0:
            sink.restart()
        sink.write(body[start : start + (1 << 16)])
    return Answer(got.response._replace(body=b""), got.attempts)


@dataclass
class Sent:
    """One CopyObject or PUT as a bucket saw it."""

    key: str
    headers: dict[str, str]
    body: bytes = b""
    source: tuple[str, str] = ("", "")

    @property
    def conditional(self) -> bool:
        return self.headers.get("if-none-match") == "*"

    @property
    def pin(self) -> str | None:
        return self.headers.get("x-amz-copy-source-if-match")


def _sent(key: str, headers: Pairs, **more: Any) -> Sent:
    assert len(dict(headers)) == len(headers), "a header is given twice"
    assert all(name == name.lower() and value.isascii() for name, value in headers)
    return Sent(key, dict(headers), **more)


@dataclass
class Scripted:
    """A bucket that does as it is told; what comes last goes on for ever."""

    name: str = "bkt"
    keys: Keys | None = KEYS
    copies: list[Any] = field(default_factory=list)  # Copied
    puts: list[Any] = field(default_factory=list)  # Answer
    gets: list[Any] = field(default_factory=list)  # Answer, with the body
    looks: list[Any] = field(default_factory=list)  # Answer or None
    taggings: list[Any] = field(default_factory=list)  # pairs
    sent: list[Sent] = field(default_factory=list)  # CopyObjects and PUTs
    asked: list[str] = field(default_factory=list)  # HEADs
    got: list[Pairs] = field(default_factory=list)  # the headers of GETs

    def __post_init__(self) -> None:
        self.endpoint = endpoint(self.name)
        self.signer = Signer(self.keys, "us-east-1")

    async def copy(self, key: str, source: tuple[str, str], *, headers: Pairs, size: int) -> Copied:
        self.sent.append(_sent(key, headers, source=source))
        return next_of(self.copies)  # type: ignore[no-any-return]

    async def put(
        self, key: str, body: bytes | Stream, *, headers: Pairs, payload_hash: str
    ) -> Answer:
        self.sent.append(_sent(key, headers, body=read(body)))
        step = next_of(self.puts)
        return step(self.sent[-1].body) if callable(step) else step  # type: ignore[no-any-return]

    async def get(
        self,
        key: str,
        *,
        headers: Pairs = (),
        sink: Sink | None = None,
        coding: str = "",
        size: int = 0,
    ) -> Answer:
        self.got.append(headers)
        got: Answer = next_of(self.gets)
        if sink is None and len(got.response.body) > 16 << 20:
            raise Oversized
        return pour(got, sink)

    async def look(self, key: str, *, headers: Pairs = (), asked: bool = False) -> Answer | None:
        self.asked.append(key)
        return next_of(self.looks)  # type: ignore[no-any-return]

    async def head(self, key: str) -> Dest | None:
        found = await self.look(key)
        return Dest(found.size, found.etag) if found else None

    async def tags(self, key: str) -> list[tuple[str, str]]:
        return next_of(self.taggings)  # type: ignore[no-any-return]


def kept(body: bytes) -> Answer:
    """How a store answers a PUT of ``body``."""
    return answer(etag_of(body))
