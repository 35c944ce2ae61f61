"""Processes that are killed, or stopped in their tracks. Rows 44-46 of the catalogue."""

from __future__ import annotations

import io
import os
import random
import signal
import tarfile
import time
from contextlib import suppress

import pytest

from commands import Running, session_pids
from faults.accounting import check_all_done
from faults.killers import KillClient, killing
from faults.listing_pages import PAGES
from faults.trials import PutTrial
from stores.fault_actions import Delay, Gate
from stores.fault_proxy import Rule
from trees import as_bytes

MANY = {f"f{n:03d}": 1000 for n in range(120)}
METHODS = pytest.mark.parametrize("method", ["fork", "spawn"])


def putters(running: Running) -> list[int]:
    """The pids of the putters that have come up."""
    return [pid for name, pid in running.children().items() if name.startswith("s3pp: putter")]


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):  # it ended in the meantime
        os.kill(pid, number)


def check_all_gone(running: Running, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while left := session_pids(running.pid):
        assert time.monotonic() < deadline, f"still there: {left} {running.children()}"
        time.sleep(0.02)


# Putters


@METHODS
def test_killed_putters_cost_nothing(moto_trial: PutTrial, method: str) -> None:
    seed = random.randrange(1_000_000)
    print(f"{seed=}")
    dice = random.Random(seed)
    contents = moto_trial.tree(MANY)
    moto_trial.inject(Rule(Delay(0.02), "PUT"))
    running = moto_trial.start(f"--start-method={method}")
    for count in sorted(dice.sample(range(1, 100), 3)):
        moto_trial.proxy.wait_for(count)
        kill(dice.choice(putters(running) or [running.wait_for_child("s3pp: putter 1")]))
    end = moto_trial.end(running)
    check_all_done(end, moto_trial.bucket, contents)
    assert "putter" in end.result.err
    assert "SIGKILL" in end.result.err


def test_all_putters_killed_at_once(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    gate = Gate()
    moto_trial.inject(Rule(gate, "PUT"))
    running = moto_trial.start()
    moto_trial.proxy.wait_for(8)
    for pid in putters(running):
        kill(pid)
    gate.open()
    check_all_done(moto_trial.end(running), moto_trial.bucket, contents)


def test_a_putter_killed_before_it_began(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    running = moto_trial.start()
    kill(running.wait_for_child("s3pp: putter 1"))
    check_all_done(moto_trial.end(running), moto_trial.bucket, contents)


def test_in_mode_add_what_a_dead_putter_sent_is_done(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    moto_trial.inject(Rule(Delay(0.02), "PUT"))
    running = moto_trial.start("--mode=add")
    moto_trial.proxy.wait_for(40)
    kill(putters(running)[0])
    check_all_done(moto_trial.end(running), moto_trial.bucket, contents)


def test_putters_that_always_die_end_the_run(moto_trial: PutTrial) -> None:
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Gate(), "PUT"))
    running = moto_trial.start()
    deadline = time.monotonic() + 40
    while running.popen.poll() is None:
        assert time.monotonic() < deadline
        for pid in putters(running):
            kill(pid)
        time.sleep(0.01)
    result = running.wait(40)
    assert result.code in (1, 3)
    assert moto_trial.bucket.keys() == []


@pytest.mark.parametrize("processes", [2, 1])
def test_of_a_batch_only_the_objects_that_kill_their_worker_fail(
    moto_trial: PutTrial, processes: int
) -> None:
    contents = moto_trial.tree({f"f{n:04d}": 10 for n in range(250)})
    poison = {"f0007", "f0200", "f0201"}
    killer = KillClient()
    moto_trial.inject(Rule(killer, "PUT", "/(f0007|f020[01])$"))
    running = moto_trial.start(f"--processes={processes}", "--concurrency=64")
    killer.running.append(running)
    end = moto_trial.end(running)
    assert (end.code, end.kinds) == (1, dict.fromkeys(poison, "crashed"))
    assert end.done.keys() == contents.keys() - poison
    assert "3 workers died while they had only this object; the last was killed" in end.result.err


def test_no_object_fails_because_somebody_kills_workers(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({f"f{n:04d}": 10 for n in range(200)})
    moto_trial.inject(Rule(Delay(0.3), "PUT"))
    running = moto_trial.start("--concurrency=64")
    moto_trial.proxy.wait_for(20)
    with killing(running, "putter", every=0.5, times=6) as killed:
        moto_trial.proxy.wait_for(200)
        end = moto_trial.end(running)
    check_all_done(end, moto_trial.bucket, contents)
    assert len(killed) >= 5


def test_members_of_an_archive_survive_their_putters(moto_trial: PutTrial) -> None:
    """Halves of a batch read one temporary file, which stays as long as one of them needs it."""
    contents = {f"f{n:03d}": as_bytes(f"f{n:03d}", 1000) for n in range(200)}
    with tarfile.open(moto_trial.source, "w:gz") as archive:
        for name, body in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    killer = KillClient(most=2)
    moto_trial.inject(Rule(killer, "PUT", "/f1[0-9]3$"))
    running = moto_trial.start_plain("--walk=tar", "--json", "--mode=stupid")
    killer.running.append(running)
    result = running.wait()
    assert result.code == 0
    assert killer.deaths >= 2
    assert moto_trial.bucket.tree() == contents


def test_a_stopped_putter_is_replaced(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    moto_trial.inject(Rule(Delay(0.02), "PUT"))
    running = moto_trial.start("--worker-timeout=2")
    moto_trial.proxy.wait_for(40)
    kill(putters(running)[0], signal.SIGSTOP)
    end = moto_trial.end(running)
    check_all_done(end, moto_trial.bucket, contents)
    assert "putter" in end.result.err


def test_a_suspended_run_goes_on(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    moto_trial.inject(Rule(Delay(0.02), "PUT"))
    running = moto_trial.start("--worker-timeout=1")
    moto_trial.proxy.wait_for(40)
    running.signal_group(signal.SIGSTOP)
    time.sleep(2)  # longer than any worker may be silent
    running.signal_group(signal.SIGCONT)
    check_all_done(moto_trial.end(running), moto_trial.bucket, contents)


# Those of which there is one


@METHODS
def test_a_killed_walker_ends_the_run(moto_trial: PutTrial, method: str) -> None:
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Gate(), "GET", PAGES))
    running = moto_trial.start("--mode=update", f"--start-method={method}")
    moto_trial.proxy.wait_for(2, "GET")  # the probe, and the walker's first page
    kill(running.wait_for_child("s3pp: walker"))
    result = running.wait(8)
    assert result.code == 3
    assert "walker" in result.err
    assert moto_trial.puts() == 0


@METHODS
def test_a_killed_statter_ends_the_run(moto_trial: PutTrial, method: str) -> None:
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Gate(), "PUT"))
    running = moto_trial.start(f"--start-method={method}")
    moto_trial.proxy.wait_for(8)
    kill(running.wait_for_child("s3pp: statter"))
    result = running.wait(8)
    assert result.code == 3
    assert "statter" in result.err


@pytest.mark.parametrize("name", ["walker", "statter"])
def test_a_child_killed_at_the_start_ends_the_run(moto_trial: PutTrial, name: str) -> None:
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Gate(), "GET"))
    running = moto_trial.start()
    kill(running.wait_for_child(f"s3pp: {name}"))
    moto_trial.inject()
    result = running.wait(15)
    assert result.code == 3
    assert name in result.err


