"""What befalls a run from outside: kills, stops, signals, full disks, and files that move."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from random import Random

from commands import Running
from soaking.contents import Versions, size
from soaking.faults import RandomFaults


class Disturbance(Enum):
    """What a cycle has beside the faults of its store."""

    NONE = "none"
    KILL_WORKERS = "workers killed"
    STOP_WORKERS = "workers stopped"
    STOP_OTHERS = "walker or statter stopped"
    KILL_WALKER = "walker killed"
    KILL_STATTER = "statter killed"
    KILL_ALL = "all killed"
    SIGNAL = "interrupted"
    MOVE = "files moved"
    FULL = "disk full"


# How often each is chosen, of the sum.
WEIGHTS = {
    Disturbance.NONE: 3,
    Disturbance.KILL_WORKERS: 4,
    Disturbance.STOP_WORKERS: 2,
    Disturbance.STOP_OTHERS: 1,
    Disturbance.KILL_WALKER: 1,
    Disturbance.KILL_STATTER: 1,
    Disturbance.KILL_ALL: 3,
    Disturbance.SIGNAL: 3,
    Disturbance.MOVE: 4,
    Disturbance.FULL: 2,
}
WORKERS = ("s3pp: putter", "s3pp: getter", "s3pp: copier")
STOPPED = (0.5, 7.0)  # seconds; --worker-timeout is 5


@dataclass
class Scene:
    """A run, the store that it talks to, and what its source is made of."""

    running: Running
    proxy: RandomFaults
    rnd: Random
    counts: Counter[str]
    change: Callable[[str, bytes | None], None]  # of a name in the source; None removes it
    versions: Versions
    after: int  # requests until the first act

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self.running.popen.poll() is not None

    def begin(self) -> bool:
        """Wait for the first act; returns whether the run is still there."""
        while not self.over and self.proxy.requests < self.after:
            time.sleep(0.01)
        return not self.over

    def children(self, *titles: str) -> list[int]:
        """The pids of its children with titles that begin so."""
        found = self.running.children().items()
        return sorted(pid for title, pid in found if title.startswith(titles))


def _send(scene: Scene, pid: int, number: signal.Signals, what: str) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        scene.counts[what] += 1


def _kill_workers(scene: Scene) -> None:
    for _ in range(scene.rnd.randrange(1, 5)):
        for pid in scene.children(*WORKERS)[: scene.rnd.randrange(1, 3)]:
            _send(scene, pid, signal.SIGKILL, "children killed")
        if scene.running.popen.poll() is not None:
            return
        time.sleep(scene.rnd.uniform(0.1, 0.8))


def _kill(title: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        for pid in scene.children(title):
            _send(scene, pid, signal.SIGKILL, "children killed")

    return act


def _stop(*titles: str) -> Callable[[Scene], None]:
    def act(scene: Scene) -> None:
        for pid in scene.children(*titles)[:1]:
            _send(scene, pid, signal.SIGSTOP, "children stopped")
            wake = time.monotonic() + scene.rnd.uniform(*STOPPED)
            while time.monotonic() < wake and not scene.over:
                time.sleep(0.05)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    return act


def _kill_all(scene: Scene) -> None:
    scene.counts["runs killed"] += 1
    for pid in scene.running.pids():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _signal(scene: Scene) -> None:
    number = scene.rnd.choice([signal.SIGINT, signal.SIGTERM])
    with suppress(ProcessLookupError):
        scene.running.signal(number)
        scene.counts["runs interrupted"] += 1


def _move(scene: Scene) -> None:
    names = sorted(scene.versions.of)
    while not scene.over:
        name = scene.rnd.choice(names)
        body = None if scene.rnd.random() < 0.2 else scene.rnd.randbytes(size(scene.rnd))
        scene.versions.set(name, body)
        scene.change(name, body)
        scene.counts["sources changed"] += 1
        time.sleep(scene.rnd.uniform(0.005, 0.05))


_ACTS: dict[Disturbance, Callable[[Scene], None]] = {
    Disturbance.KILL_WORKERS: _kill_workers,
    Disturbance.STOP_WORKERS: _stop(*WORKERS),
    Disturbance.STOP_OTHERS: _stop("s3pp: walker", "s3pp: statter"),
    Disturbance.KILL_WALKER: _kill("s3pp: walker"),
    Disturbance.KILL_STATTER: _kill("s3pp: statter"),
    Disturbance.KILL_ALL: _kill_all,
    Disturbance.SIGNAL: _signal,
    Disturbance.MOVE: _move,
}


@contextmanager
def disturbing(what: Disturbance, scene: Scene) -> Iterator[None]:
    """Disturb a run while the block lasts, which waits for its end."""
    act = _ACTS.get(what)

    def run() -> None:
        if act is not None and scene.begin():
            act(scene)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[bool]:
    """Mount a file system of ``size`` at ``place``; yields whether that is possible here."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "s3pp-soak", str(place)]
    mounted = subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)
