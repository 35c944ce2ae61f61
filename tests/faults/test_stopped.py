"""Children that are stopped (SIGSTOP), refused by the system, or whose supervisor is killed."""

from __future__ import annotations

import fcntl
import io
import os
import re
import signal
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Running, session_pids
from faults.accounting import check_all_done, ending
from faults.large import PART, SIZE, SMALL_PARTS, uploads
from faults.listing_pages import PAGES
from faults.trials import GetTrial, PutTrial
from stores.fault_actions import Gate, Stall
from stores.fault_proxy import Rule
from trees import as_bytes

MANY = {f"f{n:03d}": 1000 for n in range(40)}


def wait_until(true: Callable[[], object], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def kill_supervisor(running: Running) -> None:
    """Kill the process that was started, and wait until its children are gone."""
    running.signal(signal.SIGKILL)
    running.popen.wait()
    wait_until(lambda: not session_pids(running.pid), 20)


# Stopped


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_stopped_walker_ends_the_run(moto_trial: PutTrial, method: str) -> None:
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Gate(), "GET", PAGES))
    running = moto_trial.start("--mode=update", "--worker-timeout=4", f"--start-method={method}")
    moto_trial.proxy.wait_for(2, "GET")  # the probe, and the walker's first page
    os.kill(running.wait_for_child("s3pp: walker"), signal.SIGSTOP)
    end = moto_trial.end(running, 40)
    assert (end.code, end.done) == (3, {})
    assert end.result.err.splitlines()[-1] == (
        "s3pp: the walker did not respond for 4 s, and was killed:"
        " what it had not listed is not transferred: run the same command again"
    )
    assert end.summary["listing_complete"] is False


def test_a_stopped_statter_ends_the_run_and_what_it_may_lack_is_said(moto_get: GetTrial) -> None:
    contents = moto_get.fill(MANY)
    gate = Gate()
    moto_get.inject(Rule(gate, "GET", "/f0[123]"))
    running = moto_get.start("--worker-timeout=4")
    moto_get.proxy.wait_for(10, "GET")
    statter = running.wait_for_child("s3pp: statter")
    wait_until(moto_get.claims)  # it is at work
    os.kill(statter, signal.SIGSTOP)
    gate.open()
    moto_get.killed = True
    result = running.wait(40)
    assert result.code == 3
    line = result.err.splitlines()[-1]
    expected = (
        r"s3pp: the statter did not respond for 4 s, and was killed: (\d+) objects had ended,"
        r" and the journal may lack the last of them: run the same command again"
    )
    found = re.fullmatch(expected, line)
    assert found, line
    assert len(moto_get.claims()) <= int(found[1]) <= len(contents)


def test_a_child_that_continues_in_time_costs_nothing(moto_trial: PutTrial) -> None:
    """As for a terminal's Ctrl-Z of single processes."""
    contents = moto_trial.tree(MANY)
    gate = Gate()
    moto_trial.inject(Rule(gate, "PUT"))
    running = moto_trial.start("--worker-timeout=30")
    moto_trial.proxy.wait_for(8)
    for name in ("statter", "putter 1"):
        os.kill(running.wait_for_child(f"s3pp: {name}"), signal.SIGSTOP)
    gate.open()
    running.signal_group(signal.SIGCONT)
    end = moto_trial.end(running)
    check_all_done(end, moto_trial.bucket, contents)
    assert end.result.err == ""


# The supervisor is killed


def test_getters_of_a_killed_run_remove_their_temporary_files(moto_get: GetTrial) -> None:
    """But for what the next run resumes."""
    moto_get.fill({"a": 1 << 20, "b": 1 << 20, "large": SIZE})
    moto_get.inject(
        Rule(Stall(60.0), "GET", "/[ab]$"),
        Rule(Stall(60.0), "GET", "/large$", header=f"^Range: bytes={PART}-"),
    )
    running = moto_get.start("--read-timeout=60", *SMALL_PARTS)
    begun = re.compile(r"[ab]\.s3pp-[0-9a-f]{16}|large\.s3pp-[0-9a-f]{16}\.(part|ranges)")

    def under_way() -> bool:
        names = moto_get.temporaries()
        record = [each for each in names if each.endswith(".ranges")]
        written = record and (moto_get.directory / record[0]).read_text().count("\n") > 1
        return len([each for each in names if begun.fullmatch(each)]) == 4 and bool(written)

    wait_until(under_way)
    kill_supervisor(running)
    assert running.err() == ""
    left = {each.rpartition(".")[2] for each in moto_get.temporaries()}
    assert left == {"part", "ranges"}


