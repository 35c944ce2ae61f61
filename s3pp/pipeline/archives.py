"""The walk of archives: members that can be read in place, and others, which are spooled first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from s3pp.records import Outcome, PutTask, Task
from s3pp.sources.spooling import Spooled, spool

SPOOL_BYTES = 256 * 1024 * 1024  # of members extracted from archives and waiting to be sent
SPOOL_LOOK = 0.02  # seconds between checks of which have been removed


class ArchiveSender(Protocol):
    """What is needed of ``walker.Batcher``."""

    def add(self, task: Task) -> None:
        """Add a task."""

    def add_outcome(self, outcome: Outcome) -> None:
        """Add an outcome determined by the walker itself."""

    def flush(self) -> None:
        """Send the batch, even if incomplete."""

    def send_spooled(self, path: str, tasks: Sequence[Task], size: int) -> None:
        """Send a batch whose sources are in one temporary file, at ``path``; ``size`` in bytes."""


class SpoolRoom:
    """Bounds the size of spooled files of compressed archives, removed as their batches end.

    ``limit`` in bytes; a single member may exceed it.
    """

    def __init__(
        self, limit: int = SPOOL_BYTES, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._limit = limit
        self._sleep = sleep
        self._files: dict[str, int] = {}

    def take(self, spooled: Spooled) -> None:
        """Add a file, and wait until there is room for the next."""
        self._files[spooled.path] = spooled.size
        while sum(self._files.values()) >= self._limit:
            self._files = {p: size for p, size in self._files.items() if os.path.exists(p)}
            if sum(self._files.values()) >= self._limit:
                self._sleep(SPOOL_LOOK)


def send_archives(members: Iterable[Task], batcher: ArchiveSender, spool_dir: str) -> None:
    """Batch the members of archives; those not readable in place are spooled, at the end."""
    room = SpoolRoom()
    for copied in spool(_not_in_place(members, batcher), spool_dir):
        if isinstance(copied, Spooled):
            batcher.send_spooled(*copied)
            room.take(copied)
        else:
            batcher.add_outcome(copied)


def _not_in_place(members: Iterable[Task], batcher: ArchiveSender) -> Iterator[PutTask]:
    for task in members:
        if isinstance(task, PutTask) and task.entry.spool:
            yield task
        else:
            batcher.add(task)
    batcher.flush()
