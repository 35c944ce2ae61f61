"""One exchange on a blocking connection: each framing of an answer, and what is none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.s3.blocking import exchange
from s3pp.s3.exchange import MOST_HELD, Fault, Request, Response, WireError, WireSettings

SETTINGS = WireSettings(connections=1, connect_timeout=5.0, read_timeout=5.0)
OK = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\n"


@contextmanager
def answered(pieces: list[bytes], got: list[bytes]) -> Iterator[str]:
    """A server's URL; it sends ``pieces`` in answer to one request, and closes."""

    def serve() -> None:
        with listener.accept()[0] as peer, suppress(OSError):
            received = b""
            while not received.endswith(b"\r\n\r\n"):
                received += peer.recv(4096)
            got.append(received)
            for piece in pieces:
                peer.sendall(piece)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


def ask(*pieces: bytes) -> Response:
    with answered([*pieces], []) as url:
        return exchange(Request("GET", f"{url}/b", ""), SETTINGS)


def test_the_request_is_sent_as_it_is_given() -> None:
    got: list[bytes] = []
    with answered([OK, b"Content-Length: 0\r\n\r\n"], got) as url:
        exchange(Request("GET", f"{url}/b?prefix=a%20b", "x-amz-date: now\r\n"), SETTINGS)
    first, *lines = got[0].decode().split("\r\n")
    assert first == "GET /b?prefix=a%20b HTTP/1.1"
    assert f"Host: {url.removeprefix('http://')}" in lines
    assert {"x-amz-date: now", "Connection: close"} <= {*lines}


BODIES = {
    "length": b"Content-Length: 5\r\n\r\nhello",
    "more than its length": b"Content-Length: 5\r\n\r\nhello, and more",
    "chunks": b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nEnd: 1\r\n\r\n",
    "until it is closed": b"\r\nhello",
}


@pytest.mark.parametrize("framed", BODIES)
@settings(deadline=None, max_examples=examples(15))
@given(cut=st.integers(1, 60))
def test_a_body_is_received_however_it_is_framed(framed: str, cut: int) -> None:
    raw = OK + BODIES[framed]
    answer = ask(raw[:cut], raw[cut:])
    assert (answer.status, answer.body) == (200, b"hello")


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"", Fault.PARTIAL),
        (b"SSH-2.0-OpenSSH\r\n\r\n", Fault.UNREADABLE),
        (OK, Fault.PARTIAL),
        (OK + b"Content-Length: 5\r\n\r\nhell", Fault.PARTIAL),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", Fault.PARTIAL),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nhello", Fault.PARTIAL),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nhello\r\n", Fault.UNREADABLE),
        (OK + b"Content-Length: %d\r\n\r\n" % (MOST_HELD + 1), Fault.OVERSIZED),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n7fffffff\r\nx", Fault.OVERSIZED),
        (OK + b"\r\n" + b"x" * (MOST_HELD + 1), Fault.OVERSIZED),
        (INTERIM * 1000, Fault.OVERSIZED),
    ],
)
def test_anything_else_is_an_error(raw: bytes, fault: Fault) -> None:
    with pytest.raises(WireError) as failed:
        ask(raw)
    assert failed.value.fault is fault


def test_a_body_may_hold_what_ends_no_head() -> None:
    body = b"<Error><StringToSign>GET\n/\n\nhost</StringToSign></Error>"
    assert ask(OK + b"Content-Length: %d\r\n\r\n" % len(body) + body).body == body


def test_interim_answers_are_skipped() -> None:
    answer = ask(INTERIM * 3 + OK[:5], OK[5:] + BODIES["length"])
    assert (answer.status, answer.body) == (200, b"hello")


def test_who_says_next_to_nothing_is_not_waited_for() -> None:
    """Each byte comes in time, and the answer never."""
    left = threading.Event()

    def drip() -> None:
        with listener.accept()[0] as peer, suppress(OSError):
            peer.sendall(OK)
            while not left.wait(0.1):
                peer.sendall(b"x")

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(WireError) as failed:
            exchange(Request("GET", url, ""), replace(SETTINGS, read_timeout=0.5))
        left.set()
        thread.join(10)
    assert failed.value.fault is Fault.SILENT


def test_who_says_nothing_is_not_waited_for() -> None:
    impatient = WireSettings(connections=1, connect_timeout=5.0, read_timeout=0.05)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(TimeoutError):
            exchange(Request("GET", url, ""), impatient)
