"""What copy tells, its dry run, and bad input."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder
from outcomes import says
from stores.store import Bucket, Store


@pytest.mark.parametrize("mode", ["update", "add"])
def test_a_dry_run_says_what_the_run_will_do_and_writes_nothing(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, mode: str
) -> None:
    other = moto.bucket()
    for key, body in {"same": b"1", "size": b"22", "bytes": b"3", "d/new": b"4"}.items():
        moto_bucket.put(f"p/{key}", body)
    before = {"q/same": b"1", "q/size": b"2", "q/bytes": b"x"}
    for key, body in before.items():
        other.put(key, body)
    words = ["--mode", mode, f"{moto_bucket.url}/p", f"{other.url}/q"]
    dry = recorder(moto)
    would = s3pp("copy", "-n", *words, store=dry.store)
    assert (would.code, other.tree()) == (0, before)
    assert {r.method for r in dry.requests} == {"GET", "HEAD"}
    assert dry.heads == 1  # whether there is an object of the prefix's name
    real = recorder(moto)
    did = s3pp("copy", "-vv", *words, store=real.store)
    assert would.counts.verb == "would copy"
    assert would.counts.requests == len(real.requests)
    told = [line for line in did.lines if " (" in line and " bytes in " not in line]
    assert sorted(would.decisions) == sorted(told)
    source, dest = f"{moto_bucket.url}/p", f"{other.url}/q"
    lines = {
        "update": [
            f"copy {source}/bytes -> {dest}/bytes (etag differs)",
            f"copy {source}/d/new -> {dest}/d/new (new)",
            f"copy {source}/size -> {dest}/size (size differs)",
            f"skip {source}/same -> {dest}/same (same etag)",
        ],
        "add": [
            f"copy {source}/d/new -> {dest}/d/new (new)",
            f"skip {source}/bytes -> {dest}/bytes (exists)",
            f"skip {source}/same -> {dest}/same (exists)",
            f"skip {source}/size -> {dest}/size (exists with another size)",
        ],
    }[mode]
    assert sorted(would.decisions) == lines


def test_levels_events_journal_and_log(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    other, url = moto.bucket(), moto_bucket.url
    moto_bucket.put("p/f", b"22")
    moto_bucket.put("p/" + "x" * 1000, b"3")
    moto_bucket.put("p/same", b"1")
    place = f"{other.url}/{'n' * 30}"
    other.put(f"{'n' * 30}/same", b"1")
    journal, log = tmp_path / "journal", tmp_path / "log"
    records = ["--journal", journal, "--log-file", log]
    result = s3pp("copy", "--json", *records, f"{url}/p", place)
    assert result.code == 1
    by_kind = {event["event"]: event for event in result.events}
    common = {"verb": "copy", "bucket": other.name}
    done = {
        "event": "done",
        "source": f"{url}/p/f",
        "key": f"{'n' * 30}/f",
        "size": 2,
        "reason": "new",
        "etag": hashlib.md5(b"22").hexdigest(),
        "attempts": 1,
    }
    assert by_kind["done"].items() >= (common | done).items()
    skipped = {"event": "skipped", "key": f"{'n' * 30}/same", "reason": "same etag", "size": 1}
    assert by_kind["skipped"] == common | skipped | {"source": f"{url}/p/same"}
    assert (by_kind["failed"]["kind"], by_kind["failed"]["bucket"]) == ("name", other.name)
    counts = {"listed": 3, "done": 1, "skipped": 1, "failed": 1, "bytes": 2}
    assert by_kind["summary"].items() >= counts.items()
    written = [json.loads(line) for line in journal.read_text().splitlines()]
    assert (written[0]["verb"], written[0]["sources"]) == ("copy", [f"{url}/p"])
    assert written[0]["dest"] == place
    told = [event for event in result.events if event["event"] != "summary"]
    in_order = [sorted(each, key=lambda event: event["key"]) for each in (written[1:-1], told)]
    assert says(*in_order)
    texts = log.read_text() + journal.read_text() + result.out + result.err
    assert moto.secret_key not in texts
    quiet = s3pp("copy", "-q", f"{url}/p", place)
    assert (quiet.code, len(quiet.lines), len(quiet.err.splitlines())) == (1, 1, 1)
    assert (quiet.counts.skipped, quiet.counts.failed) == (2, 1)


def test_four_processes_started_afresh(s3pp: Run, moto: Store, moto_bucket: Bucket) -> None:
    bodies = {f"d{n % 5}/{n}": b"x" * n for n in range(80)}
    moto_bucket.fill(bodies)
    other = moto.bucket()
    words = ["-P", "4", "--start-method", "spawn", moto_bucket.url, other.url]
    result = s3pp("copy", *words)
    assert (result.code, result.counts.done) == (0, 80)
    assert set(other.keys()) == set(bodies)


# Arguments, and what the line must name. SRC and DEST are filled in.
BAD = {
    "nothing": ([], "s3://"),
    "no destination": (["SRC"], "destination"),
    "a local one among several": (["SRC", "elsewhere", "DEST"], "elsewhere"),
    "a local source": (["elsewhere", "DEST"], "elsewhere"),
    "a local destination": (["SRC", "elsewhere"], "elsewhere"),
    "no bucket": (["SRC", "s3://"], "s3://"),
    "header without replace": (["--header", "Cache-Control:x", "SRC", "DEST"], "--header"),
    "metadata without replace": (["--metadata", "a=b", "SRC", "DEST"], "--metadata-directive"),
    "type without replace": (["--content-type", "a/b", "SRC", "DEST"], "--metadata-directive"),
    "directive": (["--metadata-directive", "merge", "SRC", "DEST"], "--metadata-directive"),
    "acl": (["--acl", "everybody", "SRC", "DEST"], "--acl"),
    "an option of put": (["--gzip", "SRC", "DEST"], "--gzip"),
    "an option of get": (["--fsync", "SRC", "DEST"], "--fsync"),
    "source endpoint": (["--source-endpoint-url", "ftp://x", "SRC", "DEST"],
                        "--source-endpoint-url"),
    "too many tags": ([w for n in range(11) for w in ("--tag", f"k{n}=v")] + ["SRC", "DEST"],
                      "--tag"),
}  # fmt: skip


def test_every_bad_argument(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    """One test for all: each start is cheap, and a list of what is wrong reads best whole."""
    moto_bucket.put("f", b"1")
    other, record = moto.bucket(), recorder(moto)
    wrong = []
    for name, (words, mention) in BAD.items():
        fill = {"SRC": moto_bucket.url, "DEST": other.url}
        result = s3pp("copy", *(fill.get(word, word) for word in words), store=record.store)
        lines = result.err.strip().splitlines()
        if (result.code, len(lines), result.out) != (2, 1, "") or mention not in result.err:
            wrong.append(f"{name}: exit {result.code}, {result.out!r}, {result.err!r}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert (record.requests, other.keys()) == ([], [])


def test_help(s3pp: Run) -> None:
    shown = s3pp("copy", "--help", store=None)
    assert shown.code == 0
    assert all(word in shown.out for word in ("--source-profile", "--metadata-directive", "--acl"))
