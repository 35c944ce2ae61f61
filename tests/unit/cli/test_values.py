"""Argument values, one parser after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Grant
from s3pp.args import values
from s3pp.deletion import MaxDelete

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("64", 64),
        ("64b", 64),
        ("10k", 10 << 10),
        ("10K", 10 << 10),
        ("10KB", 10 << 10),
        ("10 KiB", 10 << 10),
        ("16MiB", 16 << 20),
        ("1.5G", 3 << 29),
        ("2t", 2 << 40),
        ("1p", 1 << 50),
        ("0.5", 0),
    ],
)
def test_size(text: str, size: int) -> None:
    assert values.size(text) == size


@given(st.integers(0, 2**63), st.sampled_from(["", "k", "M", "GiB"]))
def test_whole_sizes_are_exact(number: int, unit: str) -> None:
    assert values.size(f"{number}{unit}") == number << 10 * " kMG".index(unit[:1] or " ")


@pytest.mark.parametrize(
    "text", ["", "big", "-1", "1x", "1kk", "1e3", "0x10", "١٠", "k", "1.", ".5"]
)
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        values.size(text)


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("0", MaxDelete(0)),
        ("100", MaxDelete(100)),
        ("10%", MaxDelete(10, share=True)),
        ("0.5%", MaxDelete(0.5, share=True)),
        ("100%", MaxDelete(100, share=True)),
    ],
)
def test_max_delete(text: str, most: MaxDelete) -> None:
    assert values.max_delete(text) == most
    assert str(most) == text


@pytest.mark.parametrize(
    "text", ["", "-1", "1k", "1.5", "101%", "%", "1e3", "10 %", "١٠%", "9" * 16]
)
def test_no_max_delete(text: str) -> None:
    with pytest.raises(ValueError, match="neither a number from 0 to 999999999999999 nor a share"):
        values.max_delete(text)


@pytest.mark.parametrize(
    ("most", "deletions", "held", "exceeded"),
    [
        (MaxDelete(0), 0, 5, False),
        (MaxDelete(0), 1, 5, True),
        (MaxDelete(3), 3, 3, False),
        (MaxDelete(3), 4, 9999, True),
        (MaxDelete(10, share=True), 10, 100, False),
        (MaxDelete(10, share=True), 11, 100, True),
        (MaxDelete(0.5, share=True), 1, 200, False),
        (MaxDelete(100, share=True), 7, 7, False),
    ],
)
def test_how_many_are_too_many(most: MaxDelete, deletions: int, held: int, exceeded: bool) -> None:
    assert most.exceeded(deletions, held) is exceeded


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10", 10), ("2.5", 2.5), ("45s", 45), ("30m", 1800), ("12h", 43200), ("1D", 86400)],
)
def test_seconds(text: str, seconds: float) -> None:
    assert values.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "-3", "nan", "inf", "soon", "1y", "9" * 400])
def test_no_seconds(text: str) -> None:
    with pytest.raises(ValueError, match="is not a length of time"):
        values.seconds(text)
    for none in ("0", "0s", "0.0"):
        with pytest.raises(ValueError, match="write more than 0"):
            values.seconds(none)


@pytest.mark.parametrize(
    ("text", "age"), [("45s", 45), ("30m", 1800), ("12h", 43200), ("7d", 604800), ("2w", 1209600)]
)
def test_a_moment_may_be_an_age(text: str, age: int) -> None:
    assert values.moment(text, NOW) == NOW - age


def test_a_moment_may_be_a_date_here() -> None:
    assert values.moment("2026-11-20", NOW) == datetime(2026, 11, 20).timestamp()
    assert values.moment("2026-11-20T08:30", NOW) == datetime(2026, 11, 20, 8, 30).timestamp()


def test_local_midnight_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        expected = datetime(2026, 11, 20, tzinfo=timezone(timedelta(hours=9))).timestamp()
        assert values.moment("2026-11-20", NOW) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_moment_keeps_its_offset() -> None:
    utc = datetime(2026, 11, 20, 8, 30, tzinfo=timezone.utc).timestamp()
    assert values.moment("2026-11-20T08:30:00Z", NOW) == utc
    assert values.moment("2026-11-20T08:30:00z", NOW) == utc
    assert values.moment("2026-11-20 10:30:00+02:00", NOW) == utc


@pytest.mark.parametrize(
    "text", ["", "7", "2.5", "yesterday", "2026-13-45", "2026", "7 days", "-7d"]
)
def test_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="neither an age"):
        values.moment(text, NOW)


def test_whole() -> None:
    assert values.whole("1") == 1
    assert values.whole("512", most=512) == 512
    for text in ("0", "-1", "1.5", "", "many", "²", "9" * 30):
        with pytest.raises(ValueError, match="whole number from 1 up"):
            values.whole(text)
    with pytest.raises(ValueError, match="from 1 to 512"):
        values.whole("513", most=512)


def test_header() -> None:
    assert values.header("Cache-Control: max-age=60, public ") == (
        "Cache-Control",
        "max-age=60, public",
    )
    assert values.header("X:a:b") == ("X", "a:b")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NoColon",
        ":v",
        "Name:",
        "Name:  ",
        "Na me:v",
        "Näme:v",
        "N:v\r\nX:y",
        "N:a\tb",
        "N:ü",
        "N:\x7f",
    ],
)
def test_no_header(text: str) -> None:
    told = r"not of the form|not a name|printable ASCII|has no value"
    with pytest.raises(ValueError, match=told):
        values.header(text)


def test_metadata() -> None:
    assert values.metadata("owner=me=you") == ("owner", "me=you")
    assert values.metadata("k=") == ("k", "")
    for text in ("owner", "=v", "k y=v", "k=ü", "k=a\nb"):
        with pytest.raises(ValueError, match=r"not of the form|not a name|printable ASCII"):
            values.metadata(text)


def test_tag() -> None:
    assert values.tag("Größe=sehr groß") == ("Größe", "sehr groß")
    assert values.tag("k=") == ("k", "")
    assert values.tag("k" * 128 + "=" + "v" * 256)[1] == "v" * 256
    for text in ("k", "=v", "aws:x=y", "k" * 129 + "=v", "k=" + "v" * 257, "k=a\nb", "k=\udcff"):
        with pytest.raises(ValueError, match=r"form|reserved|too long|not printable"):
            values.tag(text)


def test_grant() -> None:
    account = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"
    assert values.grant(f"READ:{account}") == Grant("READ", account)
    assert values.grant("write_acp:a@b.org") == Grant("WRITE_ACP", "a@b.org")
    group = "http://acs.amazonaws.com/groups/global/AllUsers"
    assert values.grant("Full_Control:AllUsers") == values.grant(f"FULL_CONTROL:{group}")
    assert values.grant("READ:AllUsers").grantee == group
    for text in ("READ", "READ:", "DELETE:x", ":x", "READ:a b", "READ:a\n", "READ:\udcff"):
        with pytest.raises(ValueError, match=r"begin with a permission|names no grantee"):
            values.grant(text)


def test_endpoint() -> None:
    assert values.endpoint("http://127.0.0.1:9000/") == "http://127.0.0.1:9000"
    assert values.endpoint("store.example.org") == "store.example.org"
    assert values.endpoint("https://[::1]:9000") == "https://[::1]:9000"
    assert values.endpoint("https://x/storage/v1/s3/") == "https://x/storage/v1/s3"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://",
        "ftp://x",
        "http://x/a b",
        "http://x/p?q",
        "http://x/p#f",
        "http://x?q",
        "x:0",
        "x:99999",
        "http:x",
        "a b",
    ],
)
def test_no_endpoint(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form"):
        values.endpoint(text)


def test_an_endpoint_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ValueError, match="must not contain credentials") as caught:
        values.endpoint("http://me:hunter2@store")
    assert "hunter2" not in str(caught.value)


def test_content_type() -> None:
    for text in ("guess", "magic", "text/html", "text/plain; charset=utf-8", "image/svg+xml"):
        assert values.content_type(text) == text
    for text in ("", "text", "text/", "a b/c", "text/html\r\nX: y", "text/plain; x=ü"):
        with pytest.raises(ValueError, match="is not a type"):
            values.content_type(text)


def test_gzip_type() -> None:
    assert values.gzip_type("Text/HTML") == "text/html"
    assert values.gzip_type("all") == "all"
    for text in ("magic", "text/html; charset=utf-8", ""):
        with pytest.raises(ValueError, match="is not a type"):
            values.gzip_type(text)


@given(st.text())
def test_any_text_gives_a_value_or_a_value_error(text: str) -> None:
    parsers: list[Callable[[str], object]] = [lambda t: values.moment(t, NOW)]
    parsers += [
        values.size,
        values.seconds,
        values.header,
        values.metadata,
        values.tag,
        values.grant,
    ]
    parsers += [values.endpoint, values.content_type, values.gzip_type, values.token, values.whole]
    for parse in parsers:
        try:
            value = parse(text)
        except ValueError:
            continue
        assert value is not None
        assert not (isinstance(value, float) and math.isnan(value))
