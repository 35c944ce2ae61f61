from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.records import LEFT_OUT, Outcome, Skipped, SkipReason
from s3pp.report.totals import Totals

from .samples import ALL, DONE, FAILED, SAME


def test_fold() -> None:
    totals = Totals(listed=4)
    totals.fold_all(ALL)
    totals.fold(DONE)
    expected = Totals(4, done=2, skipped=2, failed=1, bytes=10, sent=8, left_out=1)
    expected.skipped_bytes, expected.causes = 7, {"unreadable": 1}
    assert totals == expected
    assert totals.finished == 5


@pytest.mark.parametrize("reason", SkipReason)
def test_what_cannot_be_sent_is_counted_as_left_out(reason: SkipReason) -> None:
    totals = Totals(listed=1)
    totals.fold(Skipped("a", "a", 0, reason))
    assert (totals.skipped, totals.left_out == 1) == (1, reason in LEFT_OUT)


@given(st.lists(st.sampled_from(ALL)), st.integers(0, 3))
def test_balanced_exactly_when_all_are_accounted_for(outcomes: list[Outcome], left: int) -> None:
    totals = Totals(listed=len(outcomes) + left)
    totals.fold_all(outcomes)
    assert totals.balanced == (left == 0)
    totals.not_attempted = left
    assert totals.balanced
    totals.fold(SAME)
    assert not totals.balanced


def test_they_travel() -> None:
    totals = Totals(listed=3, seconds=1.5)
    totals.fold(FAILED)
    assert pickle.loads(pickle.dumps(totals)) == totals
    assert len(pickle.dumps(totals)) < 600
