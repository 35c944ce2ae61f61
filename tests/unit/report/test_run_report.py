"""How a run ended, from what the statter counted and what went wrong."""

from __future__ import annotations

import pytest

from s3pp.errors import ExitStatus
from s3pp.report.totals import Totals, run_report

DONE = Totals(listed=2, done=2)
SOME = Totals(listed=2, done=1, failed=1)
LOST = Totals(listed=2, done=1)
OK, SOME_FAILED, ABORTED = ExitStatus.OK, ExitStatus.SOME_FAILED, ExitStatus.ABORTED
INTERRUPTED = ExitStatus.INTERRUPTED


@pytest.mark.parametrize(
    ("totals", "refusal", "error", "signal", "status", "why"),
    [
        (DONE, None, None, None, OK, None),
        (SOME, None, None, None, SOME_FAILED, None),
        (SOME, None, None, INTERRUPTED, INTERRUPTED, None),
        (DONE, None, "full", INTERRUPTED, ABORTED, "full"),
        (SOME, "denied", None, None, ABORTED, "denied"),
        (SOME, "denied", "full", None, ABORTED, "full"),
        (LOST, None, None, None, ABORTED, "the counts do not add up"),
        (None, None, "lost", None, ABORTED, "lost"),
        (None, None, None, INTERRUPTED, INTERRUPTED, "stopped twice"),
    ],
)
def test_every_end(
    totals: Totals | None,
    refusal: str | None,
    error: str | None,
    signal: ExitStatus | None,
    status: ExitStatus,
    why: str | None,
) -> None:
    result = run_report(totals, refusal=refusal, error=error, signal=signal)
    assert result.status is status
    assert result.totals == totals
    assert (result.error or "").startswith(why or "")
    assert (result.error is None) == (why is None)
