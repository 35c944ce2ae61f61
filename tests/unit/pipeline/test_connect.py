"""A child's own way to a bucket: made in the child, on its loop, and never before."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from s3pp.access import Access, Keys
from s3pp.job import Job
from s3pp.pipeline.child import Child, start_context
from s3pp.pipeline.connect import DistantBucket, LoopThread, Renewal, RetryHooks, connect
from s3pp.pipeline.messages import Heartbeat, KeysExpired, Message, Setup
from s3pp.pipeline.worker import run_worker
from s3pp.places import Place, Side, Source
from s3pp.s3.congestion import Feedback
from s3pp.s3.endpoint import Endpoint, Opened
from s3pp.s3.exchange import Response

HOOKS = RetryHooks(notify=pytest.fail)
ENDPOINT = Endpoint("http", "127.0.0.1:9", "/bucket", "us-east-1", "bucket")
OPENED = Opened(ENDPOINT, Keys("AKID", "secret"), None, True)
JOB = Job("put", (Source("/src"),), Place("bucket"))


class Outbox:
    def __init__(self) -> None:
        self.kinds: list[type[Message]] = []
        self.sides: list[Side] = []

    def send(self, sent: KeysExpired) -> None:
        self.kinds.append(type(sent))
        self.sides.append(sent.side)


# Keys


def test_all_who_meet_expired_keys_ask_once_and_get_one_answer() -> None:
    outbox, keys = Outbox(), Keys("AKIDNEW", "new")

    async def main() -> None:
        renewal = Renewal(outbox, Side.DEST)  # type: ignore[arg-type]
        asking = [asyncio.ensure_future(renewal()) for _ in range(5)]
        await asyncio.sleep(0)
        assert outbox.kinds == [KeysExpired]
        renewal.reply(keys)
        assert await asyncio.gather(*asking) == [keys] * 5
        again = asyncio.ensure_future(renewal())
        await asyncio.sleep(0)
        assert outbox.kinds == [KeysExpired] * 2
        assert outbox.sides == [Side.DEST] * 2
        renewal.reply(None)
        assert await again is None

    asyncio.run(asyncio.wait_for(main(), 10))


def test_keys_that_nobody_asked_for_answer_nobody() -> None:
    async def main() -> None:
        outbox = Outbox()
        renewal = Renewal(outbox, Side.DEST)  # type: ignore[arg-type]
        renewal.reply(Keys("a", "b"))
        asking = asyncio.ensure_future(renewal())
        await asyncio.sleep(0)
        assert not asking.done()
        assert outbox.kinds == [KeysExpired]
        renewal.reply(None)
        await asking

    asyncio.run(asyncio.wait_for(main(), 10))


def test_one_who_gives_up_asking_takes_nobody_along() -> None:
    async def main() -> None:
        renewal = Renewal(Outbox(), Side.DEST)  # type: ignore[arg-type]
        first, second = (asyncio.ensure_future(renewal()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        renewal.reply(None)
        assert await second is None

    asyncio.run(asyncio.wait_for(main(), 10))


# The wire, which never crosses a fork


async def never() -> None:
    raise AssertionError("nobody asks here")


def test_a_bucket_is_connected_on_a_running_loop_only() -> None:
    with pytest.raises(RuntimeError):
        connect(Access(), OPENED, 1, renew=never)


def test_the_access_says_how_the_bucket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Wire:
        def __init__(self, settings: Any) -> None:
            made.append(settings)

    monkeypatch.setattr("s3pp.pipeline.connect.Wire", Wire)
    access = Access(connect_timeout=3.0, read_timeout=4.0, verify_ssl=False, request_payer=True)
    bucket = connect(access, OPENED._replace(ca_bundle="/ca"), 7, renew=never)
    (settings,) = made
    assert (settings.connections, settings.connect_timeout, settings.read_timeout) == (7, 3.0, 4.0)
    assert (settings.ca_bundle, settings.verify) == ("/ca", False)
    assert bucket.endpoint is ENDPOINT
    assert bucket.signer.keys == OPENED.keys


@pytest.mark.parametrize("payer", [True, False])
def test_the_requester_pays_where_that_is_asked_for(
    payer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wire:
        def __init__(self, _settings: Any) -> None: ...

        async def send(self, request: Any) -> Response:
            paying = [
                line
                for line in request.head.splitlines()
                if line.startswith("x-amz-request-payer:")
            ]
            assert bool(paying) == payer
            return Response(200, b"", b"page")

    monkeypatch.setattr("s3pp.pipeline.connect.Wire", Wire)
    bucket = connect(Access(request_payer=payer), OPENED, 1, renew=never)
    assert asyncio.run(bucket.list_page({})) == b"page"


def test_a_bucket_in_a_thread_is_connected_when_it_is_first_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    class Wire:
        def __init__(self, settings: Any) -> None:
            loops.append(asyncio.get_running_loop())

        async def send(self, request: Any) -> Any:
            assert asyncio.get_running_loop() is loops[0]
            return Response(200, b"", b"page")

    monkeypatch.setattr("s3pp.pipeline.connect.Wire", Wire)
    renewal = Renewal(Outbox(), Side.DEST)  # type: ignore[arg-type]
    thread = LoopThread(pytest.fail)
    bucket = DistantBucket(
        thread, Access(), OPENED, renewal=renewal, hooks=RetryHooks(notify=pytest.fail)
    )
    bucket.take_keys(Keys("AKIDEARLY", "early"))
    assert loops == []
    assert bucket.requests == 0
    for _ in range(2):
        assert bucket.run(bucket.list_page({})).result(10) == b"page"
    assert len(loops) == 1
    assert bucket.requests == 2


@pytest.fixture
def signers(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """For each wire that is made, who signed the requests it was given."""
    made: list[list[str]] = []

    class Wire:
        def __init__(self, _settings: Any) -> None:
            self.signers: list[str] = []
            made.append(self.signers)

        async def send(self, request: Any) -> Response:
            (line,) = [
                line
                for line in request.head.splitlines()
                if line.lower().startswith("authorization:")
            ]
            self.signers.append(line.partition("Credential=")[2].partition("/")[0])
            return Response(200, b"".join([b"HTTP/1.1 200 OK\r\n", b'ETag: "e"\r\n']), b"")

    monkeypatch.setattr("s3pp.pipeline.connect.Wire", Wire)
    return made


def distant(thread: LoopThread, side: Side = Side.SOURCE) -> DistantBucket:
    renewal = Renewal(Outbox(), side)  # type: ignore[arg-type]
    return DistantBucket(
        thread, Access(), OPENED, renewal=renewal, hooks=RetryHooks(notify=pytest.fail)
    )


def test_keys_that_come_before_the_first_request_are_used_for_it(signers: list[list[str]]) -> None:
    bucket = distant(LoopThread(pytest.fail))
    bucket.take_keys(Keys("AKIDEARLY", "early"))
    bucket.run(bucket.list_page({})).result(10)
    assert signers == [["AKIDEARLY"]]


def test_keys_that_come_later_are_used_from_then_on(signers: list[list[str]]) -> None:
    bucket = distant(LoopThread(pytest.fail))
    bucket.run(bucket.list_page({})).result(10)
    bucket.take_keys(None)  # there are none
    bucket.run(bucket.list_page({})).result(10)
    bucket.take_keys(Keys("AKIDLATE", "late"))
    answer = bucket.run(bucket.look("key")).result(10)
    assert answer is not None
    assert answer.etag == "e"
    # The HEAD is sent twice, as its first answer tells no size.
    assert signers == [["AKID", "AKID", "AKIDLATE", "AKIDLATE"]]
    assert bucket.requests == 4


def test_buckets_may_share_a_thread(signers: list[list[str]]) -> None:
    thread = LoopThread(pytest.fail)
    source, dest = distant(thread, Side.SOURCE), distant(thread, Side.DEST)
    for each in (source, dest, dest):
        each.run(each.list_page({})).result(10)
    assert (source.requests, dest.requests) == (1, 2)
    assert len(signers) == 2


IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
import pycurl
def refuse(*arguments):
    raise SystemExit("made while a module was imported")
pycurl.Curl = pycurl.CurlMulti = pycurl.AsyncCurlMulti = refuse
import s3pp.pipeline.supervisor
if "botocore" in sys.modules:
    raise SystemExit("botocore is imported before the children are started")
for module in pkgutil.walk_packages(s3pp.__path__, "s3pp."):
    if not module.name.startswith(("s3pp.__main__", "s3pp.sandbox")):
        importlib.import_module(module.name)
"""


