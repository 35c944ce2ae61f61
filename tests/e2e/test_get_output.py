"""What get tells, where, and how loudly; journal, log, and what must never be told."""

from __future__ import annotations

import hashlib
import json
import os
import pty
from pathlib import Path
from typing import Any

import pytest

from commands import Result, Run, Start
from conftest import Tree
from outcomes import says
from stores.store import Bucket

OBJECTS = {"a.txt": b"1", "d/b": b"22", "../up": b"3"}


@pytest.fixture
def source(moto_bucket: Bucket) -> str:
    for key, body in OBJECTS.items():
        moto_bucket.put(f"p/{key}", body)
    return f"{moto_bucket.url}/p"


@pytest.mark.thorough
def test_levels(s3pp: Run, source: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    got = [f"get {source}/a.txt -> {out}/a.txt (new)", f"get {source}/d/b -> {out}/d/b (new)"]
    loud = s3pp("get", "-v", source, out)
    assert loud.code == 1
    assert sorted(line for line in loud.lines if "->" in line) == got
    plain = s3pp("get", source, out)
    assert len(plain.lines) == 1
    assert (plain.counts.done, plain.counts.skipped, plain.counts.failed) == (0, 2, 1)
    assert len(plain.err.splitlines()) == 1
    assert f"get {source}/../up -> {out}/../up: " in plain.err
    louder = s3pp("get", "-vv", source, out)
    assert f"skip {source}/a.txt -> {out}/a.txt (same etag)" in louder.out
    quiet = s3pp("get", "-q", source, out)
    assert (quiet.code, len(quiet.lines), len(quiet.err.splitlines())) == (1, 1, 1)
    silent = s3pp("get", "-qq", source, out)
    assert (silent.code, silent.out, silent.err) == (1, "", "")


def test_events_name_bucket_key_and_path(
    s3pp: Run, source: str, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    out, journal, log = tree({"a.txt": b"1"}, "out"), tmp_path / "journal", tmp_path / "log"
    words = ["--journal", journal, "--log-file", log, "-v", source, out]
    result = s3pp("get", "--json", *words)
    assert result.code == 1
    by_kind = {event["event"]: event for event in result.events}
    named = {"verb": "get", "bucket": moto_bucket.name}
    done = {
        "event": "done",
        "source": f"{source}/d/b",
        "key": "p/d/b",
        "path": f"{out}/d/b",
        "size": 2,
        "sent": 2,
        "reason": "new",
        "etag": hashlib.md5(b"22").hexdigest(),
        "attempts": 1,
    }
    assert by_kind["done"] == named | done
    skipped: dict[str, Any] = {"event": "skipped", "source": f"{source}/a.txt", "key": "p/a.txt"}
    skipped |= {"path": f"{out}/a.txt", "size": 1, "reason": "same etag"}
    assert by_kind["skipped"] == named | skipped
    failed = by_kind["failed"]
    assert ".." in failed.pop("message")
    place = {"key": "p/../up", "path": f"{out}/../up", "source": f"{source}/../up"}
    assert failed == named | {"event": "failed", "kind": "name"} | place
    summary = by_kind["summary"]
    assert summary.pop("seconds") > 0
    counts = {"listed": 3, "done": 1, "skipped": 1, "failed": 1, "bytes": 2}
    assert summary == {"event": "summary", "verb": "get"} | counts
    written = [json.loads(line) for line in journal.read_text().splitlines()]
    start = written[0]
    assert (start["event"], start["verb"], start["mode"]) == ("start", "get", "update")
    assert (start["sources"], start["dest"]) == ([source], str(out))
    in_order = [sorted(each, key=lambda e: e["key"]) for each in (written[1:-1], _told(result))]
    assert says(*in_order)
    assert written[-1]["event"] == "summary"
    text = log.read_text()
    assert "d/b" in text
    assert "../up" in text
    assert "moto-secret" not in text + journal.read_text()
    assert {path.stat().st_mode & 0o077 for path in (journal, log)} == {0}


def _told(result: Result) -> list[dict[str, Any]]:
    return [event for event in result.events if event["event"] != "summary"]


def test_records_stay_out_of_the_directory(
    s3pp: Run, source: str, tree: Tree, tmp_path: Path
) -> None:
    """An object of its name would replace the journal while it is written."""
    out = tree({"d": None}, "out")
    for option in ("--journal", "--log-file"):
        for path in (out / "d" / "record", tmp_path / "no" / "where"):
            result = s3pp("get", option, path, source, out)
            assert (result.code, result.out) == (2, "")
            assert len(result.err.splitlines()) == 1
            assert option in result.err
    assert tree.read(out) == {}


def test_progress_on_a_terminal_only(
    s3pp_start: Start, moto_bucket: Bucket, tmp_path: Path
) -> None:
    moto_bucket.fill({f"{n}": b"x" * n for n in range(50)})
    near, far = pty.openpty()
    running = s3pp_start("get", "--progress", moto_bucket.url, tmp_path / "out", stderr=far)
    os.close(far)
    shown = b""
    try:
        while chunk := os.read(near, 4096):
            shown += chunk
    except OSError:  # Linux says EIO when the last writer is gone
        pass
    os.close(near)
    result = running.wait()
    assert (result.code, result.counts.done) == (0, 50)
    assert b"50" in shown


def test_a_reader_that_goes_away_does_not_stop_the_work(
    s3pp_start: Start, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    moto_bucket.fill({f"{n:03}": b"1" for n in range(150)})
    read, write = os.pipe()
    os.close(read)
    running = s3pp_start("get", "-v", moto_bucket.url, tmp_path / "out", stdout=write)
    os.close(write)
    assert running.wait().code == 0
    assert len(tree.read(tmp_path / "out")) == 150


def test_help(s3pp: Run) -> None:
    shown = s3pp("get", "--help", store=None)
    assert shown.code == 0
    words = ["DIRECTORY", "--mode", "--fsync", "--gunzip", "--order", "--files-from", "-n"]
    assert all(word in shown.out for word in words)
    assert "--acl" not in shown.out
