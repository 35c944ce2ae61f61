"""Nobody listens any more. Row 49 of the catalogue.

What is told and what is transferred are two things: the exit code tells of the transfer.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from subprocess import PIPE

import pytest

from commands import Result
from faults.trials import PutTrial
from stores.fault_actions import Gate, Status
from stores.fault_proxy import Rule

MANY = {f"f{n:03d}": 1000 for n in range(40)}


def check_quiet_success(trial: PutTrial, result: Result, contents: dict[str, bytes]) -> None:
    assert result.code == 0, result
    assert result.err == ""
    assert trial.bucket.tree() == contents


@pytest.mark.parametrize("options", [("-v",), ()], ids=["told", "untold"])
def test_a_reader_that_has_seen_enough(moto_trial: PutTrial, options: tuple[str, ...]) -> None:
    contents = moto_trial.tree(MANY)
    gate = Gate()
    moto_trial.inject(Rule(gate, "PUT", skip=10))
    read_end, write_end = os.pipe()
    running = moto_trial.start_plain(*options, stdout=write_end)
    os.close(write_end)
    if options:
        assert os.read(read_end, 1)
    os.close(read_end)
    gate.open()
    check_quiet_success(moto_trial, running.wait(30), contents)


def test_head_takes_one_line(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    with subprocess.Popen(["head", "-1"], stdin=PIPE, stdout=PIPE) as head:
        running = moto_trial.start_plain("-v", stdout=head.stdin)
        line, _ = head.communicate()
    assert line.startswith(b"put ")
    check_quiet_success(moto_trial, running.wait(30), contents)


def test_nobody_hears_complaints(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    moto_trial.inject(Rule(Status(403, "AccessDenied"), "PUT", "/f007$"))
    read_end, write_end = os.pipe()
    os.close(read_end)
    running = moto_trial.start_plain("-v", stderr=write_end)
    os.close(write_end)
    result = running.wait(30)
    assert result.code == 1
    assert "39 files" in result.summary
    assert "1 failed" in result.summary
    assert moto_trial.bucket.tree().keys() == contents.keys() - {"f007"}


def close_all(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("method", "descriptors"),
    [*(("fork", closed) for closed in [(0,), (1,), (2,), (0, 1, 2)]), ("spawn", (0, 1, 2))],
)
def test_descriptors_closed_from_the_start(
    moto_trial: PutTrial, method: str, descriptors: tuple[int, ...]
) -> None:
    # What is opened next takes their numbers: no socket must be mistaken for stdout.
    contents = moto_trial.tree(MANY)
    close: Callable[[], None] = partial(close_all, descriptors)
    running = moto_trial.start_plain("-v", f"--start-method={method}", preexec_fn=close)
    check_quiet_success(moto_trial, running.wait(30), contents)


def test_a_full_disk_behind_stdout(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    with Path("/dev/full").open("wb") as full:
        journal = moto_trial.journal.with_name("kept.jsonl")
        running = moto_trial.start_plain("-v", f"--journal={journal}", stdout=full)
    result = running.wait(30)
    assert result.code == 3  # unlike a reader who leaves: results were lost that somebody wanted
    assert "standard output cannot be written: No space left" in result.err
    assert result.err.count("\n") == 1
    assert moto_trial.bucket.tree().items() <= contents.items()
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    done = [event["key"] for event in events if event["event"] == "done"]
    assert len(done) == events[-1]["done"] > 0  # the batch at hand is in the journal too
    assert set(done) <= set(moto_trial.bucket.keys())
