"""Send a tree to an empty bucket, asking nothing first."""

from __future__ import annotations

from collections.abc import Sequence

import tools
from data import tree
from rounds import Run, Runs, interleave
from serving import Peer, serving
from suite.once import Load, once
from suite.setting import Setting
from suite.table import megabytes, ratio, show
from tools import Tool

_COLUMNS = (
    *("tool", "files", "objects/s", "CPU us/object", "PSS MB", "RSS MB"),
    *("connections", "peer us/object", "objects/s : s5cmd", "CPU : s5cmd"),
)


def put(setting: Setting, found: Sequence[Tool]) -> None:
    """Print how fast, at what cost."""
    files = setting.files or (20_000 if setting.https else 50_000)
    with serving(https=setting.https, latency=setting.latency) as peer:

        def run(tool: Tool, sampled: bool) -> Run:
            count = min(files, tools.AWS_LIMIT) if tool.name == "aws" else files
            return _send(peer, tool, setting, count, sampled)

        table = interleave(found, run, rounds=setting.rounds)
    title = f"put: {files} files of {setting.size} bytes, {setting}"
    show(title, _COLUMNS, [_row(runs, table) for runs in table])


def _send(peer: Peer, tool: Tool, setting: Setting, files: int, sampled: bool) -> Run:
    source = tree(setting.folder, files, setting.size)
    peer.clear()
    command = tools.put(tool, source, peer.endpoint)
    return once(peer, tool, command, load=Load(files, setting.size), sampled=sampled)


def _row(runs: Runs, table: Sequence[Runs]) -> list[str]:
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
