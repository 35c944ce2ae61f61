"""The same job at two sizes: peak memory should not depend on the number of objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import invocations
from data import Load
from rounds import Run
from serving import serving
from suite.copy import copied
from suite.get import fetch
from suite.list import listed
from suite.once import programs
from suite.put import send
from suite.setting import Setting
from suite.stocked import Stock, holding
from suite.table import Table, megabytes
from tools import Tool

_FEW = 10_000
_MANY = 1_000_000
_SIZE = 16  # bytes: it is the number of objects that counts
_SLOW = frozenset({"aws", "rclone"})
_COLUMNS = ("what", "tool", "objects", "PSS MB", "RSS MB", "objects/s while sampled")


def memory(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure the peaks; slow, since a million files are made, once, and sent."""
    chosen = [tool for tool in programs(found) if tool.name not in _SLOW]
    small = replace(setting, size=_SIZE)
    rows = [row for files in (_FEW, setting.files or _MANY) for row in _rows(small, chosen, files)]
    return Table(f"memory: objects of {_SIZE} bytes, {setting}", _COLUMNS, rows)


def _rows(setting: Setting, found: Sequence[Tool], files: int) -> Iterator[list[str]]:
    with serving(https=setting.https) as empty, holding(setting, files) as full:
        stock = Stock(full, Load(files, setting.size))
        runs: dict[str, Callable[[Tool], Run]] = {
            "put": lambda tool: send(empty, tool, setting, files, True),
            "get": lambda tool: _fetched(setting, stock, tool),
            "copy": lambda tool: copied(stock, tool, True),
            "list": lambda tool: _listed(stock, tool),
        }
        for verb, run in runs.items():
            for tool in found:
                done = run(tool)
                memory_of = megabytes(done.measured)
                yield [verb, tool.name, f"{files:,}", *memory_of, f"{done.rate:,.0f}"]


def _fetched(setting: Setting, stock: Stock, tool: Tool) -> Run:
    with TemporaryDirectory(prefix="s3pp-get-", dir=setting.into) as directory:
        return fetch(stock, tool, Path(directory), True)


def _listed(stock: Stock, tool: Tool) -> Run:
    peer, load = stock
    peer.clear()  # of the copies
    command = invocations.keys(tool, peer.endpoint, load)
    return listed(peer, tool, command, count=load.files, sampled=True)
