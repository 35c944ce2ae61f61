"""How a run ended: the exit code, and why, from the statter's last word and what went wrong."""

from __future__ import annotations

from typing import NamedTuple

from s3pp.errors import ExitStatus
from s3pp.pipeline.messages import StatterReport
from s3pp.report.totals import Totals


class Ending(NamedTuple):
    """How a run ended. ``totals`` is None where the statter did not live to tell."""

    status: ExitStatus
    totals: Totals | None
    error: str | None  # why the run was aborted, one line


def ending(verdict: StatterReport | None, error: str | None, signal: ExitStatus | None) -> Ending:
    """``error`` is what aborted the run, ``signal`` the exit code of the signal that stopped it."""
    if verdict is None:
        why = error or "stopped twice: what was done cannot be told"
        return Ending(signal or ExitStatus.ABORTED, None, why)
    totals = verdict.totals
    if error is None and verdict.refused is not None:
        error = f"the store refuses access: {verdict.refused}"
    if error is None and not totals.balanced:
        error = "the counts do not add up: please report this"
    if error is not None:
        return Ending(ExitStatus.ABORTED, totals, error)
    failed = ExitStatus.SOME_FAILED if totals.failed else ExitStatus.OK
    return Ending(signal or failed, totals, None)
