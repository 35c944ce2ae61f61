"""Times as stores write them."""

from __future__ import annotations

import time
from datetime import timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.s3.moments import moment, seconds

AT = 1795163400


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("2026-11-20T08:30:00Z", 0),
        ("2026-11-20T08:30:00", 0),
        ("2026-11-20T10:30:00+02:00", 0),
        ("2026-11-20T08:30:00.5Z", 0.5),
        ("2026-11-20T08:30:00.25Z", 0.25),
        ("2026-11-20T08:30:00.1234Z", 0.1234),
        ("2026-11-20T08:30:00.123456789Z", 0.123456),
        ("2026-11-20T09:30:00.12345678901+01:00", 0.123456),
        ("Fri, 20 Nov 2026 08:30:00 GMT", 0),
    ],
)
def test_every_way_to_write_a_time(text: str, fraction: float) -> None:
    """Python 3.10 alone would not read all of them."""
    assert moment(text).timestamp() == pytest.approx(AT + fraction, abs=1e-7)
    assert moment(text).tzinfo is timezone.utc


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_time_without_a_zone_is_the_same_everywhere(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert moment("2026-11-20T08:30:00.000").timestamp() == AT
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01T00:00:00Z",
        ".",
        "Fri, 31 Dec 9999 23:59:59 -2359",  # of the year 10,000
        "0001-01-01T00:00:00+02:00",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert seconds(text) is None
    with pytest.raises(ValueError, match="is no time"):
        moment(text)


@given(st.one_of(st.text(), st.text("0123456789-:TZ.+ ,GMTJanFri", max_size=40)))
def test_whatever_a_store_writes_only_one_error_is_raised(text: str) -> None:
    assert isinstance(seconds(text), float | None)
