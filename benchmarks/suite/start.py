"""The shortest runs: what everybody waits for who only wants one thing."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import invocations
from data import names, tree
from rounds import Failed
from serving import Peer, serving
from suite.once import Load, measured_run, once
from suite.setting import Setting
from suite.table import megabytes, show
from tools import Tool

_COLUMNS = ("tool", "version s", "argument error s", "one file s", "one file PSS MB", "RSS MB")
_LEAST_ROUNDS = 5  # they are short


def start(setting: Setting, found: Sequence[Tool]) -> None:
    """Print the seconds of the version, of an error in the arguments, and of putting one file."""
    source = tree(setting.folder, 1, setting.size) / next(names(1))
    with serving(https=setting.https, latency=setting.latency) as peer:
        rows = []
        for tool in found:
            one = invocations.put_one(tool, peer.endpoint, source)
            peer.clear()
            run = once(peer, tool, one, load=Load(1, setting.size), sampled=True)
            shortest = (invocations.version(tool), invocations.mistake(tool), one)
            times = [_seconds(peer, tool, command, setting.rounds) for command in shortest]
            rows.append([tool.name, *times, *megabytes(run.measured)])
    show(f"start: {setting}", _COLUMNS, rows)


def _seconds(peer: Peer, tool: Tool, command: Sequence[str], rounds: int) -> str:
    runs = [measured_run(peer, tool, command) for _ in range(max(_LEAST_ROUNDS, rounds))]
    failed = {run.status for run in runs} != {0}
    if failed != (list(command) == invocations.mistake(tool)):
        raise Failed(f"{' '.join(command)}: exit status {runs[0].status}: {runs[0].errors}")
    return f"{median(run.wall for run in runs):.3f}"
