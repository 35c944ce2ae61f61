"""The progress display: a few lines redrawn in place on a terminal, periodic lines elsewhere."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from s3pp.escaping import printable
from s3pp.job import Job
from s3pp.output import Output
from s3pp.report.forecast import Throughput, percentage
from s3pp.report.lines import as_json
from s3pp.report.outlet import Outlet, Streams
from s3pp.report.progress_text import (
    Forecast,
    binary,
    event,
    extent_facts,
    fit,
    line,
    rate_facts,
    trouble_facts,
)
from s3pp.report.screen import ERASE, Row, Screen, Styled, colored
from s3pp.report.totals import ActiveObject, Totals
from s3pp.report.view import Detail

PLAIN_SECONDS = 10.0  # between two lines without a terminal
AGAIN_SECONDS = 1.0  # after which the display is drawn again, which others may have written over
MOST_ACTIVE = 3  # large objects that have bars of their own
ACTIVE_BARS, LEAST_NAME = (20, 10, 0), 20  # columns: the widest that leaves room for a name
BARS = (30, 20, 10, 0)  # columns: the widest bar that the text leaves room for


class Progress(Protocol):
    """A display of the totals: ``PlainProgress`` or ``TerminalProgress``."""

    def update(self, totals: Totals) -> None:
        """Show the totals; cheap enough for ten calls per second."""

    def clear(self) -> None:
        """Erase the display before lines are printed; the next ``update`` redraws it."""

    def close(self) -> None:
        """End the display."""


def open_progress(streams: Streams, job: Job) -> Progress | None:
    """Return the display for this job on these streams, or None."""
    stderr = streams.stderr
    if not is_shown(job, streams):
        return None
    if stderr.terminal and capable(os.environ):
        return TerminalProgress(stderr, job)
    return PlainProgress(stderr, job)


def is_shown(job: Job, streams: Streams) -> bool:
    """Return whether the progress of ``job`` is shown."""
    listing = streams.stdout.terminal and (
        job.verb == "list" or Detail.of(job.output, dry_run=job.lists_decisions).done
    )
    return wanted(job.output, terminal=streams.stderr.terminal, listing=listing)


def erase_display(stderr: Outlet, output: Output) -> None:
    """Erase a display that was not closed: the cursor is where it begins."""
    terminal = stderr.terminal
    if terminal and wanted(output, terminal=True, listing=False) and capable(os.environ):
        stderr.write(ERASE)


def wanted(output: Output, *, terminal: bool, listing: bool) -> bool:
    """Return whether to show progress: as set, else on a terminal without other output.

    ``listing``: a line per object goes to a terminal too.
    """
    if output.progress is not None:
        return output.progress
    return terminal and not listing and output.verbosity >= 0


def capable(environ: Mapping[str, str]) -> bool:
    """Return whether the terminal can move its cursor."""
    return environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


class PlainProgress:
    """Progress on a stderr that is no terminal, or a simple one: a line every few seconds.

    With ``--json`` each line is an event.
    """

    def __init__(
        self, outlet: Outlet, job: Job, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._outlet = outlet
        self._job = job
        self._clock = clock
        self._throughput = Throughput()
        self._throughput.add(clock(), Totals())  # what comes first came after this
        self._due = clock() + PLAIN_SECONDS
        self._last = job.output.progress is True  # a final line, so that a short run shows one
        self._totals: Totals | None = None

    def update(self, totals: Totals) -> None:
        """Write a line if one is due."""
        now, self._totals = self._clock(), totals
        self._throughput.add(now, totals)
        if now >= self._due:
            self._due = now + PLAIN_SECONDS
            self._write(totals)

    def clear(self) -> None:
        """Do nothing: whole lines need no erasing."""

    def close(self) -> None:
        """Write the last line, where progress was asked for."""
        if self._last and self._totals is not None:
            self._write(self._totals)
            self._totals = None

    def _write(self, totals: Totals) -> None:
        job, forecast = self._job, Forecast.of(self._job, totals, self._throughput)
        if job.output.json:
            self._outlet.lines([as_json(event(totals, forecast, job.title))])
        else:
            self._outlet.lines([f"{job.output.program}: {line(totals, forecast)}"])


class TerminalProgress:
    """Progress on a terminal: a bar and counts, redrawn in place, erased by ``close``."""

    def __init__(
        self, outlet: Outlet, job: Job, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._job = job
        self._clock = clock
        self._screen = Screen(outlet, color=colored(os.environ))
        self._throughput = Throughput()
        self._throughput.add(clock(), Totals())
        self._again_at = clock()

    def update(self, totals: Totals) -> None:
        """Redraw the display."""
        now = self._clock()
        self._throughput.add(now, totals)
        again = now >= self._again_at
        if again:
            self._again_at = now + AGAIN_SECONDS
        self._screen.draw(self._rows(totals), again=again)

    def clear(self) -> None:
        """Erase the display."""
        self._screen.erase()

    close = clear

    def _rows(self, totals: Totals) -> list[Row]:
        forecast, width = Forecast.of(self._job, totals, self._throughput), self._screen.width
        text = fit(extent_facts(totals, forecast), width)
        percent = None if forecast.is_open else percentage(totals)
        rows: list[Row] = [self._with_bar(text, percent, width)]
        rates, trouble = rate_facts(totals, forecast), trouble_facts(totals)
        for facts, style in ((rates, ""), (trouble, "trouble")):
            if facts:
                rows.append([Styled(self._screen.shorten(fit(facts, width), width), style)])
        return [*rows, *(self._active_row(each, width) for each in totals.active[:MOST_ACTIVE])]

    def _active_row(self, active: ActiveObject, width: int) -> Row:
        """Return the line of a large object that is being transferred."""
        percent = min(99, 100 * active.moved // max(1, active.size))
        done = f" {percent:>2}% of {binary(active.size)} "
        bar = next((each for each in ACTIVE_BARS if each + len(done) + LEAST_NAME <= width), 0)
        name = self._screen.shorten(printable(active.name), max(0, width - bar - len(done)))
        return [
            *self._screen.bar(percent, bar),
            Styled(done[: width - bar]),
            Styled(name, "object"),
        ]

    def _with_bar(self, text: str, percent: int | None, width: int) -> Row:
        """Return a line of ``text``, with as wide a bar before it as there is room for."""
        bar = next((each for each in BARS if len(text) + 1 + each <= width), 0)
        spans = [Styled(self._screen.shorten(text, width))]
        if bar and percent is not None:
            spans = [*self._screen.bar(percent, bar), Styled(" "), *spans]
        return spans
