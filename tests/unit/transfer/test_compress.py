"""gzip that gives the same bytes for the same content, at any time and in any place."""

from __future__ import annotations

import gzip
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.transfer.put.compress import compressed, compressed_file

TEXT = b"the same words again and again, and then others; " * 40_000  # 2 MB
NOISE = os.urandom(300_000)


def through_file(body: bytes, piece: int = 1 << 20) -> bytes:
    pieces = (body[at : at + piece] for at in range(0, len(body), piece))
    with closing(compressed_file(pieces, "name")) as packed:
        content = b"".join(packed.pieces())
        assert len(content) == packed.size
        return content


FORMS = pytest.mark.parametrize("pack", [compressed, through_file], ids=["small", "large"])


@FORMS
@pytest.mark.parametrize("body", [b"", b"a", TEXT, NOISE], ids=["empty", "a", "text", "noise"])
def test_it_is_gzip_of_the_body(body: bytes, pack: Callable[[bytes], bytes]) -> None:
    assert gzip.decompress(pack(body)) == body


@given(st.binary(max_size=2000))
@settings(deadline=None)
def test_any_body_comes_out_again(body: bytes) -> None:
    assert gzip.decompress(compressed(body)) == body
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
    with closing(compressed_file(iter([TEXT]), "name")):
        assert list(room.iterdir()) == []


def test_a_source_that_breaks_leaves_nothing_open(room: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield TEXT
        raise OSError("broken")

    before = len(os.listdir("/dev/fd"))
    with pytest.raises(OSError, match="broken"):
        compressed_file(pieces(), "name")
    assert len(os.listdir("/dev/fd")) == before
    assert list(room.iterdir()) == []
