"""The journals of shards, joined: the rules that no run of today breaks, and damaged files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from s3pp.report.merging import JournalMerger
from s3pp.report.shard_runs import MergeReport
from s3pp.shard import shard_of

N = 2


def start(shard: str, run: str, **others: Any) -> dict[str, Any]:
    event = {"event": "start", "run": run, "schema": 2, "time": f"2026-11-20T08:30:0{run[-1]}.000Z"}
    return event | {"verb": "put", "dest": "s3://b", "shard": shard, "settings": {}} | others


def outcome(kind: str, run: str, key: str, **others: Any) -> dict[str, Any]:
    event = {"event": kind, "run": run, "verb": "put", "source": f"src/{key}", "bucket": "b"}
    return event | {"key": key, "size": 1} | others


def end(run: str, **others: Any) -> dict[str, Any]:
    return {"event": "summary", "run": run, "exit_code": 0} | others


def merged(tmp_path: Path, *lines: dict[str, Any], tail: str = "") -> MergeReport:
    path = tmp_path / "journal"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in lines) + tail)
    return JournalMerger([str(path)]).merge()


def faults(report: MergeReport) -> list[str]:
    return [each.fault.value for each in report.faults]


def key_of(shard: int) -> str:
    return next(name for name in map(str, range(99)) if shard_of(name.encode(), N) == shard)


def test_what_another_run_had_to_do(tmp_path: Path) -> None:
    both = [start("1/2", "a1"), start("2/2", "b2"), end("a1"), end("b2")]
    mine, other = key_of(1), key_of(2)
    right = [outcome("done", "a1", mine), outcome("skipped", "b2", other)]
    report = merged(tmp_path, *both, *right)
    assert (faults(report), report.totals) == ([], {"done": 1, "skipped": 1})
    wrong = merged(tmp_path, *both, *right, outcome("done", "a1", other))
    assert faults(wrong) == ["wrong shard"]
    assert f"1 object is of another shard than the run that did it: b/{other}" in str(
        wrong.faults[0].message
    )
    # Read keys decide of a get and a copy, and a directory that fails does so in every shard.
    read = outcome("done", "a1", other, source=f"s3://x/{mine}", verb="copy")
    assert faults(merged(tmp_path, *both, read)) == []
    unlisted = [outcome("failed", run, "d/") for run in ("a1", "b2")]
    assert faults(merged(tmp_path, *both, *unlisted)) == ["failed"]


def test_the_last_line_about_an_object_counts(tmp_path: Path) -> None:
    runs = [start("1/1", "a1"), end("a1", exit_code=1), start("1/1", "a2"), end("a2")]
    lines = [outcome("done", "a2", "k", source_size=5), outcome("failed", "a1", "k")]
    report = merged(tmp_path, *runs, *lines)
    assert (faults(report), report.totals, report.bytes) == ([], {"done": 1}, 5)


def test_runs_that_do_not_count_and_ends_that_are_none(tmp_path: Path) -> None:
    dry = start("2/2", "d2", dry_run=True)
    report = merged(tmp_path, start("1/2", "a1"), end("a1"), dry, end("d2"))
    assert faults(report) == ["missing"]
    assert "no journal has the shard 2/2: run it, or name its" in report.faults[0].message
    assert "as dry runs do not count" in merged(tmp_path, dry).faults[0].message
    for bad in ({"listing_complete": False}, {"not_attempted": 3}, {"exit_code": 130}):
        assert faults(merged(tmp_path, start("1/1", "a1"), end("a1", **bad))) == ["failed"]
    other = merged(tmp_path, start("1/2", "a1"), end("a1"), start("2/3", "b2"), end("b2"))
    assert faults(other) == ["different", "missing"]
    assert faults(merged(tmp_path)) == ["missing"]


def test_what_does_the_rest_of_a_shard(tmp_path: Path) -> None:
    """A retry is of some commands; the others are given again."""
    for verb, remedy in (("put", "s3pp retry '"), ("move", "the same command again does")):
        began = start("1/1", "a1", verb=verb, command=["s3pp", verb, "a", "s3://b"])
        (fault,) = merged(tmp_path, began).faults
        assert f"has not ended, or was killed: {remedy}" in fault.message
    unknown = merged(tmp_path, start("1/1", "a1", command=[]), end("a1", exit_code=1))
    assert "with the exit code 1: the same command again does" in unknown.faults[0].message


def test_options_that_differ_are_named(tmp_path: Path) -> None:
    ones = {"delete": True, "limit": None, "min-size": 5}
    others = {"delete": False, "limit": None, "min-size": 5}
    first, second = start("1/2", "a1", settings=ones), start("2/2", "b2", settings=others)
    (fault,) = merged(tmp_path, first, end("a1"), second, end("b2")).faults
    assert f"run b2 in '{tmp_path}/journal' has no --delete, and run a1 in" in fault.message
    assert " --delete: all shards of a job need the same" in fault.message
    other = start("2/2", "b2", settings=ones | {"min-size": 6})
    (fault,) = merged(tmp_path, first, end("a1"), other, end("b2")).faults
    assert "has --min-size 6, and run a1" in fault.message


def test_lines_that_cannot_be_understood(tmp_path: Path) -> None:
    whole = [start("1/1", "a1"), end("a1")]
    assert faults(merged(tmp_path, *whole, tail='{"event":"done","ru')) == []  # being written
    for tail in ("no JSON\n", "[1]\n", '{"event":"done","run":"zz"}\n', '{"event":"done"}\n'):
        assert faults(merged(tmp_path, *whole, tail=tail)) == ["unreadable"]
    for shard in ("2/1", "0/1", "1", "1/1/1"):
        assert faults(merged(tmp_path, *whole, start(shard, "b2"))) == ["unreadable"]
    of_no_object = {"event": "cut", "text": "x"}, {"event": "pace", "run": "a1", "done": 3}
    assert faults(merged(tmp_path, *whole, *of_no_object)) == []


def test_lines_that_are_not_there(tmp_path: Path) -> None:
    runs = [start("1/1", "a1"), end("a1", done=2, skipped=1)]
    lines = [outcome("done", "a1", "k"), outcome("done", "a1", "l"), outcome("skipped", "a1", "m")]
    assert faults(merged(tmp_path, *runs, *lines)) == []
    assert faults(merged(tmp_path, *runs, *lines, *lines)) == []  # with a copy of the journal
    report = merged(tmp_path, *runs, *lines[1:])
    assert faults(report) == ["lines lost"]
    text = report.faults[0].message
    assert "shard 1/1: run a1 in " in text
    assert "counts 1 object more than there are lines: name all files of the journal" in text
    again = [start("1/1", "a2"), end("a2", skipped=1), outcome("skipped", "a2", "k")]
    assert faults(merged(tmp_path, *runs, *again)) == [], "the last run of a shard counts"
    assert faults(merged(tmp_path, start("1/1", "a1"), end("a1", done="x", failed=None))) == []


def test_a_run_without_a_shard_says_nothing_of_shards(tmp_path: Path) -> None:
    mine = [start("1/1", "a1"), end("a1", done=1), outcome("done", "a1", "k")]
    other = [start("", "b2"), end("b2", skipped=1), outcome("skipped", "b2", "k")]
    report = merged(tmp_path, *mine, *other)
    assert (faults(report), report.of_shard(1)) == (["no shard"], {"done": 1})
