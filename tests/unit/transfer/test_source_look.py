"""What has come back to the source of a mirror is not deleted, whatever requests delete."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3pp.records import DeleteReason, DeleteTask, Outcome, Skipped, SkipReason
from s3pp.transfer.delete.objects import ObjectDeleter
from s3pp.transfer.delete.source_look import SourceLook, has_object
from s3pp.transfer.resources import Reader

from .delete_store import AWS, OTHER, DeleteStore, etag

KEYS = [f"p/{number}" for number in range(6)]


@pytest.mark.parametrize(
    ("name", "followed", "not_followed"),
    [
        ("file", True, True),
        ("directory", False, False),
        ("fifo", True, True),
        ("to file", True, True),
        ("to directory", False, True),
        ("to nothing", True, True),
        ("missing", False, False),
        ("file/below", False, False),
        ("n" * 300, False, False),
        ("no\0name", False, False),
    ],
)
def test_what_has_a_key_of_its_own(
    tmp_path: Path, name: str, followed: bool, not_followed: bool
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for target in ("file", "directory", "nothing"):
        (tmp_path / f"to {target}").symlink_to(target)
    path = os.path.join(tmp_path, name)
    assert (has_object(path, follow=True), has_object(path, follow=False)) == (
        followed,
        not_followed,
    )


@pytest.mark.parametrize(
    ("host", "features"),
    [
        (AWS, {}),
        (AWS, {"batches": False}),
        (OTHER, {}),
        (OTHER, {"batches": False}),
        (OTHER, {"conditions": "refused"}),
        (OTHER, {"conditions": "garbled"}),
        (OTHER, {"batches": False, "conditions": "garbled"}),
    ],
)
def test_no_request_deletes_what_is_back(
    tmp_path: Path, host: str, features: dict[str, object]
) -> None:
    (tmp_path / "3").touch()
    where = DeleteStore(dict.fromkeys(KEYS, "1"), host=host, **features)  # type: ignore[arg-type]
    tasks = [DeleteTask(key, 1, etag("1"), "", DeleteReason.NOT_IN_SOURCE) for key in KEYS]
    tasks[3:3] = [tasks.pop(0)._replace(reason=DeleteReason.EXCLUDED)]
    ended: dict[str, Outcome] = {}
    with ThreadPoolExecutor(1) as threads:
        look = SourceLook(str(tmp_path), Reader(threads), cut=2, follow=True)
        deleter = ObjectDeleter(where.bucket(), dry_run=False, source_look=look)
        asyncio.run(deleter.delete(tasks, ended))
    assert [*where.objects] == ["p/3"]
    back = ended.pop("p/3")
    assert isinstance(back, Skipped)
    assert (back.reason, back.deleting) == (SkipReason.IN_SOURCE, True)
    assert len(ended) == 5


def test_what_the_filters_exclude_is_in_the_source(tmp_path: Path) -> None:
    (tmp_path / "0").touch()
    where = DeleteStore({"p/0": "1"})
    task = DeleteTask("p/0", 1, etag("1"), "", DeleteReason.EXCLUDED)
    with ThreadPoolExecutor(1) as threads:
        look = SourceLook(str(tmp_path), Reader(threads), cut=2, follow=True)
        deleter = ObjectDeleter(where.bucket(), dry_run=False, source_look=look)
        asyncio.run(deleter.delete([task], {}))
    assert where.objects == {}


def test_what_is_below_a_directory_that_is_gone_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "1").touch()
    keys = [f"p/{directory}/{number}" for directory in ("gone", "here") for number in range(3)]
    tasks = [DeleteTask(key, 1, etag("1"), "", DeleteReason.NOT_IN_SOURCE) for key in keys]
    looked: list[str] = []
    lstat = os.lstat

    def noted(path: str) -> os.stat_result:
        looked.append(path)
        return lstat(path)

    monkeypatch.setattr(os, "lstat", noted)
    ended: dict[str, Outcome] = {}
    with ThreadPoolExecutor(1) as threads:
        look = SourceLook(str(tmp_path), Reader(threads), cut=2, follow=True)
        absent = asyncio.run(look.find_absent(tasks, ended))
    assert [each.target for each in absent] == [key for key in keys if key != "p/here/1"]
    assert [path.removeprefix(f"{tmp_path}/") for path in looked if str(tmp_path) in path] == [
        "gone",
        "here",
        "here/0",
        "here/1",
        "here/2",
    ]
