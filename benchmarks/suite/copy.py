"""Copy all objects below a prefix to another one in the same bucket, asking nothing first."""

from __future__ import annotations

from collections.abc import Sequence

import invocations
from data import Load
from rounds import Run, interleave
from suite.once import check_held, finished
from suite.setting import Setting
from suite.stocked import Stock, stocked
from suite.table import Table, moved
from tools import Tool


def copy(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure how fast, at what cost."""
    objects = setting.files or 50_000
    with stocked(setting, found, objects) as stocks:

        def run(tool: Tool, sampled: bool) -> Run:
            return copied(stocks[tool.name], tool, sampled)

        table = interleave(found, run, setting)
    return moved(f"copy: {objects} objects of {setting.size} bytes, {setting}", table)


def copied(stock: Stock, tool: Tool, sampled: bool) -> Run:
    """Run the tool once, in a bucket that has no copies yet."""
    peer, load = stock
    peer.clear()
    command = invocations.copy(tool, peer.endpoint, load)
    run = finished(peer, tool, command, objects=load.files, sampled=sampled)
    check_held(tool, run, Load(2 * load.files, load.size))
    return run
