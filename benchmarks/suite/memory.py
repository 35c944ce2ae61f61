"""The same job at two sizes: peak memory should not depend on the number of files."""

from __future__ import annotations

from collections.abc import Sequence

import invocations
from data import tree
from serving import Peer, serving
from suite.once import Load, once
from suite.setting import Setting
from suite.table import megabytes, show
from tools import Tool

_FEW = 10_000
_MANY = 1_000_000
_SIZE = 16  # bytes: it is the number of files that counts
_SLOW = frozenset({"aws", "rclone"})
_COLUMNS = ("tool", "files", "PSS MB", "RSS MB", "objects/s while sampled")


def memory(setting: Setting, found: Sequence[Tool]) -> None:
    """Print the peaks; slow, since a million files are made, once, and sent."""
    chosen = [tool for tool in found if tool.name not in _SLOW]
    with serving(https=setting.https, latency=setting.latency) as peer:
        rows = [
            _row(peer, tool, setting, files)
            for files in (_FEW, setting.files or _MANY)
            for tool in chosen
        ]
    show(f"memory: files of {_SIZE} bytes, {setting}", _COLUMNS, rows)


def _row(peer: Peer, tool: Tool, setting: Setting, files: int) -> list[str]:
    source = tree(setting.folder, files, _SIZE)
    peer.clear()
    command = invocations.put(tool, peer.endpoint, source)
    run = once(peer, tool, command, load=Load(files, _SIZE), sampled=True)
    return [tool.name, str(files), *megabytes(run.measured), f"{run.rate:.0f}"]
