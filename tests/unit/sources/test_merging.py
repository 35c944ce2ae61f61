"""Several sources, and the limit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from s3pp.records import Entry, Failed
from s3pp.sources import limit_entries, merge

from .trees import keys, outcomes, plant, walked


def test_sources_are_merged_by_key(tmp_path: Path) -> None:
    plant(tmp_path, {"1/a": "", "1/c/x": "", "2/b": "", "2/c/a": "", "c-d": ""})
    sources = [tmp_path / name for name in ("1", "2", "c-d")]
    assert keys(*sources, prefix="p") == ["p/a", "p/b", "p/c-d", "p/c/a", "p/c/x"]


def test_the_source_named_first_has_the_key(tmp_path: Path) -> None:
    plant(tmp_path, {"1/k": "first", "2/k": "second", "k": "third"})
    one, two, three = (tmp_path / name for name in ("1", "2", "k"))
    entry, *failures = walked(two, one, three)
    assert isinstance(entry, Entry)
    assert entry.path == str(two / "k")
    assert [f.source for f in failures if isinstance(f, Failed)] == [str(one / "k"), str(three)]
    for failure in failures:
        assert isinstance(failure, Failed)
        assert (failure.target, failure.kind.value) == ("k", "conflict")
        assert failure.message == f"key conflict: {str(two / 'k')!r} already maps to this key"


def test_only_entries_take_a_key(tmp_path: Path) -> None:
    plant(tmp_path, {"2/k": ""})
    (tmp_path / "1").mkdir()
    os.mkfifo(tmp_path / "1/k")
    records = walked(tmp_path / "1", tmp_path / "2")
    assert outcomes(records) == [("k", "not a regular file"), ("k", "entry")]


def test_what_is_not_chosen_takes_no_key(tmp_path: Path) -> None:
    plant(tmp_path, {"1/k": "", "2/k": "xx"})
    (entry,) = walked(tmp_path / "1", tmp_path / "2", min_size=1)
    assert isinstance(entry, Entry)
    assert entry.size == 2


KEYS = st.sets(st.text("aé\U0001f600-/", min_size=1, max_size=3))


def stream(name: str, given: set[str]) -> Iterator[tuple[bytes, Entry]]:
    found = sorted((key.encode(), Entry(key, f"{name}:{key}", 0, 0)) for key in given)
    return iter(found)


@given(st.lists(KEYS, min_size=1, max_size=4))
def test_every_entry_ends_once_and_every_key_is_taken_once(sources: list[set[str]]) -> None:
    records = list(merge([stream(str(n), given) for n, given in enumerate(sources)]))
    assert [r.target.encode() for r in records] == sorted(k.encode() for s in sources for k in s)
    taken = {r.key: r.path for r in records if isinstance(r, Entry)}
    first = {k: f"{n}:{k}" for n, s in reversed(list(enumerate(sources))) for k in s}
    assert taken == first


def test_the_limit_counts_entries_only(tmp_path: Path) -> None:
    plant(tmp_path, {"b": "", "d": "", "e": ""})
    for name in ("a", "c", "f"):
        (tmp_path / name).symlink_to("gone")
    assert [k for k, _ in outcomes(walked(tmp_path, limit=2))] == ["a", "b", "c", "d"]
    assert len(walked(tmp_path, limit=3)) == 5
    assert len(walked(tmp_path, limit=4)) == 6
    assert walked(tmp_path, limit=0) == []


def test_the_limit_asks_for_nothing_more() -> None:
    def source() -> Iterator[Entry]:
        yield Entry("a", "a", 0, 0)
        raise AssertionError("asked for more than the limit")

    assert len(list(limit_entries(source(), 1))) == 1
