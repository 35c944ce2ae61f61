"""Large bodies on their way into files, and the digest of files that are there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.integrity.multipart_etag import compound_etag
from s3pp.integrity.received import Expected, fault
from s3pp.limits import PIECE
from s3pp.localfs.temporary_file import FileAttributes
from s3pp.localfs.tree import Tree
from s3pp.records import Dest
from s3pp.transfer.get.intake import Intake, md5_of

from .buckets import answer, endpoint, etag_of

BODY = b"what was meant to come"


def expected(body: bytes = BODY) -> Expected:
    etag = etag_of(body)
    return Expected(Dest(len(body), etag), answer(etag, body=body), endpoint("bucket"))


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
        intake = Intake(Tree(directory), "f", mode=None)
        for at, pieces in enumerate(attempts):
            if at or restarted:
                intake.restart()
            for piece in pieces:
                intake.write(piece)
        assert fault(intake.arrived(), expected(body)) is None
        assert b"".join(intake.pieces()) == body
        assert os.listdir(directory) != ["f"], "it has no name of its own yet"
        assert intake.finish(FileAttributes(10**18))
        intake.close()
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
        intake = Intake(Tree(directory), "f", mode=None, part_size=each)
        for piece in broken:
            intake.write(piece)
        intake.restart()
        for at in range(0, len(body), 7):
            intake.write(body[at : at + 7])
        arrived = intake.arrived()
        assert arrived.size == len(body)
        assert arrived.etag == compound_etag(hashlib.md5(part).digest() for part in parts)
        assert b"".join(arrived.pieces()) == body
        intake.close()


@pytest.mark.parametrize("came", [b"", BODY[:-1], BODY + b"!", BODY.upper()])
def test_another_body_is_found_out_and_leaves_nothing(came: bytes, tree: Tree) -> None:
    intake = Intake(tree, "f", mode=None)
    intake.restart()
    intake.write(came)
    wrong = fault(intake.arrived(), expected())
    assert wrong is not None
    assert wrong.kind is FailureKind.INTEGRITY
    intake.close()
    assert os.listdir(tree.top) == []


def test_a_file_that_must_be_new_replaces_nothing(tree: Tree, tmp_path: Path) -> None:
    intake = Intake(tree, "f", mode=None)
    intake.write(BODY)
    (tmp_path / "f").write_bytes(b"theirs")
    assert not intake.finish(FileAttributes(fresh=True))
    intake.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"f": b"theirs"}


def test_a_file_takes_the_permissions_of_the_one_it_replaces(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"old")
    (tmp_path / "f").chmod(0o640)
    intake = Intake(tree, "f", mode=0o100640)
    intake.write(BODY)
    assert intake.finish(FileAttributes())
    intake.close()
    assert (tmp_path / "f").stat().st_mode == 0o100640


def test_closing_gives_up_what_is_not_finished(tree: Tree) -> None:
    intake = Intake(tree, "d/f", mode=None)
    intake.write(BODY)
    intake.close()
    intake.close()
    assert os.listdir(f"{tree.top}/d") == []


def test_a_full_disk_ends_the_run(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = Intake(tree, "f", mode=None)

    def full(fd: int, body: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(FatalError, match="No space left"):
            intake.write(BODY)
    intake.close()
    assert os.listdir(tree.top) == []


# The digest of a file


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_file_is_digested_whole(size: int, tree: Tree, tmp_path: Path) -> None:
    body = b"x" * size
    (tmp_path / "f").write_bytes(body)
    assert md5_of(tree, "f") == hashlib.md5(body, usedforsecurity=False).hexdigest()


def test_what_is_no_file_has_no_digest(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to("d")
    os.mkfifo(tmp_path / "fifo")
    for name, kind in [
        ("d", FailureKind.CONFLICT),
        ("link", FailureKind.CONFLICT),
        ("fifo", FailureKind.CONFLICT),
        ("gone", FailureKind.NOT_FOUND),
        ("gone/f", FailureKind.NOT_FOUND),
    ]:
        with pytest.raises(ObjectError) as caught:
            md5_of(tree, name)
        assert caught.value.kind is kind, name


def test_a_file_that_breaks_while_it_is_read_is_unreadable(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_bytes(BODY)
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", lambda fd, count: (_ for _ in ()).throw(OSError(5, "broken")))
        with pytest.raises(ObjectError, match="broken") as caught:
            md5_of(tree, "f")
    assert caught.value.kind is FailureKind.UNREADABLE
    tree.close()
    assert len(os.listdir("/proc/self/fd")) <= before
