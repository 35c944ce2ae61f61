"""Many workers towards a store that throttles, in virtual time: what holds by construction."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "unit"))

import scale
from scaling.capacity import batch_cost, feedback_cost
from scaling.figures import jain
from scaling.footprint import delete_bytes
from scaling.simulation import Deployment, simulate
from scaling.store import Limits, Store

FEW = Limits(100.0)


@pytest.mark.parametrize("apart", [False, True], ids=["one run", "runs of their own"])
def test_more_workers_do_not_bring_more_overload(apart: bool) -> None:
    """Thirty workers ask for what the store takes and little more, as does one."""
    for workers in (1, 30):
        seen = simulate(Deployment(workers, apart, 64 // workers + 4, FEW), 17).figures
        assert 0.85 <= seen.goodput <= 1.1  # a tenth of a second may come at once, after a pause
        assert seen.offered <= 1.5
        assert seen.starved == 0.0
        assert seen.converged <= 8.0


def test_the_same_seed_brings_the_same_outcome() -> None:
    case = Deployment(5, apart=False, slots=8, limits=FEW, seconds=4)
    assert simulate(case, 1) == simulate(case, 1)
    assert simulate(case, 1) != simulate(case, 2)


def test_a_prefix_that_is_split_is_used() -> None:
    limits = Limits(50.0, split_after=3, most_splits=1)
    outcome = simulate(Deployment(3, apart=False, slots=16, limits=limits, seconds=20), 17)
    (seconds,) = outcome.regained
    assert seconds <= 8.0


def test_several_prefixes_are_limited_one_by_one() -> None:
    now = [0.0]
    store = Store(Limits(10.0), lambda: now[0], unlimited=frozenset({"free"}))
    taken = {prefix: sum(store.take(prefix, 0) for _ in range(5)) for prefix in ("a", "b", "free")}
    assert taken == {"a": 1, "b": 1, "free": 5}
    now[0] = 0.1
    assert store.take("a", 0)
    assert not store.take("a", 0)


def test_fairness_is_one_for_equal_shares() -> None:
    assert jain([3, 3, 3]) == pytest.approx(1.0)
    assert jain([9, 0, 0]) == pytest.approx(1 / 3)
    assert jain([]) == 0.0


def test_what_is_measured_for_the_page_can_be_measured() -> None:
    assert batch_cost(3, batches=4) > 0.0
    assert min(feedback_cost(3, reports=40)) >= 0.0
    assert delete_bytes(2000) > 2000 * 20
    options = scale.parser().parse_args(["simulation", "--seed", "3"])
    assert (options.what, options.seed) == ("simulation", 3)
