"""Whatever the tree: put, copied and got again it is the same, and all over again does nothing."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from commands import Run
from effort import examples
from outcomes import files_of, snapshot
from stores.store import Store
from trees import content, make_tree, read_tree

Files = dict[tuple[str, ...], int]  # path segments -> size


def trees(besides: str) -> st.SearchStrategy[Files]:
    """Path segments -> size; no name has a character of ``besides``."""
    characters = st.characters(exclude_categories=["Cs"], exclude_characters="/\0" + besides)
    names = st.text(characters, min_size=1, max_size=30).filter(
        lambda name: name not in (".", "..") and len(name.encode()) <= 255
    )
    paths = st.lists(names, min_size=1, max_size=4).map(tuple)
    sizes = st.one_of(st.integers(0, 3), st.integers(0, 70_000), st.just((1 << 20) + 1))
    return st.dictionaries(paths, sizes, min_size=1, max_size=15).filter(possible)


def possible(paths: Files) -> bool:
    """No path is a directory to another, and none is beyond what a key may have."""
    short = all(len("/".join(path).encode()) <= 1000 for path in paths)
    return short and not any(path[:n] in paths for path in paths for n in range(1, len(path)))


ODD = {
    ("a-b",): 1,
    ("a", "b"): 2,
    ("a.b",): 3,
    ("a0",): 0,
    ("a", "\uffff", "deep", "er"): 5,
    ("\U00010000",): (9 << 20) + 1,
    ("..two", " ", "-n", "%2F+&?#"): 7,
    ("\\", "C:", "~"): 8,
    ("\u00e9",): 9,
    ("e\u0301",): 10,
    ("A",): 11,
    ("x" * 255, "y" * 255): 12,
}
NUMBERS = itertools.count()
ROUNDS = settings(
    max_examples=examples(5),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.timeout(240)
@ROUNDS
@given(trees("\n"))  # moto cuts a key there
@example(ODD)
def test_any_tree_on_moto(s3pp: Run, moto: Store, tmp_path: Path, files: Files) -> None:
    there_and_back(s3pp, moto, tmp_path / f"{next(NUMBERS)}", files)


@pytest.mark.swift
@pytest.mark.timeout(240)
@ROUNDS
@given(trees(""))
@example(ODD | {("two\nlines", "\n"): 1})
def test_any_tree_on_swift(s3pp: Run, swift: Store, tmp_path: Path, files: Files) -> None:
    there_and_back(s3pp, swift, tmp_path / f"{next(NUMBERS)}", files)


def there_and_back(s3pp: Run, store: Store, place: Path, files: Files) -> None:
    whole = {"/".join(path): content(size, path) for path, size in files.items()}
    one, two = store.bucket(), store.bucket()
    src, out = make_tree(place / "src", whole), place / "out"
    steps = [
        ("put", src, f"{one.url}/p"),
        ("copy", f"{one.url}/p", f"{two.url}/q"),
        ("get", f"{two.url}/q", out),
    ]
    for step in steps:
        result = s3pp(*step, store=store)
        counts = result.counts.done, result.counts.skipped, result.counts.failed
        assert (result.code, counts) == (0, (len(whole), 0, 0)), result
    assert two.tree() == {f"q/{name}": body for name, body in whole.items()}
    assert read_tree(out) == whole
    before = snapshot(src), files_of(out)
    for step in steps:
        again = s3pp(*step, store=store)
        counts = again.counts.done, again.counts.skipped, again.counts.failed
        assert (again.code, counts) == (0, (0, len(whole), 0)), again
    assert (snapshot(src), files_of(out)) == before
    shutil.rmtree(place)
