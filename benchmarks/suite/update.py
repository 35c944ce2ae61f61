"""Compare a tree with a bucket that already holds all of it: nothing has to be sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import invocations
from data import Load, tree
from rounds import Run, Runs, interleave
from serving import serving
from suite.once import once, programs
from suite.setting import Setting
from suite.table import RATIOS, YARDSTICK, Table, megabytes, ratio
from tools import Endpoint, Tool

_COLUMNS = (
    *("tool", "seconds", "CPU µs", "PSS MB", "LIST", "HEAD", "PUT"),
    *RATIOS,
)
_KINDS = ("list_objects", "head_object", "put_object")


def update(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure how long it takes, and the requests that were made."""
    return unchanged("update", invocations.update, setting, found)


def unchanged(
    title: str,
    command: Callable[[Tool, Endpoint, Path], list[str]],
    setting: Setting,
    found: Sequence[Tool],
    before: Callable[[], None] | None = None,
) -> Table:
    """Measure the ``command`` of each tool for a tree that the bucket holds.

    With ``before``, which is called once the bucket is filled, each tool has run once more than it
    is measured: what it remembers of a tree is there.
    """
    load = Load(setting.files or 100_000, setting.size)
    source = tree(setting.folder, load.files, load.size)
    with serving(https=setting.https, latency=setting.latency) as peer:
        found = programs(found)
        filler = next((tool for tool in found if tool.name == YARDSTICK), found[0])
        once(peer, filler, invocations.put(filler, peer.endpoint, source, load), load=load)

        def run(tool: Tool, sampled: bool) -> Run:
            peer.reset()
            line = command(tool, peer.endpoint, source)
            return once(peer, tool, line, load=load, sampled=sampled)

        if before is not None:
            before()
            for tool in found:
                run(tool, sampled=False)
        table = interleave(found, run, setting)
    what = f"{title}: {load.files} unchanged files of {load.size} bytes, {setting}"
    return Table(what, _COLUMNS, [_row(runs, table) for runs in table])


def _row(runs: Runs, table: Sequence[Runs]) -> list[str]:
    requests = runs.timed[-1].counts.requests
    return [
        runs.tool.name,
        f"{runs.median(lambda run: run.measured.wall):.2f}",
        f"{runs.median(lambda run: run.cpu):.0f}",
        megabytes(runs.sampled.measured)[0],
        *(str(requests.get(kind, 0)) for kind in _KINDS),
        ratio(runs, table, lambda run: run.rate),
        ratio(runs, table, lambda run: run.cpu),
    ]
