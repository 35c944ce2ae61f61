"""What all benches are told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LARGE = 2 << 30  # bytes of a large object, where nobody says otherwise


@dataclass(frozen=True)
class Setting:
    """The command line, read."""

    folder: Path  # where trees are made and kept
    into: Path  # where what is fetched lands, and is removed
    files: int | None = None  # None: the bench's own number
    size: int = 4096  # bytes of each file
    https: bool = False
    latency: float = 0.0  # seconds before each answer
    rounds: int = 3
    once: frozenset[str] = frozenset()  # tools that are timed in the first round only

    def __str__(self) -> str:
        scheme = "https" if self.https else "http"
        return f"{scheme}, {self.latency * 1000:g} ms latency, {self.rounds} rounds"
