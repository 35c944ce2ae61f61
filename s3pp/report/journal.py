"""The journal: JSON lines, one per object, with its outcome.

::

    {"event":"start","version":…,"verb":"put","sources":[…],"dest":"s3://…","mode":…,"time":…}
    {"event":"done", …}      as ``--json`` prints them
    {"event":"summary", …}   missing: the run did not come to its end
    {"event":"cut","text":…} what the last run before this one could not write to its end

Of the job only the names of the objects are recorded: no header, key id or endpoint.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from s3pp import __version__
from s3pp.job import Job
from s3pp.records import Outcome
from s3pp.report.appender import Appender
from s3pp.report.lines import Lines, as_json
from s3pp.report.summary import summary_event
from s3pp.report.totals import Totals


class Journal:
    """The journal of a run. Raises ``FatalError`` if writing fails: an unrecorded run must stop."""

    def __init__(self, path: str, job: Job) -> None:
        self._job = job
        self._lines = Lines.of(job)
        self._file = open_journal(path)
        self._file.append(as_json(_start(job)) + "\n")

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Record a batch in one write, so that a kill truncates at most the last line."""
        self._file.append("".join(f"{self._lines.json(outcome)}\n" for outcome in outcomes))

    def close(self, totals: Totals) -> None:
        """Record the summary of the run, and flush the journal to the disk."""
        try:
            self._file.append(as_json(summary_event(totals, self._job)) + "\n")
        finally:
            self._file.close()


def open_journal(path: str) -> Appender:
    """Open the journal at ``path``; an incomplete last line in it is replaced by JSON.

    Raises as ``Appender`` does.
    """
    return Appender(path, "--journal", restate=_cut)


def _cut(text: str) -> str:
    return as_json({"event": "cut", "text": text})


def _start(job: Job) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event": "start",
        "version": __version__,
        "verb": job.verb,
        "sources": list(job.reads),
    }
    if job.verb != "clean":
        event |= {"dest": job.writes, "mode": job.mode.value}
    event["time"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return event | ({"dry_run": True} if job.dry_run else {})
