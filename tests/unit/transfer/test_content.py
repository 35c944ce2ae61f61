"""Content types and what is worth compressing."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.args.building import DEFAULT_GZIP_TYPES
from s3pp.transfer.put.content import (
    MAGIC_BYTES,
    ByName,
    by_content,
    by_name,
    compress,
    compress_to_file,
    looks_compressed,
    should_compress,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("index.html", "text/html"),
        ("INDEX.HTML", "text/html"),
        ("a/b.c/d.css", "text/css"),
        ("a.js", "text/javascript"),
        ("a.mjs", "text/javascript"),
        ("a.json", "application/json"),
        ("a.md", "text/markdown"),
        ("a.wasm", "application/wasm"),
        ("a.webp", "image/webp"),
        ("a.woff2", "font/woff2"),
        ("a.png", "image/png"),
        ("a.tar", "application/x-tar"),
        ("photo.tar:a/b.txt", "text/plain"),
        ("README", None),
        (".html", None),
        ("a.html/b", None),
        ("a.", None),
        ("a.no-such-suffix", None),
        ("", None),
    ],
)
def test_a_name_tells_the_type(name: str, kind: str | None) -> None:
    assert by_name(name) == ByName(kind, compressed=False)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.gz", "application/gzip"),
        ("a.js.gz", "application/gzip"),
        ("a.html.GZ", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.css.bz2", "application/x-bzip2"),
        ("a.txt.xz", "application/x-xz"),
        ("a.txt.zst", "application/zstd"),
        ("a.Z", "application/x-compress"),
    ],
)
def test_a_compressed_name_is_labelled_as_what_it_is(name: str, kind: str) -> None:
    assert by_name(name) == ByName(kind, compressed=True)


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"#!/bin/sh\necho hello\n", "text/x-shellscript"),
        (b"just some words, and more of them\n", "text/plain"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
        (PNG, "image/png"),
        (gzip.compress(b"x", mtime=0), "application/gzip"),
        (b"\x00\x01\x02\x03" * 8, "application/octet-stream"),
        (b"", None),
    ],
    ids=["script", "text", "pdf", "png", "gzip", "bytes", "empty"],
)
def test_content_tells_the_type(head: bytes, kind: str | None) -> None:
    assert by_content(head) == kind


@pytest.mark.parametrize(
    ("kind", "types", "wanted"),
    [
        ("text/html", {"text/html"}, True),
        ("text/html; charset=utf-8", {"text/html"}, True),
        ("Text/HTML", {"text/html"}, True),
        ("text/css", {"text/html"}, False),
        (None, {"text/html"}, False),
        (None, {"all"}, True),
        ("application/octet-stream", {"all"}, True),
        ("image/svg+xml", {"all"}, True),
        ("image/png", {"text/html"}, False),
        ("video/mp4", {"all"}, False),
        ("audio/ogg", {"all", "audio/ogg"}, False),
        ("image/webp", {"all"}, False),
        ("font/woff2", {"all"}, False),
        ("text/html", set(), False),
        (None, set(), False),
    ],
)
def test_which_types_are_compressed(kind: str | None, types: set[str], wanted: bool) -> None:
    assert should_compress(kind, frozenset(types)) is wanted


@pytest.mark.parametrize("name", ["a.html", "a.js", "a.css", "a.json", "a.svg", "a.txt", "a.csv"])
def test_the_default_types_are_those_names_give(name: str) -> None:
    assert should_compress(by_name(name).type, DEFAULT_GZIP_TYPES)


def zipped() -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a", "text")
    return packed.getvalue()


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(b"a", mtime=0), bz2.compress(b"a"), lzma.compress(b"a"), zipped(), PNG],
    ids=["gzip", "bzip2", "xz", "zip", "png"],
)
def test_compressed_content_is_known_by_its_first_bytes(packed: bytes) -> None:
    assert looks_compressed(packed)
    assert looks_compressed(packed[:MAGIC_BYTES])


@pytest.mark.parametrize("plain", [b"", b"<html>", b"\x1f", b"hello BZh", b"{}"])
def test_plain_content_is_not_taken_for_compressed(plain: bytes) -> None:
    assert not looks_compressed(plain)


TEXT = b"the same words again and again, and then others; " * 40_000  # 2 MB
NOISE = os.urandom(300_000)


def through_file(body: bytes, piece: int = 1 << 20) -> bytes:
    pieces = (body[at : at + piece] for at in range(0, len(body), piece))
    with closing(compress_to_file(pieces, "name")) as packed:
        content = b"".join(packed.pieces())
        assert len(content) == packed.size
        return content


FORMS = pytest.mark.parametrize("pack", [compress, through_file], ids=["small", "large"])


@FORMS
@pytest.mark.parametrize("body", [b"", b"a", TEXT, NOISE], ids=["empty", "a", "text", "noise"])
def test_it_is_gzip_of_the_body(body: bytes, pack: Callable[[bytes], bytes]) -> None:
    assert gzip.decompress(pack(body)) == body


@given(st.binary(max_size=2000))
@settings(deadline=None)
def test_any_body_comes_out_again(body: bytes) -> None:
    assert gzip.decompress(compress(body)) == body
    assert gzip.decompress(through_file(body, 100)) == body


@FORMS
def test_text_gets_smaller(pack: Callable[[bytes], bytes]) -> None:
    assert len(pack(TEXT)) < len(TEXT) / 20


@FORMS
def test_bytes_depend_on_the_content_alone(
    pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = pack(TEXT)
    monkeypatch.setattr(time, "time", lambda: 4_000_000_000.0)
    assert pack(TEXT) == first
    assert first[3:8] == bytes(5)  # no name, no comment, no time: RFC 1952, 2.3


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_no_temporary_file_is_left(room: Path) -> None:
    with closing(compress_to_file(iter([TEXT]), "name")):
        assert list(room.iterdir()) == []


def test_a_source_that_breaks_leaves_nothing_open(room: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield TEXT
        raise OSError("broken")

    before = len(os.listdir("/dev/fd"))
    with pytest.raises(OSError, match="broken"):
        compress_to_file(pieces(), "name")
    assert len(os.listdir("/dev/fd")) == before
    assert list(room.iterdir()) == []
