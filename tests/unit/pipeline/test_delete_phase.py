"""Whether a mirror deletes: decided once, of numbers, and explained in one line."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from s3pp.deletion import Deletion, MaxDelete
from s3pp.errors import FatalError
from s3pp.job import Choosing, Job
from s3pp.pipeline.delete_phase import DeletePhase, NoDeletion, decide_deletion
from s3pp.pipeline.delete_spool import DeleteSpool
from s3pp.pipeline.messages import WalkDone
from s3pp.places import Place, Source
from s3pp.records import DeleteReason, DeleteTask

MIRROR = Deletion(extraneous=True)
JOB = Job("put", sources=(Source("src"),), dest=Place("bucket", "p"), deletion=MIRROR)
PLAN = WalkDone(deletes=3, held=10)


def job(**deletion: object) -> Job:
    return replace(JOB, deletion=replace(MIRROR, **deletion))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "planned", "failed", "why"),
    [
        (job(), PLAN, 0, None),
        (job(), PLAN, 1, NoDeletion.FAILED),
        (job(), PLAN._replace(fault="list"), 0, NoDeletion.UNKNOWN),
        (job(), PLAN._replace(fault="list", deletes=0), 0, NoDeletion.UNKNOWN),
        (job(), PLAN._replace(fault="list"), 2, NoDeletion.FAILED),
        (job(), PLAN._replace(empty=True), 0, NoDeletion.EMPTY),
        (job(from_empty=True), PLAN._replace(empty=True), 0, None),
        (job(from_empty=True), PLAN._replace(empty=True), 1, NoDeletion.FAILED),
        (job(most=MaxDelete(3)), PLAN, 0, None),
        (job(most=MaxDelete(2)), PLAN, 0, NoDeletion.TOO_MANY),
        (job(most=MaxDelete(30, share=True)), PLAN, 0, None),
        (job(most=MaxDelete(29, share=True)), PLAN, 0, NoDeletion.TOO_MANY),
        (
            job(most=MaxDelete(2), from_empty=True),
            PLAN._replace(empty=True),
            0,
            NoDeletion.TOO_MANY,
        ),
    ],
)
def test_what_is_against_it(
    made: Job, planned: WalkDone, failed: int, why: NoDeletion | None
) -> None:
    assert decide_deletion(made, planned, failed=failed, vanished=False) is why
    if why is None:
        gone = decide_deletion(made, planned, failed=0, vanished=True)
        assert gone is NoDeletion.VANISHED


def test_the_line_names_both_numbers() -> None:
    phase = DeletePhase(job(most=MaxDelete(10, share=True)))
    phase.plan(PLAN)
    assert phase.decide(0) is NoDeletion.TOO_MANY
    assert phase.refusal == f"nothing is deleted from s3://bucket/p: {phase.reason}"
    assert phase.reason == "3 of 10 objects would be, and --max-delete allows 10%"


FILTERED = Choosing(rules=(("include", "*.x"),))
EMPTY_SOURCE = PLAN._replace(empty=True)


@pytest.mark.parametrize(
    ("made", "planned", "why", "reason"),
    [
        (job(), EMPTY_SOURCE, NoDeletion.EMPTY, "src is empty; --delete-from-empty deletes all"),
        (
            replace(job(), choosing=FILTERED),
            EMPTY_SOURCE._replace(irregular=True),
            NoDeletion.UNSELECTED,
            "src has no file that the filters select: check them",
        ),
        (
            job(),
            EMPTY_SOURCE._replace(irregular=True),
            NoDeletion.IRREGULAR,
            "src has no regular file, only what is not sent",
        ),
    ],
)
@pytest.mark.parametrize("deletes", [0, 3])
def test_an_empty_source_is_refused_whatever_the_destination_holds(
    made: Job, planned: WalkDone, why: NoDeletion, reason: str, deletes: int
) -> None:
    phase = DeletePhase(made)
    assert phase.plan(planned._replace(deletes=deletes))
    assert phase.ask()
    assert phase.decide(0) is why
    assert phase.reason.startswith(reason)
    assert not phase.deleting


@pytest.mark.parametrize(
    ("made", "planned", "failed", "shown"),
    [
        (job(most=MaxDelete(2)), PLAN, 0, True),
        (job(), EMPTY_SOURCE, 0, True),
        (job(most=MaxDelete(2)), PLAN, 1, False),
        (job(), PLAN._replace(fault="list"), 0, False),
    ],
)
def test_a_dry_run_shows_what_is_known_of_what_is_refused(
    made: Job, planned: WalkDone, failed: int, shown: bool
) -> None:
    phase = DeletePhase(replace(made, dry_run=True))
    phase.plan(planned)
    assert phase.decide(failed) is not None
    assert (phase.deleting, phase.reason != "") == (shown, True)
    assert phase.end() == ""


def test_it_is_asked_once_and_decided_once(tmp_path: Path) -> None:
    phase = DeletePhase(replace(job(), sources=(Source(str(tmp_path)),)))
    assert not phase.ask()
    assert phase.plan(PLAN)
    assert phase.ask()
    assert not phase.ask()
    assert not phase.deleting
    assert phase.decide(0) is None
    assert (phase.deleting, phase.count) == (True, 3)
    assert not phase.plan(WalkDone()), "the walker has sent them"
    assert phase.end() == ""


@pytest.mark.parametrize("begun", [False, True])
def test_a_run_that_ends_early_says_so(begun: bool) -> None:
    phase = DeletePhase(job())
    if begun:
        phase.plan(PLAN)
    assert "the run did not come to its end" in phase.end()
    assert phase.end() == ""


def test_nothing_to_delete_needs_no_decision() -> None:
    phase = DeletePhase(job())
    assert not phase.plan(WalkDone(held=5))
    assert not DeletePhase(job(from_empty=True)).plan(WalkDone(empty=True))
    assert (phase.ask(), phase.end()) == (False, "")
    assert DeletePhase(Job("put", dest=Place("bucket"))).end() == ""


def test_another_directory_in_place_of_the_source(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    phase = DeletePhase(replace(job(), sources=(Source(str(source)),)))
    phase.plan(PLAN)
    source.rename(tmp_path / "was")
    source.mkdir()
    assert phase.decide(0) is NoDeletion.VANISHED
    assert not phase.deleting


# The spool


def task(number: int) -> DeleteTask:
    return DeleteTask(f"k{number:06d}", number, "etag", "", DeleteReason.NOT_IN_SOURCE)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 50])
def test_tasks_are_kept_in_order_in_batches(count: int) -> None:
    spool = DeleteSpool(7)
    tasks = [task(number) for number in range(count)]
    for each in tasks:
        spool.add(each)
    batches = list(spool.batches())
    assert [each for batch in batches for each in batch] == tasks
    assert all(len(batch) == 7 for batch in batches[:-1])
    assert spool.count == count


def test_few_tasks_touch_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("spilled"))
    spool = DeleteSpool()
    spool.add(task(1))
    assert list(spool.batches()) == [[task(1)]]


def test_the_file_has_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = DeleteSpool(1)
    spool.add(task(1))
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/no")
    with pytest.raises(FatalError, match=r"noting what to delete in .*: .*make room there"):
        DeleteSpool(1).add(task(1))
