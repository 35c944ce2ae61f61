"""The truth table of the modes, cell by cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.job import Mode
from s3pp.records import Dest, SendReason, SkipReason
from s3pp.transfer.modes import Equality, Local, compare, decide, is_md5, needs_content

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
def test_content_is_needed_only_where_it_is_said_to_be(mode: Mode, dest: Dest | None) -> None:
    if dest is None or not needs_content(mode):
        assert decide(mode, None, dest) is decide(mode, LOCAL, dest)


@pytest.mark.parametrize(
    ("etag", "answer"),
    [
        (OURS, Equality.EQUAL),
        (OTHER, Equality.DIFFERENT),
        (f"{OURS}-1", Equality.UNKNOWN),
        (OURS[:-1], Equality.UNKNOWN),
        (f"{OURS}0", Equality.UNKNOWN),
        (f"{OURS}\n", Equality.UNKNOWN),
        (OURS.replace("a", "g"), Equality.UNKNOWN),
        ("", Equality.UNKNOWN),
    ],
)
def test_compare(etag: str, answer: Equality) -> None:
    assert compare(OURS, etag) is answer
    assert is_md5(etag) == (answer is not Equality.UNKNOWN)


@given(st.text(), st.text())
def test_unknown_never_means_equal(md5: str, etag: str) -> None:
    assert (compare(md5, etag) is Equality.EQUAL) == (md5 == etag and is_md5(etag))


@given(st.sampled_from(Mode), st.integers(0), st.text(), st.text())
def test_only_an_equal_etag_is_ever_skipped_as_the_same(
    mode: Mode, size: int, md5: str, etag: str
) -> None:
    if decide(mode, Local(size, md5), Dest(size, etag)) is SAME:
        assert md5 == etag
