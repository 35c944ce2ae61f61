"""Run one command and measure it: ``python benchmarks/measure.py COMMAND [ARGUMENT...]``.

Linux only: processes are told apart by their session in ``/proc``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, NamedTuple

SAMPLING = 0.05  # seconds between two looks at the memory
_LOOKING = 0.01  # seconds between two looks of other kinds
_GRACE = 1.0  # seconds for descendants that end just after the command
_TICKS = os.sysconf("SC_CLK_TCK")
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


@dataclass(frozen=True)
class Measured:
    """What one run took, over the command and all its descendants."""

    status: int  # exit status; negative: the signal that ended it
    wall: float  # seconds until the command itself had ended
    cpu: float  # seconds, user and system
    pss: int  # bytes at the peak, shared pages divided among those who share them; 0: not sampled
    rss: int  # bytes at the peak, shared pages counted for each; 0: not sampled
    left: int  # descendants that outlived the command, and were killed
    errors: str  # the end of what was written to stderr


class TimedOut(Exception):
    """The command took too long and was killed with all its descendants."""


def measure(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = 1800.0,
    sampled: bool = False,
    stdout: IO[bytes] | None = None,
    look: Callable[[int], None] | None = None,
) -> Measured:
    """Run ``command`` in a session of its own; ``timeout`` in seconds, None throws stdout away.

    ``look``, if there is one, is called with the session again and again.

    To sample the memory costs CPU on the machine that is being measured, and holds the locks of
    the processes it looks at: a ``sampled`` run is for its memory, another one for its speed.
    Raises ``TimedOut``.
    """
    _adopt_orphans()
    with tempfile.TemporaryFile() as errors:
        begun = time.perf_counter()
        pid = _start(command, env, stdout, errors)
        grace = 0.0
        try:
            pss, rss = _watch(pid, begun + timeout, sampled=sampled, look=look)
            wall = time.perf_counter() - begun
            grace = _GRACE
        finally:
            buried = _bury(pid, grace)
        told = _tail(errors)
    return Measured(buried.status, wall, buried.cpu, pss, rss, buried.killed, told)


def _start(
    command: Sequence[str],
    env: Mapping[str, str] | None,
    stdout: IO[bytes] | None,
    errors: IO[bytes],
) -> int:
    child = subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=stdout or subprocess.DEVNULL,
        stderr=errors,
        start_new_session=True,
    )
    child.returncode = 0  # reaped by _bury: Popen would throw the resource usage away
    return child.pid


def _tail(stream: IO[bytes]) -> str:
    stream.seek(max(0, stream.seek(0, os.SEEK_END) - 2000))
    return stream.read().decode(errors="replace")


def memory(session: int) -> tuple[int, int]:
    """PSS and RSS in bytes of all processes of ``session`` together, now."""
    pss = rss = 0
    for pid in _members(session):
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:
                fields = dict(line.split()[:2] for line in rollup.readlines()[1:])
        except (OSError, ValueError):
            continue  # it has just ended
        pss += int(fields.get(b"Pss:", 0)) * 1024
        rss += int(fields.get(b"Rss:", 0)) * 1024
    return pss, rss


class ProcessTimes:
    """CPU seconds of each process of a session, by its title, as last seen: see ``measure``."""

    def __init__(self) -> None:
        self._titles: dict[int, str] = {}
        self._cpu: dict[int, float] = {}

    def look(self, session: int) -> None:
        """Look at all processes there are."""
        for pid in _members(session):
            with contextlib.suppress(OSError):  # it has just ended
                title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()
                self._titles[pid] = title or self._titles.get(
                    pid, ""
                )  # one that has ended has none
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                self._cpu[pid] = (int(fields[11]) + int(fields[12])) / _TICKS

    def of(self, word: str) -> float:
        """CPU seconds of all whose title contains ``word``."""
        return sum(self._cpu[pid] for pid, title in self._titles.items() if word in title)


def _members(session: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                if os.getsid(int(name)) == session:
                    found.append(int(name))
            except OSError:
                continue  # it has just ended
    return found


def _adopt_orphans() -> None:
    """Make descendants whose parent did not wait for them ours, so that their CPU time counts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def _watch(
    pid: int, deadline: float, *, sampled: bool, look: Callable[[int], None] | None
) -> tuple[int, int]:
    """Wait for ``pid`` to end; return the peaks of PSS and RSS in bytes."""
    pss = rss = 0
    watched = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        period = _LOOKING if look else SAMPLING if sampled else 1.0
        while not poll.poll(period * 1000):
            if look:
                look(pid)
            if time.perf_counter() > deadline:
                raise TimedOut
            if sampled:
                now = memory(pid)
                pss, rss = max(pss, now[0]), max(rss, now[1])
    finally:
        os.close(watched)
    return pss, rss


class _Buried(NamedTuple):
    status: int
    cpu: float  # seconds; what a parent has waited for is part of the parent's
    killed: int


def _bury(leader: int, grace: float) -> _Buried:
    """Reap the whole session of ``leader``, killing what is still alive after ``grace`` seconds."""
    deadline = time.monotonic() + grace
    cpu = 0.0
    status = 0
    killed: set[int] = set()
    while members := _members(leader):
        for pid in members:
            ended = _reap(pid)
            cpu += ended[1]
            status = ended[0] if pid == leader else status
        if time.monotonic() > deadline:
            killed |= _kill(_members(leader))
        time.sleep(0.001)
    return _Buried(status, cpu, len(killed - {leader}))


def _reap(pid: int) -> tuple[int, float]:
    """Exit status and CPU seconds of ``pid``; zeros while it runs, or is another's to wait for."""
    try:
        found, status, usage = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        return 0, 0.0
    if not found:
        return 0, 0.0
    return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime


def _kill(pids: Iterable[int]) -> set[int]:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return set(pids)


if __name__ == "__main__":
    print(json.dumps(asdict(measure(sys.argv[1:], sampled=True)), indent=1))
