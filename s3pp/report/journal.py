"""The journal and the log of a run: what a user reads after it.

The journal is JSON lines, one per object, with its outcome::

    {"event":"start","version":…,"verb":"put","sources":[…],"dest":"s3://…","mode":…,
     "time":…,"dest_endpoint":…,"directory":…}
    {"event":"done", …}      as ``--json`` prints them
    {"event":"summary", …}   missing: the run did not come to its end
    {"event":"cut","text":…} what the last run before this one could not write to its end

Of the job only the names of the objects are recorded, the hosts of the stores, and the working
directory, which relative names begin in: a later run must be able to say whether it means the same
objects. No header, key id or URL is. The line ``start`` is written when the stores are known; it
has ``"concurrent":true`` where another run may be writing to the same file.

The log is the messages to users, with time and level, at one ``-v`` more: it names every object
transferred unless ``-q`` is given, and every failure, notice and summary in any case.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from s3pp import __version__
from s3pp.escaping import one_line
from s3pp.job import Compare, Job
from s3pp.records import Failed, Outcome, Skipped
from s3pp.report.appender import Appender, Unwritten
from s3pp.report.lines import Lines, as_json
from s3pp.report.totals import Totals, summary_event
from s3pp.report.view import SURPRISING, Detail


class Journal:
    """The journal of a run. Raises ``FatalError`` if writing fails: an unrecorded run must stop."""

    def __init__(self, path: str, job: Job) -> None:
        self._job = job
        self.lines = Lines.of(job)
        self._file = open_journal(path)
        self._started = False

    def start(self, job: Job) -> None:
        """Record the start of the run, of which ``job`` is known by now; only the first counts."""
        if self._started:
            return
        self._started = True
        beside = {} if self._file.is_alone() else {"concurrent": True}
        self._file.append(as_json(_start(job) | beside) + "\n")

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Record a batch in one write, so that a kill truncates at most the last line."""
        self.start(self._job)
        self._file.append("".join(f"{self.lines.json(outcome)}\n" for outcome in outcomes))

    def close(self, totals: Totals) -> None:
        """Record the summary of the run, and flush the journal to the disk."""
        try:
            self.start(self._job)
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
        "verb": job.title,
        "sources": list(job.reads),
    }
    if job.verb not in ("clean", "remove"):
        event |= {"dest": job.writes, "mode": job.mode.value}
    if job.applies is not None:
        event["plan"] = job.applies
    if job.compare is not Compare.ETAG:
        event["compare"] = job.compare.value
    event["time"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
    stores = {"source_endpoint": job.stores.source, "dest_endpoint": job.stores.dest}
    event |= {name: host for name, host in stores.items() if host}
    if job.verb in ("put", "get"):
        event["directory"] = os.getcwd()
    kinds = {"dry_run": job.dry_run, "sandbox": job.sandbox}
    return event | {kind: True for kind, given in kinds.items() if given}


class Log:
    """The log of a run. If writing fails, that is reported once, and the log ends there."""

    def __init__(self, path: str, job: Job) -> None:
        self.lines = Lines.of(job)
        louder = replace(job.output, verbosity=job.output.verbosity + 1, json=False)
        detail = Detail.of(louder, dry_run=job.lists_decisions)
        self._detail = detail._replace(failed=True, notices=True)
        self._file: Appender | None = None
        self.opening_fault = self._guard(lambda: self._open(path))  # see ``record``

    def record(self, outcomes: Sequence[Outcome]) -> str | None:
        """Log a batch. Returns the complaint if the file just became unwritable."""
        shown = [outcome for outcome in outcomes if self._detail.wants(outcome)]
        return self._write(_stamp([(_level(o), self.lines.text(o)) for o in shown]))

    def line(self, level: str, text: str) -> str | None:
        """Log one line; returns a complaint as ``record`` does."""
        return self._write(_stamp([(level, text)]))

    def append(self, lines: Sequence[str]) -> str | None:
        """Append ``lines`` as they are; returns a complaint as ``record`` does."""
        return self._write("".join(f"{line}\n" for line in lines))

    def close(self) -> str | None:
        """Flush the log to the disk if possible; returns a complaint as ``record`` does."""
        file, self._file = self._file, None
        return self._guard(file.close) if file is not None else None

    def _open(self, path: str) -> None:
        self._file = Appender(path, "--log-file")

    def _write(self, text: str) -> str | None:
        if self._file is None or not text:
            return None
        file = self._file
        return self._guard(lambda: file.append(text))

    def _guard(self, write: Callable[[], None]) -> str | None:
        try:
            write()
        except Unwritten as error:
            self._file = None
            return f"{error.what}: the log ends here; the run continues"
        return None


def log_error(path: str, text: str) -> None:
    """Append one error to the log of a run without a ``Recorder``, or with a closed one.

    Raises as ``Appender`` does.
    """
    log_lines(path, [_stamp([("ERROR", text)]).removesuffix("\n")])


def log_lines(path: str, lines: Sequence[str]) -> None:
    """Append ``lines`` to such a log as they are. Raises as ``Appender`` does."""
    file = Appender(path, "--log-file")
    file.append("".join(f"{line}\n" for line in lines))
    file.close()


def _level(outcome: Outcome) -> str:
    if isinstance(outcome, Failed):
        return "ERROR"
    surprising = isinstance(outcome, Skipped) and outcome.reason in SURPRISING
    return "WARNING" if surprising else "INFO"


def _stamp(entries: list[tuple[str, str]]) -> str:
    time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return "".join(f"{time} {level} {one_line(text)}\n" for level, text in entries)
