"""The log file: the messages to users, with time and level, at one ``-v`` more.

A log is read after the run: it names every object transferred unless ``-q`` is given, and every
failure, notice and summary in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone

from s3pp.job import Job
from s3pp.records import Failed, Outcome, Skipped
from s3pp.report.appender import Appender, Unwritten
from s3pp.report.escape import one_line
from s3pp.report.lines import Lines
from s3pp.report.view import SURPRISING, Detail


class Log:
    """The log of a run. If writing fails, that is reported once, and the log ends there."""

    def __init__(self, path: str, job: Job) -> None:
        self._lines = Lines.of(job)
        louder = replace(job.output, verbosity=job.output.verbosity + 1, json=False)
        detail = Detail.of(louder, dry_run=job.dry_run)
        self._detail = detail._replace(failed=True, notices=True)
        self._file: Appender | None = None
        self.opening_fault = self._guarded(lambda: self._open(path))  # see ``outcomes``

    def outcomes(self, outcomes: Sequence[Outcome]) -> str | None:
        """Log a batch. Returns the complaint if the file just became unwritable."""
        shown = [outcome for outcome in outcomes if self._detail.wants(outcome)]
        return self._append([(_level(o), self._lines.text(o)) for o in shown])

    def line(self, level: str, text: str) -> str | None:
        """Log one line; returns a complaint as ``outcomes`` does."""
        return self._append([(level, text)])

    def close(self) -> str | None:
        """Flush the log to the disk if possible; returns a complaint as ``outcomes`` does."""
        file, self._file = self._file, None
        return self._guarded(file.close) if file is not None else None

    def _open(self, path: str) -> None:
        self._file = Appender(path, "--log-file")

    def _append(self, entries: list[tuple[str, str]]) -> str | None:
        if self._file is None or not entries:
            return None
        text, file = _stamped(entries), self._file
        return self._guarded(lambda: file.append(text))

    def _guarded(self, write: Callable[[], None]) -> str | None:
        try:
            write()
        except Unwritten as error:
            self._file = None
            return f"{error.what}: the log ends here, and the run goes on"
        return None


def log_error(path: str, text: str) -> None:
    """Append one error to the log of a run without a ``Recorder``, or with a closed one."""
    file = Appender(path, "--log-file")
    file.append(_stamped([("ERROR", text)]))
    file.close()


def _level(outcome: Outcome) -> str:
    if isinstance(outcome, Failed):
        return "ERROR"
    surprising = isinstance(outcome, Skipped) and outcome.reason in SURPRISING
    return "WARNING" if surprising else "INFO"


def _stamped(entries: list[tuple[str, str]]) -> str:
    time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return "".join(f"{time} {level} {one_line(text)}\n" for level, text in entries)
