"""``list`` against stores that break or lie, and readers that leave. Rows 1-3, 19-26, 52-55.

What is printed is there, once, and in order unless the store has none, which is said; a listing
that does not come to its end says so.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM, Signals

import pytest

from faults.listing_pages import (
    LATER_PAGE,
    PAGES,
    Circle,
    Entries,
    Harm,
    OtherStore,
    SmallPages,
    Stuck,
    doubled_keys,
    not_xml,
    pages_of,
    reversed_keys,
    without_token,
)
from faults.trials import ListTrial
from stores.fault_actions import (
    Action,
    Drip,
    Gate,
    Reset,
    Rewrite,
    Stall,
    Status,
    Truncate,
    halved,
)
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Store

SIZE = 10  # keys a page
FILES = {f"f{n:02d}": "x" for n in range(3 * SIZE)}


@pytest.fixture
def trial(moto_list: ListTrial) -> ListTrial:
    moto_list.bucket.fill(dict.fromkeys(FILES, b"x"))
    return moto_list


def check_given_up(trial: ListTrial, *options: str) -> None:
    """The listing ended in bounded time, and its one line on stderr says that keys are missing."""
    began = time.monotonic()
    end = trial.run(*options)
    assert time.monotonic() - began < 50
    assert end.code == 3
    assert "list" in end.result.err.splitlines()[-1]
    assert len(trial.proxy.hits("GET", PAGES)) < 40


@pytest.mark.parametrize("listers", [1, 4])
def test_small_pages_are_followed_to_the_end(trial: ListTrial, listers: int) -> None:
    trial.inject(Rule(SmallPages(SIZE), "GET", PAGES))
    end = trial.run(f"--listers={listers}")
    assert (end.code, end.keys) == (0, list(FILES))


FAULTS = [
    Status(503, "SlowDown"),
    Reset(),
    Stall(),
    Truncate(),
    Rewrite(halved),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_page_that_fails_is_asked_for_again(trial: ListTrial, fault: Action) -> None:
    trial.inject(
        Rule(fault, "GET", pages_of(trial.bucket, LATER_PAGE), times=1),
        Rule(SmallPages(SIZE), "GET", PAGES),
    )
    end = trial.run("--read-timeout=1")
    assert (end.code, end.keys) == (0, list(FILES))


@pytest.mark.parametrize(
    ("harm", "listers"),
    [(halved, 1), (not_xml, 4), (without_token, 1), (without_token, 4)],
)
def test_a_page_that_cannot_be_is_not_the_end(trial: ListTrial, harm: Harm, listers: int) -> None:
    trial.inject(Rule(SmallPages(SIZE, harm, LATER_PAGE), "GET", PAGES))
    check_given_up(trial, f"--listers={listers}")


@pytest.mark.parametrize("fault", [Status(500, "InternalError"), Drip(1.0)])
def test_pages_that_fail_for_ever_end_the_listing(trial: ListTrial, fault: Action) -> None:
    trial.inject(
        Rule(fault, "GET", pages_of(trial.bucket, LATER_PAGE)),
        Rule(SmallPages(SIZE), "GET", PAGES),
    )
    check_given_up(trial, "--read-timeout=1", "--max-attempts=2")


@pytest.mark.parametrize(("length", "listers"), [(2, 1), (1, 4)])
def test_a_listing_that_goes_round_in_circles_ends(
    trial: ListTrial, length: int, listers: int
) -> None:
    trial.inject(Rule(Circle(SIZE, length), "GET", PAGES))
    began = time.monotonic()
    end = trial.run(f"--listers={listers}")
    assert time.monotonic() - began < 50
    assert end.code in (0, 3)  # several listers may do without the token that repeats
    assert listers > 1 or end.code == 3
    assert len(trial.proxy.hits("GET", PAGES)) < 40


def test_a_page_that_comes_again_and_again_ends_it(trial: ListTrial) -> None:
    trial.inject(Rule(Stuck(SIZE), "GET", PAGES))
    check_given_up(trial, "--listers=1")


@pytest.mark.parametrize("harm", [reversed_keys, doubled_keys])
def test_pages_out_of_order_or_with_doubles(trial: ListTrial, harm: Harm) -> None:
    trial.inject(Rule(SmallPages(SIZE, harm, ""), "GET", PAGES))
    end = trial.run("--listers=4")
    if harm is reversed_keys or end.code == 0:
        assert (end.code, sorted(end.keys)) == (0, list(FILES))
    else:
        assert (end.code, "list" in end.result.err) == (3, True)


def shuffled(entries: Entries) -> Entries:
    """The same order in every answer, and none."""
    return random.Random(26).sample(entries, len(entries))


@pytest.mark.parametrize("ranges", [True, False], ids=["start-after", "start-after-ignored"])
@pytest.mark.parametrize("arrange", [list, shuffled])
def test_a_store_that_lists_in_its_own_way(
    trial: ListTrial, arrange: Callable[[Entries], Entries], ranges: bool
) -> None:
    trial.inject(Rule(OtherStore(SIZE, arrange, ranges=ranges), "GET", PAGES))
    end = trial.run("--listers=4")
    assert (end.code, sorted(end.keys)) == (0, list(FILES))


# Credentials


@pytest.mark.parametrize("path", ["", PAGES], ids=["all", "pages"])
def test_refused_credentials_end_the_listing(trial: ListTrial, path: str) -> None:
    trial.inject(Rule(Status(400, "ExpiredToken"), path=path))
    end = trial.run(env={"AWS_SESSION_TOKEN": "a-token-that-expires"})
    assert (end.code, end.keys) == (3, [])
    assert "ExpiredToken" in end.result.err


@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_not_followed_to_another_host(
    trial: ListTrial, make_proxy: Callable[[Store], FaultProxy], status: int
) -> None:
    elsewhere = make_proxy(trial.bucket.store)
    place = (("Location", f"{elsewhere.url}/{trial.bucket.name}"),)
    trial.inject(Rule(Status(status, "PermanentRedirect", place), "GET", PAGES))
    end = trial.run()
    assert (end.code, end.keys) == (3, [])
    assert "PermanentRedirect" in end.result.err
    assert elsewhere.hits() == []


# Signals and streams


@pytest.mark.parametrize("number", [SIGINT, SIGTERM, SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_it(trial: ListTrial, number: Signals) -> None:
    trial.inject(
        Rule(Gate(), "GET", pages_of(trial.bucket, LATER_PAGE)),
        Rule(SmallPages(SIZE), "GET", PAGES),
    )
    running = trial.start("--read-timeout=60", "--listers=1")
    trial.proxy.wait_for(2, "GET")
    running.signal_group(number)
    assert trial.end(running, 10).code == 128 + number


@pytest.mark.parametrize("options", [("--json",), ()], ids=["json", "plain"])
def test_a_reader_that_has_left_ends_it_quietly(trial: ListTrial, options: tuple[str, ...]) -> None:
    trial.inject(Rule(SmallPages(2), "GET", PAGES))
    with subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as head:
        running = trial.start_plain(*options, stdout=head.stdin)
        line, _ = head.communicate()
    assert b"f00" in line
    result = running.wait(30)
    assert (result.code, result.err) == (0, "")


def test_nobody_there_from_the_start(trial: ListTrial) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    running = trial.start_plain("--json", "--summarize", stdout=write_end)
    os.close(write_end)
    result = running.wait(30)
    assert (result.code, result.err) == (0, "")


def test_a_closed_stdout_is_a_lost_listing(trial: ListTrial) -> None:
    for options in ((), ("--json",)):
        result = trial.start_plain(*options, preexec_fn=partial(os.close, 1)).wait(30)
        assert result.code == 3
        assert result.err == (
            f"s3pp: list {trial.bucket.url}/: standard output is closed:"
            " send it to a file, a pipe or a terminal\n"
        )


def test_a_full_disk_behind_stdout(trial: ListTrial) -> None:
    with Path("/dev/full").open("wb") as full:
        result = trial.start_plain("--json", stdout=full).wait(30)
    assert result.code == 3
    assert "standard output" in result.err
