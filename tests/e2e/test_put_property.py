"""Whatever the tree, the bucket holds the same, and a second run finds nothing to do."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from commands import Run
from effort import examples
from stores.store import Store
from trees import content, make_tree, read_tree

NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0\n"), min_size=1, max_size=20
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 255)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
SIZES = st.one_of(st.integers(0, 3), st.integers(0, 70_000))

Files = dict[tuple[str, ...], int]  # path segments -> size


def possible(paths: Files) -> bool:
    """No path is a directory to another."""
    return not any(path[:n] in paths for path in paths for n in range(1, len(path)))


TREES = st.dictionaries(PATHS, SIZES, max_size=12).filter(possible)
SORTS = {
    ("a-b",): 1,
    ("a", "b"): 2,
    ("a.b",): 3,
    ("a0",): 4,
    ("a", "\uffff"): 5,
    ("\U00010000",): 6,
}


@pytest.mark.thorough
@pytest.mark.timeout(180)
@settings(
    max_examples=examples(10),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(TREES)
@example(SORTS)
def test_any_tree(s3pp: Run, moto: Store, tmp_path: Path, files: Files) -> None:
    bucket = moto.bucket()
    src = make_tree(
        tmp_path / f"tree{next(COUNTER)}",
        {"/".join(path): content(size, path) for path, size in files.items()},
    )
    first = s3pp("put", src, f"{bucket.url}/p")
    assert (first.code, first.err, first.counts.done) == (0, "", len(files))
    assert bucket.tree() == {f"p/{name}": body for name, body in read_tree(src).items()}
    second = s3pp("put", src, f"{bucket.url}/p")
    assert (second.code, second.counts.done, second.counts.skipped) == (0, 0, len(files))
    shutil.rmtree(src)


COUNTER = itertools.count()
