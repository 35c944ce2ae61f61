"""Run tools against each other in turns, and fold what was measured.

On a shared machine a run takes half as long again as the same run a minute later. Within one round
all tools meet about the same machine, so ratios are formed per round, and their median is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median
from typing import NamedTuple, Protocol

from measure import Measured
from serving import Counts
from tools import Tool


class Failed(Exception):
    """A tool did not do what it was asked: its figures would mean nothing."""


class Run(NamedTuple):
    """One run of one tool."""

    files: int
    measured: Measured
    counts: Counts
    peer_cpu: float  # seconds the peer spent on it

    @property
    def rate(self) -> float:
        """Objects per second, start-up included."""
        return self.files / self.measured.wall

    @property
    def cpu(self) -> float:
        """Client CPU in microseconds per object, start-up included."""
        return self.measured.cpu / self.files * 1e6


class Plan(Protocol):
    """How often tools run."""

    @property
    def rounds(self) -> int:
        """How often, in turns."""

    @property
    def once(self) -> frozenset[str]:
        """The names of those that run in the first round only, since they take long."""


class Runs(NamedTuple):
    """All runs of one tool: ``sampled`` for its memory, ``timed`` for the rest, one a round."""

    tool: Tool
    sampled: Run
    timed: list[Run]

    def median(self, figure: Callable[[Run], float]) -> float:
        """The median of ``figure`` over the rounds."""
        return median(map(figure, self.timed))

    def ratio(self, other: Runs, figure: Callable[[Run], float]) -> float:
        """The median over the rounds of ``figure`` here, divided by the ``other`` tool's."""
        pairs = zip(self.timed, other.timed, strict=False)  # one may have had the first round only
        return median(figure(mine) / figure(theirs) for mine, theirs in pairs)


def interleave(tools: Iterable[Tool], run: Callable[[Tool, bool], Run], plan: Plan) -> list[Runs]:
    """Let every tool ``run`` once with its memory sampled, then once a round without.

    The sampled runs also warm the page cache. A tool that fails is told of and left out.
    """
    tables: list[Runs] = []
    for tool in tools:
        try:
            tables.append(Runs(tool, run(tool, True), []))
        except Failed as failure:
            print(f"left out: {failure}", flush=True)
    for turn in range(plan.rounds):
        first = turn % max(1, len(tables))
        for runs in tables[first:] + tables[:first]:
            if not turn or runs.tool.name not in plan.once:
                runs.timed.append(run(runs.tool, False))
    return tables
