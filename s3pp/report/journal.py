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

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from s3pp.escaping import one_line
from s3pp.job import Job
from s3pp.records import Failed, Outcome, Skipped
from s3pp.report.appender import Appender, Unwritten
from s3pp.report.lines import Lines, as_json
from s3pp.report.run_events import Event
from s3pp.report.view import SURPRISING, Detail


class Journal:
    """The journal of a run. Raises ``FatalError`` if writing fails: an unrecorded run must stop."""

    def __init__(self, path: str) -> None:
        self._file = open_journal(path)
        self._first: Event = {}  # that begins the run
        self._is_begun = False  # it is in the file

    def start(self, first: Event) -> None:
        """Record the start of the run; only the first call counts."""
        if not self._first:
            beside = {} if self._file.is_alone() else {"concurrent": True}
            self._first = first | beside
        self._begin()

    def write(self, events: Sequence[Event]) -> None:
        """Record a batch in one write, so that a kill truncates at most the last line."""
        self._begin()
        self.follow()
        self._file.append("".join(f"{as_json(event)}\n" for event in events))

    def follow(self) -> str | None:
        """Go on in the file that has the journal's name by now.

        Returns a complaint if that is another one, and cannot be opened.
        """
        if not self._is_begun or not self._file.follow():
            return self._file.take_complaint()
        self._is_begun, self._first["continued"] = False, True
        self._begin()
        return None

    def close(self, last: Event) -> None:
        """Record the summary of the run, and flush the journal to the disk."""
        try:
            self.write([last])
        finally:
            self._file.close()

    def _begin(self) -> None:
        if not self._is_begun:
            self._file.append(as_json(self._first) + "\n")
            self._is_begun = True  # until then nothing else is written


def open_journal(path: str) -> Appender:
    """Open the journal at ``path``; an incomplete last line in it is replaced by JSON.

    Raises as ``Appender`` does.
    """
    return Appender(path, "--journal", restate=_cut)


def _cut(text: str) -> str:
    return as_json({"event": "cut", "text": text})


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
