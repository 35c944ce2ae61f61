"""Limits by time of day: how they are written, and which one is in force."""

from __future__ import annotations

import calendar
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.args import values
from s3pp.timetable import DAY, DAYS, WEEK, Step, Timetable, steady

RATES = st.none() | st.integers(1, 10**9)
MINUTES = st.integers(0, WEEK - 1)


def minute(day: str, clock: str) -> int:
    hour, _, minutes = clock.partition(":")
    return DAYS.index(day) * DAY + int(hour) * 60 + int(minutes)


@given(st.dictionaries(MINUTES, RATES, min_size=1, max_size=20), MINUTES)
def test_the_step_that_began_last_is_in_force(steps: dict[int, int | None], now: int) -> None:
    table = Timetable("", tuple(Step(*each) for each in sorted(steps.items())))
    at = now
    while at not in steps:  # back in time, over the week's end
        at = (at - 1) % WEEK
    assert table.rate_at(now) == steps[at]


@given(
    st.dictionaries(
        st.tuples(st.sampled_from([*DAYS, ""]), st.integers(0, DAY - 1)), RATES, min_size=1
    ),
    MINUTES,
)
def test_what_is_written_is_read(entries: dict[tuple[str, int], int | None], now: int) -> None:
    words = [
        f"{day}{'-' if day else ''}{at // 60:02}:{at % 60:02},{'off' if rate is None else rate}"
        for (day, at), rate in entries.items()
    ]
    table = values.max_requests(" ".join(words))
    steps = {
        DAYS.index(each) * DAY + at: rate
        for own in (False, True)  # a day's own entry counts more than that of each day
        for (day, at), rate in entries.items()
        if bool(day) is own
        for each in ([day] if own else DAYS)
    }
    assert table == Timetable(str(table), tuple(Step(*each) for each in sorted(steps.items())))
    assert table.rate_at(now) in entries.values()


def test_one_limit_and_timetables() -> None:
    assert values.max_requests("100") == steady(100)
    assert values.max_bandwidth("1.5M") == steady(3 << 19, "1.5M")
    assert not values.max_bandwidth("off").limits
    table = values.max_bandwidth("08:00,1M 18:00,off sat-8:00,OFF;Sun-08:00,10k")
    assert table.limits
    assert [
        table.rate_at(minute(*each.split()))
        for each in ("Mon 7:59", "Mon 8:00", "Fri 17:59", "Fri 18:00", "Sat 8:00", "Sun 8:00")
    ] == [None, 1 << 20, 1 << 20, None, None, 10240]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" ", "empty"),
        ("fast", "not a size"),
        ("0", "too little"),
        ("1023", "too little"),
        ("25:00,1M", "DAY"),
        ("08:60,1M", "DAY"),
        ("8,1M", "DAY"),
        ("Mond-08:00,1M", "DAY"),
        ("08:00,1M 1M", "DAY"),
        ("08:00,", "DAY"),
        ("08:00", "DAY"),
        ("08:00,1M:2M", "not a size"),
        ("08:00,1M 8:00,2M", "two limits for one time"),
        ("Mon-08:00,1M Mon-08:00,1M", "two limits for one time"),
    ],
)
def test_what_is_no_limit_is_refused_in_words(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        values.max_bandwidth(text)


def test_the_time_is_local_and_daylight_saving_time_is_heeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        table = values.max_requests("02:30,1 03:30,2 08:00,3 Sun-08:00,4")

        def rate(*utc: int) -> int | None:
            return table.rate_now(calendar.timegm((*utc, 0)))

        # The last Sunday of March has no half past two, and that of October has two of them.
        assert [rate(2026, 3, 29, 0, 59), rate(2026, 3, 29, 1, 0)] == [3, 1]
        assert [rate(2026, 3, 29, 1, 30), rate(2026, 3, 29, 6, 0)] == [2, 4]
        october = [rate(2026, 10, 25, *at) for at in ((0, 29), (0, 30), (1, 29), (1, 30))]
        assert october == [3, 1, 3, 1]
        assert rate(2026, 3, 30, 6, 0) == 3
    finally:
        monkeypatch.undo()
        time.tzset()
