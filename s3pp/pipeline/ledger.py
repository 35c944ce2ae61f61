"""The ledger: which batch is out with which worker, and what is waiting for one.

Batches are kept as the bytes they came as. A batch leaves the ledger when its report comes; if
its worker dies first, it goes to the head of those that wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from s3pp.pipeline.messages import Frame

MOST_LOSSES = 5  # workers that may die on a batch before its tasks are given up
AHEAD = 2  # tasks a worker has, as a multiple of those it can keep going
AHEAD_BYTES = 256 * 1024 * 1024  # bytes of sources a worker has, unless it is one batch

W = TypeVar("W")


@dataclass
class Load(Generic[W]):
    """One worker's batches."""

    worker: W
    batches: dict[int, Frame] = field(default_factory=dict)
    tasks: int = 0
    size: int = 0  # bytes


class Ledger(Generic[W]):
    """Assigns batches to workers; ``lanes`` is how many tasks one keeps going.

    ``ahead`` is how many times that a worker is given, and ``ahead_bytes`` the bytes of sources it
    is given, unless they are one batch; None: as many as there are.
    """

    def __init__(
        self, lanes: int, *, ahead: int = AHEAD, ahead_bytes: int | None = AHEAD_BYTES
    ) -> None:
        self._most = ahead * lanes
        self._most_bytes = ahead_bytes
        self._loads: dict[W, Load[W]] = {}
        self._waiting: deque[Frame] = deque()
        self._losses: dict[int, int] = {}

    def join(self, worker: W) -> None:
        """A worker is ready for batches."""
        self._loads[worker] = Load(worker)

    def leave(self, worker: W) -> list[Frame]:
        """A worker is gone: its batches wait again. Returns those given up, lost too often."""
        load = self._loads.pop(worker, None)
        given_up = []
        for batch in reversed(list(load.batches.values()) if load else []):
            losses = self._losses[batch.batch] = self._losses.get(batch.batch, 0) + 1
            if losses >= MOST_LOSSES:
                given_up.append(batch)
            else:
                self._waiting.appendleft(batch)
        return given_up

    def add(self, batch: Frame) -> None:
        """A new batch waits."""
        self._waiting.append(batch)

    def assign(self) -> Iterable[tuple[W, Frame]]:
        """Give what waits to those with room, the least loaded first; yields each assignment."""
        while self._waiting:
            roomy = [load for load in self._loads.values() if self._room(load)]
            if not roomy:
                return
            load = min(roomy, key=lambda load: (load.tasks, load.size))
            batch = self._waiting.popleft()
            load.batches[batch.batch] = batch
            load.tasks += batch.objects
            load.size += batch.size
            yield load.worker, batch

    def close(self, worker: W, number: int) -> None:
        """A batch was reported."""
        load = self._loads[worker]
        batch = load.batches.pop(number)
        load.tasks -= batch.objects
        load.size -= batch.size
        self._losses.pop(number, None)

    def drop_waiting(self, numbers: Container[int] | None = None) -> None:
        """Forget what no worker has: all of it, or the batches of these numbers."""
        kept = [] if numbers is None else [b for b in self._waiting if b.batch not in numbers]
        self._waiting = deque(kept)

    @property
    def out(self) -> set[int]:
        """The numbers of the batches that some worker has."""
        return {number for load in self._loads.values() for number in load.batches}

    @property
    def wants_more(self) -> bool:
        """Whether some worker has room and nothing waits for it."""
        return not self._waiting and any(self._room(load) for load in self._loads.values())

    @property
    def empty(self) -> bool:
        """Whether nothing waits and nothing is out."""
        return not self._waiting and not any(load.batches for load in self._loads.values())

    def _room(self, load: Load[W]) -> bool:
        if not load.batches:
            return True
        small = self._most_bytes is None or load.size < self._most_bytes
        return small and load.tasks < self._most
