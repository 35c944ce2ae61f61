"""The embedded sandbox: S3 in memory for one run, one command, or until stopped."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from signal import Signals

import pytest

from commands import Run, Start
from conftest import Tree


def test_put_into_a_fresh_sandbox(s3pp: Run, tree: Tree) -> None:
    src = tree({"a": b"1", "d/b": b"22", "empty": b""})
    result = s3pp("put", "--sandbox", src, "s3://some-bucket/p", store=None)
    assert (result.code, result.counts.done, result.counts.bytes) == (0, 3, 3)
    dry = s3pp("put", "--sandbox", "--dry-run", src, "s3://some-bucket/p", store=None)
    assert (dry.code, dry.counts.verb, dry.counts.done) == (0, "would put", 3)


PROGRAM = """
import sys
from s3pp import app
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.output import Output
from s3pp.speed import Speed
from s3pp.places import Place, Source
from s3pp.report.outlet import Streams

streams = Streams.of(sys.stdout, sys.stderr)
job = Job("put", (Source(sys.argv[1]),), Place("bucket"), sandbox=True, speed=Speed(processes=1))
result = app.run(job, streams)
print(result.status.name, result.totals.done, result.error)
try:
    app.run(Job("put", (Source("gone"),), Place("bucket"), output=Output(log_file="log")), streams)
except UsageError as error:
    print(error)
"""


def test_a_program_runs_a_job_as_the_command_does(tree: Tree, tmp_path: Path) -> None:
    """What every front end calls: checks, sandbox, run and last lines, and how it ended."""
    src = tree({"a": b"1", "d/b": b"22"})
    program = [sys.executable, "-c", PROGRAM, str(src)]
    ended = subprocess.run(
        program, cwd=tmp_path, env=environ(), capture_output=True, text=True, check=True
    )
    summary, result, refused = ended.stdout.splitlines()
    assert summary.startswith("put 3 bytes in 2 files in ")
    assert result == "OK 2 None"
    assert refused == "SOURCE 'gone' does not exist"
    assert ended.stderr == "s3pp: S3 in memory, for this run only: nothing is kept\n"
    assert "SOURCE 'gone' does not exist" in (tmp_path / "log").read_text()


def environ() -> dict[str, str]:
    root = Path(__file__).parents[2]
    return os.environ | {"PYTHONPATH": str(root)}


LOOK = """
import os, boto3
client = boto3.client("s3", endpoint_url=os.environ.get("AWS_ENDPOINT_URL"))
client.create_bucket(Bucket="mine")
client.put_object(Bucket="mine", Key="k", Body=b"x")
print("sees", [o["Key"] for o in client.list_objects_v2(Bucket="mine")["Contents"]])
raise SystemExit(7)
"""


@pytest.mark.thorough
def test_one_command_in_a_sandbox(s3pp: Run, tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "look.py").write_text(LOOK)
    result = s3pp("sandbox", "--", sys.executable, tmp_path / "look.py", store=None)
    assert result.code == 7
    assert "sees ['k']" in result.out


@pytest.mark.thorough
def test_s3pp_in_a_sandbox(s3pp: Run, tree: Tree) -> None:
    """The command's own words: make a bucket with boto3, put twice, the second finds it done."""
    src = tree({"f": b"1"})
    script = (
        "import os,sys,subprocess,boto3;"
        "boto3.client('s3',endpoint_url=os.environ['AWS_ENDPOINT_URL'])"
        ".create_bucket(Bucket='mine');"
        f"words=[sys.executable,'-m','s3pp','put',{str(src)!r},'s3://mine'];"
        "sys.exit(subprocess.call(words) or subprocess.call(words))"
    )
    result = s3pp("sandbox", "--", sys.executable, "-c", script, store=None)
    assert result.code == 0
    lines = [line for line in result.lines if line.startswith("put ")]
    assert [("1 skipped" in line) for line in lines] == [False, True]


@pytest.mark.thorough
def test_a_command_that_is_not_there(s3pp: Run) -> None:
    result = s3pp("sandbox", "--", "no-such-command", store=None)
    assert result.code in (2, 127)
    assert "no-such-command" in result.err
    assert len(result.err.splitlines()) == 1


def test_buckets_are_there_from_the_start(s3pp: Run, tree: Tree) -> None:
    src = tree({"f": b"1"})
    words = ["--bucket", "demo", "--bucket", "s3://other", "--bucket", "demo", "--"]
    put = [sys.executable, "-m", "s3pp", "put", src]
    for bucket in ("demo", "other"):
        result = s3pp("sandbox", *words, *put, f"s3://{bucket}", store=None)
        assert (result.code, result.counts.done) == (0, 1)
    missing = s3pp("sandbox", *words, *put, "s3://third", store=None)
    assert (missing.code, "bucket not found: s3://third" in missing.err) == (2, True)


@pytest.mark.parametrize("name", ["a", "s3://", "with/slash", "with space"])
def test_a_name_that_no_bucket_can_have(s3pp: Run, name: str) -> None:
    result = s3pp("sandbox", "--bucket", name, "--", "true", store=None)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "--bucket" in result.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sandbox_stays_until_stopped(s3pp_start: Start, number: Signals) -> None:
    running = s3pp_start("sandbox", store=None)
    deadline = time.monotonic() + 40
    while "AWS_SECRET_ACCESS_KEY" not in running.out() and time.monotonic() < deadline:
        time.sleep(0.02)
    said = running.out()
    exports = dict(re.findall(r"^export (\w+)=(.*)$", said, re.MULTILINE))
    assert {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(exports)
    url = exports["AWS_ENDPOINT_URL"].strip("'\"")
    assert urllib.request.urlopen(url, timeout=10).status == 200
    running.signal(number)
    result = running.wait(20)
    assert result.code in (0, 128 + number, -number)  # a shell sees the last two as one
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url, timeout=10)
