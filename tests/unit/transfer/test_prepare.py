"""Bodies made ready: labels, compression, sizes and digests belong together."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from s3pp.attributes import Objects
from s3pp.body_options import Parts
from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.etag import etag_of_md5s
from s3pp.job import Job
from s3pp.limits import MAX_SINGLE_PUT, MIB, SMALL
from s3pp.places import Place, Source
from s3pp.records import Dest, Entry
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.multipart import Spans
from s3pp.transfer.bodies import Changed
from s3pp.transfer.put.prepare import Prepared, Preparer
from s3pp.transfer.resources import Reader

SMALL_TEXT = b"words " * 100
LARGE_TEXT = b"words " * (SMALL // 3)
GZIP = ("content-encoding", "gzip")


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Callable[..., Prepared]]:
    """``prepare("name", b"content", objects)``: as a putter would."""
    pool = ThreadPoolExecutor(1)

    def make(
        name: str, content: bytes, objects: Objects | None = None, there: Dest | None = None
    ) -> Prepared:
        path = tmp_path / name
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))  # so that any change shows
        preparer = preparer_of(objects or Objects(), Reader(pool))
        entry = Entry("key", str(path), len(content), 1)
        prepared = asyncio.run(preparer.prepare(entry, there))
        if not prepared.parts_etag:
            preparer.digest(prepared)
        return prepared

    yield make
    pool.shutdown()


def preparer_of(objects: Objects, reader: Reader, parts: Parts | None = None) -> Preparer:
    """A preparer of a store without TLS, where bodies are signed."""
    job = Job("put", (Source("/src"),), Place("bucket"), objects=objects, parts=parts or Parts())
    endpoint = Endpoint("http", "store.example", "/bucket", "us-east-1", "bucket")
    return Preparer(job, SimpleNamespace(endpoint=endpoint), reader)  # type: ignore[arg-type]


def body_of(prepared: Prepared) -> bytes:
    body = prepared.body
    return body if isinstance(body, bytes) else b"".join(body.pieces())


@pytest.mark.parametrize("content", [b"", SMALL_TEXT, LARGE_TEXT], ids=["empty", "small", "large"])
@pytest.mark.parametrize("types", [set(), {"text/plain"}], ids=["plain", "gzip"])
def test_all_that_is_said_of_a_body_is_true(
    content: bytes, types: set[str], prepare: Callable[..., Prepared]
) -> None:
    with closing(prepare("a.txt", content, Objects(gzip_types=frozenset(types)))) as prepared:
        body = body_of(prepared)
        assert prepared.size == len(content)
        assert prepared.sent == len(body)
        assert prepared.digests is not None
        assert prepared.digests.md5 == hashlib.md5(body).hexdigest()
        assert prepared.digests.payload_hash == hashlib.sha256(body).hexdigest()
        packed = bool(types) and bool(content)  # nothing is not worth a header of 20 bytes
        assert (gzip.decompress(body) if packed else body) == content
        assert (GZIP in prepared.headers) == packed
        assert ("content-type", "text/plain") in prepared.headers


@pytest.mark.parametrize("content", [SMALL_TEXT, LARGE_TEXT], ids=["small", "large"])
def test_the_same_content_is_prepared_to_the_same_bytes(
    content: bytes, prepare: Callable[..., Prepared]
) -> None:
    found = []
    for name in ("a.txt", "b.txt"):
        with closing(prepare(name, content, Objects(gzip_types=frozenset({"all"})))) as prepared:
            found.append(body_of(prepared))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("name", "content", "objects", "labels"),
    [
        ("a.html", b"<p>", Objects(), [("content-type", "text/html")]),
        ("README", b"text", Objects(), []),
        ("README", b"words and words\n", Objects("magic"), [("content-type", "text/plain")]),
        ("a.html", b"no html", Objects("magic"), [("content-type", "text/html")]),
        ("a.html", b"<p>", Objects("a/b"), [("content-type", "a/b")]),
        ("a", b"x", Objects(headers=(("Content-Type", "a/b"),)), [("content-type", "a/b")]),
        ("a.js.gz", b"\x1f\x8b", Objects(), [("content-type", "application/gzip")]),
    ],
)
@pytest.mark.parametrize("padding", [b"", b" " * SMALL], ids=["small", "large"])
def test_labels(
    name: str,
    content: bytes,
    objects: Objects,
    labels: list[tuple[str, str]],
    padding: bytes,
    prepare: Callable[..., Prepared],
) -> None:
    with closing(prepare(name, content + padding, objects)) as prepared:
        assert list(prepared.headers) == labels


ALL = Objects(gzip_types=frozenset({"all"}))


@pytest.mark.parametrize(
    ("name", "content", "objects"),
    [
        ("a.js.gz", SMALL_TEXT, ALL),
        ("a.js.gz", LARGE_TEXT, ALL),
        ("a", gzip.compress(SMALL_TEXT, mtime=0), ALL),
        ("a", gzip.compress(b"x", mtime=0) + bytes(SMALL), ALL),
        ("a.js.gz", SMALL_TEXT, Objects("text/plain", gzip_types=frozenset({"text/plain"}))),
        ("a.mp4", SMALL_TEXT, ALL),
        ("a.txt", SMALL_TEXT, Objects(gzip_types=frozenset({"text/html"}))),
    ],
)
def test_what_is_compressed_or_not_asked_for_is_sent_as_it_is(
    name: str, content: bytes, objects: Objects, prepare: Callable[..., Prepared]
) -> None:
    with closing(prepare(name, content, objects)) as prepared:
        assert body_of(prepared) == content
        assert GZIP not in prepared.headers


@pytest.mark.parametrize("objects", [Objects(), ALL], ids=["plain", "gzip"])
def test_a_large_source_that_changes_before_it_is_sent_shows(
    objects: Objects, prepare: Callable[..., Prepared], tmp_path: Path
) -> None:
    with closing(prepare("a.txt", LARGE_TEXT, objects)) as prepared:
        prepared.check()
        with open(tmp_path / "a.txt", "r+b") as stream:
            stream.write(b"other")
        with pytest.raises(Changed):
            prepared.check()


def test_closing_leaves_nothing_open(prepare: Callable[..., Prepared]) -> None:
    prepare("warm.txt", LARGE_TEXT, ALL).close()
    before = len(os.listdir("/dev/fd"))
    prepare("a.txt", LARGE_TEXT, ALL).close()
    prepare("a.txt", LARGE_TEXT).close()
    prepare("a.txt", SMALL_TEXT).close()
    assert len(os.listdir("/dev/fd")) == before


def test_more_than_an_object_holds_fails_unread_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3pp.s3.multipart.MAX_OBJECT", MAX_SINGLE_PUT)  # else few can hold it
    (tmp_path / "a").write_bytes(b"")
    os.truncate(tmp_path / "a", MAX_SINGLE_PUT + 1)  # sparse
    before = len(os.listdir("/dev/fd"))
    reader = Reader(ThreadPoolExecutor(1))
    preparer = preparer_of(Objects(), reader)
    with pytest.raises(ObjectError) as caught:
        asyncio.run(preparer.prepare(Entry("key", str(tmp_path / "a"), 5, 1)))
    assert caught.value.kind is FailureKind.TOO_LARGE
    assert len(os.listdir("/dev/fd")) == before


def in_parts(body: bytes, each: int) -> Dest:
    cut = [body[span.offset : span.offset + span.size] for span in Spans(len(body), each)]
    return Dest(len(body), etag_of_md5s(hashlib.md5(part).digest() for part in cut))


HUGE_TEXT = LARGE_TEXT * (9 * MIB // len(LARGE_TEXT))


@pytest.mark.parametrize(
    ("content", "each"),
    [(SMALL_TEXT, 5 * MIB), (b"", 5 * MIB), (LARGE_TEXT, 8 * MIB), (HUGE_TEXT, 5 * MIB)],
    ids=["small", "empty", "one part", "parts"],
)
def test_a_body_is_known_again_in_parts(
    content: bytes, each: int, prepare: Callable[..., Prepared]
) -> None:
    there = in_parts(content, each)
    with closing(prepare("a.bin", content, there=there)) as prepared:
        assert prepared.parts_etag == there.etag
    for body, dest in (
        (content + b"!", there),  # another size: not even read
        (content[:-1] + b"!", there),
        (content, Dest(len(content), hashlib.md5(content).hexdigest())),
        (content, Dest(len(content), "")),
        (content, None),
    ):
        with closing(prepare("a.bin", body, there=dest)) as prepared:
            assert prepared.parts_etag == ""
            assert prepared.digests is not None
            assert prepared.digests.md5 == hashlib.md5(body).hexdigest()


def test_the_runs_own_part_size_is_tried_first() -> None:
    reader = Reader(ThreadPoolExecutor(1))
    odd, there = 6 * MIB + 1, in_parts(HUGE_TEXT, 6 * MIB + 1)
    own = preparer_of(Objects(), reader, Parts(odd))
    assert own._likely(there)[0] == odd
    other = preparer_of(Objects(), reader)
    assert odd not in other._likely(there)


def test_a_compressed_body_is_known_again_as_it_was_sent(prepare: Callable[..., Prepared]) -> None:
    with closing(prepare("a.txt", HUGE_TEXT, ALL)) as prepared:
        sent = body_of(prepared)
    with closing(prepare("a.txt", HUGE_TEXT, ALL, there=in_parts(sent, len(sent)))) as prepared:
        assert prepared.parts_etag
    with closing(prepare("a.txt", HUGE_TEXT, ALL, there=in_parts(HUGE_TEXT, 5 * MIB))) as prepared:
        assert not prepared.parts_etag


def test_a_large_body_that_is_known_again_costs_no_digest(prepare: Callable[..., Prepared]) -> None:
    with closing(prepare("a.bin", HUGE_TEXT, there=in_parts(HUGE_TEXT, 5 * MIB))) as prepared:
        assert prepared.digests is None
