"""Downloads of large objects that are killed, stopped, or run out of room, and the run after that.

Rows 41, 44, 45 and 47 of the catalogue, for objects that come in ranges.
"""

from __future__ import annotations

import random
import re
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Start
from faults.test_get_killed import kill, kill_parent
from faults.trials import GetTrial
from stores.fault_actions import Delay, Gate
from stores.fault_proxy import Rule
from trees import content

MIB = 1 << 20
SIZE = 21 * MIB + 5
BODY = content(SIZE)
RANGES = ("--part-size=5M", "--multipart-threshold=5M")  # five of them
LAST = "^range: bytes=20971520-"
ANY = "^range: bytes="


def asked(trial: GetTrial) -> list[int]:
    """The numbers of the ranges asked for, in order of arrival."""
    ranges = (hit.request.header("range") for hit in trial.proxy.hits("GET", "/large$"))
    return [int(text[6:].partition("-")[0]) // (5 * MIB) + 1 for text in ranges if text]


def noted(trial: GetTrial) -> set[int]:
    """The numbers of the ranges that the record says are there."""
    records = [Path(trial.directory, name) for name in trial.temporaries() if "ranges" in name]
    text = "".join(record.read_text() for record in records)
    return {int(number) for number in re.findall(r"^(\d+) \d+ [0-9a-f]+$", text, re.MULTILINE)}


def wait_for_ranges(trial: GetTrial, count: int) -> None:
    """Until the record has so many."""
    deadline = time.monotonic() + 40
    while len(noted(trial)) < count:
        assert time.monotonic() < deadline, f"{noted(trial)} of {count}"
        time.sleep(0.01)


def check_rest(trial: GetTrial, there: set[int]) -> None:
    """The next run fetches what is not there, and that only."""
    before = len(asked(trial))
    trial.inject()
    trial.killed = False
    end = trial.run(*RANGES)
    assert end.code == 0
    assert trial.files() == {"large": BODY}  # and no temporary files
    assert sorted(asked(trial)[before:]) == sorted({1, 2, 3, 4, 5} - there)


@pytest.mark.parametrize("count", [1, 2, 4, 3])
def test_a_killed_run_is_gone_on_with(moto_get: GetTrial, count: int) -> None:
    moto_get.bucket.put_multipart("large", *(BODY[n * 5 * MIB :][: 5 * MIB] for n in range(5)))
    moto_get.killed = True
    gates = Rule(Gate(), "GET", "/large$", header=ANY, skip=count)
    moto_get.inject(gates)
    running = moto_get.start(*RANGES)
    wait_for_ranges(moto_get, count)
    kill_parent(running)
    there = noted(moto_get)
    assert len(there) == count
    check_rest(moto_get, there)


def test_killed_again_and_again_at_random(moto_get: GetTrial) -> None:
    """No range that was noted is asked for again, and in the end all is right."""
    seed = random.randrange(1_000_000)
    print(f"{seed=}")
    dice = random.Random(seed)
    moto_get.bucket.put("large", BODY)
    moto_get.killed = True
    moto_get.inject(Rule(Delay(0.2), "GET", "/large$", header=ANY))
    for _ in range(4):
        there, before = noted(moto_get), len(asked(moto_get))
        running = moto_get.start(*RANGES, "--processes=1", "--concurrency=2")
        time.sleep(dice.uniform(0.3, 1.0))
        kill_parent(running)
        assert not there & set(asked(moto_get)[before:])
        assert there <= noted(moto_get) or not moto_get.temporaries()
    if (moto_get.directory / "large").exists():  # and nothing but a record may be left
        moto_get.inject()
        moto_get.killed = False
        assert moto_get.run(*RANGES).code == 0
        assert moto_get.files() == {"large": BODY}
    else:
        check_rest(moto_get, noted(moto_get))


@pytest.mark.parametrize("number", [1, 2])
def test_a_killed_getter_costs_nothing(moto_get: GetTrial, number: signal.Signals) -> None:
    """Whether it led the object or only fetched ranges of it: the others bring it to its end."""
    moto_get.bucket.put("large", BODY)
    moto_get.killed = True
    gate = Gate()
    moto_get.inject(Rule(gate, "GET", "/large$", header=LAST, times=1))
    running = moto_get.start(*RANGES)
    wait_for_ranges(moto_get, 4)
    kill(running.wait_for_child(f"s3pp: getter {number}"))
    gate.open()
    end = moto_get.end(running)
    assert end.code == 0
    assert moto_get.files() == {"large": BODY}  # and no temporary files
    assert [each for each in sorted(asked(moto_get)) if each < 5] == [1, 2, 3, 4]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_is_gone_on_with(moto_get: GetTrial, number: signal.Signals) -> None:
    moto_get.bucket.put("large", BODY)
    moto_get.resumable = True
    gate = Gate()
    moto_get.inject(Rule(gate, "GET", "/large$", header=LAST))
    running = moto_get.start(*RANGES)
    wait_for_ranges(moto_get, 4)
    running.signal(number)
    gate.open()
    end = moto_get.end(running, 20)
    assert end.code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert not end.failed
    check_rest(moto_get, noted(moto_get) or {1, 2, 3, 4, 5})


def test_two_runs_do_not_meet_in_one_file(moto_get: GetTrial, s3pp_start: Start) -> None:
    moto_get.bucket.put("large", BODY)
    gate = Gate()
    moto_get.inject(Rule(gate, "GET", "/large$", header=LAST, times=1))
    first = moto_get.start(*RANGES)
    wait_for_ranges(moto_get, 4)
    second = s3pp_start("get", *RANGES, *moto_get.places, store=moto_get.bucket.store)
    assert second.wait(30).code == 0
    assert (moto_get.directory / "large").read_bytes() == BODY
    gate.open()
    assert moto_get.end(first).code == 0
    assert moto_get.files() == {"large": BODY}


@pytest.fixture
def small_disk(moto_get: GetTrial) -> Iterator[None]:
    """A file system in memory, too small for the object."""
    moto_get.directory.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=12m", "s3pp-test", str(moto_get.directory)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    yield
    subprocess.run(["umount", "-l", str(moto_get.directory)], check=True)


@pytest.mark.usefixtures("small_disk")
def test_too_small_a_disk_is_seen_before_anything_is_fetched(moto_get: GetTrial) -> None:
    moto_get.bucket.put("large", BODY)
    before = moto_get.stand({"large": "the old file"})
    end = moto_get.run(*RANGES)
    assert end.code == 3
    (line,) = end.result.err.splitlines()
    assert "No space left on device" in line
    assert asked(moto_get) == []
    assert moto_get.files() == before


def test_a_limit_on_the_size_of_files_fails_the_object(moto_get: GetTrial) -> None:
    moto_get.bucket.put("large", BODY)
    moto_get.bucket.put("small", b"1")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6 * MIB, 6 * MIB))

    end = moto_get.run(*RANGES, preexec_fn=limit)
    assert (end.code, end.kinds) == (1, {"large": "too-large"})
    assert moto_get.files() == {"small": b"1"}
    assert asked(moto_get) == []
