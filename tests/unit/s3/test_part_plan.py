"""The plan of parts: they tile the object, within what S3 allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import (
    DEFAULT_MULTIPART_THRESHOLD,
    DEFAULT_PART_SIZE,
    GIB,
    MAX_OBJECT,
    MAX_PART,
    MAX_PARTS,
    MIB,
    MIN_PART,
)
from s3pp.records import Span
from s3pp.s3.part_plan import UnequalSpans, allowed, count_of, part_size, spans

TIB = 1024 * GIB
SIZES = st.integers(0, MAX_OBJECT) | st.integers(0, 2 * GIB)
WANTED = st.integers(1, 2 * MAX_PART)


@pytest.mark.parametrize(
    ("size", "wanted", "expected"),
    [
        (0, 16 * MIB, 16 * MIB),
        (1, 16 * MIB, 16 * MIB),
        (GIB, 1, MIN_PART),
        (GIB, MIN_PART - 1, MIN_PART),
        (GIB, MAX_PART + 1, MAX_PART),
        (GIB, TIB, MAX_PART),
        (GIB, 5_500_000, 5_500_000),  # nobody asked for whole MiB
        (MAX_PARTS * 16 * MIB, 16 * MIB, 16 * MIB),
        (MAX_PARTS * 16 * MIB + 1, 16 * MIB, 17 * MIB),
        (MAX_PARTS * 5_500_000 + 1, 5_500_000, 6 * MIB),
        (500 * GIB, 16 * MIB, 52 * MIB),
        (5 * TIB, 16 * MIB, 525 * MIB),
        (MAX_OBJECT, 16 * MIB, 4769 * MIB),
        (MAX_OBJECT, MAX_PART, MAX_PART),
    ],
)
def test_a_part_size_grows_no_more_than_it_must(size: int, wanted: int, expected: int) -> None:
    assert part_size(size, wanted) == expected


def test_more_than_an_object_holds_has_no_part_size() -> None:
    with pytest.raises(ObjectError) as caught:
        part_size(MAX_OBJECT + 1, MAX_PART)
    assert caught.value.kind is FailureKind.TOO_LARGE
    assert "50 TB" in str(caught.value)


@given(st.lists(st.integers(1, 2 * MAX_PART), min_size=1))
def test_parts_by_their_sizes(sizes: list[int]) -> None:
    plan = UnequalSpans(sizes)
    assert [span.size for span in plan] == sizes
    assert [span.offset for span in plan] == [sum(sizes[:n]) for n in range(len(sizes))]
    assert [span.number for span in plan] == list(range(1, len(plan) + 1))
    assert (plan.size, plan.part_size, len(plan)) == (sum(sizes), max(sizes), len(sizes))
    within = all(MIN_PART <= each <= MAX_PART for each in sizes[:-1])
    assert allowed(sizes) == (within and sizes[-1] <= MAX_PART)
    for number in (0, len(sizes) + 1):
        with pytest.raises(IndexError):
            plan.span(number)


def test_an_empty_last_part_is_not_allowed() -> None:
    assert not allowed([MIN_PART, 0])


@given(SIZES, WANTED)
def test_part_sizes_keep_to_the_limits(size: int, wanted: int) -> None:
    each = part_size(size, wanted)
    assert MIN_PART <= each <= MAX_PART
    assert count_of(size, each) <= MAX_PARTS
    within = min(max(wanted, MIN_PART), MAX_PART)
    if each != within:
        assert each % MIB == 0
        assert count_of(size, within) > MAX_PARTS
        assert count_of(size, each - MIB) > MAX_PARTS  # no MiB more than needed
    assert part_size(size, each) == each


@pytest.mark.parametrize(
    ("size", "each", "expected"),
    [
        (0, 5, [Span(1, 0, 0)]),
        (1, 5, [Span(1, 0, 1)]),
        (5, 5, [Span(1, 0, 5)]),
        (6, 5, [Span(1, 0, 5), Span(2, 5, 1)]),
        (10, 5, [Span(1, 0, 5), Span(2, 5, 5)]),
    ],
)
def test_spans_at_the_edges(size: int, each: int, expected: list[Span]) -> None:
    found = spans(size, each)
    assert list(found) == list(found) == expected
    assert found.count == len(found) == len(expected)


@given(SIZES, WANTED)
def test_spans_tile_the_object(size: int, wanted: int) -> None:
    found = spans(size, part_size(size, wanted))
    at = 0
    for number, span in enumerate(found, 1):
        assert span == found.span(number) == Span(number, at, span.size)
        assert span.size == found.part_size or number == found.count
        assert 0 < span.size <= found.part_size or size == 0
        at += span.size
    assert at == size
    assert number == found.count


@pytest.mark.parametrize("number", [-1, 0, 4])
def test_a_part_that_is_not_there_is_none(number: int) -> None:
    with pytest.raises(IndexError):
        spans(3, 1).span(number)


def test_the_defaults_go_together() -> None:
    assert MIN_PART <= DEFAULT_PART_SIZE <= DEFAULT_MULTIPART_THRESHOLD <= MAX_PART
