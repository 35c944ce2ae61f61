"""Sizes as stores write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.s3.sizes import declared_size, size

NOT_SIZES = ["", "many", "-5", "+5", "5.0", "0_5", "²", "٣", "5 bytes", "0x5", "9" * 26]


@given(st.integers(0, 10**15 - 1))
def test_a_size_is_read(count: int) -> None:
    assert size(str(count)) == declared_size(f" {count} ") == declared_size(f"{count}, {count}")
    assert declared_size(str(count)) == count


@pytest.mark.parametrize("text", NOT_SIZES)
def test_what_is_no_size(text: str) -> None:
    assert declared_size(text) is None
    with pytest.raises(ValueError, match="is no size"):
        size(text)


@pytest.mark.parametrize("text", [None, "5, 6", "5,", ","])
def test_what_declares_nothing(text: str | None) -> None:
    assert declared_size(text) is None


@given(st.text())
def test_whatever_a_store_writes_nothing_else_is_raised(text: str) -> None:
    assert isinstance(declared_size(text), int | None)
