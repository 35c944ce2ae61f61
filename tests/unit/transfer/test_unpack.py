"""Unpacking: any gzip in any pieces, in bounded memory, and nothing that is no gzip."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import PIECE
from s3pp.localfs.temporary_file import FileAttributes
from s3pp.localfs.tree import Tree
from s3pp.s3.wire import Response
from s3pp.transfer.get import unpack
from s3pp.transfer.get.unpack import inflated, layers, unpacked

PACKED = gzip.compress(b"content", mtime=0)
MANNER = FileAttributes(10**18)


def test_what_gzip_is_not_all_of_is_refused_by_its_name() -> None:
    response = Response(200, [b"Content-Encoding: br, gzip\r\n"], PACKED)
    with pytest.raises(ObjectError, match=r"br, gzip, .*without --gunzip") as caught:
        layers(response)
    assert caught.value.kind is FailureKind.REJECTED


# Any gzip, in any pieces

CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda one, count: one * count, st.binary(min_size=1, max_size=3), st.integers(0, 900)
    ),
)


@st.composite
def members(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """What several members together hold, and how it is packed."""
    contents = draw(st.lists(CONTENTS, min_size=1, max_size=4))
    level = draw(st.sampled_from([0, 1, 9]))
    names = draw(st.booleans())
    return b"".join(contents), b"".join(_member(each, level, names) for each in contents)


def _member(content: bytes, level: int, named: bool) -> bytes:
    """A gzip member; ``named``: with optional header fields, as gzip(1) writes them."""
    plain = gzip.compress(content, level, mtime=0)
    return plain[:3] + b"\x08" + plain[4:10] + b"its name\0" + plain[10:] if named else plain


def cut(text: bytes, cuts: list[int]) -> list[bytes]:
    """``text`` in pieces; some may be empty."""
    places = sorted(each % (len(text) + 1) for each in cuts)
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@given(members(), CUTS)
@settings(deadline=None)
def test_any_pieces_of_any_members_unpack(packed: tuple[bytes, bytes], cuts: list[int]) -> None:
    content, text = packed
    assert b"".join(inflated(cut(text, cuts))) == content


@given(members(), CUTS, st.integers(1, 40))
@settings(deadline=None)
def test_no_piece_that_comes_out_is_large(
    packed: tuple[bytes, bytes], cuts: list[int], most: int
) -> None:
    content, text = packed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpack, "PIECE", most)
        found = list(inflated(cut(text, cuts)))
    assert b"".join(found) == content
    assert max(map(len, found), default=0) <= most


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 40 * PIECE])
@pytest.mark.parametrize("step", [7, 1 << 16, 1 << 30])
def test_a_little_that_holds_very_much_is_unpacked_by_and_by(size: int, step: int) -> None:
    text = gzip.compress(bytes(size), mtime=0)
    pieces = (text[at : at + step] for at in range(0, len(text), step))
    lengths = [len(piece) for piece in inflated(pieces)]
    assert sum(lengths) == size
    assert max(lengths) <= PIECE


def test_pieces_are_taken_as_they_are_needed() -> None:
    taken = []

    def pieces() -> Iterator[bytes]:
        for at in range(5):
            taken.append(at)
            yield gzip.compress(b"%d" % at)

    found = inflated(pieces())
    assert next(found) == b"0"
    assert taken == [0]


def test_nothing_at_all_unpacks_to_nothing() -> None:
    assert list(inflated([])) == []


@given(members(), st.integers(1, 2000), CUTS)
@settings(deadline=None)
def test_zeros_behind_are_padding(packed: tuple[bytes, bytes], zeros: int, cuts: list[int]) -> None:
    content, text = packed
    assert b"".join(inflated(cut(text + bytes(zeros), cuts))) == content


# What is no gzip


def refused(pieces: list[bytes]) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        list(inflated(pieces))
    assert caught.value.kind is FailureKind.REJECTED
    message = str(caught.value)
    assert "--gunzip" in message
    assert "\n" not in message
    return caught.value


@given(members(), CUTS, st.integers(1, 10_000))
@settings(deadline=None)
def test_what_ends_in_the_middle_is_refused(
    packed: tuple[bytes, bytes], cuts: list[int], short: int
) -> None:
    text = packed[1][: -(1 + short % len(packed[1]))]
    try:
        gzip.decompress(text)
    except (EOFError, zlib.error, OSError):
        assert "ends in the middle" in str(refused(cut(text, cuts)))
    else:  # cut between two members, where it is whole
        assert b"".join(inflated([text])) == gzip.decompress(text)


@given(st.binary(min_size=1, max_size=40), CUTS)
def test_other_bytes_are_refused(text: bytes, cuts: list[int]) -> None:
    assume(not text.startswith(b"\x1f\x8b"))
    refused(cut(text, cuts))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (PACKED + b"and more", "other bytes follow the gzip data"),
        (PACKED + b"\0\0and more", "other bytes follow the gzip data"),
        (PACKED + b"!", "other bytes follow the gzip data"),
        (PACKED[:10] + b"\xff" + PACKED[11:], "the gzip data is damaged"),
        (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "the gzip data is damaged"),  # its checksum
        (PACKED[:-4] + b"\0\0\0\1", "the gzip data is damaged"),  # its length
        (PACKED[:2] + b"\xff" + PACKED[3:], "the gzip data is damaged"),  # its method
        (zlib.compress(b"content"), "it is no gzip"),
        (b"!", "it is no gzip"),
    ],
)
def test_damage_is_refused_in_words(text: bytes, why: str) -> None:
    for pieces in ([text], [text[at : at + 1] for at in range(len(text))]):
        assert f", but {why}: get it without --gunzip" in str(refused(pieces))


# Into a file


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "top"


def test_a_file_gets_what_was_packed(top: Path) -> None:
    assert unpacked(Tree(str(top)), "d/f", [PACKED[:9], PACKED[9:]], MANNER)
    assert (top / "d/f").read_bytes() == b"content"
    assert (top / "d/f").stat().st_mtime_ns == 10**18
    assert os.listdir(top / "d") == ["f"]


def test_a_file_that_is_there_stays_where_it_must_be_new(top: Path) -> None:
    top.mkdir()
    (top / "f").write_bytes(b"theirs")
    assert not unpacked(Tree(str(top)), "f", [PACKED], MANNER._replace(fresh=True))
    assert unpacked(Tree(str(top)), "g", [PACKED], MANNER._replace(fresh=True))
    assert {path.name: path.read_bytes() for path in top.iterdir()} == {
        "f": b"theirs",
        "g": b"content",
    }


@pytest.mark.parametrize("text", [PACKED[:-1], b"no gzip", PACKED + b"!"])
def test_what_cannot_be_unpacked_leaves_everything_as_it_was(text: bytes, top: Path) -> None:
    top.mkdir()
    (top / "f").write_bytes(b"old")
    with pytest.raises(ObjectError):
        unpacked(Tree(str(top)), "f", [text], MANNER)
    assert os.listdir(top) == ["f"]
    assert (top / "f").read_bytes() == b"old"
