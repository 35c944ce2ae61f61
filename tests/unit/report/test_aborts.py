"""What became of unfinished uploads, as lines, events and sums."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Job, Output
from s3pp.places import Origin
from s3pp.records import SkipReason
from s3pp.report.abort_record import AbortRecord
from s3pp.report.aborts import (
    Aborted,
    AbortTotals,
    AbortView,
    Fate,
    Refused,
    Spared,
    Weight,
    abort_summary,
    age,
)
from s3pp.report.outlet import Streams
from s3pp.s3.uploads import Upload

NOW = 1795163400.0  # 2026-11-20T08:30:00Z
UPLOAD = Upload("p/film.mp4", "id", "2026-11-17T08:30:00.000Z")
ODD = Upload("odd\n\x1b", "id2", "2026-11-20T08:29:00Z")
ABORTED = Aborted(UPLOAD, Weight(12, 4096))
UNWEIGHED = Aborted(ODD, None)
YOUNG, GONE = Spared(ODD, SkipReason.YOUNG), Spared(UPLOAD, SkipReason.GONE)
REFUSED = Refused(UPLOAD, FailureKind.ACCESS, "AccessDenied: no\nway")
ALL: list[Fate] = [ABORTED, UNWEIGHED, YOUNG, GONE, REFUSED]


def job(*, dry_run: bool = False, **output: Any) -> Job:
    return Job("clean", origin=Origin("bkt"), dry_run=dry_run, output=Output(**output))


def view(**settings: Any) -> AbortView:
    return AbortView(job(**settings), NOW)


def test_lines_for_people() -> None:
    assert view(verbosity=2).render(ALL).stdout == [
        "abort s3://bkt/p/film.mp4 (12 parts, 4096 bytes, begun 2026-11-17T08:30:00.000Z: 3d ago)",
        "abort s3://bkt/odd\\n\\x1b (parts unknown, begun 2026-11-20T08:29:00Z: 60s ago)",
        "skip s3://bkt/odd\\n\\x1b (begun less than a day ago)",
        "skip s3://bkt/p/film.mp4 (gone already)",
    ]
    assert view().render(ALL).stderr == ["s3pp: abort s3://bkt/p/film.mp4: AccessDenied: no\\nway"]


@pytest.mark.parametrize(
    ("settings", "out", "err"),
    [
        ({}, 0, 1),
        ({"verbosity": 1}, 2, 1),
        ({"verbosity": 2}, 4, 1),
        ({"verbosity": -1}, 0, 1),
        ({"verbosity": -2}, 0, 0),
        ({"dry_run": True}, 4, 1),
        ({"dry_run": True, "verbosity": -1}, 0, 1),
        ({"json": True}, 5, 1),
        ({"json": True, "verbosity": -1}, 1, 1),
        ({"json": True, "verbosity": -2}, 0, 0),
    ],
)
def test_how_much_is_said(settings: dict[str, Any], out: int, err: int) -> None:
    rendered = view(**settings).render(ALL)
    assert (len(rendered.stdout), len(rendered.stderr)) == (out, err)


def test_events() -> None:
    named = {"verb": "clean", "bucket": "bkt"}
    film = {**named, "key": "p/film.mp4", "upload_id": "id", "initiated": UPLOAD.initiated}
    odd = {**named, "key": "odd\n\x1b", "upload_id": "id2", "initiated": ODD.initiated}
    assert [json.loads(line) for line in view(json=True).render(ALL).stdout] == [
        {"event": "done", **film, "parts": 12, "size": 4096},
        {"event": "done", **odd, "parts": None, "size": None},
        {"event": "skipped", **odd, "reason": "begun less than a day ago"},
        {"event": "skipped", **film, "reason": "gone already"},
        {"event": "failed", **film, "kind": "access", "message": "AccessDenied: no\nway"},
    ]
    assert json.loads(view(dry_run=True).json(ABORTED))["dry_run"] is True


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "0s"), (0, "0s"), (119.9, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"),
        (47.9 * 3600, "47h"), (48 * 3600, "2d"), (400 * 86400, "400d"),
    ],
)  # fmt: skip
def test_ages(seconds: float, told: str) -> None:
    assert age(seconds) == told


def summed(*fates: Fate, dry_run: bool = False) -> str:
    totals = AbortTotals(listed=len(fates), requests=9, seconds=0.44)
    for fate in fates:
        totals.count(fate)
    assert totals.balanced
    return abort_summary(totals, job(dry_run=dry_run))


def test_the_sum() -> None:
    assert summed(ABORTED, ABORTED) == "clean 2 uploads (8192 bytes) in 0.4 seconds"
    assert summed(*ALL) == (
        "clean 2 uploads (at least 4096 bytes) in 0.4 seconds, 2 skipped, 1 failed"
    )
    assert summed(ABORTED, dry_run=True) == (
        "would abort 1 uploads (4096 bytes) in 0.4 seconds, with 9 requests"
    )
    totals = AbortTotals(listed=3, done=2, not_attempted=1)
    assert abort_summary(totals, job()).endswith(", at least 1 not attempted")
    assert json.loads(abort_summary(totals, job(json=True))) == {
        "event": "summary", "verb": "clean", "listed": 3, "done": 2, "skipped": 0, "failed": 0,
        "bytes": 0, "seconds": 0.0, "not_attempted": 1,
    }  # fmt: skip


def recorded(fates: list[Fate], **settings: Any) -> tuple[AbortTotals, str, str]:
    out, err = io.StringIO(), io.StringIO()
    record = AbortRecord(job(**settings), Streams.of(out, err))
    for fate in fates:
        record.listed()
        record.fates([fate])
    return record.close(7), out.getvalue(), err.getvalue()


def test_a_record_folds_and_shows() -> None:
    totals, out, err = recorded(ALL, verbosity=1)
    counts = (totals.listed, totals.done, totals.skipped, totals.failed, totals.requests)
    assert counts == (5, 2, 2, 1, 7)
    assert (out.count("\n"), err.count("\n")) == (2, 2)
    assert "1 upload begun less than a day ago is left alone: --older-than 0s" in err


@pytest.mark.parametrize("settings", [{"verbosity": -1}, {"dry_run": True}])
def test_who_sees_what_is_skipped_or_wants_nothing_is_not_told_again(
    settings: dict[str, Any],
) -> None:
    assert recorded([YOUNG], **settings)[2] == ""


def test_the_journal_has_all_whatever_is_shown(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    _, out, err = recorded(ALL, verbosity=-2, journal=str(journal))
    assert (out, err) == ("", "")
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [each["event"] for each in events] == [
        "start", "done", "done", "skipped", "skipped", "failed", "summary"
    ]  # fmt: skip
    assert [*events[0]] == ["event", "version", "verb", "sources", "time"]
    assert events[0]["sources"] == ["s3://bkt/"]


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_behind_stdout_ends_the_run(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    record = AbortRecord(job(verbosity=1, journal=str(journal)), Streams.of(Full(), io.StringIO()))
    with pytest.raises(FatalError, match="No space left"):
        record.fates([ABORTED])
    assert journal.read_text().count('"done"') == 1
