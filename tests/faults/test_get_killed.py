"""Gets and copies whose processes are killed, and the run after that. Rows 44 and 45."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress

import pytest

from commands import Running, session_pids
from faults.listing_pages import PAGES
from faults.trials import CopyTrial, GetTrial
from stores.fault_actions import Delay, Gate, Stall
from stores.fault_proxy import Rule

MANY = {f"d{n % 3}/f{n:03d}": 1000 for n in range(70)} | {"large1": 1 << 20, "large2": 1 << 20}
OBJECTS = "/(d[0-9]|large)"


def workers(running: Running, title: str) -> list[int]:
    """The pids of the workers that have come up."""
    return [pid for name, pid in running.children().items() if name.startswith(f"s3pp: {title}")]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it ended in the meantime
        os.kill(pid, signal.SIGKILL)


def kill_parent(running: Running) -> None:
    """Kill the supervisor alone; its children end by themselves."""
    running.signal(signal.SIGKILL)
    running.popen.wait()
    deadline = time.monotonic() + 40
    while left := session_pids(running.pid):
        assert time.monotonic() < deadline, f"still there: {left} {running.children()}"
        time.sleep(0.02)


def check_rerun(trial: GetTrial, contents: dict[str, bytes]) -> None:
    """The next run gets what is missing, and takes away what the last one left."""
    there = {name for name, body in trial.files().items() if contents.get(name) == body}
    trial.inject()
    trial.killed = False
    end = trial.run()
    assert end.code == 0
    assert end.skipped.keys() == there
    assert end.done.keys() == contents.keys() - there
    assert trial.files() == contents  # and no temporary files


# Getters


def test_killed_getters_cost_nothing(moto_get: GetTrial) -> None:
    seed = random.randrange(1_000_000)
    print(f"{seed=}")
    dice = random.Random(seed)
    contents = moto_get.fill(MANY)
    moto_get.killed = True
    moto_get.inject(Rule(Stall(0.5), "GET", "/large"), Rule(Delay(0.02), "GET", "/d"))
    running = moto_get.start()
    for count in sorted(dice.sample(range(3, 65), 3)):
        moto_get.proxy.wait_for(count, "GET")
        kill(dice.choice(workers(running, "getter") or [running.wait_for_child("s3pp: getter 1")]))
    end = moto_get.end(running)
    assert end.code == 0
    assert end.done.keys() | end.skipped.keys() == contents.keys()
    assert "getter" in end.result.err
    assert moto_get.files() == contents  # and no temporary files
    check_rerun(moto_get, contents)


def test_temporary_files_of_killed_getters_go_before_the_run_ends(moto_get: GetTrial) -> None:
    """Those of this run's dead getters alone: a partial file of another object is kept."""
    contents = moto_get.fill({"a/b/large1": 1 << 20, "a/large2": 1 << 20, "a/small": 10})
    partial = {"a/b/other.s3pp-0123456789abcdef.part": "x", "c/y.s3pp-0123456789abcdef": "z"}
    before = moto_get.stand(partial)
    moto_get.killed = True
    moto_get.inject(Rule(Stall(), "GET", "/large", times=2))
    running = moto_get.start()
    deadline = time.monotonic() + 40
    while len(set(moto_get.temporaries()) - before.keys()) < 2:
        assert time.monotonic() < deadline, "no temporary file: nothing is shown here"
        time.sleep(0.01)
    for pid in workers(running, "getter"):
        kill(pid)
    end = moto_get.end(running)
    assert end.code == 0
    # A dead getter may have fetched the small one without reporting it: it is skipped then.
    assert set(contents) - {"a/small"} <= set(end.done) <= set(contents)
    assert moto_get.files() == contents | before


@pytest.mark.parametrize("mode", ["add", "stupid"])
def test_what_a_dead_getter_landed_is_counted_once(moto_get: GetTrial, mode: str) -> None:
    contents = moto_get.fill(MANY)
    moto_get.killed = True
    moto_get.inject(Rule(Delay(0.02), "GET", OBJECTS))
    running = moto_get.start(f"--mode={mode}")
    moto_get.proxy.wait_for(40, "GET")
    for pid in workers(running, "getter"):
        kill(pid)
    end = moto_get.end(running)
    assert end.code == 0
    assert end.done.keys() | end.skipped.keys() == contents.keys()
    assert mode == "add" or not end.skipped
    check_rerun(moto_get, contents)


