"""Gets and copies that are asked to stop, or that nobody listens to. Rows 47-49."""

from __future__ import annotations

import os
import re
import time
from signal import SIGHUP, SIGINT, SIGTERM, Signals

import pytest

from commands import Running
from faults.listing_pages import PAGES, SECOND_PAGE, SmallPages, pages_of
from faults.trials import CopyTrial, GetTrial, Transfer
from stores.fault_actions import Gate, Hang, Stall, Status
from stores.fault_proxy import Rule

MANY = {f"f{n:03d}": 1000 for n in range(40)} | {"large": 1 << 20}
IN_FLIGHT = 8  # the concurrency of a trial
CODES = {SIGINT: 130, SIGTERM: 143, SIGHUP: 129}


def wait_until_heard(running: Running, times: int = 1) -> None:
    """Until the run has told people what it makes of the signal."""
    deadline = time.monotonic() + 40
    while len(running.err().splitlines()) < times:
        assert time.monotonic() < deadline, "no word about the signal"
        time.sleep(0.01)


def wait_for_temporary(trial: GetTrial, name: str) -> None:
    """Until ``name`` is on its way in.

    Other temporary files tell nothing of it: the walker, too, makes two, before it names anything.
    """
    deadline = time.monotonic() + 40
    while not any(each.startswith(f"{name}.s3pp-") for each in trial.temporaries()):
        assert time.monotonic() < deadline, "no temporary file: nothing is shown here"
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "to_all"), [(SIGINT, True), (SIGTERM, False), (SIGHUP, True)])
def test_what_is_in_flight_is_finished(moto_get: GetTrial, number: Signals, to_all: bool) -> None:
    contents = moto_get.fill({"0large": 1 << 20, **MANY})
    gate = Gate()
    moto_get.inject(Rule(Stall(1.0), "GET", "/0large$"), Rule(gate, "GET", "/(f|large)"))
    running = moto_get.start("--read-timeout=60")
    moto_get.proxy.wait_for(2 + IN_FLIGHT, "GET")
    wait_for_temporary(moto_get, "0large")
    (running.signal_group if to_all else running.signal)(number)
    wait_until_heard(running)
    gate.open()
    end = moto_get.end(running, 20)  # which verifies that no temporary file is left
    assert end.code == CODES[number]
    assert not end.failed
    assert len(end.done) == IN_FLIGHT == moto_get.gets()
    assert moto_get.files() == {key: contents[key] for key in end.done}
    assert end.summary["not_attempted"] > 0


def test_a_body_that_stands_still_does_not_keep_a_signal_waiting(moto_get: GetTrial) -> None:
    moto_get.fill({"large": 1 << 20, "other": 10})
    moto_get.inject(Rule(Stall(), "GET", "/large$"))
    running = moto_get.start("--read-timeout=2")
    wait_for_temporary(moto_get, "large")
    running.signal_group(SIGINT)
    end = moto_get.end(running, 20)
    assert end.code == 130
    assert end.kinds == {"large": "network"}
    assert "large" not in moto_get.files()


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_second_signal_ends_it_at_once(moto_get: GetTrial, number: Signals) -> None:
    moto_get.fill({"0large": 1 << 20, **MANY})
    moto_get.inject(Rule(Stall(), "GET", "/0large$"), Rule(Hang(), "GET", "/(f|large)"))
    running = moto_get.start("--read-timeout=60")
    wait_for_temporary(moto_get, "0large")
    running.signal_group(number)
    wait_until_heard(running)
    began = time.monotonic()
    running.signal_group(number)
    assert running.wait(40).code == CODES[number]
    assert time.monotonic() - began < 50
    assert moto_get.claims() == set()
    assert {n for n in moto_get.files() if n not in moto_get.temporaries()} == set()
    moto_get.inject()
    assert moto_get.run().code == 0
    assert moto_get.temporaries() == []


def test_a_signal_while_the_listing_is_awaited(moto_get: GetTrial) -> None:
    moto_get.fill({"a": 10})
    moto_get.inject(Rule(Gate(), "GET", PAGES))
    running = moto_get.start("--read-timeout=60")
    moto_get.proxy.wait_for(2, "GET")
    running.signal_group(SIGTERM)
    assert running.wait(40).code == 143
    moto_get.check_directory(set(), complete=True)


def test_a_copy_finishes_what_is_in_flight(moto_copy: CopyTrial) -> None:
    moto_copy.fill(MANY)
    gate = Gate()
    moto_copy.inject(Rule(gate, "PUT"))
    running = moto_copy.start("--read-timeout=60")
    moto_copy.proxy.wait_for(IN_FLIGHT)
    running.signal_group(SIGINT)
    wait_until_heard(running)
    gate.open()
    end = moto_copy.end(running, 20)
    assert (end.code, end.failed) == (130, {})
    assert len(end.done) == IN_FLIGHT == moto_copy.puts()
    assert end.summary["not_attempted"] > 0


def test_a_walk_that_was_stopped_does_not_know_how_much_is_left(moto_get: GetTrial) -> None:
    """The second page of the listing has not come."""
    moto_get.fill(MANY)
    gate = Gate()
    moto_get.inject(
        Rule(Gate(), "GET", pages_of(moto_get.bucket, SECOND_PAGE)),
        Rule(SmallPages(40), "GET", pages_of(moto_get.bucket)),
        Rule(gate, "GET", "/f"),
    )
    running = moto_get.start_plain("--listers=1", "--read-timeout=60")
    moto_get.proxy.wait_for(3 + IN_FLIGHT, "GET")  # the probe, and two pages
    running.signal_group(SIGINT)
    wait_until_heard(running)
    gate.open()
    result = running.wait(20)
    assert result.code == 130
    # Tasks that the walker had not sent are not counted: it may have been stopped anywhere.
    counted = re.fullmatch(
        r".* in (\d+) files .*files/s\)(, at least (\d+) not attempted)?", result.summary
    )
    assert counted, result.summary
    assert int(counted[1]) == IN_FLIGHT
    assert int(counted[3] or 0) <= len(MANY) - 1 - IN_FLIGHT  # what the first page has


# Nobody listens


def reader_gone() -> int:
    """The writing end of a pipe that nobody reads."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("moto_get", ("--json",)),
        ("moto_get", ("-v",)),
        ("moto_get", ()),
        ("moto_copy", ("--json",)),
    ],
    ids=["json", "verbose", "plain", "copy"],
)
def test_a_reader_that_has_left_changes_nothing(
    request: pytest.FixtureRequest, kind: str, options: tuple[str, ...]
) -> None:
    trial: Transfer = request.getfixturevalue(kind)
    contents = trial.fill(MANY)
    stdout = reader_gone()
    running = trial.start_plain(*options, stdout=stdout)
    os.close(stdout)
    result = running.wait(60)
    assert result.code == 0, result
    assert "ipe" not in result.err
    assert trial.arrived() == contents


def test_nobody_hears_complaints(moto_get: GetTrial) -> None:
    contents = moto_get.fill(MANY)
    moto_get.inject(Rule(Status(403, "AccessDenied"), "GET", "/f007$"))
    stderr = reader_gone()
    running = moto_get.start_plain("-v", stderr=stderr)
    os.close(stderr)
    result = running.wait(60)
    assert result.code == 1
    assert "1 failed" in result.summary
    assert moto_get.files().keys() == contents.keys() - {"f007"}
