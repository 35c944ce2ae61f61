"""Listings of the destination that break or lie. Rows 23-26 of the catalogue.

A listing that is taken for complete when it is not makes a mode decide wrongly, so all keys here
are in the store already: a PUT means that s3pp did not see what is there.
"""

from __future__ import annotations

import time

import pytest

from faults.accounting import ending
from faults.listing_pages import (
    PAGES,
    SECOND_PAGE,
    Circle,
    Harm,
    SmallPages,
    doubled_keys,
    not_xml,
    other_document,
    reversed_keys,
    without_token,
)
from faults.trials import PutTrial
from stores.fault_actions import Delay, Drip, Hang, Reset, Status, halved
from stores.fault_proxy import Rule

SIZE = 10  # keys a page
NAMES = [f"f{n:02d}" for n in range(3 * SIZE)]


def fill(trial: PutTrial) -> None:
    """The same objects here and there."""
    for key, body in trial.tree(dict.fromkeys(NAMES, 20)).items():
        trial.bucket.put(key, body)


def check_nothing_was_missed(trial: PutTrial, mode: str) -> None:
    """Everything was found unchanged, or the run was given up; never was a key held for absent."""
    began = time.monotonic()
    running = trial.start(f"--mode={mode}")
    result = running.wait(60)
    assert time.monotonic() - began < 50
    assert trial.puts() == 0
    if result.code == 3:
        assert "list" in result.err
        return
    end = ending(result, trial.journal)
    assert end.code == 0, result
    assert end.skipped.keys() == set(NAMES)


@pytest.mark.parametrize("mode", ["update", "add"])
def test_small_pages_are_followed_to_the_end(moto_trial: PutTrial, mode: str) -> None:
    fill(moto_trial)
    moto_trial.inject(Rule(SmallPages(SIZE), "GET", PAGES))
    end = moto_trial.run(f"--mode={mode}")
    assert end.code == 0
    assert end.skipped.keys() == set(NAMES)
    assert len(moto_trial.proxy.hits("GET", PAGES)) == 3
    assert not moto_trial.proxy.hits("PUT|HEAD", "/f")


@pytest.mark.parametrize("fault", [Status(500, "InternalError"), Reset(), Hang()])
def test_a_page_that_fails_twice_is_asked_for_again(
    moto_trial: PutTrial, fault: Status | Reset | Hang
) -> None:
    fill(moto_trial)
    moto_trial.inject(
        Rule(fault, "GET", SECOND_PAGE, times=2), Rule(SmallPages(SIZE), "GET", PAGES)
    )
    end = moto_trial.run("--mode=update", "--read-timeout=1")
    assert end.code == 0
    assert end.skipped.keys() == set(NAMES)
    assert not moto_trial.proxy.hits("PUT|HEAD", "/f")


def test_a_page_that_trickles_in(moto_trial: PutTrial) -> None:
    fill(moto_trial)
    moto_trial.inject(Rule(Drip(0.0002), "GET", PAGES))
    end = moto_trial.run("--mode=update", "--read-timeout=2")
    assert end.code == 0
    assert end.skipped.keys() == set(NAMES)


@pytest.mark.parametrize(
    ("mode", "harm"),
    [
        ("update", halved),
        ("update", not_xml),
        ("update", other_document),
        ("update", without_token),
        ("add", without_token),
    ],
)
def test_a_page_that_cannot_be_is_not_the_end(moto_trial: PutTrial, harm: Harm, mode: str) -> None:
    fill(moto_trial)
    moto_trial.inject(Rule(SmallPages(SIZE, harm), "GET", PAGES))
    check_nothing_was_missed(moto_trial, mode)
    assert len(moto_trial.proxy.hits("GET", PAGES)) < 20


@pytest.mark.parametrize("mode", ["update", "add"])
@pytest.mark.parametrize("length", [1, 2])
def test_a_listing_that_goes_round_in_circles_ends(
    moto_trial: PutTrial, length: int, mode: str
) -> None:
    fill(moto_trial)
    moto_trial.inject(Rule(Circle(SIZE, length), "GET", PAGES))
    check_nothing_was_missed(moto_trial, mode)
    assert len(moto_trial.proxy.hits("GET", PAGES)) < 20


@pytest.mark.parametrize("harm", [reversed_keys, doubled_keys])
@pytest.mark.parametrize("mode", ["update", "add"])
def test_an_unsorted_listing_is_not_merged(moto_trial: PutTrial, harm: Harm, mode: str) -> None:
    fill(moto_trial)
    moto_trial.inject(Rule(SmallPages(SIZE, harm), "GET", PAGES))
    end = moto_trial.run(f"--mode={mode}")
    assert end.code == 0
    assert end.skipped.keys() == set(NAMES)
    assert moto_trial.puts() == 0


def test_pages_that_fail_for_ever(moto_trial: PutTrial) -> None:
    fill(moto_trial)
    moto_trial.inject(
        Rule(Status(500, "InternalError"), "GET", SECOND_PAGE), Rule(SmallPages(SIZE), "GET", PAGES)
    )
    check_nothing_was_missed(moto_trial, "update")


@pytest.mark.parametrize("mode", ["update", "add"])
def test_what_was_found_before_a_page_fails_is_done(moto_trial: PutTrial, mode: str) -> None:
    """The run is aborted, and yet nothing of the first page is missing in the counts."""
    contents = moto_trial.tree({f"f{n:03d}": 20 for n in range(60)} | {"a": 20})
    there = sorted(contents.keys() - {"a"})
    moto_trial.fill({key: contents[key] if at % 2 else b"old" for at, key in enumerate(there)})
    moto_trial.inject(
        Rule(Status(500, "InternalError"), "GET", SECOND_PAGE),
        Rule(SmallPages(40), "GET", PAGES),
        Rule(Delay(0.01), "PUT", "/[af]"),
    )
    end = moto_trial.run(f"--mode={mode}")
    assert end.code == 3
    assert "InternalError" in end.result.err.splitlines()[-1]
    changed = set(there[:40:2]) if mode == "update" else set()
    assert end.done.keys() == {"a"} | changed
    assert end.skipped.keys() == set(there[:40]) - changed
    assert (end.summary["listed"], end.summary.get("not_attempted")) == (41, None)


def test_a_refused_listing_is_replaced_by_heads(moto_trial: PutTrial) -> None:
    fill(moto_trial)
    (moto_trial.source / "f05").write_bytes(b"changed since")
    moto_trial.inject(Rule(Status(403, "AccessDenied"), "GET", "list-type=2"))
    end = moto_trial.run("--mode=update")
    assert end.code == 0
    assert end.done.keys() == {"f05"}
    assert len(moto_trial.proxy.hits("HEAD", "/f")) == len(NAMES)
