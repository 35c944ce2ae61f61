"""Whether the runs of ``--shard`` have covered everything exactly once: what is wrong, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from s3pp.localfs.paths import shown
from s3pp.report.lines import pluralize
from s3pp.report.shard_runs import MergeFault, MergeReport, ShardFault, ShardRun, number_in
from s3pp.sources.journal_reader import OUTCOMES

MOST_NAMED = 10  # shards, or objects, in one message
_CHANGED = "the journal was changed, or is of another version"
# What all runs of a job have in common: fields of the line ``start``, and settings in it.
_SAME = ("verb", "sources", "dest", "source_endpoint", "dest_endpoint")
_SAME_SETTINGS = (
    *("mode", "compare", "filters", "min-size", "max-size", "limit", "files-from", "null"),
    *("manifest", "walk", "delete", "delete-excluded", "gzip", "gzip-type", "gunzip"),
    *("gzip-suffix", "follow-symlinks"),
)


def judge(report: MergeReport, runs: list[ShardRun]) -> None:
    """Add what the runs say: which shards there are, and whether each came to its end."""
    if not runs:
        text = (
            "no run in these journals has transferred anything, as dry runs do not count:"
            " name the journals of all shards"
        )
        report.faults.append(ShardFault(MergeFault.MISSING, 0, text))
    for each in runs:
        if not each.number:
            text = f"{each.name} is of no shard: leave it out, or run it with --shard"
            report.faults.append(ShardFault(MergeFault.NO_SHARD, 0, text))
    if divided := [each for each in runs if each.number]:
        _judge_shards(report, divided)
    if report.totals["failed"]:
        failed = pluralize(report.totals["failed"], "object")
        text = f"{failed} failed: s3pp retry, or the same command again, does the rest of the shard"
        report.faults.append(ShardFault(MergeFault.FAILED, 0, text))


def _judge_shards(report: MergeReport, runs: list[ShardRun]) -> None:
    """Add what the runs of shards say; all have to be of the job of the first shard."""
    first = min(runs, key=attrgetter("number", "began"))
    report.shards = first.count
    report.faults += filter(None, (_difference(first, each) for each in runs))
    same = [each for each in runs if each.count == first.count]
    by_number = {
        number: sorted(several, key=attrgetter("began"))
        for number, several in groupby(sorted(same, key=attrgetter("number")), attrgetter("number"))
    }
    if missing := _missing(first.count, by_number):
        report.faults.append(missing)
    for several in by_number.values():
        last = several[-1]
        report.runs.append(last)
        report.faults += filter(None, (_repeated(several), _end(last), _lost(last)))


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
        own, other = (_setting(name, each.settings.get(name)) for each in (run, first))
        if own != other:
            return _different(run, f"has {own}, and {first.name} {other}")
    return None


def _setting(name: str, value: object) -> str:
    """Return how a message names an option and its value."""
    if value is True:
        return f"--{name}"
    return f"--{name} {value!r}" if value else f"no --{name}"


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
    if run.summary is None:
        text = f"shard {shard}: {run.name} has not ended, or was killed: {run.remedy}"
        return ShardFault(MergeFault.NOT_ENDED, run.number, text)
    code, whole = run.summary.get("exit_code"), run.summary.get("listing_complete", True)
    if code == 0 and whole and not run.summary.get("not_attempted"):
        return None
    text = f"shard {shard}: {run.name} ended with the exit code {code}: {run.remedy}"
    return ShardFault(MergeFault.FAILED, run.number, text)


def _lost(run: ShardRun) -> ShardFault | None:
    """Return that a run has fewer lines than its summary counts; copies of a journal make more."""
    counted = run.summary or {}
    lost = sum(max(0, number_in(counted.get(name)) - run.lines[name]) for name in OUTCOMES)
    if not lost:
        return None
    shard, what = f"{run.number}/{run.count}", pluralize(lost, "object")
    text = (
        f"shard {shard}: {run.name} counts {what} more than there are lines:"
        " name all files of the journal, also those that were renamed"
    )
    return ShardFault(MergeFault.LINES_LOST, run.number, text)


def unreadable(path: str, number: int) -> ShardFault:
    are = "is" if number == 1 else "are"
    text = (
        f"'{shown(path)}': {pluralize(number, 'line')} that cannot be understood, or {are} of a run"
        " whose first line is not there: name all of its files, unpacked"
    )
    return ShardFault(MergeFault.UNREADABLE, 0, text)


def wrong_shard(number: int, named: Sequence[str]) -> ShardFault:
    what = "object is" if number == 1 else "objects are"
    names = ", ".join(named) + (f" and {number - len(named)} others" if number > len(named) else "")
    text = f"{number} {what} of another shard than the run that did it: {names}: {_CHANGED}"
    return ShardFault(MergeFault.WRONG_SHARD, 0, text)
