"""What is told, where, and how loudly."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from commands import ROOT, Run, Start
from conftest import Tree
from stores.store import Bucket
from trees import Content, Link

KEYS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
FILES: dict[str, Content] = {"a.txt": b"1", "d/b": b"22", "broken": Link("nowhere")}


def test_levels(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree(FILES)
    place = f"s3://{moto_bucket.name}"
    put = [f"put {src}/a.txt -> {place}/a.txt (new)", f"put {src}/d/b -> {place}/d/b (new)"]
    loud = s3pp("put", "-v", src, moto_bucket.url)
    assert loud.code == 1
    assert sorted(line for line in loud.lines if "->" in line) == put
    plain = s3pp("put", src, moto_bucket.url)
    assert len(plain.lines) == 1
    assert (plain.counts.done, plain.counts.skipped, plain.counts.failed) == (0, 2, 1)
    assert len(plain.err.splitlines()) == 1
    assert f"{src}/broken" in plain.err
    louder = s3pp("put", "-vv", src, moto_bucket.url)
    said = louder.out + louder.err
    assert f"skip {src}/a.txt -> {place}/a.txt (same etag)" in said
    quiet = s3pp("put", "-q", src, moto_bucket.url)
    assert (quiet.code, len(quiet.lines)) == (1, 1)
    assert quiet.counts.failed == 1
    silent = s3pp("put", "-qq", src, moto_bucket.url)
    assert (silent.code, silent.out) == (1, "")


def test_quiet_is_silent_on_success(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"a": b"1"})
    for words in ([], ["-v"], ["-n"], ["--json"]):
        result = s3pp("put", "-q", *words, src, moto_bucket.url)
        assert (result.code, result.err) == (0, "")
        # "-q -v" is neither; a dry run and programs have nothing else to go by
        assert len(result.lines) == {"-n": 4, "-v": 1, "--json": 1}.get("".join(words), 0), words
    assert s3pp("put", "-qq", "--json", src, moto_bucket.url).out == ""


def test_what_ends_the_run_stands_on_a_line_of_its_own(s3pp_start: Start, tree: Tree) -> None:
    """The display is up while the bucket is looked for, and its process is killed when it is not.

    With the screen, not the bytes, in mind: what follows a display on its line is glued to it.
    """
    src = tree({"a": b"1"})
    near, far = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        words = ["--max-attempts=1", "--read-timeout=1", "--endpoint-url", url]
        running = s3pp_start(
            "put", *words, src, "s3://bucket", stderr=far, env={"TERM": "xterm"} | KEYS, store=None
        )
        os.close(far)
        shown = read_terminal(near)
        assert running.wait().code == 3
    assert "no objects found yet" in shown
    assert re.search(r"(\n|\r\x1b\[J)s3pp: .*[^\r]\r\n\Z", shown), shown


def read_terminal(near: int) -> str:
    shown = b""
    try:
        while chunk := os.read(near, 4096):
            shown += chunk
    except OSError:  # Linux says EIO when the last writer is gone
        pass
    os.close(near)
    return shown.decode()


def test_json_is_json_and_counts_balance(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree(FILES)
    moto_bucket.put("a.txt", b"1")
    result = s3pp("put", "--json", src, moto_bucket.url)
    assert result.code == 1
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for event in result.events:
        by_kind.setdefault(event["event"], []).append(event)
    (summary,) = by_kind["summary"]
    assert result.events[-1] == summary
    for kind in ("done", "skipped", "failed"):
        assert summary[kind] == len(by_kind[kind]) == 1
    assert summary["listed"] == 3
    (failed,) = by_kind["failed"]
    assert (failed["source"], failed["kind"]) == (f"{src}/broken", "not-found")
    assert failed["message"]
    assert by_kind["skipped"][0]["reason"] == "same etag"
    assert by_kind["done"][0]["etag"] == moto_bucket.head("d/b")["ETag"].strip('"')


def test_log_file_and_journal(s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    src = tree(FILES)
    log, journal = tmp_path / "log", tmp_path / "journal"
    result = s3pp("put", "-v", "--log-file", log, "--journal", journal, src, moto_bucket.url)
    assert result.code == 1
    text = log.read_text()
    assert "a.txt" in text
    assert "broken" in text
    assert "moto-secret" not in text + journal.read_text()
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    assert sorted(e["event"] for e in events[1:-1]) == ["done", "done", "failed"]
    assert events[-1]["failed"] == 1
    modes = {oct(path.stat().st_mode & 0o077) for path in (log, journal)}
    assert modes == {"0o0"}
    before = journal.read_text()
    assert s3pp("put", "--journal", journal, src, moto_bucket.url).code == 1
    after = journal.read_text()
    assert '"skipped"' in after
    assert after.startswith(before) or before not in after  # appended whole, or replaced


def test_where_a_log_cannot_be_written_nothing_is_sent(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree(FILES)
    for option in ("--log-file", "--journal"):
        result = s3pp("put", option, tmp_path / "no" / "where", src, moto_bucket.url)
        assert result.code == 2
        assert len(result.err.splitlines()) == 1
        assert option in result.err
    assert moto_bucket.keys() == []


def test_names_with_control_characters_do_not_reach_the_terminal_raw(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    src = tree({"evil\x1b[31m\x07": b"1", "gone\x1b]0;x": Link("nowhere")})
    result = s3pp("put", "-v", src, moto_bucket.url)
    assert result.code == 1
    assert "\x1b" not in result.out + result.err
    assert len(moto_bucket.keys()) == 1


def test_progress_on_a_terminal_only(
    s3pp: Run, s3pp_start: Start, moto_bucket: Bucket, tree: Tree
) -> None:
    src = tree({f"{n}": n for n in range(50)})
    near, far = pty.openpty()
    running = s3pp_start("put", "--progress", src, moto_bucket.url, stderr=far)
    os.close(far)
    shown = read_terminal(near)
    result = running.wait()
    assert result.code == 0
    assert result.counts.done == 50
    assert "50" in shown
    quiet = s3pp("put", src, moto_bucket.url)
    assert quiet.err == ""


@pytest.mark.parametrize("which", ["stdout", "stderr"])
def test_a_reader_that_goes_away_does_not_stop_the_work(
    s3pp_start: Start, moto_bucket: Bucket, tree: Tree, which: str
) -> None:
    src = tree({f"{n:03}": n for n in range(150)} | {"broken": Link("nowhere")})
    read, write = os.pipe()
    os.close(read)
    running = s3pp_start("put", "-v", src, moto_bucket.url, **{which: write})
    os.close(write)
    result = running.wait()
    assert len(moto_bucket.keys()) == 150
    assert result.code == 1  # "broken" failed, and nothing else did


def test_the_script_of_a_checkout_runs_from_anywhere(tmp_path: Path) -> None:
    script = ROOT / "bin" / "s3pp"
    done = subprocess.run(
        [sys.executable, script, "--version"], cwd=tmp_path, capture_output=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"s3pp ")


def test_version_and_help_are_quick_and_need_no_store(s3pp: Run) -> None:
    version = s3pp("--version", store=None)
    assert version.code == 0
    assert re.fullmatch(r"s3pp \d+\.\d+.*\n", version.out)
    for words, mention in (
        (["--help"], ["put", "sandbox"]),
        (["put", "--help"], ["--mode", "--gzip-type", "--files-from", "--checksum", "-n"]),
        (["sandbox", "--help"], ["--port"]),
    ):
        shown = s3pp(*words, store=None)
        assert shown.code == 0
        assert all(word in shown.out for word in mention)
