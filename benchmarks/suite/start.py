"""The shortest runs: what everybody waits for who only wants one thing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import invocations
from data import Load, names, tree
from rounds import Failed, Run, Runs, interleave
from serving import Peer, serving
from suite.once import finished, measured_run, once, programs
from suite.setting import Setting
from suite.table import Table, megabytes, ratio
from tools import Tool

_COLUMNS = (
    *("tool", "version s", "argument error s", "one file s", "one file CPU s", "PSS MB"),
    *("time : s5cmd", "CPU : s5cmd"),
)
_LEAST_ROUNDS = 11  # they are short

Measure = Callable[[Tool, bool], Run]


def start(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure the seconds of the version, of an error in the arguments, and of putting one file.

    CPU is that of all processes of the latter.
    """
    setting = replace(setting, rounds=max(_LEAST_ROUNDS, setting.rounds))
    with serving(https=setting.https, latency=setting.latency) as peer:
        tables = [
            interleave(programs(found), run, setting)
            for run in (_version(peer), _mistake(peer), _one_file(peer, setting))
        ]
    by_name = [{runs.tool.name: runs for runs in table} for table in tables]
    rows = [_row([each[name] for each in by_name], tables[2]) for name in by_name[2]]
    return Table(f"start: {setting}", _COLUMNS, rows)


def _version(peer: Peer) -> Measure:
    return lambda tool, _: finished(peer, tool, invocations.version(tool), objects=1)


def _mistake(peer: Peer) -> Measure:
    def run(tool: Tool, _: bool) -> Run:
        command = invocations.mistake(tool)
        measured = measured_run(peer, tool, command)
        if not measured.status:
            raise Failed(f"{' '.join(command)}: exit status 0")
        return Run(1, measured, peer.counts(), 0.0)

    return run


def _one_file(peer: Peer, setting: Setting) -> Measure:
    source = tree(setting.folder, 1, setting.size) / next(names(1))

    def run(tool: Tool, sampled: bool) -> Run:
        peer.clear()
        command = invocations.put_one(tool, peer.endpoint, source)
        return once(peer, tool, command, load=Load(1, setting.size), sampled=sampled)

    return run


def _row(runs: Sequence[Runs], ones: Sequence[Runs]) -> list[str]:
    one = runs[2]
    return [
        one.tool.name,
        *(f"{each.median(_seconds):.3f}" for each in runs),
        f"{one.median(_cpu):.3f}",
        megabytes(one.sampled.measured)[0],
        ratio(one, ones, _seconds),
        ratio(one, ones, _cpu),
    ]


def _seconds(run: Run) -> float:
    return run.measured.wall


def _cpu(run: Run) -> float:
    return run.measured.cpu
