"""Run one tool once against the peer, and make certain that it did the whole job."""

from __future__ import annotations

from collections.abc import Sequence

from data import Load
from measure import Measured, TimedOut, measure
from rounds import Failed, Run
from serving import Peer
from tools import Tool


def programs(found: Sequence[Tool]) -> list[Tool]:
    """Those that do a whole job. Raises ``Failed`` where there are none."""
    whole = [tool for tool in found if not tool.is_floor]
    if not whole:
        raise Failed("the floor only sends requests: name other --tools")
    return whole


def once(
    peer: Peer, tool: Tool, command: Sequence[str], *, load: Load, sampled: bool = False
) -> Run:
    """Run ``command``; raises ``Failed`` unless it succeeds and the bucket then holds ``load``."""
    run = finished(peer, tool, command, objects=load.files, sampled=sampled)
    check_held(tool, run, load)
    return run


def finished(
    peer: Peer, tool: Tool, command: Sequence[str], *, objects: int, sampled: bool = False
) -> Run:
    """Run ``command``, which moves so many ``objects``; raises ``Failed`` unless it succeeds."""
    before = peer.counts().cpu_seconds
    measured = measured_run(peer, tool, command, sampled=sampled)
    counts = peer.counts()
    told = measured.errors.strip()
    if measured.status:
        raise Failed(f"{tool.name}: exit status {measured.status}: {told}")
    if measured.left:
        raise Failed(f"{tool.name}: {measured.left} processes outlived it")
    return Run(objects, measured, counts, counts.cpu_seconds - before)


def measured_run(
    peer: Peer, tool: Tool, command: Sequence[str], *, sampled: bool = False
) -> Measured:
    """Run ``command`` in the environment of ``tool``; raises ``Failed`` when it never ends."""
    try:
        return measure(command, env=tool.environment(peer.endpoint), sampled=sampled)
    except TimedOut:
        raise Failed(f"{tool.name}: timed out") from None


def check_held(tool: Tool, run: Run, load: Load) -> None:
    """Raise ``Failed`` unless the peer's bucket held ``load`` after ``run``."""
    counts = run.counts
    if (counts.keys, counts.bytes) != (load.files, load.files * load.size):
        held = f"the bucket holds {counts.keys} keys, {counts.bytes} bytes"
        told = run.measured.errors.strip()
        raise Failed(f"{tool.name}: {held}, not {load.files} of {load.size} bytes: {told}")
