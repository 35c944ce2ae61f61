"""The journal and the log of a run: what a user reads after it.

The journal is JSON lines, described in ``docs/journal.rst``::

    {"event":"start","run":…,"schema":2, …}   how the run was called
    {"event":"done","run":…, …}               one for each object: as ``--json`` has it, and more
    {"event":"summary","run":…, …}            missing: the run did not come to its end
    {"event":"cut","text":…}                  what the last run before could not write to its end

Each batch of outcomes is written at once, in whole lines. When another file has taken the journal's
name, as after a rotation, that is continued, with the line ``start`` once more.

The log is the messages to users, with time and level, at one ``-v`` more: it names every object
transferred unless ``-q`` is given, and every failure, notice and summary in any case.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from s3pp import __version__
from s3pp.errors import ExitStatus
from s3pp.escaping import one_line
from s3pp.facts import time_text
from s3pp.job import Compare, Job
from s3pp.records import Failed, Outcome, Skipped
from s3pp.report.appender import Appender, Unwritten
from s3pp.report.lines import Lines, as_json
from s3pp.report.object_facts import with_facts
from s3pp.report.totals import Totals, summary_event
from s3pp.report.view import SURPRISING, Detail

SCHEMA = 2  # of the lines; 1 had no ``run``, and no facts of objects


class Journal:
    """The journal of a run. Raises ``FatalError`` if writing fails: an unrecorded run must stop."""

    def __init__(self, path: str, job: Job) -> None:
        self._job = job
        self.lines = Lines.of(job)
        self.run = os.urandom(6).hex()  # in each line, as others may write to the same file
        self._file = open_journal(path)
        self._first: dict[str, Any] = {}  # the line that begins the run
        self._is_begun = False  # it is in the file
        self._failures: Counter[str] = Counter()  # by their kind

    def start(self, job: Job) -> None:
        """Record the start of the run, of which ``job`` is known by now; only the first counts."""
        if self._is_begun:
            return
        if not self._first:
            beside = {} if self._file.is_alone() else {"concurrent": True}
            self._first = _start(job, self.run) | beside
        self._file.append(as_json(self._first) + "\n")
        self._is_begun = True  # until then nothing else is written

    def record(self, outcomes: Iterable[Outcome]) -> None:
        """Record a batch in one write, so that a kill truncates at most the last line."""
        self.start(self._job)
        self.follow()
        now = time.time()
        self._file.append("".join(f"{self._line(outcome, now)}\n" for outcome in outcomes))

    def follow(self) -> str | None:
        """Go on in the file that has the journal's name by now.

        Returns a complaint if that is another one, and cannot be opened.
        """
        if not self._is_begun or not self._file.follow():
            return self._file.take_complaint()
        self._is_begun, self._first["continued"] = False, True
        self.start(self._job)
        return None

    def close(self, totals: Totals, status: ExitStatus) -> None:
        """Record the summary of the run, and flush the journal to the disk."""
        try:
            self.start(self._job)
            self.follow()
            end = {"exit_code": int(status), "failures": dict(self._failures)}
            event = self._with_run(summary_event(totals, self._job)) | {"time": _now()} | end
            self._file.append(as_json(event) + "\n")
        finally:
            self._file.close()

    def _line(self, outcome: Outcome, now: float) -> str:
        if isinstance(outcome, Failed):
            self._failures[outcome.kind.value] += 1
        return as_json(with_facts(self._with_run(self.lines.event(outcome)), outcome, now))

    def _with_run(self, event: dict[str, Any]) -> dict[str, Any]:
        return {"event": event["event"], "run": self.run} | event


def open_journal(path: str) -> Appender:
    """Open the journal at ``path``; an incomplete last line in it is replaced by JSON.

    Raises as ``Appender`` does.
    """
    return Appender(path, "--journal", restate=_cut)


def _cut(text: str) -> str:
    return as_json({"event": "cut", "text": text})


def _now() -> str:
    return time_text(time.time())


def _start(job: Job, run: str) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event": "start",
        "run": run,
        "schema": SCHEMA,
        "time": _now(),
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
    stores, accounts = job.stores, job.accounts
    known = {"source_endpoint": stores.source, "dest_endpoint": stores.dest}
    known |= {"source_account": accounts.source, "dest_account": accounts.dest}
    event |= {name: text for name, text in known.items() if text}
    event["directory"] = os.getcwd()
    kinds = {"dry_run": job.dry_run, "sandbox": job.sandbox}
    event |= {kind: True for kind, given in kinds.items() if given}
    return event | _invocation(job)


def _invocation(job: Job) -> dict[str, Any]:
    """Return how the run was called; nothing if that is not known."""
    called = job.output.invocation
    if called is None:
        return {}
    withheld = {"withheld": list(called.withheld)} if called.withheld else {}
    return {"command": list(called.command), "settings": called.settings} | withheld


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

    def follow(self) -> str | None:
        """As ``Journal.follow``; returns a complaint as ``record`` does."""
        file = self._file
        if file is None:
            return None
        return self._guard(file.follow) or file.take_complaint()

    def _open(self, path: str) -> None:
        self._file = Appender(path, "--log-file")

    def _write(self, text: str) -> str | None:
        if self._file is None or not text:
            return None
        file = self._file
        return self._guard(lambda: file.append(text))

    def _guard(self, write: Callable[[], object]) -> str | None:
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