def test_a_killed_run_leaves_no_directory_of_members(moto_trial: PutTrial, tmp_path: Path) -> None:
    with tarfile.open(moto_trial.source, "w:gz") as archive:
        for name in MANY:
            member = tarfile.TarInfo(name)
            member.size = 1000
            archive.addfile(member, io.BytesIO(as_bytes(name, 1000)))
    spool = tmp_path / "spool"
    spool.mkdir()
    moto_trial.inject(Rule(Gate(), "PUT"))
    running = moto_trial.start_plain("--walk=tar", "-P2", "-c8", env={"TMPDIR": str(spool)})
    moto_trial.proxy.wait_for(4)
    assert list(spool.iterdir())
    kill_supervisor(running)
    assert list(spool.iterdir()) == []


def test_a_statter_that_nobody_reads_ends_with_a_killed_run(moto_trial: PutTrial) -> None:
    moto_trial.tree({f"f{n:03d}" + "x" * 200: 10 for n in range(100)})
    read_end, write_end = os.pipe()
    fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 4096)
    running = moto_trial.start_plain("-v", "--mode=stupid", stdout=write_end)
    os.close(write_end)
    moto_trial.proxy.wait_for(100)
    kill_supervisor(running)
    os.close(read_end)


# Signals


def test_a_second_signal_names_the_uploads_that_stay(moto_trial: PutTrial) -> None:
    moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(Gate(), "POST", "uploadId="))
    running = moto_trial.start("--read-timeout=60", *SMALL_PARTS)
    wait_until(lambda: moto_trial.proxy.hits("POST", "uploadId="))
    running.signal(signal.SIGINT)
    wait_until(running.err)
    running.signal(signal.SIGINT)
    result = running.wait(40)
    assert result.code == 130
    assert result.err.splitlines()[1:] == [
        "s3pp: 1 multipart upload left incomplete: 'large'; the same command resumes what it can,"
        f" s3pp clean {moto_trial.bucket.url}/ aborts the rest"
    ]
    assert len(uploads(moto_trial.bucket)) == 1


def test_a_second_signal_leaves_no_temporary_files(moto_get: GetTrial) -> None:
    moto_get.fill({"a": 1 << 20, "b": 1 << 20})
    moto_get.inject(Rule(Stall(60.0), "GET", "/[ab]$"))
    running = moto_get.start("--read-timeout=60")
    wait_until(lambda: {each[:7] for each in moto_get.temporaries()} >= {"a.s3pp-", "b.s3pp-"})
    running.signal(signal.SIGINT)
    wait_until(running.err)
    running.signal(signal.SIGINT)
    assert ending(running.wait(40), moto_get.journal).code == 130
    assert moto_get.temporaries() == []


# The system refuses processes

# As with ``ulimit -u``, which counts a user's processes of all programs.
REFUSING = """
import os, runpy
fork, left = os.fork, [int(os.environ["FORKS"])]
def fork_as_long_as_allowed():
    left[0] -= 1
    if left[0] < 0:
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()
os.fork = fork_as_long_as_allowed
runpy.run_module("s3pp", run_name="__main__", alter_sys=True)
"""


def start_refusing(trial: PutTrial, forks: int, *options: str) -> Running:
    """Start a run that may start so many processes, of which the first are no workers."""
    command = [sys.executable, "-c", REFUSING]
    words = [f"--endpoint-url={trial.proxy.url}", "-P4", "-c8", "--start-method=fork", *options]
    return trial.start(*words, command=command, env={"FORKS": str(forks)})


def test_a_run_continues_with_the_workers_that_could_be_started(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(MANY)
    gate = Gate()
    moto_trial.inject(Rule(gate, "PUT"))
    running = start_refusing(moto_trial, 4)  # statter, walker, two putters
    wait_until(running.err)
    gate.open()
    end = moto_trial.end(running)
    check_all_done(end, moto_trial.bucket, contents)
    assert end.result.err == (
        "s3pp: cannot start the putter 3: no more processes are allowed:"
        " raise ulimit -u, or lower --processes: the run continues with fewer workers\n"
    )


def test_a_dead_worker_that_cannot_be_replaced_leaves_its_tasks_to_others(
    moto_trial: PutTrial,
) -> None:
    contents = moto_trial.tree(MANY)
    gate = Gate()
    moto_trial.inject(Rule(gate, "PUT"))
    running = start_refusing(moto_trial, 4, "-P2")
    moto_trial.proxy.wait_for(8)
    os.kill(running.wait_for_child("s3pp: putter 2"), signal.SIGKILL)
    wait_until(lambda: "fewer workers" in running.err())
    gate.open()
    end = moto_trial.end(running)
    check_all_done(end, moto_trial.bucket, contents)


def test_without_any_worker_the_run_ends(moto_trial: PutTrial) -> None:
    moto_trial.tree(MANY)
    running = start_refusing(moto_trial, 2)
    result = running.wait(40)
    assert (result.code, result.out) == (3, "")
    assert result.err == (
        "s3pp: cannot start the putter 1: no more processes are allowed:"
        " raise ulimit -u, or lower --processes\n"
    )
