"""Processes: how many, what they are called, and that each start method works."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from commands import Run, Start
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Request
from stores.store import Bucket, Store


@pytest.mark.parametrize(
    "words",
    [
        ["-P", "1"],
        ["-P", "3"],
        ["-c", "1"],
        ["--processes", "2", "--concurrency", "1"],
        ["--start-method", "spawn"],
        ["--start-method", "fork", "-P", "1", "-c", "1000"],
    ],
    ids=" ".join,
)
def test_any_number_of_processes_gives_the_same(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, words: list[str]
) -> None:
    src = tree({f"d{n % 5}/{n}": n * 7 for n in range(120)})
    result = s3pp("put", *words, src, moto_bucket.url)
    assert (result.code, result.err, result.counts.done) == (0, "", 120)
    assert moto_bucket.tree() == tree.read(src)


@pytest.mark.parametrize(
    ("contents", "putters"),
    [
        ({f"{n}": n for n in range(40)}, 2),  # more than one holds before another pays
        ({"one": 1}, 1),
        ({"large": 11 << 20}, 2),  # whose parts both transfer
    ],
    ids=["many", "one", "large"],
)
def test_children_name_themselves_and_are_started_as_needed(
    s3pp_start: Start,
    moto_bucket: Bucket,
    moto: Store,
    tree: Tree,
    recorder: MakeRecorder,
    contents: dict[str, int],
    putters: int,
) -> None:
    """The store holds its answers until the process list was read."""
    reached, gate = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        if request.method == "PUT":
            reached.set()
            gate.wait(30)

    between = recorder(moto, intercept=hold)
    src = tree(contents)
    words = ["-P", "2", "--part-size=5M", "--multipart-threshold=5M"]
    running = s3pp_start("put", *words, src, moto_bucket.url, store=between.store, fresh=True)
    expected = {"s3pp: statter", *(f"s3pp: putter {n + 1}" for n in range(putters))}
    try:
        for name in expected:
            running.wait_for_child(name)
        assert reached.wait(30)
        names = set(running.children())
        command_lines = [
            Path(f"/proc/{pid}/cmdline").read_bytes() for pid in running.children().values()
        ]
    finally:
        gate.set()
    assert expected <= names <= {*expected, "s3pp: walker"}
    assert not any(b"secret" in line for line in command_lines)
    assert running.wait().counts.done == len(contents)


def test_no_more_requests_in_flight_than_asked(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def enter(request: Request) -> None:
        if request.method == "PUT":
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
            threading.Event().wait(0.02)

    def leave(request: Request, answer: Answer) -> Answer:
        if request.method == "PUT":
            with lock:
                now[0] -= 1
        return answer

    between = recorder(moto, intercept=enter, rewrite=leave)
    large = {f"large{n}": 11 << 20 for n in range(3)}  # their parts have no slot
    src = tree({f"{n}": n for n in range(60)} | large)
    words = ["-c", "6", "-P", "2", "--part-size=5M", "--multipart-threshold=5M"]
    result = s3pp("put", *words, src, moto_bucket.url, store=between.store)
    assert result.counts.done == 63
    assert 2 <= most[0] <= 6


def test_it_runs_without_a_home_or_a_writable_directory(
    s3pp: Run, moto_bucket: Bucket, tree: Tree
) -> None:
    src = tree({"f": b"1"})
    result = s3pp("put", src, moto_bucket.url, cwd="/", env={"HOME": None, "LANG": None})
    assert (result.code, os.path.exists("/nohup.out")) == (0, False)
    assert moto_bucket.keys() == ["f"]
