"""Send a tree to an empty bucket, asking nothing first."""

from __future__ import annotations

from collections.abc import Sequence

import invocations
from data import Load, tree
from rounds import Run, interleave
from serving import Peer, serving
from suite.once import once
from suite.setting import Setting
from suite.table import Table, moved
from tools import Tool, share


def put(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure how fast, at what cost."""
    files = setting.files or (20_000 if setting.https else 50_000)
    with serving(https=setting.https, latency=setting.latency) as peer:

        def run(tool: Tool, sampled: bool) -> Run:
            return send(peer, tool, setting, share(tool, files), sampled)

        table = interleave(found, run, setting)
    return moved(f"put: {files} files of {setting.size} bytes, {setting}", table)


def send(peer: Peer, tool: Tool, setting: Setting, files: int, sampled: bool) -> Run:
    """Run the tool once, with the tree of so many files."""
    source = tree(setting.folder, files, setting.size)
    load = Load(files, setting.size)
    peer.clear()
    command = invocations.put(tool, peer.endpoint, source, load)
    return once(peer, tool, command, load=load, sampled=sampled)
