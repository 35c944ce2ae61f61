"""The journals of the N runs of ``--shard``, joined: whether they covered everything exactly once.

::

    journals ──start, summary──▶ ShardRun ────────────────────────┐
          └──outcomes──▶ sorted on disk, by destination ──▶ last ──┴──▶ MergeReport, with its faults

Of several lines about a destination the last one counts, and of several runs of a shard that which
began last, as after a ``retry``. Memory grows with the number of runs alone.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, groupby
from operator import itemgetter
from typing import Any, NamedTuple

from s3pp.localfs.external_sort import SortMemory, sort_records
from s3pp.localfs.paths import shown
from s3pp.report.merge_rules import MOST_NAMED, judge, unreadable, wrong_shard
from s3pp.report.shard_runs import MergeReport, ShardRun, number_in
from s3pp.shard import shard_of
from s3pp.sources.filters import key_bytes
from s3pp.sources.journal_reader import (
    OUTCOMES,
    BadJournalLine,
    is_incomplete,
    journal_lines,
    parse_line,
)

_NO_SHARD = "0/0"


class _OutcomeRow(NamedTuple):
    """A line about a destination, as it is sorted."""

    place: bytes
    began: str  # the run
    line: int
    state: str
    shard: int
    owner: int  # the shard of its key; 0: not known
    size: int


class JournalMerger:
    """Reads journals once, and merges what they say."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._runs: dict[str, ShardRun] = {}
        self._ignored: set[str] = set()  # ids of dry runs, and of those in a sandbox
        self._numbers = count()
        self._bad: Counter[str] = Counter()  # lines, by path

    def merge(self) -> MergeReport:
        """Read all journals. Raises ``FatalError`` where one cannot be read."""
        rows = sort_records(self._rows(), key=itemgetter(0, 1, 2), memory=SortMemory())
        report, wrong = MergeReport(), list[str]()
        wrongs = 0
        for place, group in groupby(rows, key=itemgetter(0)):
            last: _OutcomeRow | None = None
            is_wrong = False
            for row in group:
                is_wrong = is_wrong or _is_wrong(row, last)
                last = row
            assert last is not None
            _count(report, last)
            wrongs += is_wrong
            if is_wrong and len(wrong) < MOST_NAMED:
                wrong.append(shown(os.fsdecode(place)))
        judge(report, [*self._runs.values()])
        if wrongs:
            report.faults.append(wrong_shard(wrongs, wrong))
        report.faults += [unreadable(path, number) for path, number in self._bad.items()]
        return report

    def paths_in_order(self) -> list[str]:
        """Return the journals, that which began first before the others."""
        first: dict[str, str] = {}
        for run in self._runs.values():
            first[run.path] = min(run.began, first.get(run.path, run.began))
        return sorted(self._paths, key=lambda path: first.get(path, ""))

    def _rows(self) -> Iterator[_OutcomeRow]:
        for path in self._paths:
            for _, text in journal_lines(path, "merge"):
                try:
                    event = parse_line(text)
                    row = self._take(path, event)
                except (BadJournalLine, KeyError, TypeError, ValueError, AttributeError):
                    if not is_incomplete(text):
                        self._bad[path] += 1
                    continue
                if row is not None:
                    yield row

    def _take(self, path: str, event: dict[str, Any]) -> _OutcomeRow | None:
        """Take note of an event; return the row of an outcome. Raises for one that is none."""
        kind = event["event"]
        if kind in ("cut", "pace"):
            return None
        if kind == "start":
            if event.get("dry_run") or event.get("sandbox"):
                self._ignored.add(event["run"])
            else:  # that is there already, of a file that goes on with another
                self._runs.setdefault(event["run"], _run_of(path, event))
            return None
        if event["run"] in self._ignored:
            return None
        run = self._runs.get(event["run"])
        if run is None:
            raise BadJournalLine("its run has no first line")
        if kind == "summary":
            run.summary = event
            return None
        if kind not in OUTCOMES:
            raise BadJournalLine(f"its event is {kind!r}")
        if not run.number:  # a fault by itself, and nothing of a shard
            return None
        run.lines[kind] += 1
        return self._row(event, run)

    def _row(self, event: dict[str, Any], run: ShardRun) -> _OutcomeRow:
        place = key_bytes(event["path"] if "path" in event else f"{event['bucket']}/{event['key']}")
        key = _key(event, run)
        owner = shard_of(key_bytes(key), run.count) if key is not None else 0
        size = number_in(event.get("source_size", event.get("size")))
        order = next(self._numbers)
        return _OutcomeRow(place, run.began, order, event["event"], run.number, owner, size)


def _run_of(path: str, start: Mapping[str, Any]) -> ShardRun:
    shard = str(start.get("shard") or _NO_SHARD)
    number, count = map(int, shard.split("/"))
    if shard != _NO_SHARD and not 1 <= number <= count:
        raise BadJournalLine(f"its shard is {shard}")
    return ShardRun(start["run"], path, start, number, count)


def _key(event: Mapping[str, Any], run: ShardRun) -> str | None:
    """Return the key by which the shard of an outcome is decided; None: it is not known."""
    verb = event.get("verb")
    if event["event"] == "deleted":
        if verb == "move":
            return None  # of the source, whose name is another
        if "path" not in event:
            return str(event["key"])
        top = os.path.join(str(run.start.get("dest", "")), "")
        path = str(event["path"])
        return path.removeprefix(top) if path.startswith(top) else None
    source = str(event.get("source", ""))
    if not source.startswith("s3://"):
        return str(event["key"]) if "key" in event else None
    bucket, _, key = source.removeprefix("s3://").partition("/")
    return None if bucket.startswith("arn:") else key


def _is_wrong(row: _OutcomeRow, before: _OutcomeRow | None) -> bool:
    """Return whether a line is of another shard than its key; ``before``: about the same place.

    What fails may concern every shard, such as a directory that cannot be listed.
    """
    if row.state == "failed":
        return False
    if row.owner:
        return row.owner != row.shard
    return before is not None and before.state != "failed" and before.shard != row.shard


def _count(report: MergeReport, row: _OutcomeRow) -> None:
    report.totals[row.state] += 1
    report.by_shard.setdefault(row.shard, Counter())[row.state] += 1
    if row.state == "done":
        report.bytes += row.size
