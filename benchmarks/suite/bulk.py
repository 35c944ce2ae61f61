"""The table of the benches that move one large object."""

from __future__ import annotations

from collections.abc import Sequence

from rounds import Run, Runs
from suite.table import RATIOS, Table, megabytes, ratio

_COLUMNS = (
    *("tool", "MB/s", "CPU s/GiB", "PSS MB", "requests", "connections"),
    "peer s/GiB",
    *RATIOS,
)


def bulk(title: str, table: Sequence[Runs], size: int) -> Table:
    """How fast each tool moved ``size`` bytes, and what a GiB of them cost."""
    return Table(title, _COLUMNS, [_row(runs, table, size) for runs in table])


def _row(runs: Runs, table: Sequence[Runs], size: int) -> list[str]:
    gibibytes = size / 2**30
    counts = runs.timed[-1].counts
    return [
        runs.tool.name,
        f"{runs.median(lambda run: size / run.measured.wall / 1e6):.0f}",
        f"{runs.median(lambda run: run.measured.cpu / gibibytes):.2f}",
        megabytes(runs.sampled.measured)[0],
        str(sum(counts.requests.values())),
        str(counts.connections),
        f"{runs.median(lambda run: run.peer_cpu / gibibytes):.2f}",
        ratio(runs, table, _speed),
        ratio(runs, table, lambda run: run.measured.cpu),
    ]


def _speed(run: Run) -> float:
    return 1 / run.measured.wall
