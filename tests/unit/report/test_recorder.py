"""The recorder: every outcome reaches totals, streams, journal and log."""

from __future__ import annotations

import io
import json
import re
import stat
from pathlib import Path

import pytest

from s3pp.errors import FailureKind, FatalError, UsageError
from s3pp.report.failures import ENOUGH_REFUSALS
from s3pp.report.journal import log_error
from s3pp.report.outlet import Streams
from s3pp.report.recorder import Recorder

from .samples import ALL, DONE, FAILED, SAME, job

LOGGED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (INFO|WARNING|ERROR) (.*)")


def log_lines(path: Path) -> list[tuple[str, ...]]:
    """The level and the text of each line, all of which must be whole."""
    found = [LOGGED.fullmatch(line) for line in path.read_text().splitlines()]
    assert all(found)
    return [line.groups() for line in found if line]


def test_a_run() -> None:
    out, err = io.StringIO(), io.StringIO()
    times = iter([10.0, 12.5])
    recorder = Recorder(job(verbosity=1), Streams.of(out, err), clock=lambda: next(times))
    recorder.set_listed(2, False)
    recorder.record([DONE, FAILED])
    recorder.set_listed(5, True)
    recorder.record([SAME])
    recorder.count_requests(7)
    recorder.notice("putter 1 was replaced")
    totals = recorder.close(not_attempted=2)
    assert (totals.listed, totals.done, totals.skipped, totals.failed) == (5, 1, 1, 1)
    assert (totals.bytes, totals.requests, totals.seconds) == (5, 7, 2.5)
    assert (totals.not_attempted, totals.balanced) == (2, True)
    assert out.getvalue() == "put a/b.txt -> s3://bkt/p/a/b.txt (new)\n"
    assert err.getvalue() == (
        "s3pp: put a/d -> s3://bkt/p/a/d: permission denied\ns3pp: putter 1 was replaced\n"
    )


def test_what_is_whole_is_counted_once_and_what_was_there_has_not_moved() -> None:
    recorder = Recorder(job(), Streams.of(None, None))
    size, totals = 100 << 20, recorder.close()
    for _ in range(3):
        recorder.count_moved(16 << 20)
    assert (totals.there, totals.moved) == (48 << 20, 48 << 20)
    recorder.record([DONE._replace(size=size, sent=32 << 20)])
    assert (totals.there, totals.moved) == (size + (16 << 20), 48 << 20)


def test_seconds_count_from_the_runs_start() -> None:
    recorder = Recorder(job(), Streams.of(None, None), clock=lambda: 5.0, started=1.5)
    assert recorder.close().seconds == 3.5


@pytest.mark.parametrize("verbosity", [-2, -1, 0, 1])
def test_the_log_keeps_one_level_more_than_the_screen(tmp_path: Path, verbosity: int) -> None:
    path = tmp_path / "log"
    out, err = io.StringIO(), io.StringIO()
    recorder = Recorder.open(job(log_file=str(path), verbosity=verbosity, json=True), out, err)
    recorder.record(ALL)
    recorder.notice("putter 1 was\nreplaced")
    recorder.close()
    put = ("INFO", "put a/b.txt -> s3://bkt/p/a/b.txt (new)")
    same = ("INFO", "skip a/c -> s3://bkt/p/a/c (same etag)")
    *lines, (level, summary) = log_lines(path)
    assert lines == [
        *([put] if verbosity >= 0 else []),
        *([same] if verbosity >= 1 else []),
        ("WARNING", "skip a/f -> s3://bkt/p/a/f (not a regular file)"),
        ("ERROR", "put a/d -> s3://bkt/p/a/d: permission denied"),
        ("WARNING", r"putter 1 was\nreplaced"),
    ]
    assert (level, summary[:25]) == ("INFO", "put 5 bytes in 1 files in")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_error_after_the_run_joins_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log_error(str(path), "the walker\ndied")
    assert log_lines(path) == [("ERROR", r"the walker\ndied")]


def test_a_log_that_breaks_is_told_of_once_and_stops_nothing() -> None:
    err = io.StringIO()
    recorder = Recorder.open(job(log_file="/dev/full"), io.StringIO(), err)
    for _ in range(3):
        recorder.record([DONE])
    assert recorder.close().done == 3
    assert err.getvalue().count("\n") == 1
    assert "--log-file '/dev/full'" in err.getvalue()


def test_the_journal_has_every_outcome_even_where_nothing_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    out, err = io.StringIO(), io.StringIO()
    recorder = Recorder.open(job(journal=str(path), verbosity=-2), out, err)
    recorder.record(ALL)
    recorder.close()
    assert (out.getvalue(), err.getvalue()) == ("", "")
    kinds = [json.loads(line)["event"] for line in path.read_text().splitlines()]
    assert kinds == ["start", "done", "skipped", "skipped", "failed", "summary"]


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    for refused in (job(journal=str(tmp_path)), job(log_file=str(tmp_path))):
        with pytest.raises(UsageError, match="cannot be written"):
            Recorder.open(refused, None, None)


def test_a_run_that_is_given_up_has_the_batch_and_says_why_in_one_line() -> None:
    err, denied = io.StringIO(), FAILED._replace(kind=FailureKind.ACCESS)
    recorder = Recorder(job(), Streams.of(None, err))
    with pytest.raises(FatalError, match=r"the store refuses every object, .*: permission denied"):
        recorder.record([denied] * ENOUGH_REFUSALS)
    assert recorder.close().failed == ENOUGH_REFUSALS
    assert err.getvalue() == ""


def test_a_small_run_that_was_refused_whole_says_so_in_one_line() -> None:
    err = io.StringIO()
    recorder = Recorder(job(), Streams.of(None, err))
    recorder.record([FAILED._replace(kind=FailureKind.ACCESS)] * 2)
    assert recorder.close().failed == 2
    assert (recorder.refusal, err.getvalue()) == ("the store refuses access: permission denied", "")


def test_streams_that_go_away_lose_no_count() -> None:
    out = io.StringIO()
    out.close()
    recorder = Recorder.open(job(verbosity=2), out, None)
    recorder.record(ALL)
    recorder.record(ALL)
    assert recorder.close().finished == 8
