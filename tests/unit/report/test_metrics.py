"""The counts for Prometheus, and the pace of a run."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from s3pp.errors import ExitStatus
from s3pp.report.metrics import METRICS, PERIOD, MetricsFile
from s3pp.report.pace import Pacemaker
from s3pp.report.totals import Flow, RunReport, Totals

from .samples import job

# The format: https://prometheus.io/docs/instrumenting/exposition_formats/
LABEL = r'[a-z_]+="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"(s3pp_[a-z_]+)\{{({LABEL}(?:,{LABEL})*)\}} (-?[0-9]+(?:\.[0-9]+)?)")


def samples(path: Path) -> dict[str, float]:
    """The values by name and own labels, after a check of the format of each line."""
    found: dict[str, float] = {}
    known: set[str] = set()
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            _, what, name, text = line.split(" ", 3)
            assert what in ("HELP", "TYPE")
            assert text == METRICS[name][what == "TYPE"]
            known.add(name)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        assert match[1] in known, "HELP and TYPE go before"
        own = match[2].partition('dest="')[2].partition('"')[2].removeprefix(",")
        assert f"{match[1]}{own}" not in found
        found[f"{match[1]}{own}"] = float(match[3])
    return found


def test_the_last_success_outlives_the_runs_that_fail(tmp_path: Path) -> None:
    path = tmp_path / "s3pp.prom"
    run = job(metrics=str(path))
    totals = Totals(listed=3, done=2, failed=1, bytes=50, requests=7, retries={'5"03\n': 4})
    totals.flow = Flow(throttled=6, limited=1.25)
    assert MetricsFile(run).end(RunReport(ExitStatus.OK, totals)) is None
    first = samples(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert first['s3pp_objects_totaloutcome="failed"'] == 1
    assert first['s3pp_retries_totalcause="5\\"03\\\\n"'] == 4
    assert first["s3pp_throttled_requests_total"] == 6
    assert first["s3pp_throttled_seconds_total"] == 1.25
    assert (first["s3pp_run_active"], first["s3pp_last_exit_code"]) == (0, 0)
    active = MetricsFile(run)
    active.tick(totals, 100.0)
    during = samples(path)
    assert (during["s3pp_run_active"], during["s3pp_last_exit_code"]) == (1, 0)
    totals.done = 9
    active.tick(totals, 100.0 + PERIOD / 2)  # not yet
    assert samples(path)['s3pp_objects_totaloutcome="done"'] == 2
    active.tick(totals, 100.0 + PERIOD)
    assert samples(path)['s3pp_objects_totaloutcome="done"'] == 9
    # A run that could not start has no totals.
    MetricsFile(run).end(RunReport(ExitStatus.ABORTED, None, "refused"))
    last = samples(path)
    assert last["s3pp_last_exit_code"] == 3
    assert last["s3pp_last_success_time_seconds"] == first["s3pp_last_success_time_seconds"]
    assert "s3pp_requests_total" not in last
    # That of another job does not count.
    MetricsFile(replace(run, verb="copy")).end(RunReport(ExitStatus.ABORTED, None))
    assert "s3pp_last_success_time_seconds" not in samples(path)
    assert [each.name for each in tmp_path.iterdir()] == ["s3pp.prom"]


def test_a_file_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    run = MetricsFile(job(metrics=str(tmp_path / "gone" / "m.prom")))
    complaint = run.tick(Totals(), 1.0)
    assert complaint is not None
    assert "cannot be written: No such file" in complaint
    assert run.tick(Totals(), 1.0 + PERIOD) is None
    assert run.end(RunReport(ExitStatus.OK, Totals()))


def test_the_pace_is_what_happened_since_the_last_event() -> None:
    pace, totals = Pacemaker(100.0), Totals()
    pace.set_flow(Flow(in_flight=10, answered=1), 100.0)
    assert pace.take(totals, 109.9) is None
    totals.done, totals.sent, totals.retries = 5, 500, {"503": 2}
    pace.set_flow(Flow(in_flight=30, answered=9, throttled=2, rate=50.0), 101.0)
    assert pace.take(totals, 110.0) == {
        "seconds": 10.0,
        "objects": 5,
        "bytes": 500,
        "requests": 9,
        "in_flight": 28.0,
        "throttled": 2,
        "retries": {"503": 2},
        "rate_limit": 50.0,
    }
    totals.done = 6
    assert pace.end(totals, 110.5) == {
        "seconds": 0.5,
        "objects": 1,
        "bytes": 0,
        "requests": 0,
        "in_flight": 30.0,
        "rate_limit": 50.0,
    }


@pytest.mark.parametrize(("seconds", "wait"), [(10.0, 2.0), (300.0, 5.0), (36000.0, 10.0)])
def test_a_long_run_has_its_pace_less_often(seconds: float, wait: float) -> None:
    pace = Pacemaker(0.0)
    assert pace.take(Totals(), seconds) is not None
    assert pace.take(Totals(), seconds + wait - 0.1) is None
    assert pace.take(Totals(), seconds + wait + 0.1) is not None


def test_a_short_run_has_none() -> None:
    assert Pacemaker(0.0).end(Totals(done=5), 9.9) is None
