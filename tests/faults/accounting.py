"""The invariant of every fault: nothing is lost, nothing is claimed that is not so.

Each source ends as exactly one of done, skipped, failed; what is done stands at its target byte for
byte, and nothing else was touched there; what failed is named for people and in the journal; the
counts add up; the exit code tells.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import Result
from s3pp.report.failures import SHOWN
from stores.store import Bucket

Record = dict[str, Any]
Journal = dict[str, dict[str, Record]]  # outcome -> key -> record


@dataclass(frozen=True)
class Ending:
    """How a run ended, by key, or by the path of a file that was to be deleted.

    ``summary`` is the last event of ``--json``.
    """

    result: Result
    done: dict[str, Record]
    skipped: dict[str, Record]
    failed: dict[str, Record]
    deleted: dict[str, Record]
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

    @property
    def complete(self) -> bool:
        """Whether the run came to its end, so that everything it did is told."""
        return self.code in (0, 1)


def read_journal(journal: Path) -> Journal:
    """The outcomes in a journal; one whose run was killed may end in half a line."""
    found: Journal = {"done": {}, "skipped": {}, "failed": {}, "deleted": {}}
    for line in journal.read_text().splitlines(keepends=True) if journal.exists() else ():
        record = json.loads(line) if line.endswith("\n") else {"event": ""}
        if record["event"] in found:
            known = found[record["event"]]
            name = record.get("key") or record["path"]
            assert name not in known, f"told twice: {record}"
            known[name] = record
    return found


def ending(result: Result, journal: Path) -> Ending:
    """Read the journal and the summary, and hold them against each other and the exit code."""
    summary = result.events[-1] if result.lines else {}
    end = Ending(result, **read_journal(journal), summary=summary)
    _check_counts(end)
    _check_failures_are_named(end)
    return end


def _check_counts(end: Ending) -> None:
    assert not end.done.keys() & end.skipped.keys(), "done and skipped"
    assert not end.failed.keys() & (end.done.keys() | end.skipped.keys()), "failed and not failed"
    assert end.summary.get("event") == "summary", end.result.err
    told = [end.summary.get(name, 0) for name in ("done", "skipped", "failed", "deleted")]
    counted = [len(each) for each in (end.done, end.skipped, end.failed, end.deleted)]
    assert told == counted, end.summary
    if end.code != 3:
        assert end.summary["listed"] == sum(told) + end.summary.get("not_attempted", 0)
    if end.complete:
        assert "not_attempted" not in end.summary, end.summary
        assert end.code == (1 if end.failed else 0), end.result.err


def _check_failures_are_named(end: Ending) -> None:
    told = end.result.err.splitlines()
    alike = Counter((record["kind"], record.get("code")) for record in end.failed.values())
    for record in end.failed.values():
        if end.code == 3 and told and told[-1].endswith(record["message"]):
            continue  # what ended the run, told once
        stalled = end.code == 3 and "no request succeeded" in told[-1]
        if stalled and record.get("code", "?") in told[-1]:
            continue  # likewise, by a store that accepted nothing
        if alike[record["kind"], record.get("code")] > SHOWN:
            continue  # so many are named, and the others counted
        source = record.get("source") or record.get("path") or record["key"]
        name = _as_told(source if source.startswith("s3://") else Path(source).name)
        assert name in end.result.err, f"{name} is not named on stderr"


def _as_told(name: str) -> str:
    """A name with escapes for bytes that are no UTF-8, and for what cannot be printed."""
    text = os.fsencode(name.replace("\\", "\\\\")).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def check_done(end: Ending, read: Callable[[str], bytes], contents: Mapping[str, bytes]) -> None:
    """What is reported done stands at its target, which ``read`` reads, as ``contents`` has it."""
    for key, record in end.done.items():
        assert read(key) == contents[key], f"{key} is done, but not what was to be sent"
        assert record["size"] == len(contents[key]), record


Ground = Mapping[str, object]  # what stands at a destination, by name


def check_kept(before: Ground, after: Ground, *, told: set[str]) -> None:
    """Nothing but ``told`` was touched."""
    assert before.keys() <= after.keys() | told, "something was removed"
    changed = {name for name in after if name not in before or after[name] != before[name]}
    assert changed <= told, f"nobody told of {sorted(changed - told)}"


def check_all_done(end: Ending, bucket: Bucket, contents: Mapping[str, bytes]) -> None:
    """The run succeeded: all of ``contents`` was sent, and nothing else is in the bucket."""
    assert end.code == 0, (end.kinds, end.result.err)
    assert end.done.keys() == contents.keys()
    assert bucket.tree() == contents
