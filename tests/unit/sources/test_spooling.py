"""Members of compressed and sparse archives, copied out to be put."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.errors import FatalError
from s3pp.records import Dest, Entry, Failed, PutTask
from s3pp.sources import spooling
from s3pp.sources.spooling import Spooled, spool

from .trees import Packing, content, pack, walked

SIZES = {"d/b": 700, "a": 0, "c": 5000, "e": 3, "é": 2_500_000}


def packed(path: Path, sizes: dict[str, int], mode: Packing = "w:gz") -> Path:
    return pack(path, {n: name_bytes(n, size) for n, size in sizes.items()}, mode=mode)


def name_bytes(name: str, size: int) -> bytes:
    return (name.encode() * (size + 1))[:size]


def tasks(*archives: Path) -> list[PutTask]:
    entries = [r for r in walked(*archives, walk="tar") if isinstance(r, Entry)]
    assert all(entry.spool for entry in entries)
    return [PutTask(entry, Dest(1, "etag"), ask=True) for entry in entries]


def read(batches: list[Spooled | Failed]) -> dict[str, bytes]:
    """What the putters would send, by key."""
    found = {}
    for batch in batches:
        assert isinstance(batch, Spooled)
        for task in batch.tasks:
            assert task.entry.path == batch.path
            found[task.entry.key] = content(task.entry)
    return found


@pytest.fixture
def room(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_every_member_comes_out_whole(mode: Packing, tmp_path: Path, room: Path) -> None:
    path = packed(tmp_path / "a.tar", SIZES, mode)
    batches = list(spool(tasks(path), str(room)))
    assert read(batches) == {name: name_bytes(name, size) for name, size in SIZES.items()}


def test_all_but_the_place_of_a_task_is_kept(tmp_path: Path, room: Path) -> None:
    (before,) = tasks(packed(tmp_path / "a.tgz", {"a": 3}))
    (batch,) = spool([before], str(room))
    assert isinstance(batch, Spooled)
    entry = before.entry._replace(path=batch.path, offset=0, spool=False)
    assert batch.tasks == [before._replace(entry=entry)]


def test_only_what_is_wanted_is_copied(tmp_path: Path, room: Path) -> None:
    wanted = [t for t in tasks(packed(tmp_path / "a.tgz", SIZES)) if t.entry.key in ("c", "e")]
    batches = list(spool(wanted, str(room)))
    assert set(read(batches)) == {"c", "e"}
    assert sum(file.stat().st_size for file in room.iterdir()) == 5003


def test_several_archives(tmp_path: Path, room: Path) -> None:
    one = packed(tmp_path / "1.tgz", {"a": 1, "c": 3})
    two = packed(tmp_path / "2.tgz", {"b": 2, "d": 4})
    batches = list(spool(tasks(one, two), str(room)))
    assert len(batches) == 2
    assert read(batches) == {n: name_bytes(n, s) for n, s in zip("abcd", (1, 2, 3, 4), strict=True)}


@settings(max_examples=examples(30), deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=20))
def test_batches_are_bounded(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    base = tmp_path_factory.mktemp("bounded")
    path = packed(base / "a.tgz", {f"{n:02}": size for n, size in enumerate(sizes)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spooling, "BATCH_LENGTH", 4)
        batches = list(spool(tasks(path), str(base), 20))
    assert [len(content) for _, content in sorted(read(batches).items())] == sizes
    for batch in batches:
        assert isinstance(batch, Spooled)
        assert 1 <= len(batch.tasks) <= 4
        assert sum(t.entry.size for t in batch.tasks) <= 20 or len(batch.tasks) == 1
        assert os.path.getsize(batch.path) == sum(t.entry.size for t in batch.tasks)


def test_a_batch_is_copied_when_it_is_asked_for(tmp_path: Path, room: Path) -> None:
    batches = spool(tasks(packed(tmp_path / "a.tgz", dict.fromkeys("abcd", 10))), str(room), 10)
    assert list(room.iterdir()) == []
    next(batches)
    assert len(list(room.iterdir())) == 1
    next(batches)
    assert len(list(room.iterdir())) == 2


def test_spool_files_are_private(tmp_path: Path, room: Path) -> None:
    list(spool(tasks(packed(tmp_path / "a.tgz", {"a": 1})), str(room)))
    assert [file.stat().st_mode & 0o777 for file in room.iterdir()] == [0o600]


def test_nothing_wanted_opens_nothing(room: Path) -> None:
    assert list(spool([], str(room))) == []
    assert list(room.iterdir()) == []


# Sparse members


def sparse_tar(tmp_path: Path, *options: str) -> Path:
    file = tmp_path / "holes"
    with open(file, "wb") as stream:
        stream.write(b"begin")
        stream.seek(3_000_000)
        stream.write(b"end")
    (tmp_path / "plain").write_bytes(b"plain")
    path = tmp_path / "sparse.tar"
    command = ["tar", "-c", "-S", *options, "-f", str(path), "-C", str(tmp_path)]
    subprocess.run([*command, "holes", "plain"], check=True)
    with tarfile.open(path) as archive:
        if not archive.getmember("holes").issparse():
            pytest.skip("this file system keeps no holes")
    return path


@pytest.mark.parametrize(
    "options",
    [
        ["--format=gnu"],
        ["--format=posix", "--sparse-version=0.0"],
        ["--format=posix", "--sparse-version=0.1"],
        ["--format=posix", "--sparse-version=1.0"],
        ["--format=posix", "-z"],
    ],
)
def test_sparse_members_are_expanded(options: list[str], tmp_path: Path, room: Path) -> None:
    path = sparse_tar(tmp_path, *options)
    holes, plain = [r for r in walked(path, walk="tar") if isinstance(r, Entry)]
    assert (holes.key, holes.spool, holes.size) == ("holes", True, 3_000_003)
    assert plain.spool is ("-z" in options)
    batches = list(spool([PutTask(holes, None)], str(room)))
    assert read(batches) == {"holes": (tmp_path / "holes").read_bytes()}


# What goes wrong


def test_an_archive_that_changed_fails_what_is_no_longer_there(tmp_path: Path, room: Path) -> None:
    path = packed(tmp_path / "a.tgz", {"a": 10, "b": 600, "c": 30})
    wanted = tasks(path)
    packed(path, {"a": 10, "b": 1200, "c": 30})
    batch, *failures = spool(wanted, str(room))
    assert isinstance(batch, Spooled)
    assert [t.entry.key for t in batch.tasks] == ["a"]
    assert [(f.target, f.kind.value) for f in failures if isinstance(f, Failed)] == [
        ("b", "changed"),
        ("c", "changed"),
    ]
    assert failures[0].source == f"{path}:b"  # type: ignore[union-attr]


def test_an_archive_that_broke(tmp_path: Path, room: Path) -> None:
    path = tmp_path / "a.tgz"
    packed(path, {"a": 10, "b": 600_000, "c": 30}, "w")
    data = path.read_bytes()
    whole, cut = gzip.compress(data[:1024]), gzip.compress(data[1024:])
    path.write_bytes(whole + cut)
    wanted = tasks(path)
    path.write_bytes(whole + cut[: len(cut) // 2])
    batch, *failures = spool(wanted, str(room))
    assert isinstance(batch, Spooled)
    assert read([batch]) == {"a": name_bytes("a", 10)}
    assert [f.target for f in failures if isinstance(f, Failed)] == ["b", "c"]


def test_an_archive_that_vanished(tmp_path: Path, room: Path) -> None:
    path = packed(tmp_path / "a.tgz", {"a": 1, "b": 2})
    wanted = tasks(path)
    path.unlink()
    assert [type(r) for r in spool(wanted, str(room))] == [Failed, Failed]
    assert list(room.iterdir()) == []


def test_a_full_disk_ends_the_run_and_leaves_nothing(
    tmp_path: Path, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = tasks(packed(tmp_path / "a.tgz", {"a": 1}))
    fdopen = os.fdopen

    def full(*arguments: object) -> object:
        stream = fdopen(*arguments)  # type: ignore[call-overload]

        class Full:
            def write(self, _: bytes) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

            close = stream.close

        return Full()

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(FatalError, match="No space left"):
        list(spool(wanted, str(room)))
    assert list(room.iterdir()) == []


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    wanted = tasks(packed(tmp_path / "a.tgz", {"a": 1}))
    with pytest.raises(FatalError, match="gone"):
        list(spool(wanted, str(tmp_path / "gone")))


def test_an_abandoned_pass_leaves_only_what_was_handed_over(tmp_path: Path, room: Path) -> None:
    path = packed(tmp_path / "a.tgz", {str(n): 10 for n in range(10)})
    batches = spool(tasks(path), str(room), 30)
    batch = next(batches)
    assert isinstance(batch, Spooled)
    batches.close()  # type: ignore[attr-defined]
    assert [str(file) for file in room.iterdir()] == [batch.path]
