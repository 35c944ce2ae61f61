"""The digest of a file, which an object is compared with; ``test_get`` has the whole comparison."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import PIECE
from s3pp.localfs.tree import Tree
from s3pp.transfer.get.existing_file import md5_of

BODY = b"what stands there"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(str(tmp_path))


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
