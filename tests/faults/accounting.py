"""The invariant of every fault: nothing is lost, nothing is claimed that is not so.

Each source ends as exactly one of done, skipped, failed; what is done is in the store byte for
byte; what failed is named for people and in the journal; the counts add up; the exit code tells.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import Result
from stores.store import Bucket

Record = dict[str, Any]


@dataclass(frozen=True)
class Ending:
    """How a run ended, by key; ``summary`` is the last event of ``--json``."""

    result: Result
    done: dict[str, Record]
    skipped: dict[str, Record]
    failed: dict[str, Record]
    summary: Record

    @property
    def code(self) -> int:
        return self.result.code

    @property
    def kinds(self) -> dict[str, str]:
        """Why each key failed."""
        return {key: record["kind"] for key, record in self.failed.items()}

    @property
    def reasons(self) -> dict[str, str]:
        """Why each key was skipped."""
        return {key: record["reason"] for key, record in self.skipped.items()}


def ending(result: Result, journal: Path) -> Ending:
    """Read the journal and the summary, and hold them against each other and the exit code."""
    by_outcome: dict[str, dict[str, Record]] = {"done": {}, "skipped": {}, "failed": {}}
    for line in journal.read_text().splitlines():
        record = json.loads(line)
        if record["event"] in by_outcome:
            known = by_outcome[record["event"]]
            assert record["key"] not in known, f"told twice: {record}"
            known[record["key"]] = record
    summary = result.events[-1] if result.lines else {}
    end = Ending(result, **by_outcome, summary=summary)
    _check_counts(end)
    _check_failures_are_named(end)
    return end


def _check_counts(end: Ending) -> None:
    assert not end.done.keys() & end.skipped.keys(), "done and skipped"
    assert not end.failed.keys() & (end.done.keys() | end.skipped.keys()), "failed and not failed"
    assert end.summary["event"] == "summary", end.result.err
    told = [end.summary[name] for name in ("done", "skipped", "failed")]
    assert told == [len(end.done), len(end.skipped), len(end.failed)], end.summary
    if end.code != 3:
        assert end.summary["listed"] == sum(told) + end.summary.get("not_attempted", 0)
    if end.code in (0, 1):
        assert "not_attempted" not in end.summary, end.summary
        assert end.code == (1 if end.failed else 0), end.result.err


def _check_failures_are_named(end: Ending) -> None:
    for record in end.failed.values():
        name = _as_told(Path(record["source"]).name)
        assert name in end.result.err, f"{name} is not named on stderr"


def _as_told(name: str) -> str:
    """A name with escapes for bytes that are no UTF-8, and for what cannot be printed."""
    text = os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def check_done(end: Ending, bucket: Bucket, contents: Mapping[str, bytes]) -> None:
    """Everything reported done is in the store as ``contents`` (by key) has it."""
    for key in end.done:
        assert bucket.get(key) == contents[key], f"{key} is done, but not what was to be sent"


def check_all_done(end: Ending, bucket: Bucket, contents: Mapping[str, bytes]) -> None:
    """The run succeeded: all of ``contents`` was sent, and nothing else is in the bucket."""
    assert end.code == 0, (end.kinds, end.result.err)
    assert end.done.keys() == contents.keys()
    assert bucket.tree() == contents
