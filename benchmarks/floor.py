"""A bare loop over s3pp's own wire: ``python benchmarks/floor.py --help``.

It signs requests and sends them, in as many processes and with as many in flight as s3pp does by
default, and looks at nothing but statuses and sizes. Names are counted, a body is one buffer whose
digests are computed once. Nothing is walked, opened, written, hashed, compared, retried, recorded
or reported: this is what the wire and the signature cost, and what s3pp takes beyond it is its own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import re
import sys
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Sequence
from hashlib import md5, sha256
from typing import NamedTuple

from data import name
from s3pp import __version__
from s3pp.access import Access, Keys
from s3pp.limits import DEFAULT_MULTIPART_THRESHOLD, DEFAULT_PART_SIZE
from s3pp.pipeline.connect import new_loop
from s3pp.pipeline.slots import PERIOD, Admission, slot_count
from s3pp.program import RARELY
from s3pp.s3.exchange import Request, Response, Sink, Stream, WireSettings
from s3pp.s3.sigv4 import EMPTY_SHA256, UNSIGNED, Signer
from s3pp.s3.wire import Wire
from s3pp.speed import Speed

_PAGE = 1000  # keys of a listing's page
_UPLOAD_ID = re.compile(rb"<UploadId>(.+?)</UploadId>")


class Buffer(NamedTuple):
    """A body that is sent again and again, and what S3 wants to know of it."""

    content: bytes
    md5: str  # hex
    payload_hash: str
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, content: bytes, *, signed: bool) -> Buffer:
        """Compute the digests of ``content``."""
        digest = md5(content, usedforsecurity=False)
        payload_hash = sha256(content).hexdigest() if signed else UNSIGNED
        headers = (("content-md5", b64encode(digest.digest()).decode()),)
        return cls(content, digest.hexdigest(), payload_hash, headers)


_NOTHING = Buffer(b"", "", EMPTY_SHA256, ())


class Replay:
    """A ``Stream`` of one buffer."""

    def __init__(self, content: bytes) -> None:
        self.size = len(content)
        self._content = content
        self._at = 0

    def read(self, count: int) -> bytes:
        """The next bytes."""
        piece = self._content[self._at : self._at + count]
        self._at += len(piece)
        return piece

    def rewind(self) -> None:
        """From the first byte again."""
        self._at = 0


class Drain:
    """A ``Sink`` that counts what it gets, and drops it."""

    def __init__(self) -> None:
        self.size = 0

    def restart(self) -> None:
        """From zero again."""
        self.size = 0

    def write(self, piece: bytes | memoryview) -> None:
        """Drop a piece."""
        self.size += len(piece)


class Target(NamedTuple):
    """Where the peer is."""

    url: str
    bucket: str
    ca_bundle: str | None


class Store:
    """The peer's bucket, as one process reaches it; made on its event loop."""

    def __init__(self, target: Target, connections: int) -> None:
        self._url, self._bucket, ca_bundle = target
        self._host = self._url.partition("://")[2]
        self._signer = Signer(Keys("bench", "benchbench"), "us-east-1")
        limits = (Access().connect_timeout, Access().read_timeout)
        self._wire = Wire(WireSettings(connections, *limits, ca_bundle))

    async def ask(
        self,
        method: str,
        key: str,
        query: str = "",
        *,
        headers: Sequence[tuple[str, str]] = (),
        buffer: Buffer | None = None,
        stream: Stream | None = None,
        sink: Sink | None = None,
    ) -> Response:
        """Send a request; ``stream`` is the buffer's content. What is refused raises, at once."""
        path = f"/{self._bucket}/{key}"
        known = buffer or _NOTHING
        body = stream or (buffer and buffer.content)
        lines = self._signer.sign(
            method, (self._host, path, query), (*headers, *known.headers), known.payload_hash
        )
        url = f"{self._url}{path}?{query}" if query else self._url + path
        response = await self._wire.send(Request(method, url, lines, body, sink))
        if response.status >= 300:
            raise RuntimeError(f"{method} {url}: {response.status}")
        return response


class Verb:
    """What is asked of the peer, ``count`` times; the base of all."""

    def __init__(self, target: Target, files: int, size: int) -> None:
        speed = Speed()
        self.target = target
        self.signed = not target.url.startswith("https")
        self.size = size
        self.count = files
        self.processes = speed.processes
        self.slots = slot_count(speed.concurrency, speed.processes)

    async def ask(self, store: Store, number: int) -> None:
        """Do the request of that number."""
        raise NotImplementedError

    def run(self) -> bool:
        """Do all of them; whether that went well."""
        return fork_all(self)


class Put(Verb):
    """PutObject."""

    def __init__(self, target: Target, files: int, size: int) -> None:
        super().__init__(target, files, size)
        self._buffer = Buffer.of(os.urandom(size), signed=self.signed)

    async def ask(self, store: Store, number: int) -> None:
        """``Verb.ask``."""
        await store.ask("PUT", f"p/{name(number)}", buffer=self._buffer)


class Get(Verb):
    """GetObject."""

    async def ask(self, store: Store, number: int) -> None:
        """``Verb.ask``."""
        response = await store.ask("GET", f"p/{name(number)}")
        _check_size(len(response.body), self.size)


class Copy(Verb):
    """CopyObject."""

    async def ask(self, store: Store, number: int) -> None:
        """``Verb.ask``."""
        source = ("x-amz-copy-source", f"{self.target.bucket}/p/{name(number)}")
        await store.ask("PUT", f"copied/{name(number)}", headers=[source], buffer=_NOTHING)


