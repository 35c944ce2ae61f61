"""Send a tree to a store that allows so many requests a second: who wastes them, who fails."""

from __future__ import annotations

from collections.abc import Sequence

import invocations
from data import tree
from rounds import Failed, Run, interleave
from serving import Peer, serving
from suite.once import Load, check_held, measured_run
from suite.setting import Setting
from suite.table import show
from tools import Tool

RATES = (50, 200, 2000)  # requests per second
SECONDS = 20  # that a run takes at best
BURST = 0.1  # seconds of the rate that go at once after a pause

_COLUMNS = ("tool", "requests/s", "objects", "failed", "seconds", "of the ideal", "refused", "%")


def throttled(setting: Setting, found: Sequence[Tool]) -> None:
    """Print, for each rate, how long it took and how many requests were refused."""
    for rate in RATES:
        files = setting.files or rate * SECONDS
        with serving(limit=rate, burst=BURST * rate) as peer:

            def run(tool: Tool, sampled: bool, files: int = files, peer: Peer = peer) -> Run:
                return _send(peer, tool, setting, files, sampled)

            table = interleave(found, run, rounds=setting.rounds)
        title = f"throttled to {rate} requests/s: {files} files of {setting.size} bytes, {setting}"
        show(title, _COLUMNS, [_row(runs.tool, runs.timed, rate) for runs in table])


def _send(peer: Peer, tool: Tool, setting: Setting, files: int, sampled: bool) -> Run:
    source = tree(setting.folder, files, setting.size)
    peer.clear()
    before = peer.counts().cpu_seconds
    measured = measured_run(peer, tool, invocations.put(tool, peer.endpoint, source))
    counts = peer.counts()
    run = Run(files, measured, counts, counts.cpu_seconds - before)
    if not measured.status:
        check_held(tool, run, Load(files, setting.size))
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
        str(rate),
        str(worst.files),
        str(max(run.files - run.counts.keys for run in runs)),
        f"{worst.measured.wall:.1f}",
        f"{worst.measured.wall / ideal:.2f}",
        str(refused),
        f"{100 * refused / asked:.1f}",
    ]
