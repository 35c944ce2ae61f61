"""The deleter of files: only what was seen, never through links, and the directories it empties."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3pp.errors import FailureKind
from s3pp.localfs.tree import Tree
from s3pp.records import Deleted, DeleteReason, DeleteTask, Failed, Outcome, Skipped, SkipReason
from s3pp.transfer.delete.files import FileDeleter
from s3pp.transfer.resources import Reader


def write(top: Path, *names: str) -> list[DeleteTask]:
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")
    return [task(top, name) for name in names]


def task(top: Path, name: str) -> DeleteTask:
    found = os.stat(top / name)
    stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    reason = DeleteReason.NOT_IN_SOURCE
    return DeleteTask(name, found.st_size, "", "", reason, stamp, found.st_nlink)


def delete(top: Path, tasks: Sequence[DeleteTask], *, dry_run: bool = False) -> dict[str, Outcome]:
    ended: dict[str, Outcome] = {}
    with ThreadPoolExecutor(1) as threads:
        deleter = FileDeleter(Tree(str(top)), Reader(threads), dry_run=dry_run)
        asyncio.run(deleter.delete(tasks, ended))
    return ended


def names(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*")}


def test_files_and_the_directories_that_they_leave_empty(tmp_path: Path) -> None:
    tasks = write(tmp_path, "a", "b/c/d", "b/c/e", "f/g", "h/i/j")
    write(tmp_path, "f/kept")
    (tmp_path / "h/empty").mkdir()
    ended = delete(tmp_path, tasks)
    assert ended["a"] == Deleted("a", 7, DeleteReason.NOT_IN_SOURCE)
    assert {type(each) for each in ended.values()} == {Deleted}
    assert names(tmp_path) == {"f", "f/kept", "h", "h/empty"}
    assert tmp_path.is_dir()


def test_directory_itself_stays(tmp_path: Path) -> None:
    delete(tmp_path, write(tmp_path, "a", "b/c"))
    assert (names(tmp_path), tmp_path.is_dir()) == (set(), True)


def test_what_a_killed_worker_has_left_empty_goes_too(tmp_path: Path) -> None:
    """It had deleted the files, and its batch is given to another."""
    tasks = write(tmp_path, "b/c/d", "b/c/e", "f")
    (tmp_path / "b/c/d").unlink()
    (tmp_path / "b/c/e").unlink()
    ended = delete(tmp_path, tasks)
    assert [type(each) for each in ended.values()] == [Skipped, Skipped, Deleted]
    assert names(tmp_path) == set()


def test_the_names_of_one_file_are_deleted_by_several_workers(tmp_path: Path) -> None:
    """Each deletion changes the time of the others' state; what was written to stays."""
    write(tmp_path, "a", "w")
    for name, other in (("a", "b"), ("a", "c"), ("w", "x")):
        os.link(tmp_path / name, tmp_path / other)
    tasks = [task(tmp_path, name) for name in "abcwx"]
    assert [each.links for each in tasks] == [3, 3, 3, 2, 2]
    first = delete(tmp_path, [tasks[0], tasks[3]])
    (tmp_path / "x").write_text("CONTENT")
    rest = {**delete(tmp_path, [tasks[1]]), **delete(tmp_path, [tasks[2], tasks[4]])}
    assert {type(each) for each in [*first.values(), rest["b"], rest["c"]]} == {Deleted}
    assert isinstance(rest["x"], Failed)
    os.utime(tmp_path / "x", (1, 1))
    seen = task(tmp_path, "x")
    (tmp_path / "x").chmod(0o600)
    assert isinstance(delete(tmp_path, [seen])["x"], Failed), "it has one name"


def test_what_has_changed_stays(tmp_path: Path) -> None:
    tasks = write(tmp_path, "same-size", "written", "touched", "gone", "d/gone", "ok")
    (tmp_path / "same-size").write_text("CONTENT")
    (tmp_path / "written").write_text("more content")
    os.utime(tmp_path / "touched", (1, 1))
    (tmp_path / "gone").unlink()
    (tmp_path / "d/gone").unlink()
    (tmp_path / "d").rmdir()
    ended = delete(tmp_path, tasks)
    assert names(tmp_path) == {"same-size", "written", "touched"}
    for name in names(tmp_path):
        outcome = ended[name]
        assert isinstance(outcome, Failed)
        assert (outcome.kind, outcome.deleting) == (FailureKind.CHANGED, True)
    for name in ("gone", "d/gone"):
        assert ended[name] == Skipped(name, name, 7, SkipReason.GONE, deleting=True)


def test_what_took_the_place_of_a_file_stays(tmp_path: Path) -> None:
    tasks = write(tmp_path, "link", "directory", "fifo")
    for each in tasks:
        (tmp_path / each.target).unlink()
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.write_text("content")
    (tmp_path / "link").symlink_to(outside)
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    before = names(tmp_path)
    ended = delete(tmp_path, tasks)
    assert names(tmp_path) == before
    assert {e.kind for e in ended.values() if isinstance(e, Failed)} == {FailureKind.CONFLICT}
    assert len(ended) == 3
    assert outside.exists()


def test_a_directory_that_became_a_link_leads_nowhere(tmp_path: Path) -> None:
    top, outside = tmp_path / "top", tmp_path / "outside"
    (one,) = write(top, "d/a")
    (other,) = write(outside, "a")
    os.replace(top / "d/a", tmp_path / "aside")
    (top / "d").rmdir()
    (top / "d").symlink_to(outside)
    ended = delete(top, [one, one._replace(stamp=other.stamp)])
    outcome = ended["d/a"]
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CONFLICT
    assert (outside / "a").exists()
    assert (top / "d").is_symlink()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
def test_a_refusal_is_the_files(tmp_path: Path) -> None:
    tasks = write(tmp_path, "closed/a", "open/a")
    (tmp_path / "closed").chmod(0o500)
    ended = delete(tmp_path, tasks)
    (tmp_path / "closed").chmod(0o700)
    outcome = ended["closed/a"]
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.deleting) == (FailureKind.UNREADABLE, True)
    assert "'closed/a' cannot be deleted: Permission denied" in outcome.message
    assert names(tmp_path) == {"closed", "closed/a"}


def test_a_dry_run_touches_nothing(tmp_path: Path) -> None:
    tasks = write(tmp_path, "a", "b/c")
    assert {type(each) for each in delete(tmp_path, tasks, dry_run=True).values()} == {Deleted}
    assert names(tmp_path) == {"a", "b", "b/c"}
