"""Names as keys, and as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.sources.naming import climbs, key_fault, normal, raw


@given(st.text(), st.text())
def test_text_sorts_as_its_bytes(one: str, other: str) -> None:
    pair = [t for t in (one, other) if not any("\ud800" <= c <= "\udfff" for c in t)]
    assert sorted(pair) == sorted(pair, key=raw)


def test_faults() -> None:
    assert key_fault(b"k" * 1024) is None
    assert "shorten" in str(key_fault(b"k" * 1025))
    assert key_fault("é".encode()) is None
    assert "rename" in str(key_fault(b"\xe9"))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a", "a"),
        ("./a", "a"),
        ("a//b/", "a/b"),
        ("a/./b", "a/b"),
        (".", ""),
        ("", ""),
        ("..", ".."),
    ],
)
def test_normal(name: str, plain: str) -> None:
    assert normal(name) == plain


@pytest.mark.parametrize("name", ["/a", "..", "../a", "a/..", "a/../b"])
def test_climbing(name: str) -> None:
    assert climbs(name)


@pytest.mark.parametrize("name", ["a", "..a", "a..", "a/...", "./a"])
def test_not_climbing(name: str) -> None:
    assert not climbs(name)
