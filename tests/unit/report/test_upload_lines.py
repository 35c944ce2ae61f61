"""How the outcomes of a clean are told: as lines, events and sums."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Job
from s3pp.output import Output
from s3pp.places import Origin
from s3pp.records import Done, Failed, Outcome, SendReason, Skipped, SkipReason, UploadFacts
from s3pp.report.lines import UploadLines, age
from s3pp.report.outlet import Streams
from s3pp.report.recorder import Recorder
from s3pp.report.totals import Totals, summary
from s3pp.report.view import Detail, View

NOW = 1795163400.0  # 2026-11-20T08:30:00Z
FILM, ODD = "p/film.mp4", "odd\n\x1b"
OLD = UploadFacts("id", "2026-11-17T08:30:00.000Z", 12)
NEW = UploadFacts("id2", "2026-11-20T08:29:00Z")
ABORTED = Done(FILM, FILM, 4096, 0, "", SendReason.ALWAYS, upload=OLD)
UNKNOWN = Done(ODD, ODD, 0, 0, "", SendReason.ALWAYS, upload=NEW)
YOUNG = Skipped(ODD, ODD, 0, SkipReason.YOUNG, NEW)
GONE = Skipped(FILM, FILM, 0, SkipReason.GONE, OLD)
REFUSED = Failed(FILM, FILM, FailureKind.ACCESS, "AccessDenied: no\nway", upload=OLD)
ALL: list[Outcome] = [ABORTED, UNKNOWN, YOUNG, GONE, REFUSED]


def job(*, dry_run: bool = False, **output: Any) -> Job:
    return Job("clean", origins=(Origin("bkt"),), dry_run=dry_run, output=Output(**output))


def lines(*, dry_run: bool = False) -> UploadLines:
    return UploadLines("clean", "s3://bkt/", "s3://bkt/", dry_run, now=NOW)


def test_lines() -> None:
    assert [lines().text(each) for each in ALL] == [
        "abort s3://bkt/p/film.mp4 (12 parts, 4096 bytes, begun 2026-11-17T08:30:00.000Z: 3d ago)",
        "abort s3://bkt/odd\\n\\x1b (parts unknown, begun 2026-11-20T08:29:00Z: 60s ago)",
        "skip s3://bkt/odd\\n\\x1b (begun less than a day ago)",
        "skip s3://bkt/p/film.mp4 (gone already)",
        "abort s3://bkt/p/film.mp4: AccessDenied: no\\nway",
    ]


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
    run = job(**settings)
    view = View(lines(), Detail.of(run.output, dry_run=run.dry_run), json=run.output.json)
    rendered = view.render(ALL)
    assert (len(rendered.stdout), len(rendered.stderr)) == (out, err)


def test_events() -> None:
    named = {"verb": "clean", "bucket": "bkt"}
    film = {**named, "key": FILM, "upload_id": "id", "initiated": OLD.initiated}
    odd = {**named, "key": ODD, "upload_id": "id2", "initiated": NEW.initiated}
    assert [json.loads(lines().json(each)) for each in ALL] == [
        {"event": "done", **film, "parts": 12, "size": 4096},
        {"event": "done", **odd, "parts": None, "size": None},
        {"event": "skipped", **odd, "reason": "begun less than a day ago"},
        {"event": "skipped", **film, "reason": "gone already"},
        {"event": "failed", **film, "kind": "access", "message": "AccessDenied: no\nway"},
    ]
    assert lines(dry_run=True).event(ABORTED)["dry_run"] is True


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-5, "0s"), (0, "0s"), (119.9, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"),
        (47.9 * 3600, "47h"), (48 * 3600, "2d"), (400 * 86400, "400d"),
    ],
)  # fmt: skip
def test_ages(seconds: float, told: str) -> None:
    assert age(seconds) == told


def summed(*outcomes: Outcome, dry_run: bool = False) -> str:
    totals = Totals(listed=len(outcomes), requests=9, seconds=0.44)
    totals.fold_all(outcomes)
    totals.fold_uploads(outcomes)
    return summary(totals, job(dry_run=dry_run))


def test_the_sum() -> None:
    assert summed(ABORTED, ABORTED) == "clean 2 uploads (8192 bytes) in 0.4 seconds"
    assert summed(*ALL) == (
        "clean 2 uploads (at least 4096 bytes) in 0.4 seconds, 2 skipped, 1 failed"
    )
    assert summed(ABORTED, dry_run=True) == (
        "would abort 1 upload (4096 bytes) in 0.4 seconds, with 9 requests"
    )
    totals = Totals(listed=3, done=2, not_attempted=1)
    assert summary(totals, job()).endswith(", at least 1 not attempted")
    assert json.loads(summary(totals, job(json=True))) == {
        "event": "summary", "verb": "clean", "listed": 3, "done": 2, "skipped": 0, "failed": 0,
        "bytes": 0, "seconds": 0.0, "not_attempted": 1,
        "listing_complete": False,
    }  # fmt: skip


def recorded(outcomes: list[Outcome], **settings: Any) -> tuple[Totals, str, str]:
    out, err = io.StringIO(), io.StringIO()
    recorder = Recorder(job(**settings), Streams.of(out, err))
    for outcome in outcomes:
        recorder.record([outcome])
    return recorder.close(), out.getvalue(), err.getvalue()


def test_a_record_folds_and_shows() -> None:
    totals, out, err = recorded(ALL, verbosity=1)
    assert (totals.done, totals.skipped, totals.failed) == (2, 2, 1)
    assert (totals.young, totals.unknown_sizes) == (1, 1)
    assert (out.count("\n"), err.count("\n")) == (2, 2)
    assert "1 upload begun less than a day ago is skipped: --older-than 0s" in err


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
    assert [*events[0]] == [
        "event", "run", "schema", "time", "version", "verb", "sources", "directory"
    ]  # fmt: skip
    assert events[0]["sources"] == ["s3://bkt/"]


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_behind_stdout_ends_the_run(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    recorder = Recorder(job(verbosity=1, journal=str(journal)), Streams.of(Full(), io.StringIO()))
    with pytest.raises(FatalError, match="No space left"):
        recorder.record([ABORTED])
    assert journal.read_text().count('"done"') == 1
