"""What a display, or a notice, says while nothing moves."""

from __future__ import annotations

import io
from pathlib import Path

from s3pp.records import Done, SendReason
from s3pp.report.failures import LONGEST, NOTICE, QUIET, Standstill
from s3pp.report.outlet import Streams
from s3pp.report.progress_text import trouble_facts
from s3pp.report.recorder import REDRAW_SECONDS, Recorder
from s3pp.report.totals import Flow, Retries, Totals

from .samples import job

DONE = Done("a", "a", 5, 5, "etag", SendReason.NEW)


def test_causes_are_those_since_anything_moved() -> None:
    still, totals = Standstill(0.0), Totals(retries={"503": 200})
    assert still.update(totals, QUIET - 0.1) == ""
    assert still.update(totals, QUIET) == "retrying: 503 × 200"
    totals.done = 1
    assert still.update(totals, 3.0) == ""
    totals.retries |= {"503": 1414, "no answer": 12}
    totals.failed = 1  # which is no progress
    assert still.update(totals, 3.0 + QUIET) == "retrying: 503 × 1,214, no answer × 12"
    totals.in_parts = 5
    assert still.update(totals, 9.0) == ""
    assert still.update(totals, 60.0) == ""  # nothing has failed since


def test_notices_become_rare() -> None:
    still, totals = Standstill(0.0), Totals(retries={"500": 3})
    said = [
        second
        for second in range(3000)
        if still.take_notice(still.update(totals, float(second)), float(second))
    ]
    assert said == [30, 60, 120, 240, 480, 960, 1560, 2160, 2760]
    assert (NOTICE, said[-1] - said[-2]) == (30.0, LONGEST)
    totals.done = 1
    still.update(totals, 3000.0)
    totals.retries["500"] += 1
    causes = still.update(totals, 3030.0)
    assert (
        still.take_notice(causes, 3030.0) == "nothing was transferred for 30 s: retrying: 500 × 1"
    )


def test_a_display_has_them() -> None:
    totals = Totals(standstill="retrying: 503 × 214")
    assert [each.text for each in trouble_facts(totals)] == ["retrying: 503 × 214"]


def test_without_a_display_a_notice_comes_now_and_then(tmp_path: Path) -> None:
    now, err = [0.0], io.StringIO()
    log = tmp_path / "log"
    recorder = Recorder(
        job(log_file=str(log)), Streams.of(None, err), clock=lambda: now[0], started=0.0
    )
    recorder.record([DONE])
    recorder.count_retries(Retries((("503", 100),)))
    for _ in range(700):
        now[0] += REDRAW_SECONDS
        recorder.tick()
    recorder.count_retries(Retries((("503", 114), ("credentials expired", 2))))
    (first, second) = err.getvalue().splitlines()
    assert first.startswith("s3pp: nothing was transferred for 30 s: retrying: 503 × 100")
    assert second.startswith("s3pp: nothing was transferred for 60 s: retrying: 503 × 100")
    assert log.read_text().count("nothing was transferred for") == 2


def test_that_the_rate_is_limited_is_said_once() -> None:
    """Also where no request was refused, as where connections are reset."""
    err = io.StringIO()
    recorder = Recorder(job(), Streams.of(None, err), clock=lambda: 0.0)
    for flow in (Flow(rate=62.0), Flow(rate=70.0), Flow(), Flow(throttled=2, rate=50.0)):
        recorder.set_flow(flow)
    assert err.getvalue().count("the store throttles requests, or does not answer them") == 1
