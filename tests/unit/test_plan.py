"""Plans: jobs run in turn, and the worst exit code is that of the command."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import pytest

from s3pp import app
from s3pp.app import Plan, Question, run_plan
from s3pp.errors import ExitStatus, FatalError, S3ppError, UsageError, exit_status
from s3pp.job import Job
from s3pp.output import Output
from s3pp.report.outlet import Streams
from s3pp.report.totals import RunReport, Totals

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


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


JOBS = {name: Job(name) for name in ("get", "copy", "clean", "list")}
QUESTION = Question(JOBS["list"], JOBS["clean"], "Clean? ", "CLEAN")


class Stage(NamedTuple):
    """How a plan with a question went."""

    ran: list[str]  # verbs
    status: ExitStatus
    stdout: str
    stderr: str


def ask(
    monkeypatch: pytest.MonkeyPatch,
    *,
    answer: str = "",
    found: int = 1,
    terminal: bool = True,
    ends: Mapping[str, End] = MappingProxyType({}),
) -> Stage:
    """Run a plan whose ``list`` finds that many things, and whose jobs end as given."""
    ran: list[str] = []

    def run(job: Job, output: Streams) -> RunReport:
        ran.append(job.verb)
        end = ends.get(job.verb, ExitStatus.OK)
        if isinstance(end, S3ppError):
            raise end
        return RunReport(end, Totals(done=found))

    monkeypatch.setattr(app, "run", run)
    monkeypatch.setattr(os, "isatty", lambda descriptor: terminal)
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    out, err = io.StringIO(), Terminal() if terminal else io.StringIO()
    plan = Plan(
        (JOBS["get"], JOBS["copy"]),
        question=QUESTION,
        chained=True,
        epilogue=lambda seconds: f"ALL DONE {seconds >= 0}",
    )
    status = run_plan(plan, Streams.of(out, err))
    return Stage(ran, status, out.getvalue(), err.getvalue())


@pytest.mark.parametrize(
    ("answer", "found", "terminal", "ran"),
    [
        ("CLEAN\n", 1, True, ["list", "clean", "get", "copy"]),
        ("clean\n", 1, True, ["list", "get", "copy"]),
        ("", 1, True, ["list", "get", "copy"]),
        ("CLEAN\n", 0, True, ["list", "get", "copy"]),
        ("CLEAN\n", 1, False, ["get", "copy"]),
    ],
)
def test_a_question_is_asked_on_a_terminal_if_it_has_a_point(
    answer: str, found: int, terminal: bool, ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    went = ask(monkeypatch, answer=answer, found=found, terminal=terminal)
    assert went.ran == ran
    assert went.stderr == ("Clean? " if terminal and found else "")
    assert (went.status, went.stdout) == (ExitStatus.OK, "ALL DONE True\n")


@pytest.mark.parametrize(
    ("verb", "end", "ran"),
    [
        ("list", ExitStatus.INTERRUPTED, 1),
        ("list", FatalError("refused"), 1),
        ("clean", ExitStatus.SOME_FAILED, 4),
        ("get", ExitStatus.SOME_FAILED, 4),
        ("get", UsageError("no bucket"), 3),
        ("get", ExitStatus.ABORTED, 3),
        ("copy", ExitStatus.SOME_FAILED, 4),
    ],
)
def test_a_chain_ends_with_what_could_not_run_and_nothing_is_called_done(
    verb: str, end: End, ran: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    went = ask(monkeypatch, answer="CLEAN\n", ends={verb: end})
    assert (len(went.ran), went.stdout) == (ran, "")
    assert went.status is (exit_status(end) if isinstance(end, S3ppError) else end)
