"""What a worker does for a small object that meets no trouble: calls, and memory allocated.

An interpreter spends most of its time on calls and on objects that live for an instant: what every
object of a run passes is kept short. All three are counted, never timed, see ``hot_path``. Where a
bound is exceeded the message names the lines that have allocated most; run the same test on the
commit before to see what is new among them. A bound is what was measured and a little more, since
builds of Python differ: whoever lowers the figures lowers the bounds too.
"""

from __future__ import annotations

import asyncio
import os
from base64 import b64decode
from collections.abc import Awaitable, Callable
from hashlib import md5
from pathlib import Path
from typing import NamedTuple
from unittest.mock import Mock

import pytest
from hot_path import ROOM, Blocks, Peak, counted
from s3.loopback import Got, loopback

from s3pp.access import Keys
from s3pp.job import Job, Mode
from s3pp.pipeline import roles
from s3pp.pipeline.connect import RetryHooks, connect
from s3pp.places import Origin, Place, Side, Source
from s3pp.records import CopyTask, Dest, Done, Entry, GetTask, PutTask, Skipped, Task
from s3pp.s3.client import Bucket
from s3pp.s3.endpoint import Endpoint, Opened
from s3pp.s3.exchange import Request, Response
from s3pp.s3.limiter import RequestLimiter
from s3pp.s3.recovery import Recovery
from s3pp.s3.retry import Backoff
from s3pp.s3.sigv4 import Signer

BODY = b"x" * 4096
WARM, TRIES = 3, 12
TASKS = WARM + 2 * TRIES
ETAG = md5(BODY).hexdigest()
DEST = Dest(4096, ETAG)  # of what is there already
KEYS = Keys("AKID", "secret")
ENDPOINT = Endpoint("http", "localhost", "/bucket", "us-east-1", "bucket")


XML = f"<CopyObjectResult><ETag>{ETAG}</ETag></CopyObjectResult>".encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n"
ANSWERS = {
    "put": HEAD % 0 + b'ETag: "%b"\r\n\r\n' % ETAG.encode(),
    "get": HEAD % 4096 + b'ETag: "%b"\r\n\r\n%b' % (ETAG.encode(), BODY),
    "copy": HEAD % len(XML) + b"\r\n%b" % XML,
}


async def answer(got: Got) -> bytes:
    """What a store says to a PUT, a CopyObject and a GET."""
    if got.line.startswith("GET"):
        return ANSWERS["get"]
    if got.header("x-amz-copy-source"):
        return ANSWERS["copy"]
    assert b64decode(got.header("content-md5") or "") == md5(got.body).digest()
    return ANSWERS["put"]


def job_and_tasks(verb: str, root: Path) -> tuple[Job, list[Task]]:
    """A job of the verb, and ``TASKS`` of one small object each."""
    dest, origin, mode = Place("bucket"), Origin("bucket"), Mode.UPDATE
    if verb == "get":
        job = Job("get", origins=(origin,), directory=str(root), mode=mode)
        return job, [
            GetTask(f"k{n}", f"k{n}", 4096, ETAG, "2026-01-02T03:04:05Z") for n in range(TASKS)
        ]
    if verb == "copy":
        job = Job("copy", origins=(origin,), dest=dest, mode=mode)
        return job, [CopyTask(f"k{n}", f"to/k{n}", 4096, ETAG, "", None) for n in range(TASKS)]
    paths = [root / f"f{n}.txt" for n in range(TASKS)]
    for path in paths:
        path.write_bytes(BODY)
    entries = [Entry(path.name, str(path), 4096, os.stat(path).st_mtime_ns) for path in paths]
    tasks: list[Task] = [PutTask(each, None) for each in entries]
    return Job("put", (Source(str(root)),), dest, mode=mode), tasks


class Bounds(NamedTuple):
    """Of what a small object takes."""

    calls: int
    blocks: int
    peak: int  # bytes held at once, over a wire that holds none


BOUNDS = {
    "put": Bounds(28, 272, 10_000),
    "get": Bounds(35, 256, 5_000),
    "copy": Bounds(37, 271, 7_000),
}


