"""One rate for many workers, held against simulated stores: the figures are those promised in
docs/guarantees.rst."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.s3.congestion import (
    HEADROOM,
    LEAST,
    LIFTED,
    NO_LIMIT,
    CongestionControl,
    Feedback,
    RateLimit,
)

from .throttling import AnySecond, EachSecond, Rate, Simulation, Store, TokenBucket, Unreliable
from .virtual_time import run_virtually

WORKERS = {1: 256, 16: 32, 1000: 1}  # lanes of each
SECONDS: dict[float, int] = {50: 60, 200: 30, 2000: 12}  # how long each rate is simulated
START = 0.6  # seconds that finding the rate may take at first, beyond the ideal


def steady(rate: float) -> Rate:
    return lambda now: rate


def simulate(store: Store, workers: int, objects: int) -> Simulation:
    random.seed(7)
    return run_virtually(Simulation(store, workers, WORKERS[workers], objects).run())


def stores(rate: float) -> dict[str, Store]:
    return {
        "a tenth of a second at once": TokenBucket(steady(rate), max(5.0, rate / 10)),
        "a second at once": TokenBucket(steady(rate), rate),
        "so many each second": EachSecond(steady(rate)),
        "so many in any second": AnySecond(steady(rate)),
    }


USUAL = {  # of each kind of store, rate and number of workers one case at least
    ("a tenth of a second at once", 2000, 1),
    ("a second at once", 200, 16),
    ("so many each second", 50, 1),
    ("so many in any second", 200, 16),
}


@pytest.mark.parametrize(
    ("kind", "rate", "workers"),
    [
        pytest.param(*case, marks=() if case in USUAL else pytest.mark.thorough)
        for case in product(stores(1), (50, 200, 2000), (1, 16))
    ],
)
def test_a_store_that_throttles_is_asked_as_much_as_it_takes(
    kind: str, rate: float, workers: int
) -> None:
    """All is sent in at most 1.15 of the ideal time, and fewer than a tenth is refused."""
    objects = int(rate * SECONDS[rate])
    run = simulate(stores(rate)[kind], workers, objects)
    assert len(run.done) == objects
    assert run.seconds <= 1.15 * objects / rate + START
    assert run.wasted < 0.1


def test_a_thousand_workers_share_one_rate() -> None:
    run = simulate(TokenBucket(steady(2000), 200), 1000, 2_000)
    assert len(run.done) == 2_000
    assert run.seconds <= 1.15 * 1.0 + START
    assert run.wasted < 0.1


@pytest.mark.parametrize(
    ("before", "after", "workers"),
    [
        (1000, 200, 1),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in (
                (200, 1000, 1),
                (200, 1000, 16),
                (1000, 200, 16),
                (400, 2000, 1),
                (400, 2000, 16),
                (2000, 400, 1),
                (2000, 400, 16),
            )
        ),
    ],
)
def test_a_rate_that_changes_fivefold_is_followed(
    before: float, after: float, workers: int
) -> None:
    """Five seconds later the store is sent what it takes now, and little more."""
    changes = 10.0
    rate: Rate = lambda now: before if now < changes else after  # noqa: E731
    run = simulate(TokenBucket(rate, 20), workers, int(before * 10 + after * 17))
    settled = run.rate(changes + 5.0, changes + 15.0)
    assert 0.85 * after <= settled <= 1.05 * after
    assert run.wasted < 0.2


def test_refusals_that_have_nothing_to_do_with_the_rate_do_not_stop_a_run() -> None:
    run = simulate(Unreliable(0.1), 1, 20_000)
    # Without any limit it would be a fifth of a second; at the least rate, hours.
    assert run.seconds < 40.0


def test_a_single_refusal_sets_no_limit() -> None:
    control: CongestionControl[str] = CongestionControl()
    control.join("w")
    assert not control.observe("w", feedback(accepted=50, refused=1), 1.0)
    assert not control.observe("w", feedback(accepted=1000, refused=20), 1.1)
    assert control.limit == NO_LIMIT


def feedback(
    epoch: int = 0, *, accepted: int = 0, refused: int = 0, unanswered: int = 0, backlog: int = 0
) -> Feedback:
    return Feedback(epoch, accepted, refused, unanswered, accepted, 1.0, backlog)


def test_the_limit_is_what_was_accepted_and_begins_an_epoch() -> None:
    control: CongestionControl[str] = CongestionControl()
    control.join("w")
    assert control.observe("w", feedback(accepted=300, refused=100), 1.0)
    limit = control.limit
    assert (limit.epoch, limit.ceiling) == (1, 300.0)
    assert limit.rate(1.0) == pytest.approx(300.0 * (1 - HEADROOM))
    # What was refused before it was heard of says nothing of the limit there is now.
    assert not control.observe("w", feedback(0, accepted=300, refused=200), 1.01)
    assert control.limit == limit


def test_workers_that_have_not_reported_are_taken_to_be_like_the_others() -> None:
    control: CongestionControl[int] = CongestionControl()
    for worker in range(4):
        control.join(worker)
    control.observe(0, feedback(accepted=100, refused=50), 1.0)
    assert control.limit.ceiling == 400.0


def test_what_turns_out_to_have_been_accepted_when_the_limit_was_set_raises_it() -> None:
    """Refusals are heard of at once, what was accepted only with the next report of each worker."""
    control: CongestionControl[int] = CongestionControl()
    for worker in range(2):
        control.join(worker)
    first = Feedback(0, accepted=0, refused=3, unanswered=0, lately=0, span=0.1, backlog=5)
    assert control.observe(0, first, 1.0)
    assert control.observe(1, first._replace(refused=0), 1.1) is False
    epoch, low = control.limit.epoch, control.limit.ceiling
    late = Feedback(0, accepted=200, refused=0, unanswered=0, lately=200, span=1.0, backlog=5)
    assert not control.observe(1, late, 1.2)
    assert (control.limit.epoch, control.limit.ceiling) == (epoch, 200.0)
    assert low < 100.0
    # What is accepted a second later was sent under that limit, and says nothing of it.
    assert not control.observe(1, late._replace(lately=300), 2.3)
    assert control.limit.ceiling == 200.0


def test_a_limit_that_was_known_when_it_was_set_is_not_raised() -> None:
    control: CongestionControl[str] = CongestionControl()
    control.join("w")
    control.observe("w", feedback(accepted=300, refused=100), 1.0)
    control.observe("w", feedback(1, accepted=300, refused=100), 1.5)
    ceiling = control.limit.ceiling
    assert not control.observe("w", feedback(1, accepted=400)._replace(lately=400), 1.6)
    assert control.limit.ceiling == ceiling


def test_few_answers_do_not_show_that_the_rate_is_not_the_cause() -> None:
    """One of many runs that share a store has a few requests a second, of which some are refused
    whatever it does: without its limit it would take what the others have."""
    control: CongestionControl[str] = CongestionControl()
    control.join("w")
    control.observe("w", feedback(accepted=40, refused=20), 1.0)
    for number in range(12):
        now = 1.3 + 0.3 * number
        control.observe("w", feedback(control.limit.epoch, accepted=2, refused=1), now)
        assert control.limit.active(now)


def test_where_no_answer_comes_attempts_end_in_bounded_time() -> None:
    control: CongestionControl[str] = CongestionControl()
    control.join("w")
    now = 1.0
    for _ in range(40):
        now += 0.3
        control.observe("w", feedback(control.limit.epoch, unanswered=50), now)
    assert control.limit.rate(now) >= 60.0


def test_a_store_that_refuses_all_is_still_asked_now_and_then() -> None:
    control: CongestionControl[str] = CongestionControl()
    control.join("w")
    now = 1.0
    for _ in range(200):
        now += 0.3
        control.observe("w", feedback(control.limit.epoch, refused=9), now)
    assert LEAST <= control.limit.ceiling <= 2 * LEAST


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 500)), max_size=40))
def test_shares_make_up_the_whole(steps: list[tuple[int, int]]) -> None:
    control: CongestionControl[int] = CongestionControl()
    for worker in range(3):
        control.join(worker)
    for at, (worker, backlog) in enumerate(steps):
        if worker > 5:
            control.leave(worker)
            continue
        control.join(worker)
        refused = backlog % 7
        sent = feedback(control.limit.epoch, accepted=9, refused=refused, backlog=backlog)
        control.observe(worker, sent, at / 10)
    assert sum(map(control.share, control.workers)) == pytest.approx(1.0)


@given(
    st.floats(1.0, 1e6),
    st.floats(0.01, 1.0),
    st.lists(st.floats(0.0, LIFTED, exclude_max=True), min_size=2),
)
def test_a_limit_only_grows_until_it_is_lifted(
    ceiling: float, start: float, ages: list[float]
) -> None:
    limit = RateLimit(1, ceiling, since=100.0, start=start)
    rates = [limit.rate(100.0 + age) for age in sorted(ages)]
    assert rates == sorted(rates)
    assert rates[0] >= ceiling * min(start, 1 - HEADROOM) * 0.999
    assert limit.rate(100.0 + LIFTED) == float("inf")


@given(st.floats(1.0, 1e5), st.integers(1, 64), st.floats(0.0, 5.9))
def test_what_all_send_is_the_limit(ceiling: float, workers: int, age: float) -> None:
    limit = RateLimit(1, ceiling)
    shares = [limit.share(1 / workers).rate(age) for _ in range(workers)]
    assert sum(shares) == pytest.approx(limit.rate(age))
