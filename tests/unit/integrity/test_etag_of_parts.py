"""ETags of objects in parts: computed, read, and found without knowing how long the parts were."""

from __future__ import annotations

import tracemalloc
from hashlib import md5
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.integrity.etag import (
    MOST_SIZES,
    Evidence,
    RollingETags,
    etag_of_md5s,
    evidence,
    is_plausible_part_size,
    likely_sizes,
    matches_in_parts,
    part_count,
    plausible_sizes,
)
from s3pp.limits import GIB, MAX_OBJECT, MAX_PART, MAX_PARTS, MIB, MIN_PART
from s3pp.records import Dest, PartDone
from s3pp.s3.multipart import Spans, count_of, part_size

MD5 = "0123456789abcdef" * 2
BODIES = st.binary(max_size=300)


def etag_of(body: bytes, each: int) -> str:
    """As the store computes it."""
    cut = [body[span.offset : span.offset + span.size] for span in Spans(len(body), each)]
    return etag_of_md5s(md5(part).digest() for part in cut)


def pieces_of(body: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[a:b] for a, b in pairwise(at)]


def test_an_etag_as_the_store_gives_it() -> None:
    """An example that goes from page to page of those who explain these ETags."""
    parts = ["bce6bf66aeb76c7040fdd5f4eccb78e6", "8165449fc15bbf43d3b674595cbcc406"]
    assert etag_of_md5s(map(bytes.fromhex, parts)) == "f77dc0eecdebcd774a2a22cb393ad2ff-2"


@pytest.mark.parametrize(
    ("etag", "count"),
    [
        (f"{MD5}-1", 1),
        (f"{MD5}-10000", MAX_PARTS),
        (f"{MD5}-10001", None),
        (f"{MD5}-0", None),
        (f"{MD5}-01", None),
        (f"{MD5}--1", None),
        (f"{MD5}-", None),
        (f"{MD5}-1\n", None),
        (f"{MD5}-1-1", None),
        (f"{MD5}-²", None),
        (f"{MD5}-٣", None),
        (f"{MD5.upper()}-1", None),
        (f"{MD5[:-1]}-1", None),
        (MD5, None),
        ("", None),
    ],
)
def test_how_many_parts_an_etag_speaks_of(etag: str, count: int | None) -> None:
    assert part_count(etag) == count


@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=20))
def test_what_is_computed_can_be_read(md5s: list[bytes]) -> None:
    etag = etag_of_md5s(iter(md5s))
    assert part_count(etag) == len(md5s)
    assert etag[:32] == md5(b"".join(md5s)).hexdigest()


@given(BODIES, st.lists(st.integers(0)), st.sets(st.integers(1, 400), min_size=1, max_size=5))
def test_one_pass_gives_the_etag_of_each_part_size(
    body: bytes, cuts: list[int], sizes: set[int]
) -> None:
    rolling = RollingETags(sizes)
    for piece in pieces_of(body, cuts):
        rolling.feed(piece)
    expected = {each: etag_of(body, each) for each in sizes}
    assert rolling.etags() == rolling.etags() == expected
    for etag in expected.values():
        assert expected[rolling.size_for(etag) or 0] == etag
    assert rolling.size_for(f"{MD5}-1") is None


@given(st.binary(min_size=1, max_size=300), st.integers(1, 300), st.integers(0))
def test_other_bytes_are_not_the_same(body: bytes, each: int, at: int) -> None:
    there = Dest(len(body), etag_of(body, each))
    assert matches_in_parts([body], there, [each])
    other = bytearray(body)
    other[at % len(body)] ^= 1
    assert not matches_in_parts([bytes(other)], there, [each])


@pytest.mark.parametrize("etag", [MD5, "", f"{MD5}-2", f"{MD5}-10001"])
def test_without_a_size_to_try_nothing_is_read(etag: str) -> None:
    unread = iter(lambda: pytest.fail("read"), 1)
    assert not matches_in_parts(unread, Dest(1, etag))
    assert not matches_in_parts(unread, Dest(1, f"{MD5}-1"), [])