def test_no_module_makes_a_client_while_it_is_imported() -> None:
    top = Path(__file__).parents[3]
    ended = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(top)},
        timeout=60,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="fork is not safe elsewhere")
def test_each_worker_makes_a_wire_of_its_own_after_the_fork(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wire:
        def __init__(self, settings: Any) -> None:
            (tmp_path / f"{os.getpid()}").write_bytes(b"")

    monkeypatch.setattr("s3pp.pipeline.connect.Wire", Wire)
    children: list[Child] = []
    try:
        for number in (1, 2):
            name, context = f"putter {number}", start_context("fork")
            child = Child(name, run_worker, context=context, arguments=())
            child.start(tuple(fd for each in children for fd in each.descriptors))
            children.append(child)
        assert list(tmp_path.iterdir()) == []
        for child in children:
            os.set_blocking(child.inbox.fd, True)
            child.outbox.send(Setup(JOB, {Side.DEST: OPENED}))
            first = [child.inbox.receive() for _ in range(2)]
            assert {type(each) for each in first} == {Heartbeat, Feedback}
        pids = {int(path.name) for path in tmp_path.iterdir()}
        assert pids == {child.process.pid for child in children}
        assert os.getpid() not in pids
    finally:
        for child in children:
            child.kill()
            child.close()
