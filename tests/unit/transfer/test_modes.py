"""The truth table of the modes, cell by cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.integrity.etag import is_md5
from s3pp.job import Mode
from s3pp.records import Dest, SendReason, SkipReason
from s3pp.transfer.modes import (
    EMPTY_MD5,
    Local,
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


@pytest.mark.parametrize(("dest", "add", "stupid", "update"), TABLE)
def test_truth_table(dest: Dest | None, add: object, stupid: object, update: object) -> None:
    assert decide(Mode.ADD, LOCAL, dest) is add
    assert decide(Mode.STUPID, LOCAL, dest) is stupid
    assert decide(Mode.UPDATE, LOCAL, dest) is update


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("dest", [None, Dest(10, OURS)])
def test_the_source_is_read_only_to_compare_it(mode: Mode, dest: Dest | None) -> None:
    unread = decide_unread(mode, dest)
    assert (unread is None) == (dest is not None and mode is Mode.UPDATE)
    assert unread in (None, decide(mode, LOCAL, dest))


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
    assert decide(Mode.UPDATE, local, Dest(10, etag)) is reason
    assert decide(Mode.UPDATE, local, Dest(11, etag)) is SIZE


@pytest.mark.parametrize(
    ("etag", "reason"), [(EMPTY_MD5, SAME), (PARTS, EMPTY), (OTHER, EMPTY), ("", EMPTY)]
)
def test_what_is_empty_is_the_same_whatever_its_etag(etag: str, reason: object) -> None:
    assert decide(Mode.UPDATE, Local(0, EMPTY_MD5), Dest(0, etag)) is reason
    assert by_emptiness(etag, EMPTY_MD5) is reason


@given(st.text(), st.text())
def test_unknown_never_means_equal(md5: str, etag: str) -> None:
    assert (by_etag(Local(1, md5), etag) is SAME) == (md5 == etag and is_md5(etag))


@given(st.sampled_from(Mode), st.integers(0), st.text(), st.text())
def test_only_an_equal_etag_is_ever_skipped_as_the_same(
    mode: Mode, size: int, md5: str, etag: str
) -> None:
    if decide(mode, Local(size, md5), Dest(size, etag)) is SAME:
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
    assert decide_copy(Mode.ADD, source, dest) is add
    assert decide_copy(Mode.STUPID, source, dest) is stupid
    assert decide_copy(Mode.UPDATE, source, dest) is update


ETAGS = st.sampled_from([OURS, OTHER, PARTS, ""])
DESTS = st.builds(Dest, st.integers(0, 1), ETAGS)


@given(DESTS, DESTS)
def test_only_equal_objects_are_skipped_as_the_same(source: Dest, dest: Dest) -> None:
    if decide_copy(Mode.UPDATE, source, dest) is SAME:
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
    assert decide_get(Mode.ADD, size, here) is add
    assert decide_get(Mode.STUPID, size, here) is stupid
    assert decide_get(Mode.UPDATE, size, here) is update


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
