"""Run one tool once against the peer, and make certain that it did the whole job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from measure import Measured, TimedOut, measure
from rounds import Failed, Run
from serving import Counts, Peer
from tools import Tool


class Load(NamedTuple):
    """What the bucket has to hold after a run."""

    files: int
    size: int  # bytes of each


def once(
    peer: Peer, tool: Tool, command: Sequence[str], *, load: Load, sampled: bool = False
) -> Run:
    """Run ``command``; raises ``Failed`` unless it succeeds and the bucket then holds ``load``."""
    before = peer.counts().cpu_seconds
    measured = measured_run(peer, tool, command, sampled=sampled)
    counts = peer.counts()
    wrong = _fault(measured, counts, load)
    if wrong:
        raise Failed(f"{tool.name}: {wrong}")
    return Run(load.files, measured, counts, counts.cpu_seconds - before)


def measured_run(
    peer: Peer, tool: Tool, command: Sequence[str], *, sampled: bool = False
) -> Measured:
    """Run ``command`` in the environment of ``tool``; raises ``Failed`` when it never ends."""
    try:
        return measure(command, env=tool.environment(peer.endpoint), sampled=sampled)
    except TimedOut:
        raise Failed(f"{tool.name}: timed out") from None


def _fault(measured: Measured, counts: Counts, load: Load) -> str | None:
    """What is wrong with a run, if anything."""
    told = measured.errors.strip()
    if measured.status:
        return f"exit status {measured.status}: {told}"
    if measured.left:
        return f"{measured.left} processes outlived it"
    if (counts.keys, counts.bytes) != (load.files, load.files * load.size):
        held = f"the bucket holds {counts.keys} keys, {counts.bytes} bytes"
        return f"{held}, not {load.files} of {load.size} bytes: {told}"
    return None
