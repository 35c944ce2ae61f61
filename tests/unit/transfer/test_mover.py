"""Which sources a move deletes: those that were verified, each once."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError, RunEnding
from s3pp.records import (
    CopyTask,
    Deleted,
    DeleteReason,
    DeleteTask,
    Done,
    Entry,
    Failed,
    Outcome,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
)
from s3pp.transfer.delete.deleter import UNVERIFIED, is_unverified
from s3pp.transfer.delete.files import SourceDeleter
from s3pp.transfer.delete.objects import ObjectDeleter
from s3pp.transfer.move.mover import Mover, proved, stands, unproved
from s3pp.transfer.move.proofs import PutProof
from s3pp.transfer.resources import Reader

from .delete_store import AWS, DeleteStore, etag

DONE = Done("a", "p/a", 5, 5, "etag", SendReason.NEW)
SAME = Skipped("a", "p/a", 5, SkipReason.SAME_ETAG)
FAILED = Failed("a", "p/a", FailureKind.ACCESS, "no")


class Role:
    def __init__(self, outcome: Outcome) -> None:
        self.notes: list[str] = []
        self.outcome = outcome

    async def transfer(self, task: Any) -> Outcome:
        return self.outcome

    async def part(self, part: Any) -> Any:
        raise AssertionError("no object is large here")


class Proof:
    """It finds what it was made with; exceptions are raised."""

    def __init__(self, found: Any = None) -> None:
        self.found = found

    def observe(self, task: Any) -> str:
        return "before"

    async def prove(self, task: Any, outcome: Any, before: Any) -> DeleteTask:
        assert before == "before"
        if isinstance(self.found, Exception):
            raise self.found
        return proved(outcome, "etag")


def moved(outcome: Outcome, found: Any = None) -> list[DeleteTask]:
    mover = Mover(Role(outcome), Proof(found), dry_run=False)
    assert asyncio.run(mover.transfer("task")) is outcome
    taken = mover.take_deletions([outcome])
    assert mover.take_deletions([outcome]) == []
    return taken


@pytest.mark.parametrize("outcome", [DONE, SAME])
def test_what_stands_at_the_destination_is_deleted(outcome: Done | Skipped) -> None:
    assert moved(outcome) == [DeleteTask("a", 5, "etag", "", DeleteReason.MOVED)]


@pytest.mark.parametrize("reason", SkipReason)
def test_what_is_skipped_otherwise_is_not(reason: SkipReason) -> None:
    skipped = SAME._replace(reason=reason)
    same = reason in (SkipReason.SAME_ETAG, SkipReason.SAME_CHECKSUM, SkipReason.SAME_TIME)
    assert stands(skipped) == same
    assert bool(moved(skipped)) == same
    assert stands(Skipped("d/", "d/", 0, SkipReason.EXISTS)), "a directory"
    assert not stands(Skipped("d", "d", 0, SkipReason.EXISTS))


def test_what_failed_is_not() -> None:
    assert moved(FAILED) == []


def test_without_proof_the_source_stays_and_is_named() -> None:
    (task,) = moved(DONE, OSError("disk"))
    assert task == unproved(DONE)
    assert is_unverified(task)
    store = DeleteStore({"a": "content"}, host=AWS)
    ended: dict[str, Outcome] = {}
    asyncio.run(ObjectDeleter(store.bucket(), dry_run=False).delete([task], ended))
    outcome = ended["a"]
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.message) == (FailureKind.INTEGRITY, UNVERIFIED)
    assert (store.objects, store.sent) == ({"a": "content"}, [])


@pytest.mark.parametrize("error", [RunEnding(), FatalError("no room")])
def test_what_ends_the_run_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        moved(DONE, error)


def test_an_object_is_deleted_on_condition_of_what_was_verified() -> None:
    store = DeleteStore({"a": "content", "b": "another"}, host=AWS)
    tasks = [proved(DONE._replace(source=key), etag("content")) for key in ("a", "b")]
    ended: dict[str, Outcome] = {}
    asyncio.run(ObjectDeleter(store.bucket(), dry_run=False).delete(tasks, ended))
    assert list(store.objects) == ["b"]
    assert isinstance(ended["a"], Deleted)
    assert isinstance(ended["b"], Failed)


# Files


def put_task(path: Path) -> PutTask:
    return PutTask(Entry("k", str(path), 1, 0), None)


def prove(path: Path, before: Any) -> DeleteTask:
    task = put_task(path)
    return asyncio.run(PutProof().prove(task, DONE, before))


def delete(tasks: list[DeleteTask], *sources: Path) -> dict[str, Outcome]:
    ended: dict[str, Outcome] = {}
    with ThreadPoolExecutor(1) as threads:
        deleter = SourceDeleter([str(each) for each in sources], Reader(threads), dry_run=False)
        asyncio.run(deleter.delete(tasks, ended))
    return ended


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("content")
    return path


def test_files_of_several_sources(tmp_path: Path) -> None:
    paths = [make(tmp_path / name) for name in ("one/a", "one/d/b", "two/a", "single", "beside")]
    tasks = [prove(path, PutProof().observe(put_task(path))) for path in paths[:4]]
    ended = delete(tasks, tmp_path / "one", tmp_path / "two", tmp_path / "single")
    assert [each.target for each in ended.values() if isinstance(each, Deleted)] == [
        str(path) for path in paths[:4]
    ]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["beside", "one", "two"]


def test_a_file_that_changed_after_it_was_observed_stays(tmp_path: Path) -> None:
    changed, vanished = make(tmp_path / "changed"), tmp_path / "vanished"
    before = PutProof().observe(put_task(changed))
    os.utime(changed, (1, 1))
    tasks = [prove(changed, before), prove(vanished, PutProof().observe(put_task(vanished)))]
    make(vanished)  # by another program, after it was sent
    ended = delete(tasks, tmp_path)
    assert {type(each) for each in ended.values()} == {Failed}
    assert set(ended) == {str(changed), str(vanished)}
    assert len(list(tmp_path.iterdir())) == 2


def test_names_of_one_file_are_all_deleted(tmp_path: Path) -> None:
    """To delete one of them changes the ctime of the others."""
    first, second = make(tmp_path / "first"), tmp_path / "second"
    os.link(first, second)
    tasks = [prove(path, PutProof().observe(put_task(path))) for path in (first, second)]
    assert {type(each) for each in delete(tasks, tmp_path).values()} == {Deleted}
    assert list(tmp_path.iterdir()) == []


# Copies


def test_a_copy_with_the_etag_of_its_source_needs_no_request() -> None:
    from s3pp.job import Job
    from s3pp.transfer.move.proofs import CopyProof

    source = DeleteStore({"a": "content", "b": "content", "c": "content"})
    dest = DeleteStore({"a": "content", "b": "another", "c": "content"}, host=AWS)
    proof = CopyProof(Job("copy"), source.bucket(), dest.bucket())
    same = etag("content")

    def find(key: str, seen: str, got: str) -> DeleteTask:
        task = CopyTask(f"{key}", f"x/{key}", 7, seen, "", None)
        done = Done(key, f"x/{key}", 7, 7, got, SendReason.NEW)
        return asyncio.run(proof.prove(task, done, None))

    assert find("a", same, same).etag == same
    assert source.sent == dest.sent == []
    dest.objects = {f"x/{key}": content for key, content in dest.objects.items()}
    assert find("c", "listed", "of parts").etag == same, "by the ETags of both, as they are now"
    assert is_unverified(find("b", "listed", same))
    assert is_unverified(find("gone", "listed", "other"))
