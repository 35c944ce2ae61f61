"""Large bodies on their way into files, and the digest of files that are there."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from s3pp.body_options import DownloadOptions
from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.integrity.etag import etag_of_md5s
from s3pp.integrity.verifiers import ExpectedObject, find_fault
from s3pp.limits import PIECE
from s3pp.localfs.temporary_file import FileAttributes
from s3pp.localfs.tree import Tree
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.exchange import Response
from s3pp.transfer.get import unpacking
from s3pp.transfer.get.file_download import FileSink
from s3pp.transfer.get.unpacking import (
    ALWAYS,
    MOST_LAYERS,
    Unpacking,
    inflate,
    layers,
    unpack_file,
)

from .buckets import answer, endpoint, etag_of

BODY = b"what was meant to come"


def expected(body: bytes = BODY) -> ExpectedObject:
    etag = etag_of(body)
    return ExpectedObject(Dest(len(body), etag), answer(etag, body=body), endpoint("bucket"))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(str(tmp_path))


ATTEMPT = st.lists(st.binary(max_size=30), max_size=5)


@given(st.lists(ATTEMPT, min_size=1, max_size=4), st.booleans())
@settings(deadline=None)
def test_only_the_last_attempt_counts(attempts: list[list[bytes]], restarted: bool) -> None:
    """Each attempt begins anew; the first does so with or without being told."""
    body = b"".join(attempts[-1])
    with TemporaryDirectory() as directory:
        sink = FileSink(Tree(directory), "f", mode=None)
        for at, pieces in enumerate(attempts):
            if at or restarted:
                sink.restart()
            for piece in pieces:
                sink.write(piece)
        assert find_fault(sink.body(), expected(body)) is None
        assert b"".join(sink.pieces()) == body
        assert os.listdir(directory) != ["f"], "it has no name of its own yet"
        assert sink.finish(FileAttributes(10**18))
        sink.close()
        assert os.listdir(directory) == ["f"]
        assert (Path(directory) / "f").read_bytes() == body
        assert os.stat(f"{directory}/f").st_mtime_ns == 10**18


@given(st.binary(max_size=90), st.integers(1, 40), st.lists(st.binary(min_size=1), max_size=3))
@settings(deadline=None)
def test_of_an_object_in_parts_it_makes_their_etag(
    body: bytes, each: int, broken: list[bytes]
) -> None:
    """However the body is cut on its way, and whatever came of it before."""
    parts = [body[at : at + each] for at in range(0, len(body), each)] or [b""]
    with TemporaryDirectory() as directory:
        sink = FileSink(Tree(directory), "f", mode=None, part_size=each)
        for piece in broken:
            sink.write(piece)
        sink.restart()
        for at in range(0, len(body), 7):
            sink.write(body[at : at + 7])
        arrived = sink.body()
        assert arrived.size == len(body)
        assert arrived.etag == etag_of_md5s(hashlib.md5(part).digest() for part in parts)
        assert b"".join(arrived.pieces()) == body
        sink.close()


@pytest.mark.parametrize("came", [b"", BODY[:-1], BODY + b"!", BODY.upper()])
def test_another_body_is_found_out_and_leaves_nothing(came: bytes, tree: Tree) -> None:
    sink = FileSink(tree, "f", mode=None)
    sink.restart()
    sink.write(came)
    wrong = find_fault(sink.body(), expected())
    assert wrong is not None
    assert wrong.kind is FailureKind.INTEGRITY
    sink.close()
    assert os.listdir(tree.top) == []


def test_a_file_that_must_be_new_replaces_nothing(tree: Tree, tmp_path: Path) -> None:
    sink = FileSink(tree, "f", mode=None)
    sink.write(BODY)
    (tmp_path / "f").write_bytes(b"theirs")
    assert not sink.finish(FileAttributes(fresh=True))
    sink.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"f": b"theirs"}


def test_a_file_takes_the_permissions_of_the_one_it_replaces(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "f").chmod(0o640)
    sink = FileSink(tree, "f", mode=0o100640)
    sink.write(BODY)
    assert sink.finish(FileAttributes())
    sink.close()
    assert (tmp_path / "f").stat().st_mode == 0o100640


def test_closing_gives_up_what_is_not_finished(tree: Tree) -> None:
    sink = FileSink(tree, "d/f", mode=None)
    sink.write(BODY)
    sink.close()
    sink.close()
    assert os.listdir(f"{tree.top}/d") == []


def test_a_full_disk_ends_the_run(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = FileSink(tree, "f", mode=None)

    def full(fd: int, body: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(FatalError, match="No space left"):
            sink.write(BODY)
    sink.close()
    assert os.listdir(tree.top) == []


# Unpacking: any gzip in any pieces, in bounded memory, and nothing that is no gzip

PACKED = gzip.compress(b"content", mtime=0)
ATTRIBUTES = FileAttributes(10**18)


def test_what_gzip_is_not_all_of_is_refused_by_its_name() -> None:
    response = Response(200, b"".join([b"Content-Encoding: br, gzip\r\n"]), PACKED)
    with pytest.raises(ObjectError, match=r"br, gzip, .*without --gunzip") as caught:
        layers(Answer(response, 1))
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
    assert b"".join(inflate(cut(text, cuts))) == content


@given(members(), CUTS, st.integers(1, 40))
@settings(deadline=None)
def test_no_piece_that_comes_out_is_large(
    packed: tuple[bytes, bytes], cuts: list[int], most: int
) -> None:
    content, text = packed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unpacking, "PIECE", most)
        found = list(inflate(cut(text, cuts)))
    assert b"".join(found) == content
    assert max(map(len, found), default=0) <= most


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 40 * PIECE])
@pytest.mark.parametrize("step", [7, 1 << 16, 1 << 30])
def test_a_little_that_holds_very_much_is_unpacked_by_and_by(size: int, step: int) -> None:
    text = gzip.compress(bytes(size), mtime=0)
    pieces = (text[at : at + step] for at in range(0, len(text), step))
    lengths = [len(piece) for piece in inflate(pieces)]
    assert sum(lengths) == size
    assert max(lengths) <= PIECE


def test_pieces_are_taken_as_they_are_needed() -> None:
    taken = []

    def pieces() -> Iterator[bytes]:
        for at in range(5):
            taken.append(at)
            yield gzip.compress(b"%d" % at)

    found = inflate(pieces())
    assert next(found) == b"0"
    assert taken == [0]


def test_nothing_at_all_unpacks_to_nothing() -> None:
    assert list(inflate([])) == []


@given(members(), st.integers(1, 2000), CUTS)
@settings(deadline=None)
def test_zeros_behind_are_padding(packed: tuple[bytes, bytes], zeros: int, cuts: list[int]) -> None:
    content, text = packed
    assert b"".join(inflate(cut(text + bytes(zeros), cuts))) == content


# What is no gzip


def refused(pieces: list[bytes]) -> ObjectError:
    with pytest.raises(ObjectError) as caught:
        list(inflate(pieces))
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
        assert "is truncated" in str(refused(cut(text, cuts)))
    else:  # cut between two members, where it is whole
        assert b"".join(inflate([text])) == gzip.decompress(text)


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
        (zlib.compress(b"content"), "it is not gzip data"),
        (b"!", "it is not gzip data"),
    ],
)
def test_damage_is_refused_in_words(text: bytes, why: str) -> None:
    for pieces in ([text], [text[at : at + 1] for at in range(len(text))]):
        assert f", but {why}: get it without --gunzip" in str(refused(pieces))


def test_no_more_comes_of_a_body_than_is_allowed() -> None:
    """Nor of what comes in between, where it is packed several times."""
    zeros = bytes(3 * ALWAYS)
    for times, most, whole in ((1, 3 * ALWAYS, True), (1, 2 * ALWAYS, False), (3, ALWAYS, False)):
        packed = zeros
        for _ in range(times):
            packed = gzip.compress(packed)
        found: list[int] = []
        with nullcontext() if whole else pytest.raises(ObjectError) as caught:
            found.extend(map(len, Unpacking(times, most).unpack([packed])))
        assert sum(found) == len(zeros) if whole else sum(found) <= most
        if caught is not None:
            assert caught.value.kind is FailureKind.TOO_LARGE
            assert "raise --max-ratio, or get it without --gunzip" in str(caught.value)
    empty = gzip.compress(b"") * 100_000  # which is much, and nothing comes of it
    with pytest.raises(ObjectError, match="more than 1048576 bytes"):
        list(Unpacking(2, ALWAYS).unpack([gzip.compress(empty)]))


def test_the_ratio_is_of_the_stored_size_and_small_files_are_not_bound() -> None:
    options = DownloadOptions(gunzip=True, max_ratio=10)
    answer = coded("gzip, gzip")
    assert Unpacking.of(answer, ALWAYS, options) == (2, 10 * ALWAYS)
    assert Unpacking.of(answer, 5, options) == (2, ALWAYS)
    assert Unpacking.of(answer, 5, DownloadOptions()) is None
    assert Unpacking.of(coded("identity"), 5, options) is None
    with pytest.raises(ObjectError, match="but 9 times over, and at most 8 are undone: get it wi"):
        Unpacking.of(coded(", ".join(["gzip"] * (MOST_LAYERS + 1))), 5, options)


def coded(codings: str) -> Answer:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {codings}\r\n"
    return Answer(Response(200, head.encode(), b""), 1)


# Into a file

ONCE = Unpacking(1, ALWAYS)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "top"


def test_a_file_gets_what_was_packed(top: Path) -> None:
    assert unpack_file(Tree(str(top)), "d/f", [PACKED[:9], PACKED[9:]], ATTRIBUTES, unpacking=ONCE)
    assert (top / "d/f").read_bytes() == b"content"
    assert (top / "d/f").stat().st_mtime_ns == 10**18
    assert os.listdir(top / "d") == ["f"]


def test_a_file_that_is_there_stays_where_it_must_be_new(top: Path) -> None:
    top.mkdir()
    (top / "f").write_bytes(b"theirs")
    assert not unpack_file(
        Tree(str(top)), "f", [PACKED], ATTRIBUTES._replace(fresh=True), unpacking=ONCE
    )
    assert unpack_file(
        Tree(str(top)), "g", [PACKED], ATTRIBUTES._replace(fresh=True), unpacking=ONCE
    )
    assert {path.name: path.read_bytes() for path in top.iterdir()} == {
        "f": b"theirs",
        "g": b"content",
    }


@pytest.mark.parametrize("text", [PACKED[:-1], b"no gzip", PACKED + b"!"])
def test_what_cannot_be_unpacked_leaves_everything_as_it_was(text: bytes, top: Path) -> None:
    top.mkdir()
    (top / "f").write_bytes(b"old")
    with pytest.raises(ObjectError):
        unpack_file(Tree(str(top)), "f", [text], ATTRIBUTES, unpacking=ONCE)
    assert os.listdir(top) == ["f"]
    assert (top / "f").read_bytes() == b"old"
