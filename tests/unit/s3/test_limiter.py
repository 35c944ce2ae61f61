"""What holds one process's requests back, and what it reports of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from s3pp.errors import RunEnding
from s3pp.s3.congestion import Feedback, RateLimit
from s3pp.s3.limiter import (
    RETRIES_AT_FIRST,
    RETRIES_PER_SECOND,
    SOON,
    Meter,
    RequestLimiter,
    RetryBudget,
)

from .virtual_time import run_virtually

Test = Callable[[RequestLimiter, list[Feedback]], Coroutine[Any, Any, None]]


def limited(test: Test, size: int = 4) -> None:
    """Run ``test`` with a limiter and the list of what it reports, in virtual time."""

    async def main() -> None:
        reports: list[Feedback] = []
        clock = asyncio.get_running_loop().time
        await test(RequestLimiter(size, reports.append, clock=clock), reports)

    run_virtually(main())


def test_so_many_are_in_flight_and_the_others_wait_in_order() -> None:
    async def test(limiter: RequestLimiter, _: list[Feedback]) -> None:
        assert limiter.take_at_once()
        assert limiter.take_at_once()
        assert not limiter.take_at_once()
        order: list[int] = []

        async def wait(number: int) -> None:
            await limiter.take()
            order.append(number)

        waiting = [asyncio.ensure_future(wait(number)) for number in range(2)]
        await asyncio.sleep(1)
        assert order == []
        limiter.give()
        await asyncio.sleep(0)
        assert not limiter.take_at_once()  # nobody overtakes those who wait
        limiter.give()
        await asyncio.gather(*waiting)
        assert order == [0, 1]

    limited(test, size=2)


def test_a_limit_spreads_requests_evenly() -> None:
    async def test(limiter: RequestLimiter, _: list[Feedback]) -> None:
        clock = asyncio.get_running_loop().time
        limiter.set_limit(RateLimit(1, 100.0))
        times = []
        for _each in range(100):
            if not limiter.take_at_once():
                await limiter.take()
            times.append(clock())
            limiter.give()
        assert 0.95 < times[-1] < 1.06
        assert max(b - a for a, b in pairwise(times)) < 0.02

    limited(test)


def test_a_limit_that_is_raised_frees_those_who_wait() -> None:
    async def test(limiter: RequestLimiter, _: list[Feedback]) -> None:
        limiter.set_limit(RateLimit(1, 0.001))
        waiting = asyncio.ensure_future(limiter.take())
        await asyncio.sleep(1)
        assert not waiting.done()
        now = asyncio.get_running_loop().time()
        limiter.set_limit(RateLimit(2, 1000.0, now))
        await asyncio.wait_for(waiting, 0.1)

    limited(test)


def test_a_cancelled_wait_gives_its_turn_back() -> None:
    async def test(limiter: RequestLimiter, _: list[Feedback]) -> None:
        assert limiter.take_at_once()
        first, second = (asyncio.ensure_future(limiter.take()) for _each in range(2))
        await asyncio.sleep(0)
        limiter.give()  # lets the first go, which is cancelled before it hears of it
        first.cancel()
        await asyncio.sleep(0)
        limiter.give()
        await asyncio.wait_for(second, 1)

    limited(test, size=1)


def test_the_end_sends_those_who_wait_away_and_lets_the_rest_through() -> None:
    async def test(limiter: RequestLimiter, _: list[Feedback]) -> None:
        limiter.set_limit(RateLimit(1, 0.001))
        waiting = asyncio.ensure_future(limiter.take())
        await asyncio.sleep(0)
        limiter.end()
        with pytest.raises(RunEnding):
            await waiting
        assert limiter.take_at_once()  # what cleans up behind a run waits for nothing

    limited(test)


def test_refusals_are_reported_soon_and_together() -> None:
    async def test(limiter: RequestLimiter, reports: list[Feedback]) -> None:
        for _each in range(3):
            assert limiter.take_at_once()
            limiter.give()
            limiter.record_refusal(0)
        assert limiter.take_at_once()
        limiter.give()
        assert reports == []
        await asyncio.sleep(2 * SOON)
        (report,) = reports
        assert (report.accepted, report.refused, report.lately, report.throttled) == (1, 3, 1, 3)

    limited(test)


def test_what_was_sent_under_another_limit_does_not_count() -> None:
    async def test(limiter: RequestLimiter, reports: list[Feedback]) -> None:
        assert limiter.take_at_once()
        limiter.set_limit(RateLimit(1, 1000.0))
        limiter.give()
        limiter.record_refusal(0)
        await asyncio.sleep(2 * SOON)
        assert reports == []
        limiter.start()
        assert (reports[0].refused, reports[0].accepted, reports[0].lately) == (0, 0, 0)

    limited(test)


def test_a_store_is_stalled_from_the_first_refusal_until_it_accepts_something() -> None:
    async def test(limiter: RequestLimiter, reports: list[Feedback]) -> None:
        limiter.start()
        await asyncio.sleep(100)
        assert limiter.stalled == 0.0  # it was asked for nothing
        limiter.give()
        limiter.record_refusal(0, "SlowDown", "http://store: SlowDown: no")
        await asyncio.sleep(30)
        assert limiter.stalled == pytest.approx(30.0)
        assert (reports[-1].throttled, reports[-1].taken) == (1, 0)
        assert reports[-1].stalled == pytest.approx(30.0, abs=0.2)
        assert reports[-1].refusal == ("SlowDown", "http://store: SlowDown: no")
        limiter.give()
        await asyncio.sleep(1)
        assert limiter.stalled == 0.0
        assert (reports[-1].taken, reports[-1].stalled) == (1, 0.0)

    limited(test)


def test_silence_is_reported_while_answers_are_awaited() -> None:
    async def test(limiter: RequestLimiter, reports: list[Feedback]) -> None:
        limiter.start()
        assert reports[-1].silent < 0
        assert limiter.take_at_once()
        await asyncio.sleep(20)
        assert reports[-1].silent == pytest.approx(20, abs=0.2)
        limiter.give()
        await asyncio.sleep(1)
        assert reports[-1].silent < 0

    limited(test)


def test_a_meter_looks_back_one_second() -> None:
    now = [0.0]
    meter = Meter(lambda: now[0])
    meter.note(100)
    now[0] = 0.9
    meter.note(10)
    assert meter.feedback(0, 0).lately == 110
    assert meter.feedback(0, 0).span == pytest.approx(0.9)
    now[0] = 1.5
    assert (meter.feedback(0, 0).lately, meter.feedback(0, 0).span) == (10, 1.0)
    meter.begin_epoch()
    meter.note(5, refused=2)
    seen = meter.feedback(1, 0)
    assert (seen.accepted, seen.refused, seen.lately) == (3, 2, 13)


def test_retries_have_a_budget() -> None:
    now = [0.0]
    budget = RetryBudget(lambda: now[0])
    assert sum(budget.take() for _ in range(10_000)) == RETRIES_AT_FIRST
    now[0] = 2.0
    assert sum(budget.take() for _ in range(10_000)) == 2 * RETRIES_PER_SECOND
    budget.earn(100)
    assert 0 < sum(budget.take() for _ in range(10_000)) < 100
    budget.earn(10**9)
    assert sum(budget.take() for _ in range(10_000)) == RETRIES_AT_FIRST


def test_a_retry_waits_for_the_budget_until_the_run_ends() -> None:
    async def test(limiter: RequestLimiter, _: list[Feedback]) -> None:
        clock = asyncio.get_running_loop().time
        for _each in range(int(RETRIES_AT_FIRST)):
            await limiter.retry()
        assert clock() == 0.0
        await limiter.retry()
        assert clock() > 0.0
        waiting = asyncio.ensure_future(limiter.retry())
        limiter.end()
        with pytest.raises(RunEnding):
            await waiting

    limited(test)
