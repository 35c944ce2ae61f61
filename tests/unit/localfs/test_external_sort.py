"""The external sort equals ``sorted``, however little it may hold."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FatalError
from s3pp.localfs import external_sort
from s3pp.localfs.external_sort import SortMemory, sort_records


@given(st.lists(st.binary(max_size=3)), st.integers(1, 20))
def test_equals_sorted(records: list[bytes], run_length: int) -> None:
    assert list(sort_records(records, memory=SortMemory(run_length, 1))) == sorted(records)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers()), min_size=5), st.integers(1, 4))
def test_is_stable_under_a_key(records: list[tuple[int, int]], run_length: int) -> None:
    def key(record: tuple[int, int]) -> int:
        return record[0]

    assert list(sort_records(records, key=key, memory=SortMemory(run_length, 1))) == sorted(
        records, key=key
    )


def test_more_runs_than_can_be_merged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_sort, "FAN_IN", 3)
    records = [(n * 7919) % 1009 for n in range(1000)]
    assert list(sort_records(records, memory=SortMemory(10, 10))) == sorted(records)


def test_more_records_than_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_sort, "BLOCK", 7)
    records = list(range(100, 0, -1))
    assert list(sort_records(records, memory=SortMemory(30, 30))) == sorted(records)


def test_what_fits_one_run_touches_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: pytest.fail("spilled"))
    assert list(sort_records([3, 1, 2], memory=SortMemory(4, 1))) == [1, 2, 3]


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture
def spill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_leaves_nothing_when_closed_half_way(spill: Path) -> None:
    before = descriptors()
    records = sort_records(range(100), memory=SortMemory(10, 10))
    assert next(records) == 0
    assert descriptors() > before
    records.close()  # type: ignore[attr-defined]
    assert descriptors() == before
    assert list(spill.iterdir()) == []


def test_leaves_nothing_when_the_records_break(spill: Path) -> None:
    def broken() -> Iterator[int]:
        yield from range(100)
        raise KeyError

    before = descriptors()
    with pytest.raises(KeyError):
        list(sort_records(broken(), memory=SortMemory(10, 10)))
    assert descriptors() == before
    assert list(spill.iterdir()) == []


def test_one_descriptor_however_many_runs(spill: Path) -> None:
    before = descriptors()
    records = sort_records(range(1000), memory=SortMemory(10, 10))
    next(records)
    assert len(descriptors() - before) == 1
    records.close()  # type: ignore[attr-defined]


def test_a_full_disk_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(FatalError, match=r"No space left.*TMPDIR"):
        list(sort_records(range(100), memory=SortMemory(10, 10)))


def test_sorts_share_their_room() -> None:
    memory = SortMemory(10, 2)
    outer = sort_records(range(8), memory=memory)
    next(outer)
    assert memory.run_length == 2
    assert list(sort_records([5, 3, 4, 1, 2], memory=memory)) == [1, 2, 3, 4, 5]
    assert list(outer) == [1, 2, 3, 4, 5, 6, 7]
    assert memory.run_length == 10
