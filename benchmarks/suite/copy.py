"""Copy all objects below a prefix to another one in the same bucket, asking nothing first."""

from __future__ import annotations

from collections.abc import Sequence

import invocations
from rounds import Run, interleave
from suite.once import Load, check_held, finished
from suite.setting import Setting
from suite.stocked import Stock, stocked
from suite.table import show_moved
from tools import Tool


def copy(setting: Setting, found: Sequence[Tool]) -> None:
    """Print how fast, at what cost."""
    objects = setting.files or 50_000
    with stocked(setting, found, objects) as stocks:

        def run(tool: Tool, sampled: bool) -> Run:
            return _copied(stocks[tool.name], tool, sampled)

        table = interleave(found, run, rounds=setting.rounds)
    show_moved(f"copy: {objects} objects of {setting.size} bytes, {setting}", table)


def _copied(stock: Stock, tool: Tool, sampled: bool) -> Run:
    peer, load = stock
    peer.clear()
    command = invocations.copy(tool, peer.endpoint)
    run = finished(peer, tool, command, objects=load.files, sampled=sampled)
    check_held(tool, run, Load(2 * load.files, load.size))
    return run
