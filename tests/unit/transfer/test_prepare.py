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

import pytest

from s3pp.errors import FailureKind, ObjectError
from s3pp.job import MAX_SINGLE_PUT, Objects
from s3pp.records import Entry
from s3pp.transfer.bodies import PIECE, SMALL, Changed
from s3pp.transfer.digests import Digester
from s3pp.transfer.put.prepare import Prepared, Preparer, held
from s3pp.transfer.reading import Budget, Reader

SMALL_TEXT = b"words " * 100
LARGE_TEXT = b"words " * (SMALL // 3)
GZIP = ("content-encoding", "gzip")


@pytest.fixture
def prepare(tmp_path: Path) -> Iterator[Callable[..., Prepared]]:
    """``prepare("name", b"content", objects)``: as a putter would."""
    pool = ThreadPoolExecutor(1)

    def make(name: str, content: bytes, objects: Objects | None = None) -> Prepared:
        path = tmp_path / name
        path.write_bytes(content)
        os.utime(path, ns=(1, 1))  # so that any change shows
        digester = Digester("md5", md5=True, signed=True)
        preparer = Preparer(
            objects or Objects(), digester, reader=Reader(pool), budget=Budget(SMALL)
        )
        prepared = asyncio.run(preparer.prepare(Entry("key", str(path), len(content), 1)))
        preparer.digests(prepared)
        return prepared

    yield make
    pool.shutdown()


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
        assert (GZIP in prepared.labels) == packed
        assert ("content-type", "text/plain") in prepared.labels


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
        assert list(prepared.labels) == labels


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
        assert GZIP not in prepared.labels


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


def test_more_than_one_put_carries_fails_unread_and_closed(
    prepare: Callable[..., Prepared], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"")
    os.truncate(tmp_path / "a", MAX_SINGLE_PUT + 1)  # sparse
    before = len(os.listdir("/dev/fd"))
    reader = Reader(ThreadPoolExecutor(1))
    digester = Digester("md5", md5=True, signed=False)
    preparer = Preparer(Objects(), digester, reader=reader, budget=Budget(SMALL))
    with pytest.raises(ObjectError) as caught:
        asyncio.run(preparer.prepare(Entry("key", str(tmp_path / "a"), 5, 1)))
    assert caught.value.kind is FailureKind.TOO_LARGE
    assert len(os.listdir("/dev/fd")) == before


def test_what_a_body_holds_of_the_budget() -> None:
    def of(size: int) -> int:
        return held(Entry("key", "path", size, 0))

    assert of(0) > 0
    assert of(SMALL) == SMALL
    assert of(SMALL + 1) == of(MAX_SINGLE_PUT) == PIECE
