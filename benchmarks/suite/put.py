"""Send a tree to an empty bucket, asking nothing first."""

from __future__ import annotations

from collections.abc import Sequence

import invocations
from data import tree
from rounds import Run, interleave
from serving import Peer, serving
from suite.once import Load, once
from suite.setting import Setting
from suite.table import show_moved
from tools import Tool, share


def put(setting: Setting, found: Sequence[Tool]) -> None:
    """Print how fast, at what cost."""
    files = setting.files or (20_000 if setting.https else 50_000)
    with serving(https=setting.https, latency=setting.latency) as peer:

        def run(tool: Tool, sampled: bool) -> Run:
            return _send(peer, tool, setting, share(tool, files), sampled)

        table = interleave(found, run, rounds=setting.rounds)
    show_moved(f"put: {files} files of {setting.size} bytes, {setting}", table)


def _send(peer: Peer, tool: Tool, setting: Setting, files: int, sampled: bool) -> Run:
    source = tree(setting.folder, files, setting.size)
    peer.clear()
    command = invocations.put(tool, peer.endpoint, source)
    return once(peer, tool, command, load=Load(files, setting.size), sampled=sampled)
