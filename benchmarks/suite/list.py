"""List all keys below a prefix; where pages take their time, also several pages at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from tempfile import TemporaryFile

import invocations
from data import Load, names
from measure import measure
from rounds import Failed, Run, Runs, interleave
from serving import Peer
from suite.once import finished
from suite.setting import Setting
from suite.stocked import holding
from suite.table import YARDSTICK, Table, megabytes, ratio
from tools import Tool

_PAGE = 1000  # keys, at most
_LISTERS = (1, 16)
_NAME = re.compile(rb"d\d+/f\d+\.txt")


def keys(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure keys/s and what a key costs; under latency also what more listers are worth."""
    count = setting.files or 200_000
    load = Load(count, setting.size)
    with holding(setting, count) as peer:
        commands = {tool.name: invocations.keys(tool, peer.endpoint, load) for tool in found}
        contestants = list(_contestants(found, commands, apart=setting.latency > 0))
        lines = {tool.name: command for tool, command in contestants}

        def run(tool: Tool, sampled: bool) -> Run:
            if sampled and not tool.is_floor:  # that prints nothing
                _check_output(peer, tool, lines[tool.name], count)
            return listed(peer, tool, lines[tool.name], count=count, sampled=sampled)

        table = interleave([tool for tool, _ in contestants], run, setting)
    yardstick = _named(_LISTERS[0]) if setting.latency else YARDSTICK
    return _keys(f"list: {count} keys, {setting}", table, yardstick)


def _contestants(
    found: Sequence[Tool], commands: Mapping[str, list[str]], *, apart: bool
) -> Iterator[tuple[Tool, list[str]]]:
    """The tools with their commands; s3pp once for each number of listers where ``apart``."""
    for tool in found:
        command = commands[tool.name]
        if apart and tool.name == "s3pp":
            for listers in _LISTERS:
                yield replace(tool, name=_named(listers)), [*command, "--listers", str(listers)]
        else:
            yield tool, command


def _named(listers: int) -> str:
    return f"s3pp --listers {listers}"


def _check_output(peer: Peer, tool: Tool, command: Sequence[str], count: int) -> None:
    """Raise ``Failed`` unless each key is printed once; in other runs stdout is thrown away."""
    with TemporaryFile() as stdout:
        measured = measure(command, env=tool.environment(peer.endpoint), stdout=stdout)
        stdout.seek(0)
        printed = sorted(_NAME.findall(stdout.read()))
    if measured.status or printed != [name.encode() for name in names(count)]:
        told = f"status {measured.status}: {measured.errors.strip()}"
        raise Failed(f"{tool.name}: {len(printed)} names printed of {count} keys, {told}")


def listed(peer: Peer, tool: Tool, command: Sequence[str], *, count: int, sampled: bool) -> Run:
    """Run the ``command`` of a tool once, which lists so many keys."""
    peer.reset()
    run = finished(peer, tool, command, objects=count, sampled=sampled)
    pages = run.counts.requests.get("list_objects", 0)
    if pages < math.ceil(count / _PAGE):
        raise Failed(f"{tool.name}: {count} keys in {pages} pages")
    return run


def _keys(title: str, table: Sequence[Runs], yardstick: str) -> Table:
    against = yardstick if yardstick == YARDSTICK else "one lister"
    columns = (
        *("tool", "seconds", "keys/s", "CPU µs/key", "PSS MB", "LIST", "peer µs/key"),
        *(f"speed : {against}", f"CPU : {against}"),
    )
    return Table(title, columns, [_row(runs, table, yardstick) for runs in table])


def _row(runs: Runs, table: Sequence[Runs], yardstick: str) -> list[str]:
    return [
        runs.tool.name,
        f"{runs.median(lambda run: run.measured.wall):.2f}",
        f"{runs.median(lambda run: run.rate):,.0f}",
        f"{runs.median(lambda run: run.cpu):.1f}",
        megabytes(runs.sampled.measured)[0],
        str(runs.timed[-1].counts.requests["list_objects"]),
        f"{runs.median(lambda run: run.peer_cpu / run.files * 1e6):.1f}",
        ratio(runs, table, lambda run: run.rate, yardstick=yardstick),
        ratio(runs, table, lambda run: run.cpu, yardstick=yardstick),
    ]
