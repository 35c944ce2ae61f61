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
from dataclasses import dataclass, field
from enum import Enum
from itertools import count, groupby
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from s3pp.localfs.external_sort import SortMemory, sort_records
from s3pp.localfs.paths import shown
from s3pp.report.lines import pluralize
from s3pp.shard import shard_of
from s3pp.sources.filters import key_bytes
from s3pp.sources.journal_reader import (
    OUTCOMES,
    BadJournalLine,
    is_incomplete,
    journal_lines,
    parse_line,
)

MOST_NAMED = 10  # shards, or objects, in one message
NO_SHARD = "0/0"
_CHANGED = "the journal was changed, or is of another version"
# What all runs of a job have in common: fields of the line ``start``, and settings in it.
_SAME = ("verb", "sources", "dest", "source_endpoint", "dest_endpoint")
_SAME_SETTINGS = (
    *("mode", "compare", "filters", "min-size", "max-size", "limit", "files-from", "null"),
    *("manifest", "walk", "delete", "delete-excluded", "gzip", "gzip-type", "gunzip"),
    *("gzip-suffix", "follow-symlinks"),
)


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
        return bool(_settings(self.start).get("retry-from"))

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
        _judge(report, [*self._runs.values()])
        if wrongs:
            report.faults.append(_wrong_shard(wrongs, wrong))
        for path, number in self._bad.items():
            report.faults.append(_unreadable(path, number))
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
        if kind == "cut":
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
        size = _number(event.get("source_size", event.get("size")))
        order = next(self._numbers)
        return _OutcomeRow(place, run.began, order, event["event"], run.number, owner, size)


def _run_of(path: str, start: Mapping[str, Any]) -> ShardRun:
    shard = str(start.get("shard") or NO_SHARD)
    number, count = map(int, shard.split("/"))
    if shard != NO_SHARD and not 1 <= number <= count:
        raise BadJournalLine(f"its shard is {shard}")
    return ShardRun(start["run"], path, start, number, count)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _settings(start: Mapping[str, Any]) -> Mapping[str, Any]:
    settings = start.get("settings")
    return settings if isinstance(settings, dict) else {}


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


# The rules


def _judge(report: MergeReport, runs: list[ShardRun]) -> None:
    """Add what the runs say: which shards there are, and whether each came to its end."""
    faults, divided = report.faults, [each for each in runs if each.number]
    for each in runs:
        if not each.number:
            text = f"{each.name} is of no shard: leave it out, or run it with --shard"
            faults.append(ShardFault(MergeFault.NO_SHARD, 0, text))
    if not divided:
        if not runs:
            text = "there is no run that has transferred anything: name the journals of all shards"
            faults.append(ShardFault(MergeFault.MISSING, 0, text))
        return
    first = min(divided, key=attrgetter("number", "began"))
    report.shards = first.count
    faults += filter(None, (_difference(first, each) for each in divided))
    same = [each for each in divided if each.count == first.count]
    by_number = {
        number: sorted(several, key=attrgetter("began"))
        for number, several in groupby(sorted(same, key=attrgetter("number")), attrgetter("number"))
    }
    if missing := _missing(first.count, by_number):
        faults.append(missing)
    for several in by_number.values():
        report.runs.append(several[-1])
        last = several[-1]
        faults += filter(None, (_repeated(several), _end(last), _lost(last)))
    if report.totals["failed"]:
        failed = pluralize(report.totals["failed"], "object")
        text = f"{failed} failed: s3pp retry JOURNAL does the rest of its shard"
        faults.append(ShardFault(MergeFault.FAILED, 0, text))


def _difference(first: ShardRun, run: ShardRun) -> ShardFault | None:
    """Return how a run is of another job than the first one."""
    if run.count != first.count:
        what = f"is of {run.count} shards, and {first.name} of {first.count}"
        return _different(run, what)
    for name in _SAME:
        if run.start.get(name) != first.start.get(name):
            what = f"has the {name} {run.start.get(name)!r}, and {first.name}"
            return _different(run, f"{what} {first.start.get(name)!r}")
    for name in _SAME_SETTINGS:
        own, other = _settings(run.start).get(name), _settings(first.start).get(name)
        if own != other:
            return _different(run, f"has --{name} {own!r}, and {first.name} {other!r}")
    return None


def _different(run: ShardRun, what: str) -> ShardFault:
    text = f"{run.name} {what}: all shards of a job need the same arguments and options"
    return ShardFault(MergeFault.DIFFERENT, run.number, text)


def _missing(count: int, found: Mapping[int, object]) -> ShardFault | None:
    absent = [number for number in range(1, count + 1) if number not in found]
    if not absent:
        return None
    named = ", ".join(f"{number}/{count}" for number in absent[:MOST_NAMED])
    more = f" and {len(absent) - MOST_NAMED} others" if len(absent) > MOST_NAMED else ""
    one = len(absent) == 1
    what = "shard" if one else "shards"
    how = "run it, or name its journal" if one else "run them, or name their journals"
    text = f"no journal has the {what} {named}{more}: {how}"
    return ShardFault(MergeFault.MISSING, absent[0], text)


def _repeated(several: Sequence[ShardRun]) -> ShardFault | None:
    """Return that independent runs did one shard: not in one journal, nor by ``--retry-from``."""
    if len({each.path for each in several if not each.goes_on}) < 2:
        return None
    shard = f"{several[0].number}/{several[0].count}"
    names = " and ".join(each.name for each in several[:MOST_NAMED])
    text = f"the shard {shard} was done twice: by {names}: check how tasks are numbered"
    return ShardFault(MergeFault.TWICE, several[0].number, text)


def _end(run: ShardRun) -> ShardFault | None:
    """Return that the last run of a shard did not come to a good end."""
    shard = f"{run.number}/{run.count}"
    again = f"s3pp retry '{shown(run.path)}' does the rest"
    if run.summary is None:
        text = f"shard {shard}: {run.name} has not ended, or was killed: {again}"
        return ShardFault(MergeFault.NOT_ENDED, run.number, text)
    code, whole = run.summary.get("exit_code"), run.summary.get("listing_complete", True)
    if code == 0 and whole and not run.summary.get("not_attempted"):
        return None
    text = f"shard {shard}: {run.name} ended with the exit code {code}: {again}"
    return ShardFault(MergeFault.FAILED, run.number, text)


def _lost(run: ShardRun) -> ShardFault | None:
    """Return that a run has fewer lines than its summary counts; copies of a journal make more."""
    counted = run.summary or {}
    lost = sum(max(0, _number(counted.get(name)) - run.lines[name]) for name in OUTCOMES)
    if not lost:
        return None
    shard, what = f"{run.number}/{run.count}", pluralize(lost, "object")
    text = (
        f"shard {shard}: {run.name} counts {what} more than there are lines:"
        " name all files of the journal, also those that were renamed"
    )
    return ShardFault(MergeFault.LINES_LOST, run.number, text)


def _unreadable(path: str, number: int) -> ShardFault:
    are = "is" if number == 1 else "are"
    text = (
        f"'{shown(path)}': {pluralize(number, 'line')} that cannot be understood, or {are} of a run"
        " whose first line is not there: name all of its files, unpacked"
    )
    return ShardFault(MergeFault.UNREADABLE, 0, text)


def _wrong_shard(number: int, named: Sequence[str]) -> ShardFault:
    what = "object is" if number == 1 else "objects are"
    names = ", ".join(named) + (f" and {number - len(named)} others" if number > len(named) else "")
    text = f"{number} {what} of another shard than the run that did it: {names}: {_CHANGED}"
    return ShardFault(MergeFault.WRONG_SHARD, 0, text)
