"""What a journal records of objects, collected around a role: only a run with a journal has this.

::

    task ─▶ ObservedRole ─▶ role ─▶ outcome ─▶ its times, and what its source was ─▶ outcome
                              └─ checksum and version, where it is written: ``Facts``
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from s3pp.job import STREAM
from s3pp.records import (
    CopyTask,
    Done,
    GetTask,
    Outcome,
    PartOutcome,
    PutTask,
    Skipped,
    SkipReason,
    with_times,
)

_SAME = frozenset({SkipReason.SAME_ETAG, SkipReason.SAME_CHECKSUM})


def streamed(outcome: Outcome, began: float) -> Outcome:
    """Return the outcome of a transfer from or to a standard stream, which ends now."""
    outcome = with_times(outcome, began)
    if not isinstance(outcome, Done) or outcome.target != STREAM:
        return outcome
    assert outcome.facts is not None
    return outcome._replace(facts=outcome.facts._replace(source_etag=outcome.etag))


def observed(outcome: Outcome, task: Any, began: float) -> Outcome:
    """Return ``outcome`` of ``task``, which ends now, with what the source was."""
    outcome = with_times(outcome, began)
    facts = outcome.facts
    assert facts is not None
    if isinstance(task, PutTask):
        facts = facts._replace(mtime_ns=task.entry.mtime_ns)
    elif isinstance(task, CopyTask):
        facts = facts._replace(source_etag=facts.source_etag or task.etag)
    elif isinstance(task, GetTask):  # what was fetched may have replaced what was listed
        etag = outcome.etag if isinstance(outcome, Done) else task.etag
        facts = facts._replace(source_etag=etag)
    if isinstance(outcome, Skipped) and outcome.reason in _SAME:
        dest = getattr(task, "dest", None)
        facts = facts._replace(etag=dest.etag if dest else "")
    return outcome._replace(facts=facts)


class TransferringRole(Protocol):
    """The role that is observed."""

    notes: list[str]

    @property
    def skip_unchanged(self) -> Callable[[Any], Skipped | None] | None:
        """As that of ``roles.Role``."""

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task. Raises only ``FatalError`` and ``RunEnding``."""

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part. Raises only ``FatalError`` and ``RunEnding``."""


class ObservedRole:
    """A role whose outcomes have what a journal records of them."""

    def __init__(self, role: TransferringRole) -> None:
        self.notes = role.notes
        self._role = role
        self._unchanged = role.skip_unchanged
        self.skip_unchanged = None if self._unchanged is None else self._skip

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task. Raises only ``FatalError`` and ``RunEnding``."""
        began = time.time()
        return observed(await self._role.transfer(task), task, began)

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part, as the other role does."""
        return await self._role.part(part)

    def _skip(self, task: Any) -> Skipped | None:
        assert self._unchanged is not None
        began = time.time()
        skipped = self._unchanged(task)
        if skipped is None:
            return None
        outcome = observed(skipped, task, began)
        assert isinstance(outcome, Skipped)
        return outcome
