"""What is extraneous is the difference of two sets, found in one pass and in constant memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.deletion import Deletion
from s3pp.job import Choosing, Job
from s3pp.localfs.name_conflicts import fold_name
from s3pp.localfs.tree import Tree
from s3pp.places import Origin, Place, Source, parse_origin
from s3pp.records import DeleteReason
from s3pp.s3.listing import Listed
from s3pp.sources.extraneous import (
    DeletionRule,
    Extraneous,
    MirrorScope,
    Subtrees,
    UnorderedTargets,
    in_order,
    walk_directory,
)
from s3pp.sources.filters import filters_of, key_bytes
from trees import Link, make_tree

SEGMENT = st.text("aAb!-.0é\U0001f600", min_size=1, max_size=2)
NAME = st.lists(SEGMENT, min_size=1, max_size=3).map("/".join)
NAMES = st.sets(NAME, max_size=12)
MIRROR = Deletion(extraneous=True)


def merged(
    found: set[str], targets: set[str], place: Callable[[str], bytes | str] = key_bytes
) -> tuple[list[str], list[str]]:
    """What is dropped, and which targets were there."""
    dropped: list[str] = []
    merge = Extraneous(sorted(found, key=place), name=str, drop=dropped.append, place=place)
    there = [target for target in sorted(targets, key=place) if merge.claim(target) is not None]
    merge.finish()
    return dropped, there


@given(NAMES, NAMES)
def test_what_no_target_claims_is_extraneous(found: set[str], targets: set[str]) -> None:
    dropped, there = merged(found, targets)
    assert dropped == sorted(found - targets, key=key_bytes)
    assert there == sorted(found & targets, key=key_bytes)


@given(st.sets(st.text("aAbB", min_size=1, max_size=2)), st.sets(st.text("ab", min_size=1)))
def test_names_that_a_file_system_folds_are_the_same(found: set[str], targets: set[str]) -> None:
    """Of names that fold to one, a directory holds only one."""
    distinct = {fold_name(name): name for name in sorted(found)}
    dropped, _ = merged(set(distinct.values()), targets, fold_name)
    assert dropped == [distinct[name] for name in sorted(distinct) if name not in targets]


@given(NAMES, NAMES)
def test_targets_may_be_claimed_twice(found: set[str], targets: set[str]) -> None:
    dropped: list[str] = []
    merge = Extraneous(sorted(found, key=key_bytes), name=str, drop=dropped.append, place=key_bytes)
    for target in sorted(targets, key=key_bytes):
        assert merge.claim(target) == merge.claim(target)
    merge.finish()
    assert set(dropped) == found - targets


def test_targets_that_do_not_ascend_are_refused() -> None:
    merge = Extraneous(["a", "b", "c"], name=str, drop=lambda _: None)
    merge.claim("b")
    with pytest.raises(UnorderedTargets):
        merge.claim("a")


def test_a_listing_out_of_order_or_repeated_is_refused() -> None:
    pages = [[Listed(key, 1, "", "") for key in page] for page in ("ab", "cd", "cd")]
    found = in_order(pages, LookupError())
    assert [next(found).key for _ in range(4)] == ["a", "b", "c", "d"]
    with pytest.raises(LookupError):
        next(found)


@given(NAMES, NAMES)
def test_what_is_below_a_link_is_in_its_subtree(links: set[str], names: set[str]) -> None:
    below = Subtrees()
    for name in sorted(links | names, key=key_bytes):
        expected = any(name.startswith(f"{link}/") for link in links if link != name)
        assert below.contain(name) is expected
        if name in links:
            below.add(name)


def rule(verb: str, *rules: tuple[str, str], excluded: bool = False, **job: object) -> DeletionRule:
    places = {"put": {"dest": Place("b")}, "copy": {"dest": Place("b")}, "get": {"directory": "d"}}
    deletion = replace(MIRROR, excluded=excluded)
    made = Job(verb, choosing=Choosing(rules=rules), deletion=deletion, **places[verb])  # type: ignore[arg-type]
    return DeletionRule.of(replace(made, **job), filters_of(made.choosing))  # type: ignore[arg-type]


EXCLUDE = ("exclude", "*.log")


@pytest.mark.parametrize("verb", ["put", "get", "copy"])
def test_filters_protect_by_name(verb: str) -> None:
    assert rule(verb, EXCLUDE).decide("a/b.txt") is DeleteReason.NOT_IN_SOURCE
    assert rule(verb, EXCLUDE).decide("a/b.log") is None
    assert rule(verb, EXCLUDE, excluded=True).decide("a/b.log") is DeleteReason.EXCLUDED
    assert rule(verb, ("include", "*.js")).decide("a/b.log") is None
    assert rule(verb, ("exclude", "a")).enters("a") is False
    assert rule(verb, ("exclude", "a"), excluded=True).enters("a") is True


@pytest.mark.parametrize(
    ("verb", "name", "deleted"),
    [
        ("put", "a//b", False),
        ("put", "../b", False),
        ("put", "d/", False),
        ("put", "a.s3pp-0123456789abcdef.part", False),
        ("put", "", False),
        ("copy", "a//b", True),
        ("copy", "d/", True),
        ("copy", "", False),
        ("get", "a", True),
        ("get", "a\udcff", False),
        ("get", "a" * 1025, False),
        ("get", "a.s3pp-0123456789abcdef", False),
    ],
)
def test_names_that_the_source_cannot_have_are_left(verb: str, name: str, deleted: bool) -> None:
    assert (rule(verb).decide(name) is not None) is deleted


def test_a_compressed_file_is_protected_by_the_name_of_its_object() -> None:
    from s3pp.body_options import DownloadOptions

    made = rule("get", EXCLUDE, download=DownloadOptions(gzip_suffix=".gz"))
    assert made.decide("a.log.gz") is None
    assert made.decide("a.txt.gz") is DeleteReason.NOT_IN_SOURCE


def put(prefix: str, name: str | None = None) -> Job:
    return Job("put", sources=(Source("src", name),), dest=Place("b", prefix))


def copy(source: str, prefix: str) -> Job:
    return Job("copy", origins=(parse_origin(source),), dest=Place("b", prefix))


def get(origin: Origin) -> Job:
    return Job("get", origins=(origin,), directory="d")


@pytest.mark.parametrize(
    ("job", "prefix", "top"),
    [
        (put(""), "", ""),
        (put("p"), "p/", "p/"),
        (put("p", "n"), "p/n/", "p/n/"),
        (copy("s3://src/x", ""), "", ""),
        (copy("s3://src/x", "p"), "p/", "p/"),
        (copy("s3://src/x/logs-*", "p"), "p/logs-", "p/"),
        (get(parse_origin("s3://src/x")), "", ""),
        (get(parse_origin("s3://src/x/logs-*")), "logs-", ""),
        (get(replace(parse_origin("s3://src/x"), name="n")), "n/", "n/"),
    ],
)
def test_the_scope_is_what_the_source_may_give(job: Job, prefix: str, top: str) -> None:
    assert MirrorScope.of(job) == MirrorScope(prefix, len(top))


# The walk of a directory


def walked(root: Path, enters: Callable[[str], bool] = lambda _: True) -> list[str]:
    return list(walk_directory(Tree(str(root)), enters, pytest.fail))


@given(
    names=st.sets(
        st.lists(st.text("aA-!.é", min_size=1, max_size=3), min_size=1, max_size=3)
        .map("/".join)
        .filter(lambda name: "." not in name),
        max_size=12,
    )
)
def test_files_come_in_the_order_of_keys(
    names: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    files: set[str] = set()
    for name in sorted(names):
        if not any(f"{name}/".startswith(f"{each}/") for each in files):
            files.add(name)
    files = {f for f in files if not any(o.startswith(f"{f}/") for o in files)}
    root = make_tree(tmp_path_factory.mktemp("walk"), dict.fromkeys(files, b""))
    assert walked(root) == sorted(files, key=str.encode)


def test_only_files_are_found_and_no_link_is_followed(tmp_path: Path) -> None:
    outside = make_tree(tmp_path / "outside", {"x": b"1"})
    temporary = "f.s3pp-0123456789abcdef"
    root = make_tree(
        tmp_path / "root",
        {
            "a": b"1",
            "d/b": b"2",
            "link": Link(str(outside)),
            "file": Link("a"),
            "empty": None,
            temporary: b"3",
            f"{temporary}.part": b"4",
        },
    )
    os.mkfifo(root / "fifo")
    assert walked(root) == ["a", "d/b"]
    assert walked(root, lambda directory: directory != "d") == ["a"]
    assert walked(tmp_path / "missing") == []


def test_bytes_that_are_no_text_sort_as_bytes(tmp_path: Path) -> None:
    names = [b"a\xff", "a\uffff".encode(), "a\U0001f600".encode(), b"a"]
    for name in names:
        (tmp_path / os.fsdecode(name)).touch()
    assert walked(tmp_path) == [os.fsdecode(name) for name in sorted(names)]


def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    trouble: list[str] = []
    assert list(walk_directory(Tree(str(tmp_path / "file")), lambda _: True, trouble.append)) == []
    assert "is not a directory" in trouble[0]
