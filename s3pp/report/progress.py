"""The choice of a progress display."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

from s3pp.job import Output
from s3pp.report.outlet import Outlet
from s3pp.report.totals import Totals


class Progress(Protocol):
    """A display of the totals: ``display.PlainProgress`` or ``display.TerminalProgress``."""

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
    # Imported late: the display imports rich, which takes longer than many runs.
    from s3pp.report.display import PlainProgress, TerminalProgress

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
