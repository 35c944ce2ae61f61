"""From a bucket's objects to tasks: names that can be files, apart from each other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.localfs.name_conflicts import fold_name
from s3pp.places import Origin, parse_origin
from s3pp.records import Failed, GetTask
from s3pp.s3.listing import Listed
from s3pp.transfer.planners import GetPlanner, Step

MODIFIED = "2026-01-02T03:04:05.000Z"
ALL = Origin("bucket")


def listed(key: str, size: int = 1) -> Listed:
    return Listed(key, size, f"etag of {key}", MODIFIED, "STANDARD")


def task(key: str, target: str | None = None, size: int = 1) -> GetTask:
    return GetTask(key, key if target is None else target, size, f"etag of {key}", MODIFIED)


def planned(
    found: Iterable[str | Listed | Failed], origin: Origin = ALL, *, folds: bool = False
) -> list[Step]:
    """The plan; whatever is in it, those entered are its tasks, in order, each before its task."""
    entered: list[str] = []
    objects = [listed(each) if isinstance(each, str) else each for each in found]
    planner = GetPlanner(origin, folds=folds, entering=entered.append)
    steps = []
    for step in planner.plan(objects):
        steps.append(step)
        tasks = [each for each in steps if isinstance(each, GetTask)]
        assert entered == [each.target for each in tasks]
    return steps


def shown(steps: Iterable[Step]) -> list[tuple[str, str]]:
    """Each step in short: its target, and ``task`` or the failure's kind."""
    return [
        (step.target, step.kind.value if isinstance(step, Failed) else "task") for step in steps
    ]


@pytest.mark.parametrize(
    ("source", "key", "target"),
    [
        ("s3://bucket", "a/b", "a/b"),
        ("s3://bucket/a", "a/b", "b"),
        ("s3://bucket/a/b/", "a/b/c/d", "c/d"),
        ("s3://bucket/x/logs-2026*", "x/logs-2026-01/a", "logs-2026-01/a"),
        ("s3://bucket/a", "a/", ""),
    ],
)
def test_names_are_relative_to_the_origin(source: str, key: str, target: str) -> None:
    size = 1 if target else 0
    assert planned([listed(key, size)], parse_origin(source)) == [task(key, target, size)]


def test_a_single_object_keeps_its_base_name() -> None:
    origin = parse_origin("s3://bucket/a/b.txt").alone
    assert planned(["a/b.txt"], origin) == [task("a/b.txt", "b.txt")]


@pytest.mark.parametrize(
    ("key", "size"),
    [("../a", 1), ("/a", 1), ("a//b", 1), ("a/./b", 1), ("n" * 256, 1), ("a\0", 1), ("d/", 1)],
)
def test_what_cannot_be_a_file_fails_by_name(key: str, size: int) -> None:
    (step,) = planned([listed(f"p/{key}", size)], parse_origin("s3://bucket/p"))
    assert isinstance(step, Failed)
    assert (step.source, step.target, step.kind) == (f"p/{key}", key, FailureKind.NAME)
    assert "\n" not in step.message


def test_a_file_wins_over_what_would_lie_below_it() -> None:
    steps = planned(["a", "a-b", listed("a/", 0), "a/b", "a/b/c", "b"])
    assert shown(steps) == [
        ("a", "task"),
        ("a-b", "task"),
        ("a/", "conflict"),
        ("a/b", "conflict"),
        ("a/b/c", "conflict"),
        ("b", "task"),
    ]
    messages = [step.message for step in steps if isinstance(step, Failed)]
    assert all("'a'" in message for message in messages)


def test_a_marker_and_what_lies_below_it_agree() -> None:
    steps = planned([listed("", 0), listed("a/", 0), "a/b"])
    assert shown(steps) == [("", "task"), ("a/", "task"), ("a/b", "task")]


def test_an_object_listed_twice_is_got_once() -> None:
    assert planned(["a", "a", "b"]) == [task("a"), task("b")]


GIVEN = Failed("p/x", "x", FailureKind.NOT_FOUND, "there is no such key")


