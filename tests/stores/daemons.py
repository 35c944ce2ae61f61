"""Server processes of a child: started together, ended together, never left behind.

A store that is not Python itself is a module with a ``main`` that starts its daemons in
``Daemons`` and then serves until its stdin ends, which is what ``ports.ChildServer`` closes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

STOP_TIMEOUT = 2.0  # seconds all daemons together have after SIGTERM


def die_with_parent() -> None:
    """For ``preexec_fn``: the process is killed when this one ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 = PR_SET_PDEATHSIG


class Daemons(AbstractContextManager["Daemons"]):
    """Processes that log into ``directory`` and end with the block, or with this process."""

    def __init__(self, directory: Path, environment: Mapping[str, str] | None = None) -> None:
        self._directory = directory
        self._environment = {**os.environ, **(environment or {})}
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, command: Sequence[str]) -> None:
        """Run a command to its end; raises RuntimeError with what it said."""
        done = subprocess.run(
            command,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace')}")

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a daemon, with its output in ``name.log``."""
        with open(self._directory / f"{name}.log", "wb") as log:
            self._running.append(
                subprocess.Popen(
                    command,
                    cwd=self._directory,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    preexec_fn=die_with_parent,
                )
            )

    def serve(self) -> None:
        """Say that all is ready, and return when stdin ends."""
        print("ready", flush=True)
        sys.stdin.buffer.read()

    def __exit__(self, *_: object) -> None:
        # What they hold is thrown away with them: who has not ended soon is killed.
        for each in self._running:
            each.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT
        for each in self._running:
            with suppress(subprocess.TimeoutExpired):
                each.wait(max(0.0, deadline - time.monotonic()))
            each.kill()
            each.wait()
