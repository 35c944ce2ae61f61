"""Times as stores write them."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3pp.transfer.files.times import nanoseconds

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Much later, seconds in a float are coarser than what a listing tells.
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(timezone.utc))


def since_epoch(moment: datetime) -> int:
    """In nanoseconds, without a float on the way."""
    return (moment - EPOCH) // timedelta(microseconds=1) * 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00.000Z", 0),
        ("1970-01-01T00:00:00Z", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("2026-01-02T03:04:05.678Z", 1767323045_678_000_000),
        ("2026-01-02T03:04:05.678000Z", 1767323045_678_000_000),
        ("2026-01-02T03:04:05Z", 1767323045_000_000_000),
        ("2026-01-02T04:04:05+01:00", 1767323045_000_000_000),
        ("2026-01-02T03:04:05", 1767323045_000_000_000),  # without a zone: Greenwich's
        ("Fri, 02 Jan 2026 03:04:05 GMT", 1767323045_000_000_000),
        ("Fri, 02 Jan 2026 03:04:05 -0000", 1767323045_000_000_000),
        ("Fri, 02 Jan 2026 04:04:05 +0100", 1767323045_000_000_000),
        ("1969-12-31T23:59:59.500Z", -500_000_000),
    ],
)
def test_every_way_to_write_a_time(text: str, expected: int) -> None:
    assert nanoseconds(text) == expected


def test_what_names_no_zone_is_not_taken_for_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    nanoseconds.cache_clear()
    try:
        assert nanoseconds("1970-01-01T00:00:01") == 10**9
        assert nanoseconds("Thu, 01 Jan 1970 00:00:02 -0000") == 2 * 10**9
    finally:
        monkeypatch.undo()
        time.tzset()


@given(MOMENTS)
def test_a_listing_tells_milliseconds_exactly(moment: datetime) -> None:
    moment -= timedelta(microseconds=moment.microsecond % 1000)
    text = moment.strftime(f"%Y-%m-%dT%H:%M:%S.{moment.microsecond // 1000:03}Z")
    assert nanoseconds(text) == since_epoch(moment)


@given(MOMENTS)
def test_a_header_tells_seconds_exactly(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    assert nanoseconds(format_datetime(moment, usegmt=True)) == since_epoch(moment)


@pytest.mark.parametrize("text", ["", "Z", "yesterday", "2026-13-01T00:00:00Z", "Fri, 31 Feb 2026"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert nanoseconds(text) is None


@given(st.one_of(st.text(), st.text("0123456789-:TZ.+ ,GMTJanFri", max_size=40)))
@example("Thu, 01 Jan 2026 00:00:00 +99999999999999999999")
@example("Thu, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
def test_whatever_a_store_writes_nothing_is_raised(text: str) -> None:
    found = nanoseconds(text)
    assert found is None or isinstance(found, int)
