"""The journal: JSON lines, one per object, the record of what became of each.

::

    {"event":"start","version":…,"verb":"put","sources":[…],"dest":"s3://…","mode":…,"time":…}
    {"event":"done", …}      as ``--json`` prints them
    {"event":"summary", …}   missing: the run did not come to its end
    {"event":"cut","text":…} what the last run before this one could not write to its end

Of the job only what names the objects is kept: no header, no key id, no endpoint.
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
    """Writes a run's journal. ``FatalError`` where the disk fills: an unrecorded run must stop."""

    def __init__(self, path: str, job: Job) -> None:
        self._job = job
        self._lines = Lines.of(job)
        self._file = open_journal(path)
        self._file.append(as_json(_start(job)) + "\n")

    def outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Record a batch: one write, so that a killed run tears at most its last line."""
        self._file.append("".join(f"{self._lines.json(outcome)}\n" for outcome in outcomes))

    def close(self, totals: Totals) -> None:
        """Record how the run ended, and bring it all to the disk."""
        try:
            self._file.append(as_json(summary_event(totals, self._job)) + "\n")
        finally:
            self._file.close()


def open_journal(path: str) -> Appender:
    """The journal at ``path``, each line of it JSON: also one that a full disk or a kill has cut.

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
