"""Answers without end, and redirects: bounded in memory, ended, and followed nowhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from commands import Argument, Result, Run, Start, peak_memory, session_pids
from conftest import MakeRecorder, Recorder, Tree
from stores.relay import Answer, Request
from stores.store import Bucket, Store

pytestmark = pytest.mark.timeout(180)

EMPTY = (
    b"<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>"
)
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(EMPTY), EMPTY)
BLOCK = 1 << 16
# How an answer begins, and what follows for ever.
ENDLESS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"x-amz-meta-a: b\r\n"),
    "a header": (b"HTTP/1.1 200 OK\r\nx-amz-meta-a: ", b"b"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "an error": (b"HTTP/1.1 403 No\r\n\r\n<Error><Code>AccessDenied</Code><Message>", b"<a>"),
    "a page": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"4000\r\n" + b"<Contents><Key>a</Key></Contents>".ljust(0x4000) + b"\r\n",
    ),
    "a chunk's extension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x=y;"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: b\r\n"),
}
MOST_MEMORY = 400  # MiB of one process, of which Python and its modules take some 50


class HostileStore:
    """A server whose every answer but, if ``opens``, the first of a run has no end."""

    def __init__(self, kind: str, *, opens: bool) -> None:
        self._start, repeated = ENDLESS[kind]
        self._block = repeated * (BLOCK // len(repeated) + 1)
        self._opens = opens
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with closing(peer), suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                if not (piece := peer.recv(BLOCK)):
                    return
                head += piece
            if self._opens and b"max-keys=1&" in head:
                peer.sendall(PAGE)
                return
            peer.sendall(self._start)
            while True:
                peer.sendall(self._block)


@pytest.fixture
def hostile(moto: Store) -> Iterator[Callable[..., Store]]:
    stores: list[HostileStore] = []

    def begin(kind: str, *, opens: bool) -> Store:
        stores.append(HostileStore(kind, opens=opens))
        return Store("hostile", stores[-1].url, "key", "a-secret-key-of-nobody", False)

    yield begin
    for each in stores:
        each.close()


def measured(start: Start, *words: Argument, store: Store) -> tuple[Result, int]:
    """How a command ended, and the most memory that one of its processes had, in MiB."""
    running = start(*words, store=store, fresh=True)
    most = 0  # as /proc has it: ``ru_maxrss`` of a child begins with that of its parent
    while running.popen.poll() is None:
        most = max([most, *map(peak_memory, session_pids(running.pid))])
        time.sleep(0.02)
    assert most
    return running.wait(), most


QUICK = ["--max-attempts=2", "--read-timeout=60"]


# In the usual run only the first of each.
@pytest.mark.parametrize("kind", ["an error", *sorted(ENDLESS.keys() - {"an error"})])
def test_an_answer_without_end_is_given_up(
    hostile: Callable[..., Store], s3pp_start: Start, tree: Tree, kind: str
) -> None:
    put = ["put", "-P1", "--mode=stupid", tree({"a": b"1"})]
    words = ["list"] if "page" in kind or "header" in kind else put
    store = hostile(kind, opens=True)
    result, memory = measured(s3pp_start, *words, *QUICK, "s3://bucket", store=store)
    assert result.code in (1, 3)
    assert memory < MOST_MEMORY
    assert len(result.err) < 2000
    assert result.err.replace("\n", "").isprintable()


@pytest.mark.parametrize("kind", ["trailers", *sorted(ENDLESS.keys() - {"trailers"})])
def test_so_it_is_at_the_start(hostile: Callable[..., Store], s3pp_start: Start, kind: str) -> None:
    store = hostile(kind, opens=False)
    result, memory = measured(s3pp_start, "list", *QUICK, "s3://bucket", store=store)
    assert (result.code, result.out, result.err.count("\n")) == (3, "", 1)
    assert memory < MOST_MEMORY


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b0 "cccccccccc">'
    + b"".join(b'<!ENTITY b%d "%s">' % (n, b"&b%d;" % (n - 1) * 10) for n in range(1, 10))
    + b"]><ListBucketResult><Name>&b9;</Name><IsTruncated>false</IsTruncated></ListBucketResult>"
)


def test_entities_are_not_expanded(
    recorder: MakeRecorder, moto_bucket: Bucket, s3pp_start: Start
) -> None:
    for body in (BOMB, b"<a>" * 1_000_000, b"<a " + b" ".join(b"b%d=''" % n for n in range(99999))):

        def page(request: Request, body: bytes = body) -> Answer | None:
            return None if "max-keys=1&" in request.target else Answer(200, [], body)

        store = recorder(moto_bucket.store, intercept=page).store
        result, memory = measured(s3pp_start, "list", moto_bucket.url, store=store)
        assert (result.code, result.out) == (3, "")
        assert "the store's listing cannot be read: " in result.err
        assert memory < MOST_MEMORY


REDIRECT = {"PUT": 307, "POST": 308, "DELETE": 302}


def test_no_body_and_no_signature_follows_a_redirect(
    s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    elsewhere: Recorder = recorder(moto)

    def moved(request: Request) -> Answer | None:
        if request.method not in REDIRECT:
            return None
        place = f"{elsewhere.url}{request.target}"
        return Answer(REDIRECT[request.method], [("Location", place)])

    src = tree({"small": b"1", "large": bytes(12 << 20)})
    moto_bucket.put("there", b"1")
    store = recorder(moto, intercept=moved).store
    parts = ["--multipart-threshold=5MiB", "--part-size=5MiB"]
    result = s3pp("put", *parts, src, moto_bucket.url, store=store)
    assert (result.code, result.counts.failed) == (1, 2)
    assert s3pp("remove", "--all", moto_bucket.url, store=store).code == 1
    copied = s3pp("copy", f"{moto_bucket.url}/there", f"{moto_bucket.url}/copy", store=store)
    assert copied.code == 1
    assert moto_bucket.keys() == ["there"]
    assert elsewhere.requests == []
