"""How many calls of the package's own a small object takes that meets no trouble.

An interpreter spends most of its time on calls: what every object passes is kept short.
"""

from __future__ import annotations

import asyncio
import os
import sys
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import Mock

import pytest
from s3.loopback import Got, loopback

import s3pp
from s3pp.access import Keys
from s3pp.job import Job, Mode
from s3pp.pipeline import roles
from s3pp.pipeline.connect import RetryHooks, connect
from s3pp.places import Origin, Place, Side, Source
from s3pp.records import CopyTask, Done, Entry, GetTask, PutTask, Task
from s3pp.s3.endpoint import Endpoint, Opened
from s3pp.s3.limiter import RequestLimiter

BODY = b"x" * 4096
TASKS = 5
ETAG = md5(BODY).hexdigest()
PACKAGE = str(Path(s3pp.__file__).parent)


@contextmanager
def counted() -> Iterator[list[str]]:
    """The functions that are called; a coroutine that goes on after a wait is not called again."""
    calls: list[str] = []
    seen: set[int] = set()
    held: list[FrameType] = []  # so that no other frame gets the id of one that has ended

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(PACKAGE) or id(frame) in seen:
            return
        seen.add(id(frame))
        held.append(frame)
        calls.append(f"{Path(code.co_filename).stem}.{code.co_name}")

    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(None)


async def answer(got: Got) -> bytes:
    """What a store says to a PUT, a CopyObject and a GET."""
    if got.line.startswith("GET"):
        return b'HTTP/1.1 200 OK\r\nETag: "%s"\r\nContent-Length: 4096\r\n\r\n%s' % (
            ETAG.encode(),
            BODY,
        )
    if got.header("x-amz-copy-source"):
        xml = f"<CopyObjectResult><ETag>{ETAG}</ETag></CopyObjectResult>".encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(xml), xml)
    assert b64decode(got.header("content-md5") or "") == md5(got.body).digest()
    return b'HTTP/1.1 200 OK\r\nETag: "%s"\r\nContent-Length: 0\r\n\r\n' % ETAG.encode()


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


@pytest.mark.parametrize(("verb", "most"), [("put", 29), ("get", 36), ("copy", 39)])
def test_a_small_object_takes_few_calls(tmp_path: Path, verb: str, most: int) -> None:
    async def main() -> None:
        job, (first, second, *others) = job_and_tasks(verb, tmp_path)
        async with loopback(answer) as store:
            host = store.url.removeprefix("http://")
            endpoint = Endpoint("http", host, "/bucket", "us-east-1", "bucket")
            opened = Opened(endpoint, Keys("AKID", "secret"), None, listable=True)
            hooks = RetryHooks(limiter=RequestLimiter(8, lambda _: None))
            bucket = connect(job.access, opened, 8, renew=no_keys, hooks=hooks)
            buckets = dict.fromkeys((Side.SOURCE, Side.DEST), bucket)
            role: Any = roles.role(job, buckets, roles.worker_resources(Mock()))
            for task in (first, second):  # what is found out once, and cached
                assert isinstance(await role.transfer(task), Done)
            measured = []
            for task in others:  # a timer of the limiter may go off during one of them
                with counted() as calls:
                    outcome = await role.transfer(task)
                assert isinstance(outcome, Done)
                measured.append(calls)
            fewest = min(measured, key=len)
            assert len(fewest) <= most, fewest

    asyncio.run(main())


async def no_keys() -> None:
    """There are no others."""
