"""The progress display: one line redrawn in place on a terminal, periodic lines elsewhere."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO, cast

from s3pp.output import Output
from s3pp.report.outlet import Outlet
from s3pp.report.totals import Fact, Totals

if TYPE_CHECKING:  # rich is imported only to draw: its import takes longer than many runs
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

PLAIN_SECONDS = 5.0  # between two lines without a terminal
BARS = (20, 10, 0)  # columns: the widest bar that the text leaves room for
WINDOW = 10.0  # seconds over which the current rates are measured


class Progress(Protocol):
    """A display of the totals: ``PlainProgress`` or ``TerminalProgress``."""

    def update(self, totals: Totals, listed: int, walk_done: bool) -> None:
        """Show the totals; cheap enough for ten calls per second."""

    def clear(self) -> None:
        """Erase the display before lines are printed; the next ``update`` redraws it."""

    def close(self) -> None:
        """End the display."""


def open_progress(stderr: Outlet, output: Output, *, listing: bool) -> Progress | None:
    """Return the display for these settings and this stderr, or None.

    ``listing``: a line per object goes to a terminal too, which excludes a display by default.
    """
    terminal = stderr.terminal
    if not wanted(output, terminal=terminal, listing=listing):
        return None
    if terminal and capable(os.environ):
        return TerminalProgress(stderr)
    return PlainProgress(stderr, last=output.progress is True)


def erase_display(stderr: Outlet, output: Output) -> None:
    """Erase the terminal's line, which may still show a display that was not closed."""
    terminal = stderr.terminal
    if terminal and wanted(output, terminal=True, listing=False) and capable(os.environ):
        stderr.write("\r\x1b[2K")  # the display is one line, and empty once closed


def wanted(output: Output, *, terminal: bool, listing: bool) -> bool:
    """Return whether to show progress: as set, else on a terminal without other output."""
    if output.progress is not None:
        return output.progress
    return terminal and not listing and output.verbosity >= 0


def capable(environ: Mapping[str, str]) -> bool:
    """Return whether the terminal can move its cursor."""
    return environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


class Rates(NamedTuple):
    """Rates per second, over the window."""

    objects: float
    bytes: float


class Throughput:
    """Rates over the last ``WINDOW`` seconds, independent of the start of the run."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int, int]] = deque()

    def rates(self, now: float, totals: Totals) -> Rates:
        """Add the sample at ``now`` (seconds, any origin) and return the rates."""
        self._samples.append((now, totals.finished, totals.moved))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()
        then, finished, size = self._samples[0]
        if now <= then:
            return Rates(0.0, 0.0)
        seconds = now - then
        return Rates((totals.finished - finished) / seconds, (totals.moved - size) / seconds)


def seconds_left(totals: Totals, listed: int, rate: float) -> float | None:
    """Return seconds until all listed objects are done, at ``rate`` objects/s; None: unknown."""
    if rate <= 0:
        return None
    return max(0, listed - totals.finished) / rate


class PlainProgress:
    """Progress on a stderr that is no terminal: a whole line every few seconds."""

    def __init__(
        self,
        outlet: Outlet,
        *,
        last: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up the display; ``last``: write a final line too, so that a short run shows one."""
        self._outlet = outlet
        self._clock = clock
        self._throughput = Throughput()
        self._due = clock() + PLAIN_SECONDS
        self._last = last
        self._line = ""

    def update(self, totals: Totals, listed: int, walk_done: bool) -> None:
        """Write a line if one is due."""
        now = self._clock()
        parts = facts(totals, listed, walk_done, throughput=self._throughput, now=now)
        self._line = f"s3pp: {', '.join(each.text for each in parts)}\n"
        if now >= self._due:
            self._due = now + PLAIN_SECONDS
            self._write()

    def clear(self) -> None:
        """Do nothing: whole lines need no erasing."""

    def close(self) -> None:
        """Write the last line, if ``last`` was set."""
        if self._last:
            self._write()

    def _write(self) -> None:
        line, self._line = self._line, ""
        self._outlet.write(line)


class TerminalProgress:
    """Progress on a terminal: a bar and counts, redrawn in place, erased by ``close``."""

    def __init__(self, outlet: Outlet, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.console import Console

        # An outlet has write, flush and encoding: all that rich needs of a file.
        self._console = Console(file=cast(TextIO, outlet), force_terminal=True)
        self._clock = clock
        self._throughput = Throughput()
        self._live: Live | None = None

    def update(self, totals: Totals, listed: int, walk_done: bool) -> None:
        """Redraw the display."""
        now = self._clock()
        parts = facts(totals, listed, walk_done, throughput=self._throughput, now=now)
        width, total = self._console.width, listed if walk_done else None
        text = fit(parts, width)
        bar = next(each for each in BARS if not each or len(text) + 1 + each <= width)
        self._draw(_row(text, totals.finished, total=total, bar=bar, now=now))

    def clear(self) -> None:
        """Erase the display."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    close = clear

    def _draw(self, row: Table) -> None:
        if self._live is None:
            from rich.live import Live

            # No thread of rich's: only the statter draws.
            self._live = Live(
                console=self._console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
            # Visible, so that a kill cannot leave the terminal without a cursor.
            self._console.show_cursor(True)
        self._live.update(row, refresh=True)


def facts(
    totals: Totals, listed: int, walk_done: bool, *, throughput: Throughput, now: float
) -> list[Fact]:
    """Return the parts of the display's text; ``now`` is in seconds, on ``throughput``'s clock."""
    rates = throughput.rates(now, totals)
    count = f"{totals.finished:,} of {listed:,}{'' if walk_done else '+'}"
    bytes_rate = f"{_binary(rates.bytes)}/s"
    parts = [
        Fact(f"{count} objects", count),
        Fact(_binary(totals.there), _binary(totals.there), rank=6),
        Fact(f"{rates.objects:,.0f} objects/s", f"{rates.objects:,.0f}/s", rank=5),
        Fact(bytes_rate, bytes_rate, rank=4),
    ]
    for number, what, rank in ((totals.skipped, "skipped", 3), (totals.failed, "failed", 2)):
        if number:
            parts.append(Fact(f"{number:,} {what}", f"{number:,} {what}", rank))
    parts += totals.flow.facts
    if totals.standstill:
        parts.append(Fact(totals.standstill, totals.standstill))
    left = seconds_left(totals, listed, rates.objects)
    if left is not None:
        clock, least = _clock(left), not walk_done
        text = f"{'at least ' if least else ''}{clock} left"
        parts.append(Fact(text, f"{clock}{'+' if least else ''} left", rank=1))
    return parts


def fit(parts: Sequence[Fact], width: int) -> str:
    """Return text for ``width`` columns: all parts, all shortened, or the most important ones."""
    text = ", ".join(each.text for each in parts)
    by_rank = sorted(range(len(parts)), key=lambda at: parts[at].rank)
    for count in range(len(parts), 0, -1):
        if len(text) <= width:
            break
        text = ", ".join(parts[at].short for at in sorted(by_rank[:count]))
    return text


def _row(text: str, finished: int, *, total: int | None, bar: int, now: float) -> Table:
    """Return the display; without a ``total`` the bar, if any, only pulses."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    row, pulse = Table.grid(padding=(0, 1)), total is None
    cells: list[RenderableType] = [Text(text, no_wrap=True, overflow="ellipsis")]
    if bar:
        done = ProgressBar(total, finished, bar, pulse, animation_time=now)
        cells.insert(0, done)
    row.add_row(*cells)
    return row


def _binary(size: float) -> str:
    """Format ``size`` bytes in the units that the command line accepts."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
