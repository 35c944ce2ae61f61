"""Figures as a table, which a page of the documentation takes as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from measure import Measured
from rounds import Run, Runs

YARDSTICK = "s5cmd"  # the fastest of the others on small objects
RATIOS = ("speed : s5cmd", "CPU : s5cmd")
_MOVED = (
    *("tool", "objects", "objects/s", "CPU µs", "PSS MB", "connections", "peer µs"),
    *RATIOS,
)


class Table(NamedTuple):
    """A table; as text, a simple table of reStructuredText under its title."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        widths = [max(map(len, cells)) for cells in zip(self.columns, *self.rows, strict=True)]
        rule = "  ".join("=" * width for width in widths)
        lines = [_line(row, widths) for row in (self.columns, *self.rows)]
        return "\n".join([self.title, "", rule, lines[0], rule, *lines[1:], rule])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def join(title: str, tables: Mapping[str, Table]) -> Table:
    """Tables of the same columns as one, whose first column says what each was about."""
    (columns,) = {tuple(table.columns) for table in tables.values()}
    rows = [
        ["\\" if number else what, *row]
        for what, table in tables.items()
        for number, row in enumerate(table.rows)
    ]
    return Table(title, ("what", *columns), rows)


def moved(title: str, table: Sequence[Runs]) -> Table:
    """How fast each tool moved its objects, and at what cost."""
    return Table(title, _MOVED, [_moved(runs, table) for runs in table])


def _moved(runs: Runs, table: Sequence[Runs]) -> list[str]:
    last = runs.timed[-1]
    return [
        runs.tool.name,
        f"{last.files:,}",
        f"{runs.median(lambda run: run.rate):,.0f}",
        f"{runs.median(lambda run: run.cpu):.0f}",
        megabytes(runs.sampled.measured)[0],
        str(last.counts.connections),
        f"{runs.median(lambda run: run.peer_cpu / run.files * 1e6):.0f}",
        ratio(runs, table, lambda run: run.rate),
        ratio(runs, table, lambda run: run.cpu),
    ]


def ratio(
    runs: Runs,
    table: Sequence[Runs],
    figure: Callable[[Run], float],
    *,
    yardstick: str = YARDSTICK,
) -> str:
    """``figure`` relative to that of the tool called ``yardstick``, where it ran."""
    for other in table:
        if other.tool.name == yardstick:
            return f"{runs.ratio(other, figure):.2f}"
    return "-"


def megabytes(measured: Measured) -> tuple[str, str]:
    """PSS and RSS at the peak; a run shorter than one sampling interval shows none."""
    if not measured.rss:
        return "-", "-"
    return f"{measured.pss / 1e6:.0f}", f"{measured.rss / 1e6:.0f}"
