"""One row: the real command with its own defaults, a fault in its way, and what came of it.

======  ==========================================================================================
result  meaning
======  ==========================================================================================
OK      exit code 0, and the right data
rN      exit code N: the failure was reported, and nothing wrong was left
X       silent loss or corruption, a name outside the destination, or a promise that was broken
H       it still ran after ``LIMIT`` seconds
\\-      cannot be tried here; the note says why
======  ==========================================================================================
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from commands import Running, start
from faults.trials import GetTrial, PutTrial, Transfer
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Store

LIMIT = 180.0  # seconds; a read time-out is 60, and eight attempts may wait for 45
MIB = 1 << 20
PARTS = ("--part-size=8MiB", "--multipart-threshold=8MiB")
LARGE = 24 * MIB  # three parts


@dataclass(frozen=True)
class Verdict:
    """What came of a row, what else is worth saying of it, and what the run said on stderr."""

    result: str
    note: str = ""
    said: str = ""

    @property
    def broken(self) -> bool:
        """Whether a promise was broken: X or H."""
        return self.result in ("X", "H")


class Impossible(Exception):
    """The row cannot be tried here; says why."""


@dataclass(frozen=True)
class Place:
    """What a row is tried with: a store, a fault proxy before it, and a directory of its own."""

    store: Store
    proxy: FaultProxy
    root: Path

    def put(self) -> Put:
        """A put into a fresh bucket."""
        return Put(self.store.bucket(), self.proxy, start, self.root)

    def get(self) -> Get:
        """A get from a fresh bucket."""
        return Get(self.store.bucket(), self.proxy, start, self.root)


class Put(PutTrial):
    """A put with the command's own defaults."""

    fast: ClassVar[list[str]] = ["--no-progress"]


class Get(GetTrial):
    """A get with the command's own defaults."""

    fast: ClassVar[list[str]] = ["--no-progress"]


@dataclass(frozen=True)
class Row:
    """A fault by its number; ``act`` injects it on ``store`` and judges the run."""

    number: str
    fault: str
    act: Callable[[Place], Verdict]
    store: str = "moto"


def rules(*injected: Rule) -> Callable[[Transfer], None]:
    """For ``uploading`` and ``downloading``: a fault that is nothing but rules of the proxy."""
    return lambda trial: trial.inject(*injected)


def finish(trial: Transfer, running: Running, expected: Mapping[str, bytes]) -> Verdict:
    """Wait for the end of a run and judge it: only what is ``expected`` may stand there."""
    try:
        running.popen.wait(LIMIT)
    except subprocess.TimeoutExpired:
        running.close()
        return Verdict("H", f"still ran after {LIMIT:.0f} s")
    try:
        end = trial.end(running)
    except AssertionError as broken:
        return Verdict("X", str(broken).partition("\n")[0])
    finally:
        running.close()
    return replace(judged(end.code, trial.arrived(), expected), said=end.result.err)


def judged(code: int, arrived: Mapping[str, bytes], expected: Mapping[str, bytes]) -> Verdict:
    """Whether a run that ended with ``code`` may have left this."""
    wrong = sorted(key for key in arrived if arrived[key] != expected.get(key))
    if wrong:
        return Verdict("X", f"wrong: {', '.join(wrong)}")
    if code == 0 and arrived.keys() != expected.keys():
        return Verdict("X", f"missing: {', '.join(sorted(expected.keys() - arrived.keys()))}")
    return Verdict(f"r{code}" if code else "OK")
