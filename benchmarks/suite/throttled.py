"""Send a tree to a store that allows so many requests a second: who wastes them, who fails."""

from __future__ import annotations

from collections.abc import Sequence

import invocations
from data import Load, tree
from rounds import Failed, Run, interleave
from serving import Peer, serving
from suite.once import check_held, measured_run, programs
from suite.setting import Setting
from suite.table import Table
from tools import Tool

RATES = (50, 200, 2000)  # requests per second
SECONDS = 20  # that a run takes at best
BURST = 0.1  # seconds of the rate that go at once after a pause

_COLUMNS = (
    "tool",
    "requests/s",
    "objects",
    "failed",
    "seconds",
    "of the ideal",
    "refused",
    "refused %",
)


def throttled(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure, for each rate, how long it took and how many requests were refused."""
    rows = []
    for rate in RATES:
        files = setting.files or rate * SECONDS
        with serving(limit=rate, burst=BURST * rate) as peer:

            def run(tool: Tool, sampled: bool, files: int = files, peer: Peer = peer) -> Run:
                return _send(peer, tool, setting, files, sampled)

            table = interleave(programs(found), run, setting)
        rows += [_row(runs.tool, [runs.sampled, *runs.timed], rate) for runs in table]
    return Table(f"throttled: files of {setting.size} bytes, {setting}", _COLUMNS, rows)


def _send(peer: Peer, tool: Tool, setting: Setting, files: int, sampled: bool) -> Run:
    source = tree(setting.folder, files, setting.size)
    peer.clear()
    before = peer.counts().cpu_seconds
    load = Load(files, setting.size)
    measured = measured_run(peer, tool, invocations.put(tool, peer.endpoint, source, load))
    counts = peer.counts()
    run = Run(files, measured, counts, counts.cpu_seconds - before)
    if not measured.status:
        check_held(tool, run, load)
    elif counts.keys == 0:
        raise Failed(f"{tool.name}: exit status {measured.status}: {measured.errors.strip()}")
    return run


def _row(tool: Tool, runs: Sequence[Run], rate: int) -> list[str]:
    worst = max(runs, key=lambda run: run.measured.wall)
    refused = max(run.counts.requests.get("SlowDown", 0) for run in runs)
    asked = sum(worst.counts.requests.values())
    ideal = worst.files / rate
    return [
        tool.name,
        f"{rate:,}",
        f"{worst.files:,}",
        str(max(run.files - run.counts.keys for run in runs)),
        f"{worst.measured.wall:.1f}",
        f"{worst.measured.wall / ideal:.2f}",
        str(refused),
        f"{100 * refused / asked:.1f}",
    ]
