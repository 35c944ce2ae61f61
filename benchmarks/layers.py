"""What the layers of a worker take for a small object: ``python benchmarks/layers.py --help``.

Each is measured alone, in this process, in microseconds of CPU for an object of 4 KiB.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import select
import socket
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterable, Sequence
from hashlib import md5, sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from data import name
from s3pp.access import Access, Keys
from s3pp.job import Job, Mode
from s3pp.pipeline.connect import new_loop
from s3pp.pipeline.messages import Message, encode, task_batch
from s3pp.pipeline.part_client import PartClient
from s3pp.pipeline.pipes import MessageWriter
from s3pp.pipeline.roles import Role, role, worker_resources
from s3pp.pipeline.slots import TaskRunner
from s3pp.pipeline.walker import FULL
from s3pp.places import Origin, Place, Side, Source
from s3pp.program import RARELY
from s3pp.records import CopyTask, Done, Entry, GetTask, Outcome, PartOutcome, PutTask, Task
from s3pp.s3.client import Bucket
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Request, Response, WireSettings
from s3pp.s3.limiter import RequestLimiter
from s3pp.s3.recovery import Recovery
from s3pp.s3.retry import Backoff
from s3pp.s3.sigv4 import EMPTY_SHA256, Signer
from s3pp.s3.wire import Wire

_AT_ONCE = 16  # in flight: what each of two workers begins with
_SIZE = 4096
_BODY = bytes(_SIZE)
_MD5, _SHA256 = md5(_BODY, usedforsecurity=False), sha256(_BODY).hexdigest()
_ETAG = _MD5.hexdigest()
_COPIED = f"<CopyObjectResult><ETag>{_ETAG}</ETag></CopyObjectResult>".encode()


class Case(NamedTuple):
    """A verb: its tasks, its requests, and what is done for each besides."""

    job: Job
    tasks: Sequence[Task]
    request: tuple[str, list[tuple[str, str]], bytes | None, str]  # method … payload hash
    answer: bytes
    ask: Callable[[Bucket, str], Awaitable[object]]  # about a key
    file: Callable[[int], object]  # the system calls that read or write it
    digest: Callable[[], object]


def put_case(folder: Path, count: int) -> Case:
    """One file, sent under many keys: what is read is in memory in any case."""
    source = folder / "source"
    source.write_bytes(_BODY)
    mtime = source.stat().st_mtime_ns
    headers = [("content-md5", b64encode(_MD5.digest()).decode())]

    def read(_: int) -> None:
        fd = os.open(source, os.O_RDONLY)
        os.fstat(fd)
        os.read(fd, _SIZE + 1)
        os.fstat(fd)
        os.close(fd)

    return Case(
        Job("put", (Source(str(folder)),), Place("bench"), mode=Mode.STUPID),
        [PutTask(Entry(f"p/{name(n)}", str(source), _SIZE, mtime), None) for n in range(count)],
        ("PUT", headers, _BODY, _SHA256),
        b"",
        lambda bucket, key: bucket.put(key, _BODY, headers=headers, payload_hash=_SHA256),
        read,
        lambda: sha256(_BODY).hexdigest(),
    )


def get_case(folder: Path, count: int) -> Case:
    """Objects of one content."""

    def write(number: int) -> None:
        path = f"{folder}/{number}"
        fd = os.open(f"{path}.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        os.write(fd, _BODY)
        os.utime(fd)
        os.close(fd)
        os.rename(f"{path}.part", path)

    when = "2026-01-02T03:04:05Z"
    job = Job("get", origins=(Origin("bench"),), directory=f"{folder}/got", mode=Mode.STUPID)
    return Case(
        job,
        [GetTask(f"p/{name(n)}", name(n), _SIZE, _ETAG, when) for n in range(count)],
        ("GET", [], None, EMPTY_SHA256),
        _BODY,
        lambda bucket, key: bucket.get(key),
        write,
        lambda: md5(_BODY, usedforsecurity=False).hexdigest(),
    )


def copy_case(folder: Path, count: int) -> Case:
    """Objects of one bucket."""
    source = ("bench", f"p/{name(0)}")
    return Case(
        Job("copy", origins=(Origin("bench"),), dest=Place("bench", "q"), mode=Mode.STUPID),
        [CopyTask(f"p/{name(n)}", f"q/{name(n)}", _SIZE, _ETAG, "", None) for n in range(count)],
        ("PUT", [("x-amz-copy-source", "/".join(source))], b"", EMPTY_SHA256),
        _COPIED,
        lambda bucket, key: bucket.copy(key, source, headers=(), size=_SIZE),
        lambda _: None,
        lambda: None,
    )


_CASES = {"put": put_case, "get": get_case, "copy": copy_case}


class _Answers:
    """A wire that answers at once."""

    def __init__(self, body: bytes) -> None:
        head = f'HTTP/1.1 200 OK\r\nETag: "{_ETAG}"\r\nContent-Length: {len(body)}\r\n'
        self._response = Response(200, head.encode(), body)

    async def send(self, _: Request) -> Response:
        """``Sender.send``."""
        return self._response


class _Outbox(MessageWriter):
    """An outbox that nobody reads."""

    def __init__(self) -> None:
        super().__init__(-1)

    def send(self, message: Message) -> None:
        """Encode a message."""
        encode(message)


class _Idle:
    """A role that has done everything already."""

    skip_unchanged = None

    def __init__(self, outcome: Outcome) -> None:
        self.notes: list[str] = []
        self._outcome = outcome

    async def transfer(self, task: Any) -> Outcome:
        """``Role.transfer``."""
        return self._outcome

    async def part(self, part: Any) -> PartOutcome:
        """``Role.part``."""
        raise NotImplementedError


class Layers:
    """The layers of one case against a peer, in CPU microseconds an object."""

    def __init__(self, case: Case, url: str) -> None:
        self._case, self._url = case, url
        self._count = len(case.tasks)
        self._host = url.removeprefix("http://")
        self._signer = Signer(Keys("bench", "benchbench"), "us-east-1")
        self._numbers = range(self._count)

    def measure(self) -> dict[str, float]:
        """All of them, each less what is below it."""
        self._on_loop(self._slots)()  # imports the role
        found = {"slots": self._cpu(self._on_loop(self._slots))}
        found["sockets"] = self._cpu(self._sockets)
        found["wire"] = self._cpu(self._on_loop(self._wire)) - found["sockets"]
        found["signature"] = self._cpu(lambda: [self._sign(n) for n in self._numbers])
        found["client"] = self._cpu(self._on_loop(self._client)) - found["signature"]
        found["files"] = self._cpu(lambda: [self._case.file(n) for n in self._numbers])
        found["digests"] = self._cpu(lambda: [self._case.digest() for _ in self._numbers])
        below = sum(found[layer] for layer in ("signature", "client", "files", "digests"))
        found["role"] = self._cpu(self._on_loop(self._role)) - below
        return found

    def _cpu(self, work: Callable[[], object]) -> float:
        begun = time.process_time()
        work()
        return (time.process_time() - begun) / self._count * 1e6

    def _on_loop(self, work: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        async def run() -> None:
            await work()

        return lambda: new_loop().run_until_complete(run())

    def _path(self, number: int) -> str:
        return f"/bench/{'p' if self._case.request[2] is None else 'q'}/{name(number)}"

    def _sign(self, number: int) -> str:
        method, headers, _, payload_hash = self._case.request
        return self._signer.sign(
            method, (self._host, self._path(number), ""), headers, payload_hash
        )

    def _sockets(self) -> None:
        """Have so many requests in flight, all of them prepared."""
        method, _, body, _ = self._case.request
        head = f"{method} {self._path(0)} HTTP/1.1\r\nHost: {self._host}\r\n{self._sign(0)}"
        length = f"Content-Length: {len(body)}\r\n" if body is not None else ""
        request = f"{head}{length}\r\n".encode() + (body or b"")
        host, _, port = self._host.partition(":")
        peers = [socket.create_connection((host, int(port))) for _ in range(_AT_ONCE)]
        by_fd = {peer.fileno(): peer for peer in peers}
        with select.epoll() as poll:
            for fd, peer in by_fd.items():
                poll.register(fd, select.EPOLLIN)
                peer.send(request)
            left = self._count
            while left > 0:
                for fd, _ in poll.poll():
                    by_fd[fd].recv(65536)
                    by_fd[fd].send(request)
                    left -= 1
        for peer in peers:
            peer.close()

    async def _wire(self) -> None:
        method, _, body, _ = self._case.request
        lines = self._sign(0)
        wire = Wire(WireSettings(_AT_ONCE, Access().connect_timeout, Access().read_timeout))

        async def slot(numbers: Iterable[int]) -> None:
            for number in numbers:
                await wire.send(Request(method, self._url + self._path(number), lines, body))

        numbers = iter(self._numbers)
        await asyncio.gather(*(slot(numbers) for _ in range(_AT_ONCE)))
        wire.close()

    async def _client(self) -> None:
        bucket = self._bucket()
        for number in self._numbers:
            await self._case.ask(bucket, self._path(number).removeprefix("/bench/"))

    async def _role(self) -> None:
        acting = self._acting()
        for task in self._case.tasks:
            outcome = await acting.transfer(task)
            assert isinstance(outcome, Done), outcome

    async def _slots(self) -> None:
        """Batches in, turns, and reports out."""
        tasks = self._case.tasks
        idle = _Idle(await self._acting().transfer(tasks[0]))
        runner = TaskRunner(_Outbox(), idle, [], slots=_AT_ONCE, job=self._case.job)
        running = asyncio.ensure_future(runner.run())
        await asyncio.sleep(0)
        for start in range(0, len(tasks), FULL):
            some = tasks[start : start + FULL]
            batch = task_batch(some, 1, size=0, large=self._case.job.parts.threshold)
            runner.take(batch)
            await asyncio.sleep(0)
        runner.end()
        await running

    def _acting(self) -> Role:
        buckets = dict.fromkeys((Side.SOURCE, Side.DEST), self._bucket())
        return role(self._case.job, buckets, worker_resources(PartClient(_Outbox())))

    def _bucket(self) -> Bucket:
        access = self._case.job.access
        endpoint = Endpoint("http", self._host, "/bench", "us-east-1", "bench")
        backoff = Backoff(access.max_attempts, access.max_throttled)
        limiter = RequestLimiter(_AT_ONCE, lambda _: None)
        recovery = Recovery(backoff, _no_keys, limiter=limiter)
        return Bucket(endpoint, self._signer, _Answers(self._case.answer), recovery=recovery)


async def _no_keys() -> None:
    """There are no others."""


def main() -> None:
    """Print them as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("verb", choices=_CASES)
    parser.add_argument("--endpoint-url", required=True, help="a peer with as many objects, http")
    parser.add_argument("--files", type=int, required=True)
    parser.add_argument(
        "--into", type=Path, required=True, help="where files are made, and removed"
    )
    options = parser.parse_args()
    gc.set_threshold(*RARELY)
    with TemporaryDirectory(prefix="s3pp-layers-", dir=options.into) as folder:
        case = _CASES[options.verb](Path(folder), options.files)
        print(json.dumps(Layers(case, options.endpoint_url).measure()))


if __name__ == "__main__":
    main()
