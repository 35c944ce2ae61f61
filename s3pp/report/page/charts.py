"""Charts in SVG, drawn without a script: each has a name, a description, and its values in a table.

Colors are those of the page's style, so that they follow dark, light and paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from s3pp.report.page import figures
from s3pp.report.page.markup import Column, Markup, table, tag

WIDTH, HEIGHT = 760.0, 210.0
LEFT, RIGHT, TOP, BOTTOM = 78.0, 18.0, 12.0, 26.0  # margins of the plot
INNER_WIDTH, INNER_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
MOST_ROWS = 30  # of the table beside a chart
TICKS_DOWN, MOST_TICKS_ACROSS = 4, 7
# Seconds between two ticks of time: the first of these that gives few of them.
STEPS = (
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    20,
    30,
    60,
    120,
    300,
    600,
    1200,
    1800,
    3600,
    7200,
    14400,
    43200,
)
DAY = 86400.0

Format = Callable[[float], str]


class Trace(NamedTuple):
    """The values of one series, one for each bucket of time; None: not known."""

    name: str
    values: Sequence[float | None]
    kind: str = "area"  # or "line", "bars"
    color: int = 1  # 1 to 4, of the style


class Chart(NamedTuple):
    """A chart over time."""

    id: str  # unique on the page
    title: str
    unit: str  # of the values, for the head of the table
    traces: Sequence[Trace]
    width: float  # seconds of a bucket
    format: Format = figures.count
    step: int = 1000  # 1024 where values are bytes
    tick: Format | None = None  # of the values on the axis; None: as ``format``
    least: float = 0.0  # of the end of the axis

    def render(self) -> Markup:
        """Return the chart, and its values in a table that is folded."""
        known = [value for trace in self.traces for value in trace.values if value is not None]
        top = ceiling(max(self.least, max(known, default=0.0)), self.step)
        buckets = max(len(trace.values) for trace in self.traces)
        parts = [
            tag("title", self.title, id=f"{self.id}-title"),
            tag("desc", self._description(), id=f"{self.id}-desc"),
            *self._grid(top, buckets),
            *(_draw(trace, top) for trace in self.traces),
        ]
        labelled = f"{self.id}-title {self.id}-desc"
        svg = tag(
            "svg",
            parts,
            viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}",
            role="img",
            aria_labelledby=labelled,
        )
        return tag("figure", [self._caption(), svg, self._values(buckets)])

    def _caption(self) -> Markup:
        keys = [
            tag("span", [tag("i", (), class_=f"key c{trace.color}"), trace.name], class_="legend")
            for trace in self.traces
        ]
        legend = keys if len(keys) > 1 else []
        return tag("figcaption", [tag("strong", self.title), " ", tag("span", self.unit), *legend])

    def _description(self) -> str:
        said = []
        for trace in self.traces:
            known = [value for value in trace.values if value is not None]
            if known:
                mean, most = math.fsum(known) / len(known), max(known)
                said.append(
                    f"{trace.name}: {self.format(mean)} on average, at most {self.format(most)}"
                )
        return f"{'; '.join(said) or 'no values'}. The values are in the table below."

    def _grid(self, top: float, buckets: int) -> list[Markup]:
        parts = []
        for number in range(TICKS_DOWN + 1):
            value = top * number / TICKS_DOWN
            parts += self._level(value, f"{_y(value, top):.1f}")
        seconds = buckets * self.width
        for at in moments(seconds):
            place = {"x": f"{LEFT + INNER_WIDTH * at / seconds:.1f}", "y": f"{HEIGHT - 8}"}
            text = figures.clock(at)
            parts.append(tag("text", text, class_="tick", text_anchor="middle", **place))
        return parts

    def _level(self, value: float, y: str) -> list[Markup]:
        line = tag("line", x1=f"{LEFT}", x2=f"{WIDTH - RIGHT}", y1=y, y2=y, class_="grid")
        place = {"x": f"{LEFT - 8}", "y": y, "text_anchor": "end", "dy": "0.32em"}
        return [line, tag("text", (self.tick or self.format)(value), class_="tick", **place)]

    def _values(self, buckets: int) -> Markup:
        together = math.ceil(buckets / MOST_ROWS)  # buckets of one row
        columns = [Column("from"), *(Column(trace.name) for trace in self.traces)]
        rows = [
            [
                figures.clock(at * self.width),
                *(self._mean(trace.values[at : at + together]) for trace in self.traces),
            ]
            for at in range(0, buckets, together)
        ]
        inner = table(f"{self.title}, {self.unit}", columns, rows)
        return tag("details", [tag("summary", "Values"), inner])

    def _mean(self, values: Sequence[float | None]) -> str:
        known = [value for value in values if value is not None]
        return self.format(math.fsum(known) / len(known)) if known else "not known"


def ceiling(most: float, step: int = 1000) -> float:
    """Return the end of an axis for values up to ``most``, of which a fourth is a round number."""
    if most < 1e-9:
        return float(TICKS_DOWN)
    each = most / TICKS_DOWN
    unit = float(step) ** math.floor(math.log(each) / math.log(step)) if each >= 1 else 1.0
    power = 10.0 ** math.floor(math.log10(each / unit))
    factor = next(f for f in (1, 2, 2.5, 5, 10) if f * power * unit >= each * (1 - 1e-9))
    return factor * power * unit * TICKS_DOWN


def moments(seconds: float) -> list[float]:
    """Return the round times, from 0 on, that the axis of a run of ``seconds`` shows."""
    days = DAY * math.ceil(seconds / DAY / MOST_TICKS_ACROSS)
    step = next((step for step in STEPS if seconds / step <= MOST_TICKS_ACROSS), days)
    return [number * step for number in range(math.floor(seconds / step) + 1)]


def _y(value: float, top: float) -> float:
    return TOP + INNER_HEIGHT * (1 - min(value, top) / top)


def _draw(trace: Trace, top: float) -> Markup:
    each = INNER_WIDTH / max(1, len(trace.values))
    if trace.kind == "bars":
        bars = [_bar(at, value, each, top) for at, value in enumerate(trace.values) if value]
        return tag("g", bars, class_=f"bars c{trace.color}")
    return tag(
        "g",
        [_curve(run, each, top, trace.kind) for run in _runs(trace.values)],
        class_=f"c{trace.color}",
    )


def _bar(at: int, value: float, each: float, top: float) -> Markup:
    y, width = _y(value, top), max(1.5, each * 0.85)
    x, height = LEFT + at * each, max(1.0, TOP + INNER_HEIGHT - y)
    return tag("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:.1f}")


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Return the values that follow each other without a gap, with their numbers."""
    runs: list[list[tuple[int, float]]] = [[]]
    for at, value in enumerate(values):
        if value is not None:
            runs[-1].append((at, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _curve(run: Sequence[tuple[int, float]], each: float, top: float, kind: str) -> list[Markup]:
    """Return a line through the middle of each bucket and, of an area, what is below it."""
    points = [(LEFT + (at + 0.5) * each, _y(value, top)) for at, value in run]
    first, last = LEFT + run[0][0] * each, LEFT + (run[-1][0] + 1) * each
    points = [(first, points[0][1]), *points, (last, points[-1][1])]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    line = tag("path", d=f"M{path}", class_="curve")
    if kind != "area":
        return [line]
    floor = TOP + INNER_HEIGHT
    return [tag("path", d=f"M{path}L{last:.1f} {floor}L{first:.1f} {floor}Z", class_="area"), line]
