"""When the state of a file identifies its content: a rule, against file systems of any clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s3pp.localfs.file_state import SETTLED, Doubt, FileState, doubt

SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND + 123_456_789


def state(mtime_ns: int, ctime_ns: int) -> FileState:
    return FileState(1, 2, 3, mtime_ns, ctime_ns)


resolutions = st.sampled_from([1, 100, 4_000_000, 10_000_000, SECOND, 2 * SECOND])
spans = st.one_of(st.integers(0, 20), st.integers(0, 5 * SECOND))


@given(resolutions, st.integers(0, 3 * SECOND), spans, spans)
def test_a_write_after_the_reading_shows_or_the_state_was_in_doubt(
    resolution: int, start: int, wait: int, later: int
) -> None:
    """A file is written, read after ``wait``, and written again ``later`` in the same size."""

    def stamp(time: int) -> FileState:
        seen = (NOW + start + time) // resolution * resolution
        return state(seen, seen)

    before, after = stamp(0), stamp(wait + later)
    if doubt(before, NOW + start + wait) is None:
        assert before != after


@given(st.integers(-SETTLED, SETTLED), st.integers(-SETTLED, SETTLED))
def test_what_is_settled_has_both_times_well_before_the_reading(mtime: int, ctime: int) -> None:
    found = doubt(state(NOW - SETTLED + mtime, NOW - SETTLED + ctime), NOW)
    if (NOW - SETTLED + ctime) % SECOND == 0:
        assert found is Doubt.COARSE
    else:
        assert found is (Doubt.RECENT if max(mtime, ctime) > 0 else None)


def test_times_in_whole_seconds_are_no_identity() -> None:
    """Of FAT and SFTP: their inode numbers may be another file's after the next mount."""
    whole, part = NOW // SECOND * SECOND - 99 * SECOND, NOW - 98 * SECOND
    assert doubt(state(part, whole), NOW) is Doubt.COARSE
    assert doubt(state(whole, part), NOW) is None
