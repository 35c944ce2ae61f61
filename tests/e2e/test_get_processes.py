"""Processes of get: how many, what they are called; and S3 in memory for one run."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from commands import Run, Start
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Request
from stores.store import Bucket, Store


def test_any_number_of_processes_gives_the_same(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    bodies = {f"d{n % 5}/{n}": b"x" * (n * 7) for n in range(120)}
    moto_bucket.fill(bodies)
    journal = ["--journal", f"{tmp_path}/j"]
    for number, words in enumerate(
        [
            ["-P", "1", "-c", "1"],
            ["-P", "5", "--listers", "1", "--start-method", "spawn", *journal],
        ]
    ):
        out = tmp_path / f"out{number}"
        result = s3pp("get", *words, moto_bucket.url, out)
        assert (words, result.code, result.err, result.counts.done) == (words, 0, "", 120)
        assert tree.read(out) == bodies


def test_children_name_themselves(
    s3pp_start: Start, moto_bucket: Bucket, moto: Store, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """The store holds its answers until the process list was read."""
    gate = threading.Event()

    def hold(request: Request) -> None:
        if not request.of_bucket:
            gate.wait(30)

    moto_bucket.fill({f"{n}": b"1" for n in range(40)})
    between = recorder(moto, intercept=hold)
    out = tmp_path / "out"
    running = s3pp_start("get", "-P", "2", moto_bucket.url, out, store=between.store)
    try:
        for name in ("s3pp: getter 1", "s3pp: getter 2", "s3pp: statter"):
            running.wait_for_child(name)
        names = set(running.children())
    finally:
        gate.set()
    assert {"s3pp: getter 1", "s3pp: getter 2", "s3pp: statter"} <= names
    assert names <= {"s3pp: getter 1", "s3pp: getter 2", "s3pp: statter", "s3pp: walker"}
    assert running.wait().counts.done == 40


def test_no_more_requests_in_flight_than_asked(
    s3pp: Run, moto_bucket: Bucket, moto: Store, recorder: MakeRecorder, tmp_path: Path
) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def enter(request: Request) -> None:
        if not request.of_bucket:
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.02)

    def leave(request: Request, answer: Answer) -> Answer:
        if not request.of_bucket:
            with lock:
                now[0] -= 1
        return answer

    moto_bucket.fill({f"{n}": b"1" for n in range(60)})
    between = recorder(moto, intercept=enter, rewrite=leave)
    words = ["-c", "6", "-P", "2", moto_bucket.url, tmp_path / "out"]
    result = s3pp("get", *words, store=between.store)
    assert result.counts.done == 60
    assert 2 <= most[0] <= 6
    assert between.connections <= 6 + 6  # in flight, listers, and the once-per-run questions


def test_a_fresh_sandbox_is_empty(s3pp: Run, tmp_path: Path) -> None:
    result = s3pp("get", "--sandbox", "s3://some-bucket", tmp_path / "out", store=None)
    assert (result.code, result.counts.done) == (0, 0)


def test_put_copy_and_get_in_one_sandbox(s3pp: Run, tree: Tree, tmp_path: Path) -> None:
    src, out = tree({"f": b"1", "d/g": b"2"}), tmp_path / "out"
    script = (
        "import os,subprocess,boto3;"
        "s3=boto3.client('s3',endpoint_url=os.environ['AWS_ENDPOINT_URL']);"
        "[s3.create_bucket(Bucket=name) for name in ('one-one','two-two')];"
        "run=lambda *w:subprocess.run([os.sys.executable,'-m','s3pp',*w],check=True);"
        f"run('put',{str(src)!r},'s3://one-one/p');run('copy','s3://one-one/p','s3://two-two/q');"
        f"run('get','s3://two-two/q',{str(out)!r})"
    )
    result = s3pp("sandbox", "--", sys.executable, "-c", script, store=None)
    assert result.code == 0
    assert tree.read(out) == tree.read(src)
