"""The journal: what its lines say of a run and of each object, as docs/journal.rst has it."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest

from commands import Run, Start, as_anybody
from conftest import Tree
from outcomes import reasons
from stores.store import Bucket, Store

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
LARGE = 6 << 20  # bytes, of two parts
PARTS = ("--part-size", "5MiB", "--multipart-threshold", "5MiB")

Event = dict[str, Any]


def events(journal: Path) -> list[Event]:
    """The lines of a journal, each of which is whole; but for the pace, of which any may be."""
    text = journal.read_text()
    assert text.endswith("\n")
    found = [json.loads(line) for line in text.splitlines()]
    return [event for event in found if event["event"] != "pace"]


def of_runs(found: list[Event]) -> list[list[Event]]:
    """The lines of each run, in the order in which the runs began."""
    runs: dict[str, list[Event]] = {}
    for event in found:
        assert re.fullmatch("[0-9a-f]{12}", event["run"])
        runs.setdefault(event["run"], []).append(event)
    return list(runs.values())


def by_key(run: list[Event]) -> dict[str, Event]:
    return {event["key"]: event for event in run if "key" in event}


def md5_of(body: bytes) -> str:
    return md5(body).hexdigest()


def test_each_line_proves_what_was_done(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """Of a put, and then of a get and of a copy of the same objects."""
    page, large = b"<p>" * 400, bytes(range(256)) * (LARGE >> 8)
    src = tree({"a": b"1", "b": b"2", "big": large, "page.html": page}, "-src")
    (src / "b").chmod(0)
    journal, other = tmp_path / "journal", moto.bucket()
    log = ("--journal", journal)
    words = ("put", "--gzip", "--json", *PARTS, "--metadata", "k=s3cr3t", "--limit", "9", *log)
    put = s3pp(*words, "--", src.name, f"{moto_bucket.url}/p", preexec_fn=as_anybody)
    assert put.code == 1
    assert s3pp("get", *PARTS, *log, f"{moto_bucket.url}/p", tree({}, "out")).code == 0
    assert s3pp("copy", *PARTS, *log, f"{moto_bucket.url}/p", f"{other.url}/q").code == 0
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert "s3cr3t" not in journal.read_text()
    first, second, third = of_runs(events(journal))

    start, end = first[0], first[-1]
    assert (start["event"], start["schema"], start["verb"]) == ("start", 2, "put")
    assert re.fullmatch(TIME, start["time"])
    assert start["command"][:3] == ["s3pp", "put", f"--endpoint-url={moto.url}"]
    assert start["command"][-3:] == ["--", src.name, f"{moto_bucket.url}/p"]
    assert "--metadata=k=(withheld)" in start["command"]
    assert start["withheld"] == ["metadata"]
    settings = start["settings"]
    assert (settings["limit"], settings["gzip"], settings["concurrency"]) == (9, True, 512)
    assert (start["directory"], start["dest_account"] != "") == (str(tmp_path), True)
    assert (end["event"], end["exit_code"], end["failures"]) == ("summary", 1, {"unreadable": 1})

    sent, got, copied = map(by_key, (first, second, third))
    for event in (*sent.values(), *got.values(), *copied.values()):
        assert re.fullmatch(TIME, event["began"])
        assert event["began"] <= event["ended"]
    a, packed, whole = (sent[f"p/{name}"] for name in ("a", "page.html", "big"))
    assert (a["etag"], a["checksum"]) == (md5_of(b"1"), f"md5:{md5_of(b'1')}")
    at = (src / "a").stat().st_mtime_ns
    assert a["source_mtime"].endswith(f".{at % 10**9:09d}Z")
    assert (sent["p/b"]["event"], "source_mtime" in sent["p/b"]) == ("failed", True)
    stored = moto_bucket.get("p/page.html")
    assert (packed["source_size"], packed["size"]) == (len(page), len(stored))
    assert (packed["checksum"], gzip.decompress(stored)) == (f"md5:{md5_of(stored)}", page)
    name, _, value = whole["checksum"].partition(":")
    assert (whole["size"], name, len(base64.b64decode(value))) == (LARGE, "crc64nvme", 8)

    assert got["p/a"]["mtime"].endswith(".000000000Z")  # as the store shows it
    assert (got["p/a"]["source_etag"], got["p/a"]["checksum"]) == (a["etag"], a["checksum"])
    assert (second[-1]["exit_code"], second[-1]["failures"]) == (0, {})
    assert copied["q/big"]["source_etag"] == whole["etag"]
    assert (copied["q/a"]["source_etag"], copied["q/a"]["etag"]) == (a["etag"], a["etag"])


def test_versions_skips_and_deletions(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, journal = tree({"a": b"1", "b": b"22"}), tmp_path / "journal"
    moto_bucket.put("p/a", b"1")
    moto_bucket.put("p/gone", b"1")
    moto_bucket.client.put_bucket_versioning(
        Bucket=moto_bucket.name, VersioningConfiguration={"Status": "Enabled"}
    )
    assert s3pp("put", "--delete", "--journal", journal, src, f"{moto_bucket.url}/p").code == 0
    (run,) = of_runs(events(journal))
    found = by_key(run)
    kept = moto_bucket.client.list_object_versions(Bucket=moto_bucket.name, Prefix="p/")
    version = next(each["VersionId"] for each in kept["Versions"] if each["Key"] == "p/b")
    assert found["p/b"]["version_id"] == version
    assert (found["p/a"]["event"], found["p/a"]["etag"]) == ("skipped", md5_of(b"1"))
    assert (found["p/a"]["size"], found["p/a"]["source_size"]) == (1, 1)
    assert "source_mtime" in found["p/a"]
    gone = found["p/gone"]
    assert (gone["event"], gone["version_id"]) == ("deleted", kept["DeleteMarkers"][0]["VersionId"])
    assert gone["began"] <= gone["ended"]


def test_a_journal_is_continued_where_its_name_is(
    s3pp_start: Start, moto: Store, tree: Tree, tmp_path: Path, s3pp: Run
) -> None:
    """Renamed, as by logrotate, then emptied, as by its ``copytruncate``, while nothing ends."""
    bucket, journal, log = moto.bucket(), tmp_path / "journal", tmp_path / "log"
    names = ("--journal", journal, "--log-file", log)
    read, write = os.pipe()
    running = s3pp_start("put", *names, "-", f"{bucket.url}/k", store=moto, stdin=read)
    wait_for(lambda: journal.exists() and b"start" in journal.read_bytes())
    journal.rename(tmp_path / "journal.1")
    log.rename(tmp_path / "log.1")
    wait_for(lambda: journal.exists() and b"continued" in journal.read_bytes() and log.exists())
    assert stat.S_IMODE(journal.stat().st_mode) == stat.S_IMODE(log.stat().st_mode) == 0o600
    os.truncate(journal, 0)
    wait_for(lambda: b"continued" in journal.read_bytes())
    os.write(write, b"body")
    os.close(write)
    os.close(read)
    assert running.wait().code == 0
    (first,) = events(tmp_path / "journal.1")
    again, done, end = events(journal)
    assert [each["event"] for each in (first, again, done, end)] == [
        "start", "start", "done", "summary"
    ]  # fmt: skip
    assert {each["run"] for each in (first, again, done, end)} == {first["run"]}
    assert first | {"continued": True} == again
    assert "put 4 bytes" in log.read_text()
    # A file that cannot be made again: the renamed one is continued, and that is said.
    gone = tmp_path / "gone"
    gone.mkdir()
    read, write = os.pipe()
    words = ("put", "--journal", gone / "j", "-", f"{bucket.url}/k")
    running = s3pp_start(*words, store=moto, stdin=read)
    wait_for(lambda: (gone / "j").exists() and b"start" in (gone / "j").read_bytes())
    gone.rename(tmp_path / "moved")
    wait_for(lambda: "the renamed file is continued" in running.err())
    os.close(write)
    os.close(read)
    assert running.wait().code == 0
    assert [each["event"] for each in events(tmp_path / "moved/j")] == ["start", "done", "summary"]


def test_two_runs_into_one_file_are_told_apart(
    s3pp: Run, s3pp_start: Start, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """And a retry takes what each of them has done, whoever wrote in between."""
    journal, read = tmp_path / "journal", []
    log = ("--journal", journal)
    trees = [tree({f"{name}{n}": b"1" for n in range(9)}, name) for name in "ab"]
    running = []
    for _ in trees:
        end, other = os.pipe()
        read.append(other)
        stream = ("put", *log, "-", f"{moto_bucket.url}/k{len(read)}")
        running.append(s3pp_start(*stream, store=moto, stdin=end))
        os.close(end)
    wait_for(lambda: journal.exists() and journal.read_bytes().count(b'"start"') == 2)
    for src in trees:
        assert s3pp("put", *log, src, f"{moto_bucket.url}/{src.name}").code == 0
    for end in read:
        os.close(end)
    assert [each.wait().code for each in running] == [0, 0]
    runs = of_runs(events(journal))
    assert [len(run) for run in runs] == [3, 3, 11, 11]
    assert all((run[0]["event"], run[-1]["event"]) == ("start", "summary") for run in runs)
    for src in trees:
        words = ("put", "--json", "--retry-from", journal, src, f"{moto_bucket.url}/{src.name}")
        assert set(reasons(s3pp(*words)).values()) == {"done in an earlier run"}


def test_a_full_disk_leaves_whole_lines_and_a_summary(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, small_disk: Path, tmp_path: Path
) -> None:
    """Full at the start, after a line that was cut, and amid the run."""
    src, journal = tree({"a": b"1", "b": b"2"}), small_disk / "journal"
    words = ("put", "--mode", "stupid", "--journal", journal, src, moto_bucket.url)
    for cut in ("", "x" * 4096):  # a page, so that one byte more does not fit
        journal.write_text(cut)
        fill(small_disk / "rest")
        full = s3pp(*words)
        assert (full.code, full.err.count("No space left")) == (3, 1)
        assert full.summary.startswith("put ")
        (small_disk / "rest").unlink()
    journal.unlink()
    many = tree({f"{n:04d}": b"1" for n in range(400)}, "many")
    (small_disk / "rest").write_bytes(bytes((1 << 20) - (40 << 10)))
    cut_short = s3pp("put", "--journal", journal, many, moto_bucket.url)
    assert cut_short.code == 3
    assert "files" in cut_short.summary
    # Each batch up to the last line that fits, and the summary if there is room for it.
    assert {each["event"] for each in events(journal)} <= {"start", "done", "summary"}
    (small_disk / "rest").unlink()
    retry = ("put", "--json", "--journal", journal, "--retry-from", journal, many, moto_bucket.url)
    assert s3pp(*retry).code == 0
    assert {path.name for path in many.iterdir()} <= {*moto_bucket.keys()}
    assert {each["event"] for each in events(journal)} >= {"skipped", "summary"}


def fill(path: Path) -> None:
    """Leave no room on a file system."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "s3pp-test", str(place)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def wait_for(met: Callable[[], bool], timeout: float = 60.0) -> None:
    deadline = time.monotonic() + timeout
    while not met():
        assert time.monotonic() < deadline, "it does not come about"
        time.sleep(0.02)


def test_streams_and_cleans_name_their_store(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    journal, host = tmp_path / "journal", moto.url.replace("http://127.0.0.1", "localhost")
    log = ("--journal", journal)
    assert s3pp("put", *log, "-", f"{moto_bucket.url}/k", stdin=b"body").code == 0
    assert s3pp("get", *log, f"{moto_bucket.url}/k", "-").code == 0
    assert s3pp("clean", *log, moto_bucket.url).code == 0
    put, get, clean = of_runs(events(journal))
    assert (put[0]["dest_endpoint"], "source_endpoint" in put[0]) == (host, False)
    assert (get[0]["source_endpoint"], clean[0]["source_endpoint"]) == (host, host)
    assert put[0]["dest_account"] == get[0]["source_account"] == clean[0]["source_account"]
    assert (put[1]["checksum"], get[1]["source_etag"]) == (f"md5:{md5_of(b'body')}", put[1]["etag"])
