"""The runs of ``--shard`` as their journals describe them, and what these say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from s3pp.localfs.paths import shown
from s3pp.sources.journal_beginning import RETRIED


class MergeFault(str, Enum):
    """Why N runs have not covered everything exactly once."""

    MISSING = "missing"  # a shard without a run
    TWICE = "twice"  # a shard of two runs, of which none goes on with the other
    NO_SHARD = "no shard"  # a run without --shard
    DIFFERENT = "different"  # a run of another job
    NOT_ENDED = "not ended"  # the last run of a shard was killed
    FAILED = "failed"  # it ended with another exit code than 0, or objects failed
    WRONG_SHARD = "wrong shard"  # an object that another run had to do
    LINES_LOST = "lines lost"  # fewer lines than its summary counts, as of a file that is not named
    UNREADABLE = "unreadable"  # lines that cannot be understood, or of no run


class ShardFault(NamedTuple):
    """One fault; ``shard`` is 0 where it is of none."""

    fault: MergeFault
    shard: int
    message: str  # one line, with what to do


@dataclass
class ShardRun:
    """A run, by its lines ``start`` and ``summary``."""

    id: str
    path: str  # of its journal
    start: Mapping[str, Any]
    number: int  # of its shard; 0: none
    count: int
    summary: Mapping[str, Any] | None = None
    lines: Counter[str] = field(default_factory=Counter)  # by state; one that is there twice is two

    @property
    def began(self) -> str:
        """When it began, as text that sorts."""
        return str(self.start.get("time", ""))

    @property
    def goes_on(self) -> bool:
        """Whether it was told what an earlier run had done."""
        return bool(self.settings.get("retry-from"))

    @property
    def settings(self) -> Mapping[str, Any]:
        """Its options, by their names."""
        settings = self.start.get("settings")
        return settings if isinstance(settings, dict) else {}

    @property
    def remedy(self) -> str:
        """What does the rest of its shard."""
        command = self.start.get("command")
        verb = command[1] if isinstance(command, list) and len(command) > 1 else ""
        again = f"s3pp retry '{shown(self.path)}'" if verb in RETRIED else "the same command again"
        return f"{again} does the rest"

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"run {self.id} in '{shown(self.path)}'"


@dataclass
class MergeReport:
    """What the journals say together."""

    runs: list[ShardRun] = field(default_factory=list)  # the last one of each shard, by number
    shards: int = 0  # N
    totals: Counter[str] = field(default_factory=Counter)  # objects, by their last outcome
    by_shard: dict[int, Counter[str]] = field(default_factory=dict)
    bytes: int = 0  # of what is done
    faults: list[ShardFault] = field(default_factory=list)

    def of_shard(self, number: int) -> Counter[str]:
        """Return the totals of a shard."""
        return self.by_shard.get(number, Counter())

    @property
    def is_complete(self) -> bool:
        """Whether everything was covered exactly once, and nothing failed."""
        return not self.faults


def number_in(value: object) -> int:
    """Return a number of a journal, which others may have written; 0 for what is none."""
    return value if isinstance(value, int) else 0
