"""Endpoints that are no S3 store: a portal, a web application or another service on that port.

They answer every request with a page of their own, which is no listing and no object: with 200, or
as web servers do with 404, or with a redirect.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Request, error
from stores.store import Store
from trees import read_tree

PAGE = b"<html><body>log in</body></html>"
PAGES = {
    "with <title>": b"<!doctype html><title>x<meta charset=utf-8>",
    "with <html>": PAGE,
    "with <ListAllMyBucketsResult>": b"<?xml version='1.0'?><ListAllMyBucketsResult/>",
    "with 0 bytes that are not XML": b"",
    "with 11 bytes that are not XML": b'{"ok":true}',
}
QUICK = ["-P1", "-c4", "--max-attempts=2"]


def portal(page: bytes = PAGE) -> Callable[[Request], Answer]:
    return lambda request: Answer(200, [("Content-Type", "text/html")], page)


def refused_listing(request: Request) -> Answer:
    return error(403, "AccessDenied") if request.of_bucket else portal()(request)


@pytest.mark.parametrize("came", PAGES)
def test_a_page_is_no_listing(s3pp: Run, moto: Store, recorder: MakeRecorder, came: str) -> None:
    between = recorder(moto, intercept=portal(PAGES[came]))
    for source in ("s3://demo", "s3://demo/report.pdf"):
        result = s3pp("list", source, "--endpoint-url", between.url)
        assert (result.code, result.out) == (3, "")
        (line,) = result.err.splitlines()
        assert f"cannot list s3://demo at {between.url}: HTTP 200 {came} in place of" in line
        assert "no S3 store answers there: check --endpoint-url" in line


ELSEWHERE = ("Location", "https://user:secret@login.example/demo?next=1")
REFUSALS = {
    "HTTP 404 with <html>": Answer(404, [("Content-Type", "text/html")], PAGE),
    "HTTP 404 with 0 bytes that are not XML": Answer(404),
    "HTTP 301 with a redirect to https://login.example": Answer(301, [ELSEWHERE], PAGE),
    "HTTP 302 with a redirect to https://login.example": Answer(302, [ELSEWHERE]),
    "HTTP 307 with <html>": Answer(307, [("Location", "/demo/")], PAGE),
}


@pytest.mark.parametrize("came", REFUSALS)
def test_a_web_server_is_no_store_without_a_bucket(
    s3pp: Run, moto: Store, recorder: MakeRecorder, came: str
) -> None:
    between = recorder(moto, intercept=lambda _: REFUSALS[came])
    result = s3pp("list", "s3://demo", "--endpoint-url", between.url)
    assert (result.code, result.out) == (3, "")
    (line,) = result.err.splitlines()
    assert f"cannot list s3://demo at {between.url}: {came} in place of a listing" in line
    assert line.endswith("no S3 store answers there: check --endpoint-url")
    assert {request.of_bucket for request in between.requests} == {True}


def test_a_store_is_known_by_its_headers_or_its_error(
    s3pp: Run, moto: Store, recorder: MakeRecorder
) -> None:
    for answer, words in (
        (Answer(404, [("x-amz-request-id", "1")]), "bucket not found: s3://demo"),
        (error(404, "NoSuchBucket"), "bucket not found: s3://demo"),
        (error(301, "PermanentRedirect"), "give the bucket's --region or --endpoint-url"),
        (Answer(301, [("x-amz-bucket-region", "eu-west-7")]), "eu-west-7"),
    ):
        between = recorder(moto, intercept=lambda _, answer=answer: answer)
        result = s3pp("list", "s3://demo", "--endpoint-url", between.url, "--max-attempts=1")
        assert (result.code, words in result.err) == (2, True), result.err


def test_no_verb_takes_a_page_for_an_object(
    s3pp: Run,
    moto: Store,
    recorder: MakeRecorder,
    tmp_path: Path,
    tree: Tree,
) -> None:
    between, real = recorder(moto, intercept=portal()), moto.bucket()
    src, dest = tree({"a": b"hi"}), tmp_path / "dest"
    for words in (
        ["get", "s3://demo/report.pdf", dest],
        ["put", src, "s3://demo"],
        ["clean", "s3://demo"],
        ["copy", "--source-endpoint-url", between.url, "s3://demo/x", real.url],
    ):
        store = moto if words[0] == "copy" else between.store
        result = s3pp(*words, *QUICK[: 0 if words[0] == "clean" else 3], store=store)
        assert (result.code, result.out) == (3, ""), words
        assert result.err.count("no S3 store answers there") == 1
    assert between.puts == 0
    assert (read_tree(dest) if dest.exists() else {}, real.tree()) == ({}, {})


def test_pages_for_objects_where_listing_is_refused(
    s3pp: Run,
    moto: Store,
    recorder: MakeRecorder,
    tmp_path: Path,
    tree: Tree,
) -> None:
    between = recorder(moto, intercept=refused_listing)
    src, dest = tree({"a": b"hi"}), tmp_path / "dest"
    result = s3pp("get", *QUICK, "s3://demo/x", dest, store=between.store)
    assert (result.code, result.out) == (3, "")
    assert f"head s3://demo/x: no S3 store answers at {between.url}" in result.err
    for words, stdin in (
        (["get", "--files-from=-", "s3://demo", dest], b"a\n"),
        (["put", src, "s3://demo"], b""),
    ):
        result = s3pp(*words, "--json", *QUICK, store=between.store, stdin=stdin)
        failed = [event for event in result.events if event["event"] == "failed"]
        assert (result.code, [each["key"] for each in failed]) == (1, ["a"]), result.err
        assert f"no S3 store answers at {between.url}" in failed[0]["message"]
    assert not dest.exists() or read_tree(dest) == {}


def test_a_page_in_place_of_a_listed_object(
    s3pp: Run, moto: Store, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """As by a portal that begins to answer once the run has begun; even if the size fits."""
    bucket = moto.bucket()
    bucket.fill({"a": b"x" * len(PAGE), "b": b"y"})

    def page_for_a(request: Request) -> Answer | None:
        return portal()(request) if request.path.endswith("/a") else None

    between = recorder(moto, intercept=page_for_a)
    result = s3pp("get", *QUICK, bucket.url, tmp_path / "dest", store=between.store)
    assert result.code == 1
    assert f"no S3 store answers at {between.url}" in result.err
    assert read_tree(tmp_path / "dest") == {"b": b"y"}


@pytest.mark.parametrize("verb", ["put", "list"])
def test_an_answer_without_an_end_ends_the_run(s3pp: Run, tree: Tree, verb: str) -> None:
    """Of the first request, too; its memory is bounded."""

    def flood() -> None:
        with suppress(OSError):  # until the listener is closed
            while True:
                with listener.accept()[0] as peer, suppress(ConnectionError):
                    peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    while True:
                        peer.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=flood)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        sources = [tree({"f": b"x"})] if verb == "put" else []
        result = s3pp(verb, *sources, "s3://demo", "--endpoint-url", url)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert (result.code, result.out) == (3, "")
    (line,) = result.err.splitlines()
    assert "longer than 16777216 bytes" in line


@pytest.mark.parametrize("length", [b"-5", b"x", b"5\r\nContent-Length: 7"])
def test_an_answer_without_a_valid_length_is_not_waited_for(
    s3pp: Run, tree: Tree, length: bytes
) -> None:
    """The connection stays open, as if more were to come."""
    peers: list[socket.socket] = []

    def answer() -> None:
        with suppress(OSError):  # until the listener is closed
            while True:
                peers.append(listener.accept()[0])
                peers[-1].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nabc")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        result = s3pp("put", tree({"f": b"x"}), "s3://demo", "--endpoint-url", url)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert len(peers) == 3, result  # and botocore, which waits for a minute each time, is not used
    for peer in peers:
        peer.close()
    why = "the answer has no valid Content-Length: check --endpoint-url"
    assert (result.code, result.err) == (3, f"s3pp: no S3 store answers at {url}: {why}\n")


def test_a_server_of_tls_is_recognised_where_the_endpoint_is_http(s3pp: Run) -> None:
    """It closes a connection that begins with plain text."""

    def close() -> None:
        with suppress(OSError):  # until the listener is closed
            while True:
                with listener.accept()[0] as peer, suppress(ConnectionError):
                    peer.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=close)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        result = s3pp("list", "s3://demo", "--endpoint-url", url, "--max-attempts=1")
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
    assert (result.code, result.out) == (3, "")
    (line,) = result.err.splitlines()
    assert line.startswith(f"s3pp: --endpoint-url {url} cannot be reached: ")
    assert line.endswith(": https, or another port?")
