"""The result of a run: exit code, totals, and the error that aborted it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from s3pp.errors import ExitStatus
from s3pp.pipeline.messages import StatterReport
from s3pp.report.totals import Totals

if TYPE_CHECKING:  # of a listing, which no other verb loads
    from s3pp.report.keys import KeyTotals


class RunResult(NamedTuple):
    """The result of a run."""

    status: ExitStatus
    totals: Totals | KeyTotals | None  # None: nothing was done, or the statter was killed
    error: str | None = None  # why the run was aborted, one line


def run_result(
    report: StatterReport | None, error: str | None, signal: ExitStatus | None
) -> RunResult:
    """Compute the result of a run that its supervisor has ended.

    ``report`` is the statter's last, None where it was killed; ``error`` is what aborted the run,
    ``signal`` the exit code of the signal that stopped it.
    """
    if report is None:
        why = error or "stopped twice: what was done cannot be told"
        return RunResult(signal or ExitStatus.ABORTED, None, why)
    totals = report.totals
    error = error or report.refused
    if error is None and not totals.balanced:
        error = "the counts do not add up: please report this"
    if error is not None:
        return RunResult(ExitStatus.ABORTED, totals, error)
    failed = ExitStatus.SOME_FAILED if totals.failed else ExitStatus.OK
    return RunResult(signal or failed, totals)
