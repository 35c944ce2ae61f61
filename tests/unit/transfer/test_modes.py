"""The truth table of the modes, cell by cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.integrity.etag import is_md5
from s3pp.job import Compare, Mode
from s3pp.records import Dest, SendReason, SkipReason
from s3pp.transfer.modes import (
    EMPTY_MD5,
    Local,
    SendRule,
    by_content,
    by_emptiness,
    by_etag,
    by_time,
    decide,
    decide_copy,
    decide_get,
    decide_unread,
)

OURS, OTHER = "0123456789abcdef" * 2, "f" * 32
LOCAL = Local(10, OURS)

NEW, ALWAYS, SIZE, ETAG, UNKNOWN = (
    SendReason.NEW,
    SendReason.ALWAYS,
    SendReason.SIZE,
    SendReason.ETAG,
    SendReason.UNKNOWN,
)
EXISTS, SAME = SkipReason.EXISTS, SkipReason.SAME_ETAG
OTHER_SIZE, PARTS = SkipReason.OTHER_SIZE, f"{OURS}-2"
EMPTY = SkipReason.SAME_CHECKSUM

TABLE = [
    # dest                        add      stupid  update
    (None, NEW, ALWAYS, NEW),
    (Dest(10, OURS), EXISTS, ALWAYS, SAME),
    (Dest(10, OTHER), EXISTS, ALWAYS, ETAG),
    (Dest(10, f"{OURS}-2"), EXISTS, ALWAYS, UNKNOWN),
    (Dest(10, ""), EXISTS, ALWAYS, UNKNOWN),
    (Dest(11, OTHER), EXISTS, ALWAYS, SIZE),
    (Dest(11, f"{OURS}-2"), EXISTS, ALWAYS, SIZE),
    (Dest(11, OURS), EXISTS, ALWAYS, SIZE),
    (Dest(0, OURS), EXISTS, ALWAYS, SIZE),
]


def decided(mode: Mode, dest: Dest | None) -> object:
    """What the putter decides: without the content where that suffices, else with it."""
    unread = decide_unread(SendRule(mode), dest, size=LOCAL.size, modified_ns=0)
    return unread or (dest and decide(LOCAL, dest))


@pytest.mark.parametrize(("dest", "add", "stupid", "update"), TABLE)
def test_truth_table(dest: Dest | None, add: object, stupid: object, update: object) -> None:
    assert decided(Mode.ADD, dest) is add
    assert decided(Mode.STUPID, dest) is stupid
    assert decided(Mode.UPDATE, dest) is update


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("dest", [None, Dest(10, OURS)])
def test_the_source_is_read_only_to_compare_it(mode: Mode, dest: Dest | None) -> None:
    unread = decide_unread(SendRule(mode), dest, size=10, modified_ns=0)
    assert (unread is None) == (dest is not None and mode is Mode.UPDATE)


@pytest.mark.parametrize(
    ("etag", "answer"),
    [
        (OURS, SAME),
        (OTHER, ETAG),
        (f"{OURS}-1", UNKNOWN),
        (OURS[:-1], UNKNOWN),
        (f"{OURS}0", UNKNOWN),
        (f"{OURS}\n", UNKNOWN),
        (OURS.replace("a", "g"), UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_an_md5_is_compared_with_an_md5_alone(etag: str, answer: object) -> None:
    assert by_etag(LOCAL, etag) is answer
    assert is_md5(etag) == (answer is not UNKNOWN)


@pytest.mark.parametrize(
    ("parts_etag", "etag", "reason"),
    [
        (PARTS, PARTS, SAME),
        ("", PARTS, UNKNOWN),
        (PARTS, f"{OURS}-3", UNKNOWN),
        (PARTS, OURS, SAME),  # put again meanwhile, whole
        (PARTS, OTHER, ETAG),
        ("", "", UNKNOWN),
    ],
)
def test_an_etag_in_parts_that_the_body_gives_too_is_equal(
    parts_etag: str, etag: str, reason: object
) -> None:
    local = Local(10, OURS, parts_etag)
    assert decide(local, Dest(10, etag)) is reason
    assert decide(local, Dest(11, etag)) is SIZE


@pytest.mark.parametrize(
    ("etag", "reason"), [(EMPTY_MD5, SAME), (PARTS, EMPTY), (OTHER, EMPTY), ("", EMPTY)]
)
def test_what_is_empty_is_the_same_whatever_its_etag(etag: str, reason: object) -> None:
    assert decide(Local(0, EMPTY_MD5), Dest(0, etag)) is reason
    assert by_emptiness(etag, EMPTY_MD5) is reason


@given(st.text(), st.text())
def test_unknown_never_means_equal(md5: str, etag: str) -> None:
    assert (by_etag(Local(1, md5), etag) is SAME) == (md5 == etag and is_md5(etag))


@given(st.integers(0), st.text(), st.text())
def test_only_an_equal_etag_is_ever_skipped_as_the_same(size: int, md5: str, etag: str) -> None:
    if decide(Local(size, md5), Dest(size, etag)) is SAME:
        assert md5 == etag or (size == 0 and etag == EMPTY_MD5)


# A copier: two objects

COPIES = [
    # source        dest                   add      stupid  update
    (Dest(10, OURS), None, NEW, ALWAYS, NEW),
    (Dest(10, OURS), Dest(10, OURS), EXISTS, ALWAYS, SAME),
    (Dest(10, OURS), Dest(10, OTHER), EXISTS, ALWAYS, ETAG),
    (Dest(10, OURS), Dest(11, OURS), OTHER_SIZE, ALWAYS, SIZE),
    (Dest(10, OURS), Dest(10, PARTS), EXISTS, ALWAYS, UNKNOWN),
    (Dest(10, PARTS), Dest(10, OURS), EXISTS, ALWAYS, UNKNOWN),
    (Dest(10, PARTS), Dest(10, PARTS), EXISTS, ALWAYS, SAME),
    (Dest(10, PARTS), Dest(10, f"{OURS}-3"), EXISTS, ALWAYS, UNKNOWN),
    (Dest(10, PARTS), Dest(9, PARTS), OTHER_SIZE, ALWAYS, SIZE),
    (Dest(0, OURS), Dest(0, OURS), EXISTS, ALWAYS, SAME),
    (Dest(0, OURS), Dest(0, PARTS), EXISTS, ALWAYS, EMPTY),
    (Dest(0, OURS), Dest(0, OTHER), EXISTS, ALWAYS, EMPTY),  # as under a KMS key
    (Dest(0, PARTS), Dest(1, PARTS), OTHER_SIZE, ALWAYS, SIZE),
    (Dest(10, ""), Dest(10, ""), EXISTS, ALWAYS, UNKNOWN),  # listings without ETags
    (Dest(10, ""), Dest(10, OURS), EXISTS, ALWAYS, UNKNOWN),
]


@pytest.mark.parametrize(("source", "dest", "add", "stupid", "update"), COPIES)
def test_truth_table_of_copies(
    source: Dest, dest: Dest | None, add: object, stupid: object, update: object
) -> None:
    assert decide_copy(SendRule(Mode.ADD), source, dest) is add
    assert decide_copy(SendRule(Mode.STUPID), source, dest) is stupid
    assert decide_copy(SendRule(Mode.UPDATE), source, dest) is update


ETAGS = st.sampled_from([OURS, OTHER, PARTS, ""])
DESTS = st.builds(Dest, st.integers(0, 1), ETAGS, st.none())


@given(DESTS, DESTS)
def test_only_equal_objects_are_skipped_as_the_same(source: Dest, dest: Dest) -> None:
    if decide_copy(SendRule(Mode.UPDATE), source, dest) is SAME:
        assert source == dest


# A getter: an object, and a file

GETS = [
    # size, here      add         stupid  update
    (10, None, NEW, ALWAYS, NEW),
    (0, None, NEW, ALWAYS, NEW),
    (10, 10, EXISTS, ALWAYS, None),
    (0, 0, EXISTS, ALWAYS, None),
    (10, 11, OTHER_SIZE, ALWAYS, SIZE),
    (10, 0, OTHER_SIZE, ALWAYS, SIZE),
    (0, 10, OTHER_SIZE, ALWAYS, SIZE),
]


@pytest.mark.parametrize(("size", "here", "add", "stupid", "update"), GETS)
def test_truth_table_of_gets(
    size: int, here: int | None, add: object, stupid: object, update: object
) -> None:
    assert decide_get(SendRule(Mode.ADD), size, here) is add
    assert decide_get(SendRule(Mode.STUPID), size, here) is stupid
    assert decide_get(SendRule(Mode.UPDATE), size, here) is update


def test_content_tells_equal_from_different() -> None:
    assert by_content(OURS, OURS) is SAME
    assert by_content(OTHER, OURS) is ETAG


@pytest.mark.parametrize(
    ("modified", "mtime", "same"),
    [
        (100_000_000_000, 100_000_000_000, True),
        (100_678_000_000, 100_678_000_000, True),
        (100_678_000_000, 100_000_000_000, True),  # a listing of whole seconds
        (100_000_000_000, 100_999_999_999, True),
        (100_000_000_000, 101_000_000_000, False),
        (100_999_999_999, 101_000_000_000, False),
        (0, 0, True),
        (None, 0, False),  # no time is no time that a file has
    ],
)
def test_times_agree_to_the_second(modified: int | None, mtime: int, same: bool) -> None:
    assert by_time(modified, mtime) is (SkipReason.SAME_TIME if same else SendReason.TIME)


# --compare

OLD, NOW, YOUNG = 1_000, 2_000, 3_000
BY_TIME = [
    # source, dest       put and copy
    (OLD, NOW, SkipReason.NOT_NEWER),
    (NOW, NOW, SkipReason.NOT_NEWER),
    (YOUNG, NOW, SendReason.NEWER),
    (NOW, None, SendReason.UNKNOWN_TIME),
]
SIZES, TIMES = st.integers(0, 2), st.none() | st.integers(0, 3)


def compared(compare: Compare, size: int, source_ns: int, dest: Dest | None) -> list[object]:
    """What a putter and a copier decide, from the same facts."""
    rule, source = SendRule(Mode.UPDATE, compare), Dest(size, OURS)
    return [
        decide_unread(rule, dest, size=size, modified_ns=source_ns),
        decide_copy(rule, source, dest, modified_ns=source_ns),
    ]


@pytest.mark.parametrize(("source_ns", "dest_ns", "by_time"), BY_TIME)
def test_truth_table_of_compare(source_ns: int, dest_ns: int | None, by_time: object) -> None:
    for size, other in ((10, 11), (0, 1)):
        same, differs = Dest(size, OTHER, dest_ns), Dest(other, OURS, dest_ns)
        assert compared(Compare.MTIME, size, source_ns, same) == [by_time] * 2
        assert compared(Compare.SIZE, size, source_ns, same) == [SkipReason.SAME_SIZE] * 2
        for compare in (Compare.MTIME, Compare.SIZE):
            assert compared(compare, size, source_ns, differs) == [SIZE] * 2
            assert compared(compare, size, source_ns, None) == [NEW] * 2


def test_a_copy_of_a_source_without_a_time_is_sent() -> None:
    rule = SendRule(Mode.UPDATE, Compare.MTIME)
    assert decide_copy(rule, Dest(1, OURS), Dest(1, OURS, NOW)) is SendReason.UNKNOWN_TIME


@pytest.mark.parametrize(("size", "here", "reason"), [(1, 1, SkipReason.SAME_SIZE), (1, 2, SIZE)])
def test_a_get_by_size_needs_nothing_else(size: int, here: int, reason: object) -> None:
    assert decide_get(SendRule(Mode.UPDATE, Compare.SIZE), size, here) is reason
    by_time = None if size == here else reason
    assert decide_get(SendRule(Mode.UPDATE, Compare.MTIME), size, here) is by_time


@given(st.sampled_from([Compare.SIZE, Compare.MTIME]), SIZES, st.integers(0, 3), SIZES, TIMES)
def test_nothing_of_another_size_or_older_than_its_source_is_skipped(
    compare: Compare, size: int, source_ns: int, there: int, dest_ns: int | None
) -> None:
    for reason in compared(compare, size, source_ns, Dest(there, OURS, dest_ns)):
        assert reason is not None, "the content would have to be read"
        up_to_date = size == there and (
            compare is Compare.SIZE or (dest_ns is not None and source_ns <= dest_ns)
        )
        assert isinstance(reason, SkipReason) == up_to_date
