"""Runs for a program: their records go to it, and what came of them is returned."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from s3pp.errors import ExitStatus
from s3pp.job import Job
from s3pp.library.keywords import in_python
from s3pp.library.process import RunProcess
from s3pp.library.result import MOST_KEPT, Failure, ReasonCount, RunResult

OnEvent = Callable[[dict[str, Any]], object]


def run(job: Job, on_event: OnEvent | None) -> RunResult:
    """Run ``job``, and call ``on_event`` with each of its records, in this thread.

    Raises ``UsageError`` or ``FatalError`` for what keeps it from beginning. An exception, of
    ``on_event`` or a ``KeyboardInterrupt``, ends the run as Ctrl-C ends the command, and is raised
    after that; ``on_event`` is called no more.
    """
    if on_event is not None and not callable(on_event):
        raise TypeError(f"on_event must be a function, not {on_event!r}")
    records = Records(on_event)
    with RunProcess(voiced(job, events=on_event is not None)) as process:
        try:
            for record in process:
                records.take(record)
        except BaseException:
            _wind_down(process)
            raise
        return records.result(job, process.result)


def voiced(job: Job, *, events: bool) -> Job:
    """Return ``job`` with its output as records for a program: all of them, or the failures."""
    voice = f"s3pp.library.voices:{'EventVoice' if events else 'FailureVoice'}"
    return replace(job, output=replace(job.output, voice=voice, json=True, progress=False))


class Records:
    """Passes the records of a run on, and keeps what its result names."""

    def __init__(self, on_event: OnEvent | None) -> None:
        self._on_event = on_event
        self._failures: list[Failure] = []
        self._notices: list[str] = []

    def take(self, record: dict[str, Any]) -> None:
        """Take one record. Raises what ``on_event`` raises."""
        if record["event"] == "failed" and len(self._failures) < MOST_KEPT:
            self._failures.append(Failure.of(record))
        elif record["event"] == "notice" and len(self._notices) < MOST_KEPT:
            self._notices.append(in_python(record["message"]))
        if self._on_event is not None:
            self._on_event(record)

    def result(self, job: Job, end: Mapping[str, Any]) -> RunResult:
        """Return the result of a run that ended as ``child`` describes it."""
        error = end["error"]
        return RunResult(
            job.title,
            ExitStatus(end["status"]),
            **_counts(end["totals"]) | ({"sent": 0} if job.dry_run else {}),
            dry_run=job.dry_run,
            not_deleted=in_python(end["totals"].get("not_deleted", "")) or None,
            error=None if error is None else in_python(error),
            failures=tuple(self._failures),
            notices=tuple(self._notices),
        )


_COUNTS = (
    *("listed", "done", "skipped", "failed", "not_attempted", "deleted"),
    *("bytes", "sent", "requests", "deleted_bytes"),
)


def _counts(totals: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of ``RunResult`` from those of ``Totals`` or ``KeyTotals``; may be empty."""
    if "keys" in totals:
        keys, failed = totals["keys"], totals["failed"]
        found = {"listed": keys + failed, "done": keys, "failed": failed, "bytes": totals["bytes"]}
        found["requests"] = totals["requests"]
        return found | {"seconds": totals["seconds"], "listing_complete": totals["complete"]}
    if not totals:
        return {}
    found = {name: totals[name] for name in _COUNTS}
    if (verdicts := totals["verdicts"]) is not None:
        found |= {"verified": verdicts["verified"], **verdicts["faults"]}
    if (foreseen := totals["foreseen"]) is not None:
        found["reasons"] = tuple(ReasonCount(**each) for each in foreseen["reasons"].values())
    return found | {"seconds": totals["seconds"], "listing_complete": totals["walk_done"]}


def _wind_down(process: RunProcess) -> None:
    """End a run after an exception: let active transfers finish, or stop at another Ctrl-C.

    What is left of its records goes nowhere: a caller that interrupts wants no more calls, and the
    run must not wait for a function that is slow.
    """
    for stop in (process.interrupt, process.interrupt, process.kill):
        try:
            stop()
            deque(process, maxlen=0)
            return
        except KeyboardInterrupt:
            continue