# Those of which there is one


@pytest.mark.parametrize("name", ["walker", "statter"])
def test_a_killed_walker_or_statter_ends_the_run(moto_get: GetTrial, name: str) -> None:
    contents = moto_get.fill(MANY)
    moto_get.killed = True
    held = Rule(Gate(), "GET", PAGES) if name == "walker" else Rule(Stall(), "GET", "/large")
    moto_get.inject(held, Rule(Delay(0.02), "GET", OBJECTS))
    running = moto_get.start()
    moto_get.proxy.wait_for(2 if name == "walker" else 20, "GET")
    kill(running.wait_for_child(f"s3pp: {name}"))
    result = running.wait(20)
    assert result.code == 3
    assert name in result.err
    moto_get.check_directory(set(), complete=False)
    check_rerun(moto_get, contents)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_killed_run_leaves_nothing_unfinished_under_its_name(
    moto_get: GetTrial, method: str
) -> None:
    contents = moto_get.fill(MANY)
    before = moto_get.stand({"large1": "the old file", "d0/f000": "another"})
    moto_get.killed = True
    moto_get.inject(Rule(Stall(), "GET", "/large"), Rule(Delay(0.02), "GET", OBJECTS))
    running = moto_get.start(f"--start-method={method}")
    moto_get.proxy.wait_for(50, "GET")
    deadline = time.monotonic() + 40
    while len(moto_get.temporaries()) < 2:
        assert time.monotonic() < deadline, "no temporary file: nothing is shown here"
        time.sleep(0.01)
    kill_parent(running)
    assert moto_get.files()["large1"] == before["large1"]
    assert moto_get.claims() <= moto_get.files().keys()
    moto_get.check_directory(set(), complete=False)
    check_rerun(moto_get, contents)


def test_children_end_with_a_run_killed_while_it_lists(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"a": 10})
    moto_get.inject(Rule(Gate(), "GET", PAGES))
    running = moto_get.start("--read-timeout=60")
    moto_get.proxy.wait_for(2, "GET")
    kill_parent(running)
    check_rerun(moto_get, contents)


# Copiers


@pytest.mark.parametrize("mode", ["update", "add"])
def test_killed_copiers_cost_nothing(moto_copy: CopyTrial, mode: str) -> None:
    contents = moto_copy.fill(MANY)
    moto_copy.inject(Rule(Delay(0.02), "PUT"))
    running = moto_copy.start(f"--mode={mode}")
    for count in (20, 50):
        moto_copy.proxy.wait_for(count)
        kill(workers(running, "copier")[0])
    end = moto_copy.end(running)
    assert end.code == 0
    assert end.done.keys() | end.skipped.keys() == contents.keys()
    assert moto_copy.dest.tree() == contents


@pytest.mark.thorough
def test_a_copy_after_a_killed_one_copies_what_is_missing(moto_copy: CopyTrial) -> None:
    contents = moto_copy.fill(MANY)
    moto_copy.inject(Rule(Delay(0.02), "PUT"))
    running = moto_copy.start()
    moto_copy.proxy.wait_for(40)
    kill_parent(running)
    assert moto_copy.claims() <= set(moto_copy.dest.keys())
    moto_copy.inject()
    end = moto_copy.run()
    assert (end.code, end.done.keys() | end.skipped.keys()) == (0, set(contents))
    assert len(end.skipped) >= 20
    assert moto_copy.dest.tree() == contents


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["walker", "statter"])
def test_a_copy_whose_walker_or_statter_is_killed_ends(moto_copy: CopyTrial, name: str) -> None:
    moto_copy.fill(MANY)
    moto_copy.inject(Rule(Gate(), "GET", PAGES) if name == "walker" else Rule(Gate(), "PUT"))
    running = moto_copy.start()
    moto_copy.proxy.wait_for(3, "GET|PUT")  # after the probes of both buckets
    kill(running.wait_for_child(f"s3pp: {name}"))
    result = running.wait(20)
    assert result.code == 3
    assert name in result.err
