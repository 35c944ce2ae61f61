"""What a mirror deletes is what sets would give, whatever it is told of the source, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.deletion import Deletion
from s3pp.errors import FailureKind
from s3pp.job import Choosing, Job
from s3pp.pipeline.messages import WalkDone
from s3pp.pipeline.mirror import BucketMirror, Step
from s3pp.places import Place, Source
from s3pp.records import (
    DeleteReason,
    DeleteTask,
    Dest,
    Entry,
    Failed,
    PutTask,
    Skipped,
    SkipReason,
)
from s3pp.s3.listing import Listed, ListingError
from s3pp.shard import Shard
from s3pp.sources.extraneous import Extraneous
from s3pp.sources.filters import filters_of, key_bytes
from s3pp.sources.left_out import LeftOut, OfAnotherShard

RULES = (("exclude", "*.x"),)
PREFIX = "p/"


class ListMirror(BucketMirror):
    """A mirror of a listing in memory."""

    def __init__(self, job: Job, found: Iterable[Listed]) -> None:
        super().__init__(job, filters_of(job.choosing), None)  # type: ignore[arg-type]
        self._merge = Extraneous(found, name=lambda each: each.key, drop=self._drop)


def make_job(*, excluded: bool = False) -> Job:
    return Job(
        "put",
        sources=(Source("/nowhere"),),
        dest=Place("bucket", "p"),
        choosing=Choosing(rules=RULES),
        deletion=Deletion(extraneous=True, excluded=excluded),
    )


def listed(names: Iterable[str]) -> list[Listed]:
    return [Listed(PREFIX + name, 1, f"etag {name}", "") for name in sorted(names, key=key_bytes)]


def step(name: str, kind: str) -> Step:
    """What a planner makes of a file of the source."""
    key = PREFIX + name
    skips = {"same": SkipReason.SAME_ETAG, "fifo": SkipReason.SPECIAL, "link": SkipReason.SYMLINK}
    if kind == "left out":
        return LeftOut.of(name, key)
    if kind in skips:
        return Skipped(name, key, 0, skips[kind])
    return PutTask(Entry(key, name, 1, 0), None)


def run(mirror: BucketMirror, steps: Iterable[Step]) -> tuple[WalkDone, list[DeleteTask]]:
    given = list(steps)
    kept = [each for each in given if not isinstance(each, LeftOut)]
    assert list(mirror.follow(given)) == kept
    mirror.finish()
    tasks = [task for batch in mirror.batches() for task in batch]
    return mirror.done(), tasks


NAMES = st.lists(st.text("ab-!.x\U0001f600", min_size=1, max_size=2), min_size=1, max_size=2).map(
    "/".join
)
KINDS = st.sampled_from(["new", "same", "left out", "fifo", "link"])


@given(st.dictionaries(NAMES, KINDS, max_size=8), st.sets(NAMES, max_size=8), st.booleans())
def test_deletions_are_the_difference(
    source: dict[str, str], held: set[str], excluded: bool
) -> None:
    job = make_job(excluded=excluded)
    rule = filters_of(job.choosing)
    chosen = {name: kind for name, kind in source.items() if rule.name_refusal(name) is None}
    held = {name for name in held if not {".", ".."} & {*name.split("/")}}  # no file has others
    links = [name for name, kind in chosen.items() if kind == "link"]

    def expected(name: str) -> DeleteReason | None:
        left_out = chosen.get(name) == "left out"
        if any(name.startswith(f"{link}/") for link in links) and name not in chosen:
            return None
        if rule.name_refusal(name) is not None or left_out:
            return DeleteReason.EXCLUDED if excluded else None
        return None if name in chosen else DeleteReason.NOT_IN_SOURCE

    steps = [step(name, chosen[name]) for name in sorted(chosen, key=key_bytes)]
    done, tasks = run(ListMirror(job, listed(held)), steps)
    reasons = {name: reason for name in held if (reason := expected(name)) is not None}
    assert {task.target: task.reason for task in tasks} == {
        PREFIX + name: reason for name, reason in reasons.items()
    }
    assert [task.target for task in tasks] == sorted(task.target for task in tasks)
    assert done.deletes == len(reasons)
    assert done.empty == all(kind in ("fifo", "link") for kind in chosen.values())
    assert done.fault == ""


@given(st.dictionaries(NAMES, KINDS, max_size=8), st.sets(NAMES, max_size=8), st.integers(2, 3))
def test_shards_delete_together_what_one_run_does(
    source: dict[str, str], held: set[str], count: int
) -> None:
    """Each its own part of it, counted alone; and to all of them the source is as empty."""
    steps = [step(name, source[name]) for name in sorted(source, key=key_bytes)]
    whole, tasks = run(ListMirror(make_job(excluded=True), listed(held)), steps)
    present, deletes, shared = 0, [], list[DeleteTask]()
    for number in range(1, count + 1):
        shard = Shard(number, count)
        job = make_job(excluded=True)
        job = replace(job, choosing=replace(job.choosing, shard=shard))
        done, own = run(ListMirror(job, listed(held)), [*_marked(steps, shard)])
        assert all(shard.has(key_bytes(each.target)) for each in own)
        assert (done.empty, done.irregular) == (whole.empty, whole.irregular)
        present += done.held
        deletes.append(done.deletes)
        shared += own
    assert sorted(shared) == tasks
    assert (present, sum(deletes)) == (whole.held, whole.deletes)


def _marked(steps: Iterable[Step], shard: Shard) -> Iterator[Step]:
    for each in steps:
        if shard.has(key_bytes(each.target)):
            yield each
        else:
            reason = each.reason if isinstance(each, Skipped) else SkipReason.IN_SOURCE
            yield OfAnotherShard("", each.target, 0, reason)


@given(st.sets(NAMES, min_size=1, max_size=8), st.data())
def test_a_lookup_answers_as_the_listing_does(held: set[str], data: st.DataObject) -> None:
    mirror = ListMirror(make_job(), listed(held))
    wanted = data.draw(st.sets(NAMES, max_size=8))
    for name in sorted(wanted, key=key_bytes):
        found = mirror.lookup(PREFIX + name)
        assert (found is not None) is (name in held)
        assert found is None or Dest(found.size, found.etag) == Dest(1, f"etag {name}")


def test_failures_may_be_out_of_order_and_are_passed_on() -> None:
    mirror = ListMirror(make_job(), listed(["a", "b"]))
    failed = Failed("x", "p/0", FailureKind.NAME, "why")
    done, tasks = run(mirror, [step("b", "same"), failed])
    assert (done.deletes, [task.target for task in tasks]) == (1, ["p/a"])


def broken(names: list[str]) -> Iterator[Listed]:
    yield from listed(names)
    raise ListingError("the store's listing cannot be trusted")


@pytest.mark.parametrize("steps", [[], [step("b", "same")], [step("z", "new")]])
def test_a_listing_that_breaks_is_a_fault_and_steps_pass(steps: list[Step]) -> None:
    done, _ = run(ListMirror(make_job(), broken(["a", "b"])), steps)
    assert done.fault == "list s3://bucket/p: the store's listing cannot be trusted"


def test_steps_out_of_order_are_a_fault() -> None:
    done, _ = run(ListMirror(make_job(), listed("abc")), [step("b", "new"), step("a", "new")])
    assert done.fault == "/nowhere is not read in the order of its keys"
