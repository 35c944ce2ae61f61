"""Several origins in one run: one order, one owner for each target, and no copies of copies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.places import Origin, Place, parse_origin
from s3pp.records import Failed, GetTask
from s3pp.s3.listing import Listed
from s3pp.transfer.planners import GetPlanner, Step
from s3pp.transfer.several_origins import (
    Crossing,
    Found,
    limit_found,
    merge_origins,
    plan_several,
)


def listed(key: str) -> Listed:
    return Listed(key, 1, "etag", "2026-01-02T03:04:05.000Z", "")


def planned(*origins: Origin, keys: dict[str, list[str]], limit: int | None = None) -> list[Step]:
    """The steps of a get of ``origins``; ``keys`` are those of each bucket, in any order."""

    def read(origin: Origin) -> Iterator[Found]:
        for key in sorted(keys[origin.bucket]):
            if key == origin.prefix or (not origin.is_single and key.startswith(origin.prefix)):
                yield listed(key)

    found = merge_origins(origins, [partial(read, each) for each in origins])
    planners = [GetPlanner(each, folds=False, entering=lambda _: None) for each in origins]
    plans = [each.steps for each in planners]
    return list(planners[0].separate(plan_several(origins, plans, limit_found(found, limit))))


def test_one_bucket_needs_no_name_and_the_first_owns_a_target() -> None:
    origins = parse_origin("s3://bkt/a"), parse_origin("s3://bkt/b").alone
    keys = {"bkt": ["a/b", "a/z", "b", "c"]}
    first, second, last = planned(*origins, keys=keys)
    assert [type(each) for each in (first, second, last)] == [GetTask, Failed, GetTask]
    assert [(each.source, each.target) for each in (first, second, last)] == [
        ("a/b", "b"),
        ("b", "b"),
        ("a/z", "z"),
    ]
    assert isinstance(second, Failed)
    assert second.kind is FailureKind.CONFLICT
    assert second.message == "name conflict: 's3://bkt/a/b' already has this name"
    turned = planned(*reversed(origins), keys=keys)
    assert [(each.source, type(each)) for each in turned[:2]] == [("b", GetTask), ("a/b", Failed)]


def test_several_buckets_are_named() -> None:
    origins = parse_origin("s3://one"), parse_origin("s3://two/p*")
    steps = planned(*origins, keys={"one": ["x", "y"], "two": ["p", "q"]})
    assert [step.source for step in steps] == ["two/p", "one/x", "one/y"]
    limited = planned(*origins, keys={"one": ["x", "y"], "two": ["p", "q"]}, limit=2)
    assert limited == steps[:2]


def test_named_origins_land_under_their_names_and_are_listed_in_turn() -> None:
    origins = [replace(parse_origin(f"s3://bkt/{each}"), name=each) for each in ("a", "b")]
    under_way: list[str] = []

    def read(origin: Origin) -> Iterator[Found]:
        under_way.append(origin.prefix)
        yield from (listed(f"{origin.prefix}{number}") for number in range(2))
        under_way.remove(origin.prefix)

    for number, _ in merge_origins(origins, [partial(read, each) for each in origins]):
        assert under_way == [origins[number].prefix], "a listing costs memory: one at a time"
    steps = planned(*origins, keys={"bkt": ["a/1", "b/1"]})
    assert [step.target for step in steps] == ["a/1", "b/1"]


KEYS = st.text("ab/", min_size=1, max_size=5)


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    prefix, star = draw(st.text("ab/", max_size=3)), draw(st.sampled_from(["", "*"]))
    origin = parse_origin(f"s3://bkt/{prefix}{star}")
    origin = origin.alone if origin.single and draw(st.booleans()) else origin
    return replace(origin, name=draw(st.none() | st.text("ab", min_size=1, max_size=2)))


@given(st.lists(origins(), min_size=2, max_size=3), st.lists(KEYS, unique=True, max_size=8))
def test_any_origins_come_in_one_order_each_target_once(
    read: list[Origin], keys: list[str]
) -> None:
    steps = planned(*read, keys={"bkt": keys})
    tasks = [step.target for step in steps if isinstance(step, GetTask)]
    assert tasks == sorted(set(tasks))
    count = sum(
        key == each.prefix or (not each.is_single and key.startswith(each.prefix))
        for each in read
        for key in keys
    )
    assert len(steps) == count, "every object of every origin has one outcome"


@given(
    st.lists(origins(), min_size=2, max_size=3),
    st.text("ab/", max_size=3),
    st.lists(KEYS, unique=True, max_size=8),
)
def test_nothing_that_is_written_is_read(read: list[Origin], dest: str, keys: list[str]) -> None:
    place = Place("bkt", dest.removesuffix("/"))
    same = [True] * len(read)
    crossings = [Crossing.among(n, read, place, same=same) for n in range(len(read))]
    if any(each.own.refusal for each in crossings):
        return
    written = set()
    for origin, crossing in zip(read, crossings, strict=True):
        start, cut = origin.renaming
        for key in keys:
            if reads(origin, crossing, key):
                target = place.key(start) + key[cut:]
                if crossing.fault(target) is None:
                    written.add(target)
    for origin, crossing in zip(read, crossings, strict=True):
        assert not [target for target in written if reads(origin, crossing, target)]


def reads(origin: Origin, crossing: Crossing, key: str) -> bool:
    mine = key == origin.prefix if origin.is_single else key.startswith(origin.prefix)
    return mine and not crossing.excluded(key)
