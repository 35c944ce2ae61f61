"""The file of ``--report``: what a run is known by while it goes on, and the page at its end."""

from __future__ import annotations

from collections.abc import Sequence

from s3pp.job import Job
from s3pp.report.appender import MODE
from s3pp.report.page.aggregate import Event, RunAggregate
from s3pp.report.page.render import ReportPage, render
from s3pp.report.replacing import mode_of, replacing
from s3pp.report.totals import RunReport


class ReportFile:
    """The report of a run that goes on."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._run = RunAggregate()

    def add(self, events: Sequence[Event]) -> None:
        """Add events of the run."""
        for event in events:
            self._run.add(event)

    def add_unchanged(self, count: int) -> None:
        """Add objects that are skipped as unchanged, without their names."""
        self._run.add_unchanged(count)

    def close(self, last: Event) -> str | None:
        """Write the page; ``last`` ends the run. Returns a complaint if it cannot be written."""
        self._run.add(last)
        return _write(self._path, self._run)


def write_unbegun(job: Job, result: RunReport) -> str | None:
    """Write the page of a run that could not begin; returns a complaint, as ``close``."""
    from s3pp.report.run_events import RunEvents

    events = RunEvents(job)
    run = RunAggregate()
    run.add(events.start(job))
    run.add({"event": "summary", "exit_code": int(result.status)})
    run.unbegun = result.error or ""
    return _write(job.output.report or "", run)


def _write(path: str, run: RunAggregate) -> str | None:
    try:
        write_page(path, ReportPage(run))
    except OSError as error:
        return f"--report {path!r} cannot be written: {error.strerror}"
    return None


def write_page(path: str, page: ReportPage) -> None:
    """Write a page, in place of an earlier one, whose permissions stay. Raises ``OSError``.

    It names objects: a new one is for its owner alone.
    """
    with replacing(path, mode_of(path, MODE)) as file:
        file.write(render(page))
