"""Figures as a table for people, which reStructuredText also takes as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from measure import Measured
from rounds import Run, Runs

YARDSTICK = "s5cmd"  # the fastest of the others on small objects
_MOVED = (
    *("tool", "files", "objects/s", "CPU us/object", "PSS MB", "RSS MB"),
    *("connections", "peer us/object", "objects/s : s5cmd", "CPU : s5cmd"),
)


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a simple table under ``title``."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    print(f"\n{title}\n\n{rule}\n{_line(columns, widths)}\n{rule}")
    print("\n".join([*(_line(row, widths) for row in rows), rule]), flush=True)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join(padded).rstrip()


def show_moved(title: str, table: Sequence[Runs]) -> None:
    """Print how fast each tool moved its objects, and at what cost."""
    show(title, _MOVED, [_moved(runs, table) for runs in table])


def _moved(runs: Runs, table: Sequence[Runs]) -> list[str]:
    last = runs.timed[-1]
    return [
        runs.tool.name,
        str(last.files),
        f"{runs.median(lambda run: run.rate):.0f}",
        f"{runs.median(lambda run: run.cpu):.0f}",
        *megabytes(runs.sampled.measured),
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
