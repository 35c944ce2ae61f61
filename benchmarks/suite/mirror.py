"""Millions of keys at both ends: copies that are there already, and deletions of what is too much.

The peers compute the keys as they list them. ``copies`` has two of them with the same keys, so that
both listings are read, merged, and each object is skipped. ``deletions`` has a directory with one
file, which the bucket holds, and deletes all other keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import invocations
from data import tree
from rounds import Failed, Run, Runs, interleave
from serving import Peer, serving
from suite.once import finished
from suite.setting import Setting
from suite.table import YARDSTICK, Table, megabytes, ratio
from suite.variants import Variant, named
from tools import Tool

_COPIES, _DELETIONS = 5_000_000, 1_000_000  # keys
_TENTH = 10  # of them show whether memory grows with their number
_COLUMNS = ("tool", "keys", "seconds", "keys/s", "CPU µs/key", "PSS MB", "LIST", "peers µs/key")


def copies(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure s3pp's copy between two buckets with the same keys; the others have one endpoint."""
    count = setting.files or _COPIES
    ours = [tool for tool in found if tool.name == "s3pp"]
    table = []
    for keys in (max(1, count // _TENTH), count):
        with _listed(setting, keys) as source, _listed(setting, keys) as dest:
            pair = _Pair(source, dest, keys)
            table += interleave(ours, pair.run, setting)
    rows = [_row(runs) for runs in table]
    return Table(f"mirror: keys that both sides have, {setting}", _COLUMNS, rows)


class _Pair(NamedTuple):
    """The peers of a copy."""

    source: Peer
    dest: Peer
    keys: int

    def run(self, tool: Tool, sampled: bool) -> Run:
        """Copy what is there already."""
        self.source.reset()
        self.dest.reset()
        before = self.source.counts().cpu_seconds
        command = invocations.copy_across(tool, self.source.endpoint, self.dest.endpoint)
        run = finished(self.dest, tool, command, objects=self.keys, sampled=sampled)
        read = self.source.counts()
        spent = run.peer_cpu + read.cpu_seconds - before
        requests = {**run.counts.requests}
        requests["list_objects"] = requests.get("list_objects", 0) + read.requests["list_objects"]
        if min(requests["list_objects"] * 500, run.counts.keys) < self.keys:
            raise Failed(f"{tool.name}: {requests} for twice {self.keys} keys")
        return run._replace(peer_cpu=spent, counts=run.counts._replace(requests=requests))


def deletions(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure how fast a bucket is made like a directory of one file."""
    count = setting.files or _DELETIONS
    source = tree(setting.folder, 1, setting.size)
    variants = {each.row.name: each for each in _deleting(found)}
    with _listed(setting, count) as peer:

        def run(row: Tool, sampled: bool) -> Run:
            peer.clear()
            tool, _, options = variants[row.name]
            command = invocations.delete(tool, peer.endpoint, source, everything=bool(options))
            done = finished(peer, tool, command, objects=count - 1, sampled=sampled)
            if done.counts.keys != (0 if options else 1):
                raise Failed(f"{row.name}: {done.counts.keys} of {count} keys are left")
            return done

        table = interleave([each.row for each in variants.values()], run, setting)
    rows = [[*_row(runs), ratio(runs, table, lambda run: run.rate)] for runs in table]
    columns = (*_COLUMNS, f"speed : {YARDSTICK}")
    return Table(f"mirror: keys that are deleted, {setting}", columns, rows)


def _deleting(found: Sequence[Tool]) -> Iterator[Variant]:
    """A mirror of each tool, and s5cmd where it is only told to delete everything."""
    for tool in found:
        if tool.name == "s3pp":
            yield named(tool)
        if tool.name == YARDSTICK:
            yield named(tool)
            yield named(tool, "rm", "rm")


def _listed(setting: Setting, keys: int) -> AbstractContextManager[Peer]:
    return serving(https=setting.https, latency=setting.latency, listed=keys, size=setting.size)


def _row(runs: Runs) -> list[str]:
    return [
        runs.tool.name,
        f"{runs.timed[-1].files:,}",
        f"{runs.median(lambda run: run.measured.wall):.1f}",
        f"{runs.median(lambda run: run.rate):,.0f}",
        f"{runs.median(lambda run: run.cpu):.1f}",
        megabytes(runs.sampled.measured)[0],
        str(runs.timed[-1].counts.requests["list_objects"]),
        f"{runs.median(lambda run: run.peer_cpu / run.files * 1e6):.1f}",
    ]


def mirror(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure both, as one table."""
    kept, gone = copies(setting, found), deletions(setting, found)
    rows = [["skipped", *row, "-"] for row in kept.rows] + [["deleted", *row] for row in gone.rows]
    return Table(f"mirror: {setting}", ("what", *gone.columns), rows)