class Pages(Verb):
    """ListObjectsV2, of pages whose beginnings are known; as s3pp, in one process."""

    def __init__(self, target: Target, files: int, size: int) -> None:
        super().__init__(target, -(-files // _PAGE), size)
        self.processes, self.slots = 1, Speed().listers

    async def ask(self, store: Store, number: int) -> None:
        """``Verb.ask``."""
        query = "encoding-type=url&list-type=2&prefix=p%2F"
        if number:
            query += f"&start-after=p/{name(number * _PAGE - 1)}".replace("/", "%2F")
        response = await store.ask("GET", "", query)
        if b"<Contents>" not in response.body:
            raise RuntimeError(f"page {number} has no keys")


class LargeGet(Verb):
    """GetObject, a range of the only object."""

    def __init__(self, target: Target, files: int, size: int) -> None:
        super().__init__(target, -(-size // DEFAULT_PART_SIZE), size)
        self.slots = Speed().places

    async def ask(self, store: Store, number: int) -> None:
        """``Verb.ask``."""
        start = number * DEFAULT_PART_SIZE
        end = min(start + DEFAULT_PART_SIZE, self.size)
        drain = Drain()
        await store.ask(
            "GET", f"p/{name(0)}", headers=[("range", f"bytes={start}-{end - 1}")], sink=drain
        )
        _check_size(drain.size, end - start)


class LargePut(LargeGet):
    """UploadPart, between the requests that create the upload and complete it."""

    def __init__(self, target: Target, files: int, size: int) -> None:
        super().__init__(target, files, size)
        content = os.urandom(DEFAULT_PART_SIZE)
        whole = Buffer.of(content, signed=self.signed)
        rest = size - (self.count - 1) * DEFAULT_PART_SIZE
        last = Buffer.of(content[:rest], signed=self.signed)
        self._parts = [*[whole] * (self.count - 1), last]
        self._key = f"p/{name(0)}"
        self._id = ""

    async def ask(self, store: Store, number: int) -> None:
        """``Verb.ask``."""
        part = self._parts[number]
        query = f"partNumber={number + 1}&uploadId={self._id}"
        await store.ask("PUT", self._key, query, buffer=part, stream=Replay(part.content))

    def run(self) -> bool:
        """``Verb.run``."""
        on_loop(self, self._create)
        done = super().run()
        on_loop(self, self._complete)
        return done

    async def _create(self, store: Store) -> None:
        response = await store.ask("POST", self._key, "uploads=", buffer=_NOTHING)
        found = _UPLOAD_ID.search(response.body)
        assert found is not None
        self._id = found[1].decode()

    async def _complete(self, store: Store) -> None:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{part.md5}</ETag></Part>"
            for number, part in enumerate(self._parts, 1)
        )
        xml = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        buffer = Buffer.of(xml, signed=True)
        await store.ask("POST", self._key, f"uploadId={self._id}", buffer=buffer)


def _check_size(size: int, wanted: int) -> None:
    if size != wanted:
        raise RuntimeError(f"{size} bytes came, not {wanted}")


def fork_all(verb: Verb) -> bool:
    """Share all requests among as many processes; whether all went well."""
    children = []
    for number in range(verb.processes):
        pid = os.fork()
        if not pid:
            _child(verb, iter(range(number, verb.count, verb.processes)))
        children.append(pid)
    return not sum(os.waitpid(pid, 0)[1] for pid in children)  # of each, also after a failure


def _child(verb: Verb, numbers: Iterator[int]) -> None:
    gc.freeze()
    try:
        on_loop(verb, lambda store: _loop(verb, store, numbers))
    except Exception as error:
        print(f"floor: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def on_loop(verb: Verb, work: Callable[[Store], Awaitable[None]]) -> None:
    """Do ``work`` with a store, on an event loop of its own."""

    async def run() -> None:
        await work(Store(verb.target, verb.slots))

    new_loop().run_until_complete(run())


async def _loop(verb: Verb, store: Store, numbers: Iterator[int]) -> None:
    """Begin with as many in flight as s3pp, and add more when it would."""
    admission = Admission(verb.slots, verb.processes)
    running: list[asyncio.Task[None]] = []
    while True:
        more = admission.admitted - len(running)
        running += [asyncio.ensure_future(_slot(verb, store, numbers)) for _ in range(more)]
        ended, working = await asyncio.wait(running, timeout=PERIOD)
        for task in ended:
            task.result()
        if not working:
            return
        admission.update(wanted=True)


async def _slot(verb: Verb, store: Store, numbers: Iterator[int]) -> None:
    for number in numbers:
        await verb.ask(store, number)


_VERBS: dict[str, type[Verb]] = {"put": Put, "get": Get, "copy": Copy, "list": Pages}
_IN_PARTS: dict[str, type[Verb]] = {"put": LargePut, "get": LargeGet}  # objects above the threshold


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("verb", choices=_VERBS)
    version = f"over the wire of s3pp {__version__}"
    parser.add_argument("--version", action="version", version=version)
    parser.add_argument("--endpoint-url", required=True)
    parser.add_argument("--ca-bundle")
    parser.add_argument("--bucket", default="bench")
    parser.add_argument("--files", type=int, default=1)
    parser.add_argument("--size", type=int, default=4096, help="bytes of each")
    return parser.parse_args()


def main() -> None:
    """Do it; exits with 1 where a request failed."""
    gc.set_threshold(*RARELY)
    options = arguments()
    target = Target(options.endpoint_url, options.bucket, options.ca_bundle)
    large = options.size > DEFAULT_MULTIPART_THRESHOLD
    verbs = _VERBS | _IN_PARTS if large else _VERBS
    verb = verbs[options.verb](target, options.files, options.size)
    os._exit(not verb.run())  # as s3pp, without taking the interpreter apart


if __name__ == "__main__":
    main()