# The supervisor


@METHODS
@pytest.mark.parametrize("held", ["PUT", "GET"])
def test_children_do_not_outlive_the_supervisor(
    moto_trial: PutTrial, method: str, held: str
) -> None:
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Gate(), held, PAGES if held == "GET" else ""))
    running = moto_trial.start("--mode=update", f"--start-method={method}", "--read-timeout=60")
    moto_trial.proxy.wait_for(8 if held == "PUT" else 2, held)
    running.signal(signal.SIGKILL)
    running.popen.wait()
    check_all_gone(running)


def test_no_child_complains_that_the_supervisor_is_gone(moto_trial: PutTrial) -> None:
    """Each wakes up with a report to send, before it can have seen that nobody reads it."""
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Gate(), "PUT"))
    running = moto_trial.start("-q", "--read-timeout=60")
    moto_trial.proxy.wait_for(8)
    for pid in putters(running):
        kill(pid, signal.SIGSTOP)
    running.signal(signal.SIGKILL)
    running.popen.wait()
    time.sleep(0.3)  # longer than a tick of the limiter
    running.signal_group(signal.SIGCONT)
    check_all_gone(running)
    assert running.err() == ""


def test_a_rerun_sends_only_what_is_missing(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    moto_trial.inject(Rule(Delay(0.02), "PUT"))
    running = moto_trial.start("--mode=update")
    moto_trial.proxy.wait_for(60)
    running.signal(signal.SIGKILL)
    running.popen.wait()
    check_all_gone(running)
    there = set(moto_trial.bucket.keys())
    moto_trial.inject()
    end = moto_trial.run("--mode=update")
    assert end.code == 0
    # More than was there: what the proxy still held arrived a little later.
    assert end.skipped.keys() >= there
    assert end.done.keys() == contents.keys() - end.skipped.keys()
    assert moto_trial.bucket.tree() == contents
