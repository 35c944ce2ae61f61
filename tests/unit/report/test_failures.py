"""Failures by cause: few of them are shown, all are counted, and none is lost."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.errors import FailureKind, Kept
from s3pp.records import Done, Failed, Outcome, SendReason, Skipped, SkipReason
from s3pp.report.failures import (
    ENOUGH_ALIKE,
    ENOUGH_REFUSALS,
    ENOUGH_SILENCE,
    SHOWN,
    Cause,
    FailureLines,
    GiveUp,
    GiveUpRule,
    cause_of,
)

DONE = Done("s", "t", 1, 1, "etag", SendReason.NEW)
SPECIAL = Skipped("s", "t", 1, SkipReason.SPECIAL)


def refused(at: int, code: str = "NoACL") -> Failed:
    return Failed(f"s{at}", f"t{at}", FailureKind.REJECTED, code, code)


def unreadable(at: int) -> Failed:
    return Failed(f"s{at}", f"t{at}", FailureKind.UNREADABLE, "permission denied")


def test_what_the_store_refuses_waits_until_it_accepts_something() -> None:
    lines = FailureLines()
    assert lines.take([refused(1), SPECIAL]) == []
    assert lines.holding
    assert lines.take([DONE, refused(2)]) == [refused(1), refused(2)]
    assert not lines.holding
    assert lines.take([refused(3)]) == [refused(3)]


def test_what_concerns_an_object_alone_does_not_wait() -> None:
    lines = FailureLines()
    assert lines.take([unreadable(1)]) == [unreadable(1)]
    assert not lines.holding


def test_what_ends_the_run_is_not_shown_again() -> None:
    lines = FailureLines()
    lines.take([refused(1), refused(2, "Other")])
    lines.hide_cause(cause_of(refused(1)))
    assert lines.take([refused(at) for at in range(3, 200)]) == []
    assert lines.release() == [refused(2, "Other")]
    assert lines.table() == []


def test_a_cause_is_shown_so_often_and_then_counted() -> None:
    lines = FailureLines()
    shown = lines.take([DONE, *(refused(at) for at in range(200)), unreadable(1)])
    assert shown == [*(refused(at) for at in range(SHOWN)), unreadable(1)]
    assert lines.take([refused(at) for at in range(50)]) == []
    head, *rows = lines.table()
    assert f"first {SHOWN} of each" in head
    assert "--journal" in head
    assert [row.split() for row in rows] == [
        ["250", "rejected", "(NoACL)"],
        ["1", "unreadable"],
    ]


def test_what_the_abort_says_of_objects_is_in_no_table() -> None:
    """As of a full disk, which no line names that stands above the table."""
    lines = FailureLines()
    lines.take([refused(1)])
    lines.hide_message("permission denied")
    assert lines.take([unreadable(at) for at in range(270)]) == []
    assert lines.table() == []
    assert lines.release() == [refused(1)]


def test_where_each_was_shown_there_is_no_table() -> None:
    lines = FailureLines()
    lines.take([DONE, *(refused(at) for at in range(SHOWN))])
    assert lines.table() == []


OUTCOMES = st.lists(
    st.one_of(
        st.sampled_from([DONE, SPECIAL]),
        st.builds(refused, st.integers(0, 9), st.sampled_from(["A", "B"])),
        st.builds(unreadable, st.integers(0, 9)),
    ),
    max_size=60,
)


@given(st.lists(OUTCOMES, max_size=6))
@settings(deadline=None)
def test_the_first_of_each_cause_are_shown_in_the_end(batches: list[list[Outcome]]) -> None:
    lines = FailureLines()
    shown = [each for batch in batches for each in lines.take(batch)]
    shown += lines.release()
    for cause in (Cause(FailureKind.REJECTED, "A"), Cause(FailureKind.UNREADABLE, "")):
        all_alike = [
            each
            for batch in batches
            for each in batch
            if isinstance(each, Failed) and cause_of(each) == cause
        ]
        assert [each for each in shown if cause_of(each) == cause] == all_alike[:SHOWN]


# When a run is given up


DENIED = Failed("s", "t", FailureKind.ACCESS, "AccessDenied: no", "AccessDenied")
SILENT = Failed("s", "t", FailureKind.NETWORK, "timed out")


def given_up(*batches: Sequence[Outcome], verb: str = "put") -> list[GiveUp]:
    rule = GiveUpRule(verb)
    return [each for batch in batches if (each := rule.add(batch))]


def test_a_run_whose_every_object_is_refused_is_given_up_once() -> None:
    enough = [[DENIED]] * ENOUGH_REFUSALS
    assert given_up(*enough[1:]) == []
    (end,) = given_up(*enough, *enough)
    assert end.cause == cause_of(DENIED)
    assert end.why == (
        "the store refuses every object, and the rest is not tried: AccessDenied: no"
    )
    assert given_up(*enough, verb="clean")[0].why.startswith("the store refuses every abort, and")


def test_whatever_refuses_the_first_hundred_alike_ends_the_run() -> None:
    almost = [
        [refused(1)] * (ENOUGH_ALIKE - 1),
        [refused(1, "AnotherCode")] * (ENOUGH_ALIKE - 1),
        [refused(1, "")] * ENOUGH_ALIKE,  # which is each object's own
    ]
    assert given_up(*almost) == []
    (end,) = given_up(*almost, [refused(1), refused(2)])
    assert (end.cause, end.why[-7:]) == (cause_of(refused(1)), ": NoACL")


@pytest.mark.parametrize(
    "shown",
    [
        DONE,
        DONE._replace(reason=SendReason.UNKNOWN),
        Skipped("s", "t", 1, SkipReason.EXISTS),
        Skipped("s", "t", 1, SkipReason.SAME_ETAG),
    ],
)
@pytest.mark.parametrize("at", [0, ENOUGH_REFUSALS - 1])
def test_one_object_accepted_keeps_the_run_going(shown: Outcome, at: int) -> None:
    batches: list[list[Outcome]] = [[DENIED]] * (3 * ENOUGH_REFUSALS)
    batches.insert(at, [shown])
    assert given_up(*batches) == []


@pytest.mark.parametrize(
    "outcome",
    [
        SPECIAL,
        Skipped("s", "t", 1, SkipReason.SYMLINK),
        Skipped("s", "t", 1, SkipReason.YOUNG),
        Skipped("s", "t", 1, SkipReason.GONE),
        unreadable(1),
    ],
)
def test_what_the_store_was_not_asked_says_nothing_of_it(outcome: Outcome) -> None:
    rule = GiveUpRule("put")
    assert rule.add([outcome] * (2 * ENOUGH_REFUSALS)) is None
    assert rule.end() is None
    assert rule.add([DENIED] * ENOUGH_REFUSALS) is not None


def test_a_store_that_has_gone_ends_the_run() -> None:
    there = Skipped("s", "t", 1, SkipReason.SAME_ETAG)  # all the time
    almost = [SILENT] * (ENOUGH_SILENCE - 1)
    assert given_up(almost, [there], almost) == []
    (end,) = given_up(almost, [there], almost, [SILENT])
    assert end == GiveUp("the store does not answer any more: timed out", None)


def test_a_small_run_that_was_refused_whole_says_why() -> None:
    rule = GiveUpRule("put")
    rule.add([DENIED, DENIED])
    why = "the store refuses access: AccessDenied: no"
    assert rule.end() == GiveUp(why, cause_of(DENIED))
    rule.add([DONE])
    assert rule.end() is None


def test_what_ends_the_run_says_what_is_kept_of_its_object() -> None:
    """Nothing else names that object."""
    rule = GiveUpRule("put")
    rule.add([DENIED._replace(kept=Kept.PARTS)])
    given_up = rule.end()
    assert given_up is not None
    assert given_up.why == f"the store refuses access: AccessDenied: no; {Kept.PARTS.value}"


@given(st.lists(OUTCOMES, max_size=6))
@settings(deadline=None)
def test_a_run_that_had_something_accepted_is_not_ended(batches: list[list[Outcome]]) -> None:
    rule = GiveUpRule("put")
    for batch in batches:
        rule.add(batch)
    rule.add([DONE])
    assert rule.add([refused(at) for at in range(2 * ENOUGH_ALIKE)]) is None
    assert rule.end() is None
