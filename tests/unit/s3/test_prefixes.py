"""Which prefixes a store limits: what is evidence, and which limiter admits a request then."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.s3.congestion import NO_LIMIT, Count, Feedback, PrefixLimit, RateLimit
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.limiter import RequestLimiter
from s3pp.s3.prefixes import (
    BIN,
    BINS,
    MOST_DIRECTORIES,
    MOST_PREFIXES,
    PrefixFinder,
    limited_prefixes,
)

ENOUGH, FREE = Count(50, 50), Count(100, 0)


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ({"b/logs/": ENOUGH, "b/z/": FREE}, ["b/logs/"]),
        ({"b/logs/1/": ENOUGH, "b/logs/2/": ENOUGH, "b/z/": FREE}, ["b/logs/"]),  # the shortest
        ({"b/x/logs/": ENOUGH, "b/x/z/": FREE}, ["b/x/logs/"]),
        ({"b/1/": ENOUGH, "b/2/": ENOUGH, "b/z/": FREE}, ["b/1/", "b/2/"]),
        ({"b/logs/": ENOUGH, "b/": FREE}, ["b/logs/"]),  # others are in no directory
        ({"b/": ENOUGH, "b/z/": FREE}, []),  # and where these are refused, no prefix says so
        ({"from/": FREE, "to/": ENOUGH}, ["to/"]),  # a bucket is a prefix too
        ({"b/logs/": ENOUGH}, []),  # nothing else was asked for
        ({"b/logs/": ENOUGH, "b/z/": Count(14, 0)}, []),  # it may be chance
        ({"b/logs/": ENOUGH, "b/z/": Count(100, 10)}, []),  # others are refused as well
        ({"b/logs/": Count(0, 5), "b/z/": FREE}, []),
        ({f"b/{each}/": ENOUGH for each in range(MOST_PREFIXES + 1)} | {"b/z/": FREE}, []),
        ({}, []),
    ],
)
def test_the_shortest_prefix_that_explains_all_refusals(
    counts: dict[str, Count], found: list[str]
) -> None:
    assert limited_prefixes(counts) == found


@given(
    st.lists(st.tuples(st.integers(0, 400), st.floats(0.01, 0.9)), min_size=1, max_size=4),
    st.integers(0, 1 << 32),
)
def test_a_limit_of_all_is_not_taken_for_that_of_a_prefix(
    requests: list[tuple[int, float]], seed: int
) -> None:
    """Whatever refuses each request with the same probability, by chance names a prefix rarely."""
    chance, named = random.Random(seed), 0
    for _ in range(20):
        counts = {}
        for number, (total, _) in enumerate(requests):
            refused = sum(chance.random() < requests[0][1] for _ in range(total))
            counts[f"b/{number}/"] = Count(total - refused, refused)
        named += bool(limited_prefixes(counts))
    assert named <= 2


def test_only_what_happens_at_the_same_time_is_evidence() -> None:
    finder = PrefixFinder()
    finder.add((("b/z/", FREE),), 0.25 * BIN)
    finder.add((("b/logs/", ENOUGH),), 2.25 * BIN)
    assert finder.find() == {}
    finder.add((("b/z/", FREE),), 2.75 * BIN)
    assert finder.find() == {"b/logs/": pytest.approx(50 / BIN)}
    finder.clear()
    assert finder.find() == {}


def test_at_a_low_rate_the_same_time_is_longer() -> None:
    finder = PrefixFinder()
    for second in range(20):
        finder.add((("b/logs/", Count(0, 1)),), second)
        finder.add((("b/z/", Count(1, 0)),), second + 0.5)
    assert finder.find() == {"b/logs/": 0.0}


def test_what_is_remembered_is_bounded() -> None:
    finder = PrefixFinder()
    for number in range(3 * BINS):
        finder.add(
            tuple((f"b/{each}/", ENOUGH) for each in range(2 * MOST_DIRECTORIES)), number * BIN
        )
    (bins,) = vars(finder).values()
    assert len(bins) == BINS
    assert {len(each.counts) for each in bins} == {MOST_DIRECTORIES}


def test_a_path_names_a_place() -> None:
    path_style = Endpoint(scheme="http", host="h", bucket="b", base="/b", region="r")
    assert path_style.place(path_style.path("logs/ä b")) == "b/logs/ä b"
    assert path_style.place(path_style.path("")) == ""
    virtual = Endpoint(scheme="http", host="b.h", bucket="b", base="", region="r")
    assert virtual.place(virtual.path("logs/a")) == "b/logs/a"
    assert virtual.place(virtual.path("")) == ""


def test_a_limited_prefix_waits_and_others_do_not() -> None:
    asyncio.run(_prefix_waits())


async def _prefix_waits() -> None:
    reports: list[Feedback] = []
    limiter = RequestLimiter(8, reports.append)
    assert limiter.lanes is None  # nothing is counted while nothing is refused
    now = asyncio.get_running_loop().time()
    limiter.set_limit(RateLimit(1, 1e-3, now))
    lanes = limiter.lanes  # under a limit, also where this process is refused nothing
    assert lanes is not None
    early = asyncio.create_task(lanes.admit("b/logs/early"))
    await asyncio.sleep(0)
    assert not early.done()
    # What waits at the limit of all waits at that of the prefix from then on.
    lanes.apply(PrefixLimit("b/logs/", RateLimit(1, 1e-3, now)))
    limiter.set_limit(NO_LIMIT._replace(epoch=2))
    free = [await asyncio.wait_for(lanes.admit(f"b/z/{each}"), 5) for each in range(4)]
    assert free == [limiter] * 4
    late = asyncio.create_task(lanes.admit("b/logs/late"))
    await asyncio.sleep(0.05)
    assert [early.done(), late.done()] == [False, False]
    assert lanes.limits("logs/a", "x")
    assert not lanes.limits("z/a", "x")
    # The evidence is of the others alone.
    limiter.record_place("b/z/0")
    assert lanes.take_evidence() == (("b/z/", Count(3, 1)),)
    (below,) = lanes.limited.values()
    lanes.apply(PrefixLimit("b/logs/", NO_LIMIT))
    assert await asyncio.wait_for(early, 5) is await asyncio.wait_for(late, 5) is limiter
    assert lanes.limited == {}
    assert {each.prefix for each in reports} == {"b/logs/"}
    count = len(reports)
    below.close()
    await asyncio.sleep(0)
    assert len(reports) == count


def test_the_end_of_a_run_ends_the_waits_below_prefixes() -> None:
    async def run() -> None:
        limiter = RequestLimiter(8, lambda _: None)
        now = asyncio.get_running_loop().time()
        lanes = limiter.watch()
        lanes.apply(PrefixLimit("b/logs/", RateLimit(1, 1e-3, now)))
        waiting = [asyncio.create_task(lanes.admit(f"b/logs/{each}")) for each in range(3)]
        await asyncio.sleep(0)
        limiter.end()
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(each).__name__ for each in ended} >= {"RunEnding"}

    asyncio.run(run())
