"""Listings of the source that break or lie, under get and copy. Rows 23-26 of the catalogue.

A listing that is taken for complete when it is not loses keys without a word. So a run ends well
with every object, or it is given up; what was done until then stays.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from faults.accounting import Ending
from faults.listing_pages import (
    LATER_PAGE,
    Circle,
    Entries,
    Harm,
    OtherStore,
    SmallPages,
    Stuck,
    doubled_keys,
    not_xml,
    other_document,
    pages_of,
    reversed_keys,
    without_token,
)
from faults.trials import CopyTrial, GetTrial, Transfer
from stores.fault_actions import Action, Delay, Drip, Hang, Rewrite, Status, Truncate, halved
from stores.fault_proxy import Rule

SIZE = 10  # keys a page
FILES = {f"f{n:02d}": 20 for n in range(3 * SIZE)}
LISTERS = pytest.mark.parametrize("listers", [1, 4], ids=["alone", "listers"])


@pytest.fixture
def reading(moto_get: GetTrial) -> GetTrial:
    """What walks the source is the same under both verbs: most of it is tried under one."""
    return moto_get


def check_all_done(trial: Transfer, end: Ending, contents: dict[str, bytes]) -> None:
    assert end.code == 0, end.result.err
    assert end.done.keys() == contents.keys()
    assert trial.arrived() == contents


def check_nothing_was_missed(trial: Transfer, contents: dict[str, bytes], *options: str) -> Ending:
    """Everything arrived, or the run was given up in bounded time with a word about the listing."""
    began = time.monotonic()
    end = trial.run(*options)
    assert time.monotonic() - began < 50
    if end.code == 3:
        assert "list" in end.result.err.splitlines()[-1]
        assert trial.arrived().items() <= contents.items()
    else:
        check_all_done(trial, end, contents)
    assert len(trial.proxy.hits("GET", pages_of(trial.bucket))) < 40
    return end


@LISTERS
def test_small_pages_are_followed_to_the_end(reading: GetTrial, listers: int) -> None:
    contents = reading.fill(FILES)
    reading.inject(Rule(SmallPages(SIZE), "GET", pages_of(reading.bucket)))
    check_all_done(reading, reading.run(f"--listers={listers}"), contents)


@pytest.mark.parametrize(
    "fault", [Status(500, "InternalError"), Hang(), Truncate(), Rewrite(not_xml)]
)
def test_a_page_that_fails_is_asked_for_again(reading: GetTrial, fault: Action) -> None:
    contents = reading.fill(FILES)
    reading.inject(
        Rule(fault, "GET", pages_of(reading.bucket, LATER_PAGE), times=2),
        Rule(SmallPages(SIZE), "GET", pages_of(reading.bucket)),
    )
    check_all_done(reading, reading.run("--read-timeout=1"), contents)


@pytest.mark.parametrize("options", [(), ("--order=size",)], ids=["by key", "by size"])
def test_what_was_listed_before_a_page_fails_is_done(
    reading: GetTrial, options: tuple[str, ...]
) -> None:
    check_first_page_is_done(reading, *options)


def test_what_was_listed_before_a_page_fails_is_copied(moto_copy: CopyTrial) -> None:
    check_first_page_is_done(moto_copy)


def check_first_page_is_done(trial: Transfer, *options: str) -> None:
    """The run is aborted, and yet nothing of the first page is missing in the counts."""
    contents = trial.fill({f"f{n:03d}": 20 for n in range(60)})
    second = pages_of(trial.bucket, LATER_PAGE)
    trial.inject(
        Rule(Status(500, "InternalError"), "GET", second),
        Rule(SmallPages(40), "GET", pages_of(trial.bucket)),
        Rule(Delay(0.01), "GET|PUT", "/f"),
    )
    end = trial.run("--listers=1", *options)
    assert end.code == 3
    assert "InternalError" in end.result.err.splitlines()[-1]
    assert end.done.keys() == set(sorted(contents)[:40])
    assert (end.summary["listed"], end.summary.get("not_attempted")) == (40, None)


@pytest.mark.parametrize(
    ("harm", "listers"),
    [(halved, 4), (other_document, 4), (without_token, 1), (without_token, 4)],
)
def test_a_page_that_cannot_be_is_not_the_end(reading: GetTrial, harm: Harm, listers: int) -> None:
    contents = reading.fill(FILES)
    reading.inject(Rule(SmallPages(SIZE, harm, LATER_PAGE), "GET", pages_of(reading.bucket)))
    end = check_nothing_was_missed(reading, contents, f"--listers={listers}")
    assert end.code == 3
    assert end.done.keys() <= contents.keys()


def test_pages_that_fail_for_ever_end_the_run(reading: GetTrial) -> None:
    contents = reading.fill(FILES)
    reading.inject(
        Rule(Status(500, "InternalError"), "GET", pages_of(reading.bucket, LATER_PAGE)),
        Rule(SmallPages(SIZE), "GET", pages_of(reading.bucket)),
    )
    end = check_nothing_was_missed(reading, contents)
    assert end.code == 3
    assert "InternalError" in end.result.err
    # The first page was sound, and what it named was begun.
    assert reading.arrived().items() <= contents.items()


@pytest.mark.parametrize(("length", "listers"), [(1, 1), (2, 4)])
def test_a_listing_that_goes_round_in_circles_ends(
    reading: GetTrial, length: int, listers: int
) -> None:
    contents = reading.fill(FILES)
    reading.inject(Rule(Circle(SIZE, length), "GET", pages_of(reading.bucket)))
    check_nothing_was_missed(reading, contents, f"--listers={listers}")


@pytest.mark.parametrize(("harm", "listers"), [(reversed_keys, 4), (doubled_keys, 1)])
def test_pages_out_of_order_or_with_doubles(reading: GetTrial, harm: Harm, listers: int) -> None:
    contents = reading.fill(FILES)
    reading.inject(Rule(SmallPages(SIZE, harm, ""), "GET", pages_of(reading.bucket)))
    end = check_nothing_was_missed(reading, contents, f"--listers={listers}")
    if harm is reversed_keys:
        assert end.code == 0


def shuffled(entries: Entries) -> Entries:
    """The same order in every answer, and none."""
    return random.Random(26).sample(entries, len(entries))


def in_blocks(entries: Entries) -> Entries:
    """Whole pages out of order, each of them in order: no page alone gives it away."""
    blocks = [entries[at : at + SIZE] for at in range(0, len(entries), SIZE)]
    return [entry for block in blocks[::-1] for entry in block]


Arrange = Callable[[Entries], Entries]


@pytest.mark.parametrize(
    ("arrange", "ranges", "listers"),
    [
        (list, False, 4),
        (shuffled, True, 1),
        (shuffled, True, 4),
        (shuffled, False, 4),
        (in_blocks, True, 1),
        (in_blocks, False, 4),
    ],
)
def test_a_store_that_lists_in_its_own_way(
    reading: GetTrial, arrange: Arrange, ranges: bool, listers: int
) -> None:
    contents = reading.fill({f"{chr(97 + n % 7)}/{n:03d}": 20 for n in range(60)})
    reading.inject(Rule(OtherStore(SIZE, arrange, ranges=ranges), "GET", pages_of(reading.bucket)))
    check_all_done(reading, reading.run(f"--listers={listers}"), contents)
    assert len(reading.proxy.hits("GET", r"/\d{3}$")) <= len(contents)


@LISTERS
def test_a_page_that_comes_again_and_again_ends_the_run(reading: GetTrial, listers: int) -> None:
    contents = reading.fill(FILES)
    reading.inject(Rule(Stuck(SIZE), "GET", pages_of(reading.bucket)))
    check_nothing_was_missed(reading, contents, f"--listers={listers}")


def test_a_page_that_trickles_in(reading: GetTrial) -> None:
    contents = reading.fill(FILES)
    reading.inject(Rule(Drip(0.0002), "GET", pages_of(reading.bucket)))
    check_all_done(reading, reading.run("--read-timeout=2"), contents)


# Copies, whose destination is listed as well


def test_a_copy_from_a_listing_that_breaks_off_ends(moto_copy: CopyTrial) -> None:
    contents = moto_copy.fill(FILES)
    moto_copy.inject(
        Rule(SmallPages(SIZE, without_token, LATER_PAGE), "GET", pages_of(moto_copy.bucket))
    )
    assert check_nothing_was_missed(moto_copy, contents).code == 3


@pytest.mark.parametrize("ranges", [True, False], ids=["start-after", "start-after-ignored"])
def test_a_copy_from_a_store_that_lists_in_its_own_way(moto_copy: CopyTrial, ranges: bool) -> None:
    contents = moto_copy.fill({f"{chr(97 + n % 7)}/{n:03d}": 20 for n in range(40)})
    there = moto_copy.fill({"b/001": 20, "c/002": 20}, moto_copy.dest)
    store = OtherStore(SIZE, shuffled, ranges=ranges)
    moto_copy.inject(Rule(store, "GET", pages_of(moto_copy.bucket)))
    end = moto_copy.run()
    assert (end.code, set(end.skipped)) == (0, set(there))
    assert end.done.keys() == contents.keys() - there.keys()
    assert moto_copy.puts(r"\d{3}") == len(end.done)


@pytest.mark.parametrize("harm", [not_xml, without_token, reversed_keys, doubled_keys])
def test_a_destination_that_lists_badly_is_not_taken_for_empty(
    moto_copy: CopyTrial, harm: Harm
) -> None:
    contents = moto_copy.fill(FILES)
    moto_copy.fill(FILES, moto_copy.dest)
    moto_copy.inject(
        Rule(
            SmallPages(SIZE, harm), "GET", rf"{moto_copy.dest.name}/?\?.*list-type=2(?!.*max-keys)"
        )
    )
    end = moto_copy.run()
    assert moto_copy.puts() == 0
    if end.code == 3:
        assert "list" in end.result.err.splitlines()[-1]
    else:
        assert (end.code, set(end.skipped)) == (0, set(contents))
