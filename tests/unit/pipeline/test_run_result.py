"""How a run ended, from what the statter counted and what went wrong."""

from __future__ import annotations

import pytest

from s3pp.errors import ExitStatus
from s3pp.pipeline.messages import StatterReport
from s3pp.pipeline.run_result import run_result
from s3pp.report.totals import Totals

DONE = Totals(listed=2, done=2)
SOME = Totals(listed=2, done=1, failed=1)
LOST = Totals(listed=2, done=1)
OK, SOME_FAILED, ABORTED = ExitStatus.OK, ExitStatus.SOME_FAILED, ExitStatus.ABORTED
INTERRUPTED = ExitStatus.INTERRUPTED


@pytest.mark.parametrize(
    ("report", "error", "signal", "status", "why"),
    [
        (StatterReport(DONE, None), None, None, OK, None),
        (StatterReport(SOME, None), None, None, SOME_FAILED, None),
        (StatterReport(SOME, None), None, INTERRUPTED, INTERRUPTED, None),
        (StatterReport(DONE, None), "full", INTERRUPTED, ABORTED, "full"),
        (StatterReport(SOME, "denied"), None, None, ABORTED, "denied"),
        (StatterReport(SOME, "denied"), "full", None, ABORTED, "full"),
        (StatterReport(LOST, None), None, None, ABORTED, "the counts do not add up"),
        (None, "lost", None, ABORTED, "lost"),
        (None, None, INTERRUPTED, INTERRUPTED, "stopped twice"),
    ],
)
def test_every_end(
    report: StatterReport | None,
    error: str | None,
    signal: ExitStatus | None,
    status: ExitStatus,
    why: str | None,
) -> None:
    result = run_result(report, error, signal)
    assert result.status is status
    assert result.totals == (report and report.totals)
    assert (result.error or "").startswith(why or "")
    assert (result.error is None) == (why is None)
