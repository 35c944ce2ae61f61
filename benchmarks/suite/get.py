"""Fetch all objects below a prefix into an empty directory, asking nothing first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import invocations
from data import Load, names
from loopback.preload import body
from rounds import Failed, Run, interleave
from suite.once import finished
from suite.setting import Setting
from suite.stocked import Stock, stocked
from suite.table import Table, moved
from tools import Tool


def get(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure how fast, at what cost."""
    files = setting.files or (20_000 if setting.https else 50_000)
    with stocked(setting, found, files) as stocks:

        def run(tool: Tool, sampled: bool) -> Run:
            # Removed by the block's end, which nobody's time is.
            with TemporaryDirectory(prefix="s3pp-get-", dir=setting.into) as directory:
                return fetch(stocks[tool.name], tool, Path(directory), sampled)

        table = interleave(found, run, setting)
    title = f"get: {files} objects of {setting.size} bytes to {setting.into}, {setting}"
    return moved(title, table)


def fetch(stock: Stock, tool: Tool, directory: Path, sampled: bool) -> Run:
    """Run the tool once, into an empty ``directory``."""
    peer, load = stock
    peer.reset()
    command = invocations.get(tool, peer.endpoint, directory, load)
    run = finished(peer, tool, command, objects=load.files, sampled=sampled)
    check_fetched(tool, run, directory, load)
    return run


def check_fetched(tool: Tool, run: Run, directory: Path, load: Load) -> None:
    """Raise ``Failed`` unless ``directory`` holds ``load``; of the floor, unless all was asked for.

    The floor looks at the sizes itself.
    """
    wrong = _not_asked(run, load) if tool.is_floor else fault(directory, load)
    if wrong:
        raise Failed(f"{tool.name}: {wrong}: {run.measured.errors.strip()}")


def _not_asked(run: Run, load: Load) -> str | None:
    asked = run.counts.requests.get("get_object", 0)
    return None if asked >= load.files else f"{asked} objects were asked for, not {load.files}"


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