def test_failures_stay_in_their_place() -> None:
    steps = planned(["../0", "a", GIVEN, "a//b", "b", "b/c", "c", "d/../e", GIVEN])
    assert shown(steps) == [
        ("../0", "name"),
        ("a", "task"),
        ("x", "not-found"),
        ("a//b", "name"),
        ("b", "task"),
        ("b/c", "conflict"),
        ("c", "task"),
        ("d/../e", "name"),
        ("x", "not-found"),
    ]


@pytest.mark.parametrize("folds", [False, True])
def test_a_failure_claims_no_name(folds: bool) -> None:
    missing = Failed("a", "a", FailureKind.NOT_FOUND, "there is no such key")
    steps = planned([missing, missing, "a/b"], folds=folds)
    assert shown(steps) == [("a", "not-found"), ("a", "not-found"), ("a/b", "task")]


def test_failures_are_told_as_they_come() -> None:
    taken = []

    def objects() -> Iterable[Listed]:
        for at in range(1000):
            taken.append(at)
            yield listed(f"../{at}")

    steps = GetPlanner(ALL, folds=False, entering=pytest.fail).plan(objects())
    assert shown([next(steps), next(steps)]) == [("../0", "name"), ("../1", "name")]
    assert len(taken) <= 3


@pytest.mark.parametrize("folds", [False, True])
def test_where_nothing_can_be_a_file_every_failure_is_told(folds: bool) -> None:
    steps = planned(["/a", "/b", GIVEN], folds=folds)
    assert [kind for _, kind in shown(steps)] == ["name", "name", "not-found"]


def test_objects_are_taken_one_at_a_time() -> None:
    taken = []

    def objects() -> Iterable[Listed]:
        for at in range(10):
            taken.append(at)
            yield listed(str(at))

    steps = GetPlanner(ALL, folds=False, entering=lambda _: None).plan(objects())
    next(steps)
    next(steps)
    assert len(taken) <= 3


# Compressed files


@pytest.mark.parametrize(
    ("key", "name", "target", "pack"),
    [
        ("p/a.jpg", None, "a.jpg.gz", True),
        ("p/a.jpg", "out.gz", "out.gz", True),
        ("p/a.jpg", "out", "out", True),
        ("p/x.gz", None, "x.gz", False),
        ("p/x.gz", "plain", "plain", False),
    ],
)
def test_an_exact_name_is_kept_and_the_objects_name_says_what_is_compressed(
    key: str, name: str | None, target: str, pack: bool
) -> None:
    origin = replace(parse_origin(f"s3://bucket/{key}").alone, name=name)
    planner = GetPlanner(origin, folds=False, entering=lambda _: None, gzip_suffix=".gz")
    (found,) = planner.plan([listed(key)])
    assert isinstance(found, GetTask)
    assert (found.target, found.pack) == (target, pack)


# Where the file system takes A for a


def test_names_that_fold_are_told_apart() -> None:
    keys = ["A", "B/x", "a", "b", "c", "É", "é"]
    assert dict(shown(planned(keys, folds=True))) == {
        "A": "task",
        "B/x": "conflict",
        "a": "conflict",
        "b": "task",
        "c": "task",
        "É": "task",
        "é": "conflict",
    }
    assert {kind for _, kind in shown(planned(keys))} == {"task"}


# All of it at once

KEYS = st.lists(st.text(st.sampled_from("aAbB-/.é"), max_size=5), unique=True, max_size=12).map(
    lambda keys: sorted(keys, key=str.encode)
)


@given(KEYS, st.booleans())
def test_every_object_is_one_task_or_one_failure(keys: list[str], folds: bool) -> None:
    found = [listed(key, 0 if not key or key[-1] == "/" else 1) for key in keys]
    steps = planned(found, folds=folds)
    assert sorted(step.source for step in steps) == sorted(keys)
    tasks = [step.target for step in steps if isinstance(step, GetTask)]
    names = [fold_name(target) if folds else target for target in tasks]
    files = {name for name in names if name and not name.endswith("/")}
    assert len(files) == sum(bool(name) and not name.endswith("/") for name in names)
    for name in names:
        above = {name[:at] for at, letter in enumerate(name) if letter == "/"}
        assert not above & files, "nothing lies below a file"
    if not folds:
        assert [step.source for step in steps] == keys
