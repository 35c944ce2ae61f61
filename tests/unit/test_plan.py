"""Plans: jobs run in turn, and the worst exit code is that of the command."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest

from s3pp import app
from s3pp.app import Plan, run_plan
from s3pp.errors import ExitStatus, FatalError, S3ppError, UsageError
from s3pp.job import Job, Output
from s3pp.report.outlet import Streams
from s3pp.report.totals import RunReport

End = ExitStatus | S3ppError


def run(monkeypatch: pytest.MonkeyPatch, ends: Sequence[End]) -> tuple[ExitStatus, int, str]:
    """Run a plan whose jobs end so; its exit code, the number of jobs run, and stderr."""
    left = list(ends)

    def end(job: Job, output: Streams) -> RunReport:
        this = left.pop(0)
        if isinstance(this, S3ppError):
            raise this
        return RunReport(this, None)

    monkeypatch.setattr(app, "run", end)
    stderr = io.StringIO()
    jobs = tuple(Job("clean", output=Output(program="old")) for _ in ends)
    status = run_plan(Plan(jobs, ("mind this",)), Streams.of(None, stderr))
    return status, len(ends) - len(left), stderr.getvalue()


@pytest.mark.parametrize(
    ("ends", "status", "runs"),
    [
        ([ExitStatus.OK, ExitStatus.OK], ExitStatus.OK, 2),
        ([ExitStatus.SOME_FAILED, ExitStatus.OK], ExitStatus.SOME_FAILED, 2),
        ([UsageError("no bucket"), ExitStatus.SOME_FAILED], ExitStatus.USAGE, 2),
        ([ExitStatus.OK, FatalError("refused"), ExitStatus.OK], ExitStatus.ABORTED, 3),
        ([ExitStatus.INTERRUPTED, ExitStatus.OK], ExitStatus.INTERRUPTED, 1),
    ],
)
def test_the_worst_exit_code_wins(
    ends: list[End], status: ExitStatus, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, ends)[:2] == (status, runs)


def test_notices_and_errors_begin_with_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, stderr = run(monkeypatch, [UsageError("no bucket\nhere")])
    assert stderr == "old: mind this\nold: no bucket\\nhere\n"
