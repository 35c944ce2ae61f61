"""Who kills workers: objects that are the death of whoever sends them, and somebody outside."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from commands import Running, owner_of
from stores.fault_actions import Action, Exchange, Response


@dataclass
class KillClient(Action):
    """Kill the worker that asks, and answer nothing. ``running`` is set once it is known.

    After ``most`` deaths requests pass; 0: none does.
    """

    running: list[Running] = field(default_factory=list)
    deaths: int = 0
    most: int = 0

    def arrive(self, exchange: Exchange) -> Response | None:
        if self.most and self.deaths >= self.most:
            return None
        running = self.running[0]
        pid = owner_of(exchange.request.port, list(running.children().values()))
        if pid is not None:
            self.deaths += 1
            kill(pid)
        return None


def kill(pid: int) -> None:
    """Kill a process that may have ended by now."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def killing(running: Running, title: str, *, every: float, times: int) -> Iterator[list[int]]:
    """Kill all workers called ``title`` each so many seconds, so many times, while the block lasts.

    Yields the list of pids that were killed so far.
    """
    killed: list[int] = []
    over = threading.Event()

    def kill_all() -> None:
        for _ in range(times):
            if over.wait(every):
                return
            for name, pid in running.children().items():
                if name.startswith(f"s3pp: {title}"):
                    kill(pid)
                    killed.append(pid)

    thread = threading.Thread(target=kill_all, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
