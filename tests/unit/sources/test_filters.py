"""Which names the filters choose: patterns, ages and sizes; and which keys they get."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.errors import UsageError
from s3pp.job import Choosing, Job
from s3pp.places import Source
from s3pp.sources.filters import (
    Filters,
    FnmatchFilters,
    key_bytes,
    key_fault,
    leads_out,
    normalize,
    unmatched_notice,
)

from .trees import keys, plant

TREE = ["a.js", "b.css", "build/a.js", "build/deep/b.css", "src/a.js", "src/x/b.css"]


def chosen(*rules: str) -> list[str]:
    """The paths of TREE that survive rules such as ``+*.js`` and ``-build``."""
    choice = Filters(Choosing(rules=spelled(rules)))
    return [path for path in TREE if choice.name_refusal(path) is None]


def spelled(rules: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple(("include" if r[0] == "+" else "exclude", r[1:]) for r in rules)


def test_no_rule_chooses_all() -> None:
    assert chosen() == TREE
    assert not Filters(Choosing()).by_name


def test_an_include_alone_chooses_nothing_else() -> None:
    assert chosen("+*.js") == ["a.js", "build/a.js", "src/a.js"]


def test_the_same_at_length() -> None:
    assert chosen("-*", "+*.js") == chosen("+*.js")


def test_an_exclude_alone_chooses_all_else() -> None:
    assert chosen("-build") == ["a.js", "b.css", "src/a.js", "src/x/b.css"]


def test_the_last_match_wins_in_either_direction() -> None:
    assert chosen("-build", "+*.js") == ["a.js", "b.css", "build/a.js", "src/a.js", "src/x/b.css"]
    assert chosen("+*.js", "-build") == ["a.js", "src/a.js"]


def test_what_no_rule_matches_follows_the_first_one() -> None:
    assert "b.css" not in chosen("+*.js", "-src")
    assert "b.css" in chosen("-src", "+*.js")


def test_a_refusal_names_the_option() -> None:
    choice = Filters(Choosing(rules=(("include", "*.js"), ("exclude", "build/"))))
    assert choice.name_refusal("build/a.js") == "--exclude build/"
    assert choice.name_refusal("b.css") == "no --include matches"


def test_a_tree_is_refused_only_when_all_of_it_is() -> None:
    def refusal(*rules: str) -> str | None:
        return Filters(Choosing(rules=spelled(rules))).tree_refusal("build")

    assert refusal("-build") == "--exclude build"
    assert refusal("-build/**") == "--exclude build/**"
    assert refusal("-build", "+*.js") is None
    assert refusal("-build", "+/src/*.js") == "--exclude build"
    assert refusal("+/src/**") == "no --include matches"
    assert refusal("-build", "+build/deep") is None
    assert refusal("+build", "-*.js") is None


@pytest.mark.parametrize("glob", ["/", "a[b"])
def test_a_bad_glob_is_a_usage_error_that_names_the_option(glob: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--exclude '{glob}': ")):
        Filters(Choosing(rules=(("include", "*.js"), ("exclude", glob))))


@pytest.mark.parametrize(
    ("rules", "paths", "unmatched"),
    [
        (("+*.js", "-*.css"), ["a.js"], ["--exclude '*.css'"]),
        (("+*.js", "+*.css"), ["a"], ["--include '*.js'", "--include '*.css'"]),
        (("+*.js", "+*.css"), [], []),
        (("+a.js", "+*.js"), ["a.js"], []),  # the last one decides, and both match
        (("+*.js", "+a.js"), ["b.js"], ["--include 'a.js'"]),
        (("-x", "-*.o", "+*.o"), ["a.o", "x/b.o"], []),
        (("-x/*.js", "+*.css"), ["a.js"], ["--exclude 'x/*.js'", "--include '*.css'"]),
    ],
)
def test_patterns_that_matched_nothing_are_known(
    rules: tuple[str, ...], paths: list[str], unmatched: list[str]
) -> None:
    filters = Filters(Choosing(rules=spelled(rules)))
    for path in paths:
        filters.name_refusal(path)
    assert filters.unmatched == unmatched


def test_an_excluded_tree_is_matched_and_what_is_in_it_is_not() -> None:
    filters = Filters(Choosing(rules=spelled(("-*.o", "-build", "-/build"))))
    assert filters.tree_refusal("build") == "--exclude /build"
    assert filters.unmatched == ["--exclude '*.o'"]


def test_the_notice_names_a_few_of_many_and_is_left_out_with_a_limit() -> None:
    job = Job("put", (Source("a b"), Source("c")))
    many = [f"--include '{number}'" for number in range(12)]
    assert unmatched_notice(job, many[:2]) == (
        "put a b c: --include '0', --include '1' matched nothing: check the pattern"
    )
    assert "--include '9', and 2 others matched nothing" in str(unmatched_notice(job, many))
    assert unmatched_notice(job, []) is None
    assert unmatched_notice(replace(job, choosing=Choosing(limit=1)), many) is None


@pytest.mark.parametrize(
    ("choosing", "refusal"),
    [
        (Choosing(), None),
        (Choosing(min_size=10), None),
        (Choosing(min_size=11), "--min-size"),
        (Choosing(max_size=10), None),
        (Choosing(max_size=9), "--max-size"),
        (Choosing(max_size=0), "--max-size"),
        (Choosing(newer_than=99.5), None),
        (Choosing(newer_than=100.0), "--newer-than"),
        (Choosing(older_than=100.5), None),
        (Choosing(older_than=100.0), "--older-than"),
        (Choosing(older_than=0.0), "--older-than"),
    ],
)
def test_size_and_age(choosing: Choosing, refusal: str | None) -> None:
    choice = Filters(choosing)
    assert choice.stat_refusal(10, 100 * 10**9) == refusal
    assert choice.by_stat is (choosing != Choosing())


SEGMENT = st.sampled_from(["a", "b", "ab", "a.b"])
PATHS = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)
GLOBS = st.one_of(
    st.sampled_from(["*", "**", "a/**", "*/", "/a", "a/", "*.b", "a/*", "**/b", "/a/*/b", "a*"]),
    st.text("ab*?/.", min_size=1, max_size=5).filter(lambda g: g.strip("./") and ".." not in g),
)
RULES = st.lists(st.tuples(st.sampled_from(["include", "exclude"]), GLOBS), max_size=4).map(tuple)


def without_clashes(paths: set[str]) -> list[str]:
    """``paths`` that can live in one tree: none is a directory of another."""
    return [p for p in paths if not any(q.startswith(p + "/") for q in paths)]


@settings(max_examples=examples(60), deadline=None)
@given(st.sets(PATHS, max_size=12), RULES)
def test_pruning_changes_nothing(paths: set[str], rules: tuple[tuple[str, str], ...]) -> None:
    files = without_clashes(paths)
    choice = Filters(Choosing(rules=rules))
    expected = sorted(path for path in files if choice.name_refusal(path) is None)
    with tempfile.TemporaryDirectory() as top:
        plant(Path(top), dict.fromkeys(files, ""))
        assert keys(top, rules=rules) == expected


def test_excluded_trees_are_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(tmp_path, {"keep/a": "", "build/deep/b": ""})
    listed: list[str] = []
    scandir = os.scandir

    def noted(path: str) -> Iterator[os.DirEntry[str]]:
        listed.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)
    assert keys(tmp_path, rules=(("exclude", "build"),)) == ["keep/a"]
    assert [os.path.relpath(path, tmp_path) for path in listed] == [".", "keep"]


@given(st.text(), st.text())
def test_text_sorts_as_its_bytes(one: str, other: str) -> None:
    pair = [t for t in (one, other) if not any("\ud800" <= c <= "\udfff" for c in t)]
    assert sorted(pair) == sorted(pair, key=key_bytes)


def test_faults() -> None:
    assert key_fault(b"k" * 1024) is None
    assert "shorten" in str(key_fault(b"k" * 1025))
    assert key_fault("é".encode()) is None
    assert "rename" in str(key_fault(b"\xe9"))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a", "a"),
        ("./a", "a"),
        ("a//b/", "a/b"),
        ("a/./b", "a/b"),
        (".", ""),
        ("", ""),
        ("..", ".."),
    ],
)
def test_normal(name: str, plain: str) -> None:
    assert normalize(name) == plain


@pytest.mark.parametrize("name", ["/a", "..", "../a", "a/..", "a/../b"])
def test_climbing(name: str) -> None:
    assert leads_out(name)


@pytest.mark.parametrize("name", ["a", "..a", "a..", "a/...", "./a"])
def test_not_climbing(name: str) -> None:
    assert not leads_out(name)


# The rules of s3-parallel-put

SHELL_TREE = {"a.css": "", "a.js": "", "build/b.css": "", "build/lib/c.css": "", ".git/HEAD": ""}


@pytest.mark.parametrize(
    ("rules", "chosen"),
    [
        ([], ["*"]),
        ([("exclude", "*.css")], [".git/HEAD", "a.js"]),
        ([("include", "*.css")], ["*"]),  # excludes nothing
        ([("exclude", "*.css"), ("include", "a.*")], [".git/HEAD", "a.css", "a.js"]),
        ([("include", "a.*"), ("exclude", "*.css")], [".git/HEAD", "a.css", "a.js"]),
        ([("exclude", "build")], ["*"]),  # the path of a directory begins with SOURCE
        ([("exclude", "*/build")], [".git/HEAD", "a.css", "a.js", "build/lib/c.css"]),
        ([("exclude", "*/build*")], [".git/HEAD", "a.css", "a.js"]),
        ([("exclude", "*/.git*")], ["a.css", "a.js", "build/b.css", "build/lib/c.css"]),
        ([("exclude", "[!.]*")], []),  # SOURCE itself, as all directories
        ([("exclude", "../x")], ["*"]),  # is no error
    ],
)
def test_shell_patterns_in_a_directory(
    rules: list[tuple[str, str]], chosen: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "src", SHELL_TREE)
    monkeypatch.chdir(tmp_path)
    expected = sorted(SHELL_TREE) if chosen == ["*"] else chosen
    for source in ("src", "src/"):
        assert keys(source, rules=tuple(rules), matching="fnmatch") == expected


def test_shell_patterns_of_a_single_file_and_an_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path / "src", {"a.css": "1"})
    monkeypatch.chdir(tmp_path)
    rules = (("exclude", "src/*"),)
    assert keys("src/a.css", rules=rules, matching="fnmatch") == []
    assert keys("./src/a.css", rules=rules, matching="fnmatch") == ["a.css"]
    members = FnmatchFilters(Choosing(rules=(("exclude", "src/*.css"),)))
    assert members.name_refusal("src/x/a.css") == "--exclude src/*.css"
    assert members.name_refusal("a.css") is None
