"""What became of each object, read from ``--json``; and what stands in a directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commands import Result

OUTCOMES = ("done", "skipped", "failed")


def reasons(result: Result) -> dict[str, str]:
    """Key -> reason of what was done or skipped."""
    return {e["key"]: e["reason"] for e in _events(result) if e["event"] != "failed"}


def failures(result: Result) -> dict[str, str]:
    """Key -> kind of what failed."""
    return {e["key"]: e["kind"] for e in _events(result) if e["event"] == "failed"}


def verdicts(result: Result) -> dict[str, str]:
    """Path or key at the destination -> proof or kind of failure, of a verify."""
    found: dict[str, str] = {}
    for event in result.events[:-1]:
        assert event["verb"] == "verify"
        name = event.get("path") or event["key"]
        assert name not in found, "one verdict for each"
        found[name] = event.get("reason") or event["kind"]
    return found


def _events(result: Result) -> list[dict[str, Any]]:
    """The outcomes, after a check that they are what the summary counts, each key once."""
    events = [e for e in result.events if e["event"] in OUTCOMES]
    counted = [sum(e["event"] == kind for e in events) for kind in OUTCOMES]
    summary = result.events[-1]
    assert counted == [summary[kind] for kind in OUTCOMES], summary
    assert summary["listed"] == len({e["key"] for e in events}) == len(events), summary
    return events


def says(lines: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]) -> bool:
    """Whether lines of a journal have what was printed, in the same order; they have more."""
    return len(lines) == len(events) and all(
        {**event, "checksum_algorithm": None}.items()
        <= {"checksum_algorithm": None, **line}.items()
        for line, event in zip(lines, events, strict=True)
    )


def snapshot(root: Path) -> dict[str, tuple[int, ...]]:
    """All that a write would change in and at ``root``: of each path, itself included."""
    paths = [root, *sorted(root.rglob("*"))] if os.path.lexists(root) else []
    return {str(path): _facts(path.lstat()) for path in paths}


def files_of(root: Path) -> dict[str, tuple[int, ...]]:
    """Likewise, of the regular files below ``root`` alone."""
    return {path: facts for path, facts in snapshot(root).items() if stat.S_ISREG(facts[1])}


def _facts(found: os.stat_result) -> tuple[int, ...]:
    times = found.st_mtime_ns, found.st_ctime_ns
    return (found.st_ino, found.st_mode, found.st_nlink, found.st_size, *times)