@pytest.mark.parametrize("each", [5 * MIB, 6 * MIB + 1])
def test_without_sizes_the_likely_ones_are_tried(each: int) -> None:
    """What a getter asks of a file that stands where an object goes."""
    body = bytes(range(256)) * (11 * MIB // 256)
    there = Dest(len(body), etag_of(body, each))
    assert matches_in_parts(pieces_of(body, [1, 7 * MIB]), there) == (each == 5 * MIB)
    assert not matches_in_parts([body[:-1] + b"!"], there)


SIZES = st.integers(0, MAX_OBJECT) | st.integers(0, GIB)


@given(SIZES, st.integers(1, MAX_PARTS), st.lists(st.integers(1, 2 * MAX_PART), max_size=3))
def test_plausible_sizes_are_possible(size: int, count: int, preferred: list[int]) -> None:
    found = plausible_sizes(size, count, preferred)
    assert len(found) == len(set(found)) <= MOST_SIZES
    for each in found:
        assert count_of(size, each) == count
        assert each <= MAX_PART
        assert each >= MIN_PART or count == 1
        assert is_plausible_part_size(Dest(size, f"{MD5}-{count}"), each)
    if count > 1:
        fitting = [e for e in preferred if MIN_PART <= e <= MAX_PART and count_of(size, e) == count]
        assert found[: len(set(fitting))] == list(dict.fromkeys(fitting))


@given(st.integers(1, MAX_OBJECT) | st.integers(1, GIB), st.integers(MIN_PART, MAX_PART))
def test_ones_own_part_size_is_found_first(size: int, wanted: int) -> None:
    each = part_size(size, wanted)
    there = Dest(size, f"{MD5}-{count_of(size, each)}")
    if count_of(size, each) > 1:
        assert likely_sizes(there, wanted)[0] == each


def test_the_sizes_of_neighbours_come_first_where_they_fit() -> None:
    there = Dest(40 * MIB, f"{MD5}-3")
    assert likely_sizes(there)[:2] == [16 * MIB, 15 * MIB]
    assert likely_sizes(there, first=[8 * MIB, 15 * MIB])[:2] == [15 * MIB, 16 * MIB]


TOOLS = [8, 16, 50, 5, 15, 32, 64, 128, 256, 512, 1024, 10, 100, 25]


@given(st.integers(2, MAX_PARTS), st.sampled_from(TOOLS), st.floats(0, 1))
def test_the_sizes_of_known_tools_are_found(count: int, mib: int, last: float) -> None:
    each = mib * MIB
    size = (count - 1) * each + max(1, int(last * each))
    assert count_of(size, each) == count
    assert each in plausible_sizes(size, count)


@given(st.integers(2, MAX_PARTS), st.integers(MIN_PART, 200 * MIB))
def test_what_was_divided_evenly_is_found(count: int, each: int) -> None:
    size = each * count
    found = plausible_sizes(size, count)
    assert each in found or len(found) == MOST_SIZES


@pytest.mark.parametrize(
    ("size", "each"),
    [
        (100 * GIB, 16 * MIB),  # aws cli: 8 MiB would be 12,800 parts
        (10**12, 10**12 // MAX_PARTS + 1),  # s5cmd
        (10**12, 96 * MIB),  # rclone, and minio-go, which grows in steps of 16 MiB
        (10**12 + MIB * 30_000, 112 * MIB),  # minio-go
        (10**12, 128 * MIB),  # aws cli
        (10**12, 10**12 // MAX_PARTS),  # the console
        (30 * 10**12, 4 * GIB),  # aws cli
        (30 * 10**12, 2862 * MIB),  # rclone
        (30 * 10**12, 2864 * MIB),  # minio-go
        (30 * 10**12, 3 * 10**9 + 1),  # s5cmd
        (GIB, 17_179_870),  # the console, where it did not have to
    ],
)
def test_the_sizes_of_tools_that_had_to_grow_are_found(size: int, each: int) -> None:
    assert each in plausible_sizes(size, count_of(size, each))


@pytest.mark.parametrize(
    ("size", "count", "sizes"),
    [
        (0, 1, [1]),
        (7, 1, [7]),
        (MAX_PART, 1, [MAX_PART]),
        (MAX_PART + 1, 1, []),
        (0, 2, []),
        (MIN_PART, 2, []),  # such parts are too small
        (MIN_PART + 1, 2, [MIN_PART]),
        (2 * MIN_PART, 3, []),
        (20_000 * MAX_PART, MAX_PARTS, []),
        (17 * MIB, 3, [8 * MIB, 6 * MIB, 7 * MIB, 8 * 10**6, 17 * MIB // 3 + 1]),
        (128 * 16 * MIB, 128, [16 * MIB]),
    ],
)
def test_plausible_sizes_at_the_edges(size: int, count: int, sizes: list[int]) -> None:
    assert plausible_sizes(size, count) == sizes


@pytest.mark.parametrize("etag", [MD5, "", f"{MD5}-10001"])
def test_an_object_that_was_not_sent_in_parts_has_no_part_size(etag: str) -> None:
    assert likely_sizes(Dest(GIB, etag)) == []
    assert not is_plausible_part_size(Dest(GIB, etag), GIB)


def test_memory_does_not_grow_with_the_parts() -> None:
    rolling = RollingETags([10])
    piece = bytes(10_000)
    rolling.feed(piece)
    tracemalloc.start()
    try:
        for _ in range(10):
            rolling.feed(piece)
        assert tracemalloc.get_traced_memory()[0] < 5_000  # the MD5s alone would be 160,000
    finally:
        tracemalloc.stop()


# What a completion's ETag shows


def sent(bodies: list[bytes], *, hashed: bool, opaque: bool) -> list[PartDone]:
    """Parts as their senders tell of them."""
    found = [md5(body).hexdigest() for body in bodies]
    etags = [f"O{each}" if opaque else each for each in found]
    known = [each if hashed else "" for each in found]
    each = zip(bodies, etags, known, strict=True)
    return [PartDone(n, len(b), etag, ours) for n, (b, etag, ours) in enumerate(each, 1)]


@given(
    st.lists(st.binary(max_size=3), min_size=1, max_size=4),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.one_of(st.integers(0, 20_000), st.none()),
)
def test_an_etag_is_evidence_by_its_bytes_or_else_by_its_count(
    bodies: list[bytes], hashed: bool, opaque: bool, random: bool, count: int | None
) -> None:
    parts = sent(bodies, hashed=hashed, opaque=opaque)
    right = etag_of_md5s(md5(body).digest() for body in bodies)
    shown = evidence(right, parts, random=random)
    assert shown is (Evidence.PROVEN if hashed else Evidence.NONE if random else Evidence.AS_MANY)
    wrong = MD5 if count is None else f"{MD5}-{count}"
    found = evidence(wrong, parts, random=random)
    if random or count is None:
        assert found is Evidence.NONE
    elif count != len(parts) or (hashed and not opaque):
        assert found is Evidence.OTHER
    else:
        assert found is Evidence.AS_MANY


@pytest.mark.parametrize("etag", ["", MD5, "CkQVtQbG3sFqLmXa9Wd2", f"{MD5}-x"])
def test_what_tells_no_count_shows_nothing(etag: str) -> None:
    parts = sent([b"a", b"b"], hashed=True, opaque=False)
    assert evidence(etag, parts, random=False) is Evidence.NONE


@pytest.mark.parametrize("each", [5, 8, 15, 16, 50])
def test_the_sizes_in_use_are_likely(each: int) -> None:
    for size in (each * MIB + 1, 2 * each * MIB, 60 * MIB + 5):
        count = -(-size // (each * MIB))
        likely = likely_sizes(Dest(size, f"{'0' * 32}-{count}"))
        assert -(-size // likely[0]) == count


def test_of_what_is_not_in_parts_no_size_is_likely() -> None:
    for etag in ("", "word", "0" * 32, f"{'0' * 32}-10001"):
        assert likely_sizes(Dest(20 * MIB, etag)) == []
