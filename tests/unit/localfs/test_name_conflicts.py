"""Clashing names, against a model that remembers everything and compares all with all."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3pp.localfs.external_sort import SortMemory
from s3pp.localfs.name_conflicts import (
    NameConflicts,
    fold_name,
    folds_names,
    mark_conflicts,
    mark_conflicts_folded,
)
from s3pp.localfs.paths import TEMPORARY, is_marker

Fold = Callable[[str], str]
SEGMENTS = st.sampled_from(["a", "A", "b", "a-b", "a.", "ab", "é", "e\u0301", "É", "ß", "SS", "-"])
PATHS = st.builds(
    lambda segments, marker: "/".join(segments) + "/" * marker,
    st.lists(SEGMENTS, min_size=1, max_size=4),
    st.booleans(),
)


def listed(paths: list[str]) -> list[str]:
    """As a store lists them."""
    return sorted(paths, key=str.encode)


def model(paths: list[str], fold: Fold) -> dict[str, bool]:
    """Whether each path can be written: it has no file of its name, or above it, before it."""
    taken: list[str] = []
    verdicts = {}
    for path in sorted(set(paths), key=lambda path: (fold(path), path.encode())):
        name = fold(path)
        verdicts[path] = not any(name == file or name.startswith(f"{file}/") for file in taken)
        if verdicts[path] and not path.endswith("/"):
            taken.append(name)
    return verdicts


def verdicts(pairs: Iterator[tuple[str, str | None]]) -> dict[str, bool]:
    found = list(pairs)
    assert len(dict(found)) == len(found), "a name came twice"
    return {path: fault is None for path, fault in found}


@given(st.lists(PATHS, max_size=20))
@example(["a", "a-b", "a.", "a/", "a/b", "a/b/c", "ab"])
def test_files_win_over_what_lies_below_them(paths: list[str]) -> None:
    assert verdicts(mark_conflicts(listed(paths), str)) == model(paths, str)


@given(st.lists(PATHS, max_size=20), st.integers(1, 8))
@example(["A/b", "a", "a/c"], 8)
@example(["A", "a/b", "a/"], 1)
def test_folded_names_likewise(paths: list[str], run_length: int) -> None:
    pairs = mark_conflicts_folded(listed(paths), str, memory=SortMemory(run_length, 1))
    assert verdicts(pairs) == model(paths, fold_name)


@given(st.lists(PATHS, max_size=12))
def test_what_is_left_stands_in_a_file_system(paths: list[str]) -> None:
    """No two of the accepted names are one, or one a file and the other below it."""
    accepted = [path for path, fault in mark_conflicts_folded(listed(paths), str) if fault is None]
    for one, other in itertools.permutations(accepted, 2):
        if not is_marker(one):
            assert fold_name(one) != fold_name(other)
            assert not fold_name(other).startswith(f"{fold_name(one)}/")


def test_the_fault_names_the_file_and_the_mend() -> None:
    found = NameConflicts()
    assert found.fault("a") is None
    assert found.fault("a-b") is None
    below = found.fault("a/b") or ""
    assert below.startswith("'a' is a file")
    assert below.endswith("rename one of them")
    assert "'a'" in (found.fault("a/") or "")
    assert found.fault("b") is None


def test_of_twins_the_first_in_key_order_wins() -> None:
    twins = ["A", "a", "e\u0301", "\u00e9"]
    found = dict(mark_conflicts_folded(listed(twins), str))
    assert found["A"] is None
    assert "'A' is the same name" in (found["a"] or "")
    assert found["e\u0301"] is None
    assert found["\u00e9"] is not None


def test_directories_that_fold_alike_are_one_directory() -> None:
    names = ["A/", "A/x", "a/", "a/y"]
    assert all(fault is None for _, fault in mark_conflicts_folded(names, str))


def test_an_object_listed_twice_is_one() -> None:
    names = ["a", "a", "a/b", "a/b", "c/", "c/"]
    assert [name for name, _ in mark_conflicts(names, str)] == ["a", "a/b", "c/"]
    assert sorted(name for name, _ in mark_conflicts_folded(names, str)) == ["a", "a/b", "c/"]


def test_records_are_whatever_has_a_name() -> None:
    records = [("a", 1), ("a/b", 2)]
    assert [record for record, _ in mark_conflicts(records, lambda record: record[0])] == records


def test_memory_is_bounded_by_the_length_of_a_name() -> None:
    found = NameConflicts()
    for number in range(10_000):
        assert found.fault(f"{number:05}") is None
    assert len(found._files) == 1
    for length in range(1, 200):
        assert found.fault("x" * length) is None
    assert len(found._files) == 199


SAME = [
    ("a", "A"),
    ("straße", "STRASSE"),
    ("\u00e9", "e\u0301"),
    ("\u00c9", "e\u0301"),
    ("ΣΑΣ", "σας"),
    ("\u1e9b\u0323", "\u1e61\u0323"),
    ("soft\u00adhyphen", "softhyphen"),
    ("\ufb01", "fi"),
    ("\uac00", "\u1100\u1161"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_folds_alike(one: str, other: str) -> None:
    assert fold_name(one) == fold_name(other)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("e", "é"), ("a.", "a"), ("ı", "i")])
def test_what_does_not(one: str, other: str) -> None:
    assert fold_name(one) != fold_name(other)


@given(st.text())
def test_folding_again_changes_nothing_that_matters(name: str) -> None:
    assert fold_name(name) == fold_name(fold_name(name))
    for form in ("NFC", "NFD"):
        assert fold_name(name) == fold_name(unicodedata.normalize(form, name))
    assert fold_name(f"{name}/x").endswith("/x")


def test_a_file_system_that_keeps_names_apart(tmp_path: Path) -> None:
    assert not folds_names(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_dry_run_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", lambda *_, **__: pytest.fail("opened"))
    (tmp_path / "name").mkdir()
    assert not folds_names(str(tmp_path), write=False)
    assert not folds_names(str(tmp_path / "missing"), write=False)


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """lstat as a file system has it that folds names."""
    real = os.lstat

    def lstat(path: str) -> os.stat_result:
        parent, name = os.path.split(path)
        twins = [each for each in os.listdir(parent) if fold_name(each) == fold_name(name)]
        return real(os.path.join(parent, twins[0] if twins else name))

    monkeypatch.setattr(os, "lstat", lstat)
    monkeypatch.setattr(os.path, "lexists", lambda path: _exists(lstat, path))


def _exists(lstat: Callable[[str], os.stat_result], path: str) -> bool:
    try:
        lstat(path)
    except FileNotFoundError:
        return False
    return True


@pytest.mark.usefixtures("folding")
def test_folding_is_found_out_by_probes(tmp_path: Path) -> None:
    assert folds_names(str(tmp_path))
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("folding")
def test_folding_is_seen_in_names_that_are_there(tmp_path: Path) -> None:
    assert not folds_names(str(tmp_path), write=False)
    (tmp_path / "12.34").touch()
    assert not folds_names(str(tmp_path), write=False)
    (tmp_path / "Name").touch()
    assert folds_names(str(tmp_path), write=False)


def test_a_probe_that_was_left_is_swept_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "unlink", lambda _: None)
    folds_names(str(tmp_path))
    left = os.listdir(tmp_path)
    assert len(left) == 2
    assert all(TEMPORARY.search(name) for name in left)


MAKERS = {
    "xfs": ["mkfs.xfs", "-q", "-f", "-n", "version=ci"],
    "vfat": ["mkfs.vfat"],
    "ext4": ["mkfs.ext4", "-q", "-F", "-O", "casefold"],
}


@pytest.fixture(params=sorted(MAKERS))
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory in a file system that folds, where one can be made and mounted."""
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    with open(image, "wb") as file:
        file.truncate(320 << 20)
    maker = MAKERS[request.param]
    if os.geteuid() != 0 or not shutil.which(maker[0]):
        pytest.skip(f"no {maker[0]} for us here")
    mount = ["mount", "-o", "loop", "-t", request.param, str(image), str(place)]
    for command in ([*maker, str(image)], mount):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(done.stderr.strip())
    try:
        made = place / "made"
        made.mkdir()
        if request.param == "ext4":
            subprocess.run(["chattr", "+F", str(made)], check=True)
        yield made
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_real_file_systems_that_fold(mounted: Path) -> None:
    assert folds_names(str(mounted))
    assert os.listdir(mounted) == []
    (mounted / "Name").touch()
    assert folds_names(str(mounted), write=False)
