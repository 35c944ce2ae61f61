"""Measure s3pp beside other tools: ``python benchmarks/bench.py --help``, and see README.rst."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import invocations
import tools
from rounds import Failed
from suite.copy import copy
from suite.dask import dask
from suite.get import get
from suite.large_get import large_get
from suite.large_put import large_put
from suite.layers import layers
from suite.list import keys
from suite.memory import memory
from suite.mirror import mirror
from suite.noop import noop
from suite.page import Bench, page
from suite.peer import peer
from suite.put import put
from suite.setting import LARGE, Setting
from suite.start import start
from suite.throttled import throttled
from suite.update import update
from tools import Tool

_MEMORY = Path("/dev/shm")  # a file system in memory: no disk is measured

BENCHES: dict[str, Bench] = {
    "put": put,
    "get": get,
    "copy": copy,
    "dask": dask,
    "large-put": large_put,
    "large-get": large_get,
    "list": keys,
    "update": update,
    "noop": noop,
    "mirror": mirror,
    "start": start,
    "memory": memory,
    "peer": peer,
    "throttled": throttled,
    "layers": layers,
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(description="Measure s3pp beside other tools.")
    command.add_argument("bench", nargs="?", default="page", choices=("page", *BENCHES))
    command.add_argument("--files", type=count, help="default: the number the project is judged by")
    command.add_argument(
        "--size",
        type=size,
        help="of each file, in bytes or such as 2GiB (default: 4096; large: 2GiB)",
    )
    command.add_argument("--https", action="store_true")
    command.add_argument("--latency", type=float, default=0.0, metavar="SECONDS")
    command.add_argument("--rounds", type=count, default=Setting.rounds)
    command.add_argument("--tools", default=",".join(tools.NAMES), metavar="NAME,…")
    command.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "s3pp-benchmarks",
        help="where trees of files are made, once, and kept (default: %(default)s)",
    )
    command.add_argument(
        "--into",
        type=Path,
        default=_MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir()),
        help="where what is fetched lands, and is removed again (default: %(default)s)",
    )
    return command


def count(text: str) -> int:
    """A number from 1. Raises ``ValueError``."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def size(text: str) -> int:
    """Bytes, from ``4096`` or ``2GiB``. Raises ``ValueError``."""
    for power, unit in enumerate(("KiB", "MiB", "GiB"), 1):
        if text.endswith(unit):
            return int(text.removesuffix(unit)) << (10 * power)
    return int(text)


def available(wanted: Sequence[str]) -> list[Tool]:
    """The tools of ``wanted`` that are here, each told with its version; the others are named."""
    found = []
    for name in wanted:
        tool = tools.find(name)
        print(f"{name}: {_version(tool) if tool else 'not installed, left out'}", flush=True)
        found += [tool] if tool else []
    return found


def _version(tool: Tool) -> str:
    told = subprocess.run(
        invocations.version(tool),
        env={**os.environ, **tool.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    first = (told.stdout or told.stderr).strip().partition("\n")[0]
    return f"{first} ({' '.join(tool.program)})"


def main(argv: Sequence[str]) -> int:
    """Run what was asked for; 1 where no tool is here, or one failed when it was needed."""
    # As an exception, so that the peer and the tool that is running are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = vars(parser().parse_args(argv))
    name = options.pop("bench")
    options["size"] = options["size"] or (LARGE if name.startswith("large-") else Setting.size)
    wanted = options.pop("tools").split(",")
    unknown = set(wanted) - set(tools.NAMES)
    if unknown:
        parser().error(f"--tools: not one of {', '.join(tools.NAMES)}: {', '.join(unknown)}")
    found = available(wanted)
    if not found:
        return 1
    try:
        setting = Setting(**options)
        tables = page(setting, found) if name == "page" else [BENCHES[name](setting, found)]
        for table in tables:
            print(f"\n{table}", flush=True)
    except Failed as failure:
        print(f"failed: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
