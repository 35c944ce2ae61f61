"""Entity tags as stores write them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3pp.s3.etag import EntityTag, etag_of, pin_of, read_tag

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
    assert read_tag(f'W/"{opaque}"') == EntityTag(opaque, weak=True)


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
    ],
)
def test_a_pin_is_what_the_store_wrote_and_strong(written: str, pin: str) -> None:
    assert pin_of(written) == pin
