"""What a HEAD that was refused is followed by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Keys
from s3pp.s3.refused_head import SKEW, LastReasonCheck, NextStep, Signed, next_step, skew_of

KEYS, OTHERS = Keys("AKID", "secret"), Keys("AKID2", "secret")
NOW = Signed(KEYS, 0.0)


@pytest.mark.parametrize(
    ("status", "skew", "now", "last", "step"),
    [
        (400, 0.0, NOW, LastReasonCheck(KEYS, 0.0), NextStep.GET),
        (400, 0.0, Signed(None, 0.0), None, NextStep.GET),
        (403, 0.0, NOW, None, NextStep.GET),
        (403, 0.0, NOW, LastReasonCheck(KEYS, 0.0), NextStep.NOTHING),
        (403, 0.0, NOW, LastReasonCheck(OTHERS, 0.0), NextStep.GET),
        (403, 3600.0, NOW, LastReasonCheck(KEYS, 0.0), NextStep.GET),  # a clock was set meanwhile
        (
            403,
            3600.0,
            NOW,
            LastReasonCheck(KEYS, 3600.0),
            NextStep.NOTHING,
        ),  # Date is wrong, and nobody minds
        (403, 0.0, Signed(None, 0.0), None, NextStep.NOTHING),  # nothing was signed
        (501, 3600.0, NOW, None, NextStep.NOTHING),
    ],
)
def test_what_follows(
    status: int, skew: float, now: Signed, last: LastReasonCheck | None, step: NextStep
) -> None:
    assert next_step(status, skew, signed=now, now=now, last=last) is step


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("signed", [Signed(OTHERS, 0.0), Signed(KEYS, 60.0)])
def test_what_was_signed_otherwise_is_signed_again(status: int, signed: Signed) -> None:
    last = LastReasonCheck(KEYS, 0.0)
    assert next_step(status, 0.0, signed=signed, now=NOW, last=last) is NextStep.HEAD


@given(st.lists(st.floats(-SKEW / 2, SKEW / 2)))
def test_forbidden_keys_are_asked_about_once(skews: list[float]) -> None:
    last, asks = None, 0
    for skew in skews:
        if next_step(403, skew, signed=NOW, now=NOW, last=last) is NextStep.GET:
            last, asks = LastReasonCheck(KEYS, skew), asks + 1
    assert asks == bool(skews)


@pytest.mark.parametrize(
    "date",
    [None, "", "soon", "Fri, 20 Nov", "0", "Fri, 20 Nov 2026 23:37:00 +99999999999999999999"],
)
def test_a_date_that_cannot_be_read_tells_no_difference(date: str | None) -> None:
    assert skew_of(date, 1_795_000_000.0) == 0.0


def test_a_difference_is_that_to_the_date() -> None:
    assert skew_of("Fri, 20 Nov 2026 23:37:00 GMT", 1_795_217_820.0 - 3600) == 3600.0