@pytest.mark.parametrize("verb", BOUNDS)
def test_a_small_object_takes_few_calls_and_blocks(tmp_path: Path, verb: str) -> None:
    async def main() -> None:
        job, tasks = job_and_tasks(verb, tmp_path)
        async with loopback(answer) as store:
            endpoint = ENDPOINT._replace(host=store.url.removeprefix("http://"))
            opened = Opened(endpoint, KEYS, None, listable=True)
            hooks = RetryHooks(limiter=limiter())
            bucket = connect(job.access, opened, 8, renew=no_keys, hooks=hooks)
            buckets = dict.fromkeys((Side.SOURCE, Side.DEST), bucket)
            transfer = await warm(job, buckets, tasks)
            calls, blocks = [], []
            for _ in range(TRIES):
                with counted() as called:
                    await transfer(tasks.pop())
                with Blocks() as allocated:
                    await transfer(tasks.pop())
                calls.append(called)
                blocks.append(allocated)
        # A timer may go off during one of them, so the least counts.
        fewest, least = min(calls, key=len), min(blocks, key=lambda each: each.total)
        assert len(fewest) <= BOUNDS[verb].calls * ROOM, fewest
        assert least.total <= BOUNDS[verb].blocks * ROOM, f"{least.total} blocks\n{least.most(30)}"

    asyncio.run(main())


@pytest.mark.parametrize("verb", BOUNDS)
def test_a_small_object_takes_little_memory_at_once(tmp_path: Path, verb: str) -> None:
    async def main() -> None:
        job, tasks = job_and_tasks(verb, tmp_path)
        transfer = await warm(job, instant_buckets(verb), tasks)
        with Peak() as held:
            await transfer(tasks.pop())
        assert held.bytes <= BOUNDS[verb].peak * ROOM

    asyncio.run(main())


@pytest.mark.parametrize(("verb", "most_calls", "most_blocks"), [("put", 4, 58), ("get", 9, 72)])
def test_an_object_that_is_there_takes_less(
    tmp_path: Path, verb: str, most_calls: int, most_blocks: int
) -> None:
    async def main() -> None:
        job, tasks = job_and_tasks(verb, tmp_path)
        role = roles.role(job, instant_buckets(verb), roles.worker_resources(Mock()))
        for task in tasks if verb == "get" else ():
            await role.transfer(task)
        there = [task._replace(dest=DEST) if isinstance(task, PutTask) else task for task in tasks]
        assert role.skip_unchanged is not None
        for task in there[:WARM]:
            assert isinstance(role.skip_unchanged(task), Skipped)
        with counted() as calls:
            role.skip_unchanged(there.pop())
        blocks = []
        for task in there[WARM:]:
            with Blocks() as allocated:
                role.skip_unchanged(task)
            blocks.append(allocated)
        least = min(blocks, key=lambda each: each.total)
        assert len(calls) <= most_calls * ROOM, calls
        assert least.total <= most_blocks * ROOM, f"{least.total} blocks\n{least.most(30)}"

    asyncio.run(main())


async def warm(
    job: Job, buckets: dict[Side, Bucket], tasks: list[Task]
) -> Callable[[Task], Awaitable[None]]:
    """Transfer some tasks, so that all is cached that is found out once; returns what does it."""
    role = roles.role(job, buckets, roles.worker_resources(Mock()))

    async def transfer(task: Task) -> None:
        outcome = await role.transfer(task)
        assert isinstance(outcome, Done), outcome

    for _ in range(WARM):
        await transfer(tasks.pop())
    return transfer


def instant_buckets(verb: str) -> dict[Side, Bucket]:
    """Buckets over a wire that answers at once."""
    recovery = Recovery(Backoff(1, 1.0), no_keys, limiter=limiter())
    bucket = Bucket(ENDPOINT, Signer(KEYS, "us-east-1"), Instant(verb), recovery=recovery)
    return dict.fromkeys((Side.SOURCE, Side.DEST), bucket)


class Instant:
    """A wire that answers at once."""

    def __init__(self, verb: str) -> None:
        head, _, body = ANSWERS[verb].partition(b"\r\n\r\n")
        self._response = Response(200, head + b"\r\n", body)

    async def send(self, request: Request) -> Response:
        """``Sender.send``."""
        return self._response


def limiter() -> RequestLimiter:
    """One that limits nothing yet."""
    return RequestLimiter(8, lambda _: None)


async def no_keys() -> None:
    """There are no others."""
