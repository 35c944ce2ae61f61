"""What a store's answers contain: entity tags, sizes, times, content codings."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3pp.s3.answers import (
    EntityTag,
    content_codings,
    declared_size,
    etag_of,
    gzip_layers,
    is_gzip,
    parse_etag,
    parse_size,
    pin_of,
)
from s3pp.s3.exchange import Response
from s3pp.s3.timestamps import epoch_nanoseconds, epoch_seconds, parse_time


def response(*values: str) -> Response:
    lines = [f"Content-Encoding: {value}\r\n".encode() for value in values]
    return Response(200, b"".join([b"HTTP/1.1 200 OK\r\n", *lines, b"Server: x\r\n"]), b"")


GZIP = st.sampled_from(["gzip", "GZIP", "x-gzip", "Gzip"])
NOTHING = st.sampled_from(["", "aws-chunked", "AWS-chunked", " "])
OTHER = st.sampled_from(["br", "deflate", "zstd", "UTF-8", "gzipped"])
SPACE = st.sampled_from(["", " ", "  ", "\t"])


@given(st.lists(st.one_of(GZIP, NOTHING, OTHER), max_size=5), st.data())
def test_order_case_spaces_and_lines_do_not_matter(listed: list[str], data: st.DataObject) -> None:
    spaced = [data.draw(SPACE) + each + data.draw(SPACE) for each in listed]
    cut = data.draw(st.integers(0, len(spaced)))
    told = response(*(",".join(part) for part in (spaced[:cut], spaced[cut:]) if part))
    named = [each.lower() for each in listed if each.strip()]
    gzips = sum(each in ("gzip", "x-gzip") for each in named)
    others = sum(each not in ("gzip", "x-gzip", "aws-chunked") for each in named)
    assert is_gzip(told) is bool(gzips)
    assert gzip_layers(told) == ((None if gzips else 0) if others else gzips)
    assert [each.lower() for each in content_codings(told)] == [
        n for n in named if n != "aws-chunked"
    ]


@pytest.mark.parametrize(
    ("values", "layers"),
    [
        ([], 0),
        ([""], 0),
        (["identity"], 0),
        (["gzip"], 1),
        (["gzip, identity"], 1),
        (["gzip,aws-chunked"], 1),
        (["aws-chunked", "gzip"], 1),
        (["gzip, gzip"], 2),
        (["br"], 0),
        (["br, gzip"], None),
        (["gzip, br"], None),
    ],
)
def test_how_often_it_has_to_be_unpacked(values: list[str], layers: int | None) -> None:
    assert gzip_layers(response(*values)) == layers


def test_other_headers_are_none() -> None:
    assert (
        content_codings(
            Response(200, b"".join([b"X-Content-Encoding: gzip\r\n", b"x: gzip\r\n"]), b"")
        )
        == []
    )


MD5 = "9e107d9d372bb6826bd81d3542a419d6"
OPAQUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"/'))


@given(
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.sampled_from(["", "-1", "-10000", "-0"]),
    st.sampled_from(["{}", '"{}"', 'W/"{}"', 'w/"{}"', ' W/"{}" ']),
    st.booleans(),
)
def test_however_it_is_written_it_names_the_same(
    digest: str, count: str, form: str, upper: bool
) -> None:
    tag = digest + count
    assert etag_of(form.format(tag.upper() if upper else tag)) == tag


@given(OPAQUE)
@example("CkQVtQbG3sFqLmXa9Wd2")
@example(MD5.upper() + "-gzip")
def test_the_case_of_what_is_no_md5_is_kept(opaque: str) -> None:
    is_md5 = len(opaque.partition("-")[0]) == 32
    assert is_md5 or etag_of(f'"{opaque}"') == opaque
    assert parse_etag(f'W/"{opaque}"') == EntityTag(opaque, weak=True)


@pytest.mark.parametrize("nothing", [None, "", '""', 'W/""', "  "])
def test_where_there_is_none_it_is_empty_and_pins_nothing(nothing: str | None) -> None:
    assert (etag_of(nothing), pin_of(nothing)) == ("", "")


@pytest.mark.parametrize(
    ("written", "pin"),
    [
        (f'"{MD5}"', f'"{MD5}"'),
        (MD5, f'"{MD5}"'),
        (f'"{MD5.upper()}-3"', f'"{MD5.upper()}-3"'),  # the store compares it byte by byte
        (f'W/"{MD5}"', ""),
        ('"sch\u00f6n"', ""),
        ('"a\rb"', ""),
    ],
)
def test_a_pin_is_what_the_store_wrote_and_strong(written: str, pin: str) -> None:
    assert pin_of(written) == pin


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
    assert parse_time(text).timestamp() == pytest.approx(AT + fraction, abs=1e-7)
    assert parse_time(text).tzinfo is timezone.utc


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_a_time_without_a_zone_is_the_same_everywhere(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert parse_time("2026-11-20T08:30:00.000").timestamp() == AT
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
    assert epoch_seconds(text) is None
    with pytest.raises(ValueError, match="is not a time"):
        parse_time(text)


@given(st.one_of(st.text(), st.text("0123456789-:TZ.+ ,GMTJanFri", max_size=40)))
def test_whatever_a_store_writes_only_one_error_is_raised(text: str) -> None:
    assert isinstance(epoch_seconds(text), float | None)


NOT_SIZES = ["", "many", "-5", "+5", "5.0", "0_5", "²", "٣", "5 bytes", "0x5", "9" * 26]


@given(st.integers(0, 10**15 - 1))
def test_a_size_is_read(count: int) -> None:
    assert (
        parse_size(str(count)) == declared_size(f" {count} ") == declared_size(f"{count}, {count}")
    )
    assert declared_size(str(count)) == count


@pytest.mark.parametrize("text", NOT_SIZES)
def test_what_is_no_size(text: str) -> None:
    assert declared_size(text) is None
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize("text", [None, "5, 6", "5,", ","])
def test_what_declares_nothing(text: str | None) -> None:
    assert declared_size(text) is None


@given(st.text())
def test_whatever_a_store_writes_nothing_else_is_raised(text: str) -> None:
    assert isinstance(declared_size(text), int | None)


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
def test_times_in_nanoseconds(text: str, expected: int) -> None:
    assert epoch_nanoseconds(text) == expected


def test_what_names_no_zone_is_not_taken_for_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    epoch_nanoseconds.cache_clear()
    try:
        assert epoch_nanoseconds("1970-01-01T00:00:01") == 10**9
        assert epoch_nanoseconds("Thu, 01 Jan 1970 00:00:02 -0000") == 2 * 10**9
    finally:
        monkeypatch.undo()
        time.tzset()


@given(MOMENTS)
def test_a_listing_tells_milliseconds_exactly(moment: datetime) -> None:
    moment -= timedelta(microseconds=moment.microsecond % 1000)
    text = moment.strftime(f"%Y-%m-%dT%H:%M:%S.{moment.microsecond // 1000:03}Z")
    assert epoch_nanoseconds(text) == since_epoch(moment)


@given(MOMENTS)
def test_a_header_tells_seconds_exactly(moment: datetime) -> None:
    moment = moment.replace(microsecond=0)
    assert epoch_nanoseconds(format_datetime(moment, usegmt=True)) == since_epoch(moment)


@pytest.mark.parametrize("text", ["", "Z", "yesterday", "2026-13-01T00:00:00Z", "Fri, 31 Feb 2026"])
def test_what_is_no_time_in_nanoseconds(text: str) -> None:
    assert epoch_nanoseconds(text) is None


@given(st.one_of(st.text(), st.text("0123456789-:TZ.+ ,GMTJanFri", max_size=40)))
@example("Thu, 01 Jan 2026 00:00:00 +99999999999999999999")
@example("Thu, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("0001-01-01T00:00:00+23:59")
@example("9999-12-31T23:59:59-23:59")
def test_nanoseconds_of_whatever_a_store_writes(text: str) -> None:
    found = epoch_nanoseconds(text)
    assert found is None or isinstance(found, int)
