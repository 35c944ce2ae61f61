"""Fetch all objects below a prefix into an empty directory, asking nothing first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import invocations
from data import names
from loopback.preload import body
from rounds import Failed, Run, interleave
from suite.once import Load, finished
from suite.setting import Setting
from suite.stocked import Stock, stocked
from suite.table import show_moved
from tools import Tool


def get(setting: Setting, found: Sequence[Tool]) -> None:
    """Print how fast, at what cost."""
    files = setting.files or (20_000 if setting.https else 50_000)
    with stocked(setting, found, files) as stocks:

        def run(tool: Tool, sampled: bool) -> Run:
            # Removed by the block's end, which nobody's time is.
            with TemporaryDirectory(prefix="s3pp-get-", dir=setting.into) as directory:
                return _fetch(stocks[tool.name], tool, Path(directory), sampled)

        table = interleave(found, run, rounds=setting.rounds)
    show_moved(f"get: {files} objects of {setting.size} bytes to {setting.into}, {setting}", table)


def _fetch(stock: Stock, tool: Tool, directory: Path, sampled: bool) -> Run:
    stock.peer.reset()
    command = invocations.get(tool, stock.peer.endpoint, directory)
    run = finished(stock.peer, tool, command, objects=stock.load.files, sampled=sampled)
    wrong = fault(directory, stock.load)
    if wrong:
        raise Failed(f"{tool.name}: {wrong}: {run.measured.errors.strip()}")
    return run


def fault(directory: Path, load: Load) -> str | None:
    """What is wrong with the files that were fetched, if anything; each byte is looked at."""
    files = sum(len(files) for _, _, files in os.walk(directory))
    if files != load.files:
        return f"there are {files} files, not {load.files}"
    for number, name in enumerate(names(load.files)):
        if not _holds(directory / name, body(number, load.size, 0, load.size)):
            return f"{name} is not what the peer holds"
    return None


def _holds(path: Path, blocks: Iterable[memoryview]) -> bool:
    try:
        with path.open("rb", buffering=0) as file:
            return all(file.read(len(block)) == block for block in blocks) and not file.read(1)
    except FileNotFoundError:
        return False
