"""Being asked to stop, once and with emphasis. Rows 47 and 48 of the catalogue."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM

import pytest

from commands import Running
from faults.listing_pages import PAGES
from faults.trials import PutTrial
from stores.fault_actions import Gate, Hang, Status
from stores.fault_proxy import Rule

MANY = {f"f{n:03d}": 1000 for n in range(300)}
IN_FLIGHT = 8  # the concurrency of a trial
CODES = {SIGINT: 130, SIGTERM: 143, SIGHUP: 129}
SAID = {SIGINT: "interrupted", SIGTERM: "terminated", SIGHUP: "hung up"}
EACH_SIGNAL = pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)


def hold_in_flight(trial: PutTrial) -> tuple[Running, Gate]:
    """A run that has all the requests in flight that it may, none of which gets an answer."""
    trial.tree(MANY)
    gate = Gate()
    trial.inject(Rule(gate, "PUT"))
    running = trial.start("--read-timeout=60")
    trial.proxy.wait_for(IN_FLIGHT)
    return running, gate


def wait_until_heard(running: Running, times: int = 1) -> None:
    """Until the run has told people what it makes of the signal."""
    deadline = time.monotonic() + 40
    while len(running.err().splitlines()) < times:
        assert time.monotonic() < deadline, "no word about the signal"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "to_all"), [(SIGINT, False), (SIGINT, True), (SIGTERM, False), (SIGHUP, True)]
)
def test_what_is_in_flight_finishes(
    moto_trial: PutTrial, number: signal.Signals, to_all: bool
) -> None:
    running, gate = hold_in_flight(moto_trial)
    (running.signal_group if to_all else running.signal)(number)
    wait_until_heard(running)
    gate.open()
    end = moto_trial.end(running, 10)
    assert end.code == CODES[number]
    assert len(end.done) == IN_FLIGHT == moto_trial.puts()
    assert sorted(end.done) == moto_trial.bucket.keys()
    assert not end.failed
    name = {SIGINT: "Ctrl-C"}.get(number, number.name)
    notice = f"s3pp: {SAID[number]}: finishing active transfers ({name} again to stop now)\n"
    assert end.result.err == notice
    assert end.summary["not_attempted"] == end.summary["listed"] - IN_FLIGHT > 0


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs /proc to see it read")
def test_nobody_waits_for_a_large_file_to_be_read(moto_trial: PutTrial) -> None:
    """Of 4 GiB the MD5 alone takes some five seconds."""
    moto_trial.tree({"large": 0})
    os.truncate(moto_trial.source / "large", 4 << 30)
    running = moto_trial.start("--multipart-threshold=5G", "-P1")
    putter = running.wait_for_child("s3pp: putter 1")
    deadline = time.monotonic() + 40
    while read_by(putter) < 64 << 20:
        assert time.monotonic() < deadline, "it is not read"
        time.sleep(0.01)
    running.signal(SIGINT)
    end = moto_trial.end(running)
    assert end.code == 130
    assert not end.done  # as it would be, were it read to its end
    assert not end.failed
    assert end.summary["not_attempted"] == 1
    assert moto_trial.puts() == 0


def read_by(process: int) -> int:
    """Bytes that it has read."""
    told = Path(f"/proc/{process}/io").read_text()
    return int(told.split("rchar: ")[1].split()[0])


def test_the_summary_names_what_was_not_attempted(moto_trial: PutTrial) -> None:
    running, gate = hold_in_flight(moto_trial)
    running.kill()
    moto_trial.inject(Rule(gate, "PUT"))
    running = moto_trial.start_plain("--read-timeout=60")
    moto_trial.proxy.wait_for(2 * IN_FLIGHT)
    running.signal(SIGINT)
    wait_until_heard(running)
    gate.open()
    result = running.wait(40)
    assert result.code == 130
    assert result.summary.startswith(f"put {IN_FLIGHT * 1000} bytes in {IN_FLIGHT} files in ")
    left = len(MANY) - IN_FLIGHT
    # The walker may have been stopped anywhere, even before it had sent one task more.
    assert re.search(rf"files/s\)(, (at least \d+|{left}) not attempted)?$", result.summary)


@EACH_SIGNAL
def test_a_second_signal_ends_it_at_once(moto_trial: PutTrial, number: signal.Signals) -> None:
    running, _ = hold_in_flight(moto_trial)
    running.signal_group(number)
    wait_until_heard(running)
    began = time.monotonic()
    running.signal_group(number)
    result = running.wait(40)
    assert time.monotonic() - began < 50
    assert result.code == CODES[number]
    assert moto_trial.bucket.keys() == []
    assert _claimed(moto_trial) == []


def test_signals_without_end(moto_trial: PutTrial) -> None:
    running, _ = hold_in_flight(moto_trial)
    deadline = time.monotonic() + 40
    while running.popen.poll() is None:
        assert time.monotonic() < deadline
        try:
            running.signal_group(SIGINT)
        except ProcessLookupError:
            break
        time.sleep(0.005)
    # -2: it came when Python itself was ending; a shell sees 130 either way.
    assert running.wait(40).code in (130, -SIGINT)


def test_a_signal_while_the_listing_is_awaited(moto_trial: PutTrial) -> None:
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Gate(), "GET", PAGES))
    running = moto_trial.start("--mode=update", "--read-timeout=60")
    moto_trial.proxy.wait_for(2, "GET")
    running.signal_group(SIGINT)
    assert running.wait(40).code == 130
    assert moto_trial.puts() == 0


@EACH_SIGNAL
def test_a_signal_before_anything_is_known(moto_trial: PutTrial, number: signal.Signals) -> None:
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Hang()))
    running = moto_trial.start("--read-timeout=60")
    moto_trial.proxy.wait_for(1, "")
    running.signal_group(number)
    assert running.wait(40).code == CODES[number]


def test_a_signal_between_two_attempts(moto_trial: PutTrial) -> None:
    moto_trial.tree(MANY)
    moto_trial.inject(Rule(Status(500, "InternalError"), "PUT"))
    running = moto_trial.start("--max-attempts=50", "--read-timeout=60")
    moto_trial.proxy.wait_for(3 * IN_FLIGHT)  # by now waits last up to 1.6 seconds
    running.signal_group(SIGINT)
    end = moto_trial.end(running, 5)
    assert end.code == 130
    assert not end.done


def _claimed(trial: PutTrial) -> list[str]:
    records = map(json.loads, trial.journal.read_text().splitlines())
    return [record["key"] for record in records if record["event"] == "done"]
