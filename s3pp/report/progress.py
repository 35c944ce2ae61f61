"""Whether progress is shown, and on what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

from s3pp.job import Output
from s3pp.report.outlet import Outlet
from s3pp.report.totals import Totals


class Progress(Protocol):
    """A display of the facts so far: ``display.PlainProgress``, ``display.TerminalProgress``."""

    def update(self, totals: Totals, listed: int, walk_done: bool) -> None:
        """Show them; cheap enough for ten times a second."""

    def clear(self) -> None:
        """Make room for lines to be printed; the next ``update`` draws again."""

    def close(self) -> None:
        """Show nothing any more."""


def open_progress(stderr: Outlet, output: Output, *, listing: bool) -> Progress | None:
    """The display these settings and this stderr ask for, or None.

    ``listing``: a line per object goes to a terminal too, and the two would be in each other's way.
    """
    terminal = stderr.terminal
    if not wanted(output, terminal=terminal, listing=listing):
        return None
    # Only now: the display imports rich, which costs more than many a run.
    from s3pp.report.display import PlainProgress, TerminalProgress

    if terminal and capable(os.environ):
        return TerminalProgress(stderr)
    return PlainProgress(stderr, last=output.progress is True)


def erase_display(stderr: Outlet, output: Output) -> None:
    """Empty the terminal's line, if a display may stand on it that nobody closed."""
    terminal = stderr.terminal
    if terminal and wanted(output, terminal=True, listing=False) and capable(os.environ):
        stderr.write("\r\x1b[2K")  # the display is one line; that of a closed one is empty


def wanted(output: Output, *, terminal: bool, listing: bool) -> bool:
    """Whether progress is shown: as asked, else on a terminal that nothing else scrolls."""
    if output.progress is not None:
        return output.progress
    return terminal and not listing and output.verbosity >= 0


def capable(environ: Mapping[str, str]) -> bool:
    """Whether the terminal can move its cursor."""
    return environ.get("TERM", "dumb") not in ("dumb", "unknown", "")
