"""From one bucket's objects to copies: what two listings can tell, told without a request."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from concurrent.futures import Future
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.errors import FailureKind, UsageError
from s3pp.job import Job, Mode
from s3pp.places import Place, parse_origin, parse_place
from s3pp.records import CopyTask, Dest, Failed, Skipped, SkipReason
from s3pp.s3.listing import Listed, Page
from s3pp.s3.retry import StoreError
from s3pp.sources.destination_index import DestinationIndex, ListingLookup
from s3pp.transfer.copy_planner import CopyPlanner
from s3pp.transfer.overlap import Overlap, check_mirrored
from s3pp.transfer.planners import Step

OURS, OTHER = "0" * 32, "f" * 32
MODIFIED = "2026-01-02T03:04:05.000Z"
DENIED = StoreError(403, "AccessDenied", "no")


class Listing:
    """The destination's listing."""

    def __init__(self, held: dict[str, Dest], error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._held = held
        self._error = error

    def lookup(self, key: str) -> Listed | None:
        self.asked.append(key)
        if self._error:
            raise self._error
        if key not in self._held:
            return None
        size, etag, _ = self._held[key]
        return Listed(key, size, etag, MODIFIED)


def listed(key: str, size: int = 5, etag: str = OURS, storage_class: str = "GLACIER_IR") -> Listed:
    return Listed(key, size, etag, MODIFIED, storage_class)


def task(key: str, target: str, dest: Dest | None = None, *, ask: bool = False) -> CopyTask:
    return CopyTask(key, target, 5, OURS, "GLACIER_IR", dest, ask)


def planned(
    found: Iterable[Listed | Failed],
    listing: Listing | None = None,
    mode: Mode = Mode.UPDATE,
    *,
    source: str = "s3://from/p",
    dest: str = "s3://into/q",
) -> list[Step]:
    origin, place = parse_origin(source), parse_place(dest)
    job = Job("copy", origins=(origin,), dest=place, mode=mode)
    overlap = Overlap.of(origin, place, same=origin.bucket == place.bucket)
    known = DestinationIndex(job, listing, lambda text: None)
    return list(CopyPlanner(job, origin, known, overlap=overlap).plan(found))


@pytest.mark.parametrize(
    ("source", "dest", "key", "target"),
    [
        ("s3://from", "s3://into", "a/b", "a/b"),
        ("s3://from/a", "s3://into", "a/b", "b"),
        ("s3://from/a", "s3://into/x/", "a/b", "x/b"),
        ("s3://from/a/logs-*", "s3://into/x", "a/logs-1/b", "x/logs-1/b"),
        ("s3://from/a", "s3://into/x", "a/", "x/"),
        ("s3://from", "s3://into/x", "//a/../b\0", "x///a/../b\0"),  # keys are no paths
    ],
)
def test_a_target_is_the_name_below_the_destination(
    source: str, dest: str, key: str, target: str
) -> None:
    assert planned([listed(key)], Listing({}), source=source, dest=dest) == [task(key, target)]


SAME, OLD, LARGER = Dest(5, OURS), Dest(5, OTHER), Dest(6, OURS)


@pytest.mark.parametrize(
    ("mode", "dest", "reason"),
    [
        (Mode.ADD, SAME, SkipReason.EXISTS),
        (Mode.ADD, OLD, SkipReason.EXISTS),
        (Mode.ADD, LARGER, SkipReason.OTHER_SIZE),
        (Mode.UPDATE, SAME, SkipReason.SAME_ETAG),
    ],
)
def test_what_the_listings_show_to_be_there_is_no_task(
    mode: Mode, dest: Dest, reason: SkipReason
) -> None:
    steps = planned([listed("p/a")], Listing({"q/a": dest}), mode)
    (step,) = steps
    size, same = 6 if dest is LARGER else None, reason is SkipReason.SAME_ETAG
    assert step == Skipped("p/a", "q/a", 5, reason, dest_size=size, etag=OURS if same else "")


@pytest.mark.parametrize("dest", [None, OLD, LARGER, Dest(5, "")])
def test_what_differs_is_a_task_that_says_what_is_there(dest: Dest | None) -> None:
    listing = Listing({"q/a": dest} if dest else {})
    assert planned([listed("p/a")], listing) == [task("p/a", "q/a", dest)]


def test_mode_stupid_asks_nobody() -> None:
    listing = Listing({"q/a": SAME})
    assert planned([listed("p/a")], listing, Mode.STUPID) == [task("p/a", "q/a")]
    assert listing.asked == []


@pytest.mark.parametrize("mode", [Mode.ADD, Mode.UPDATE])
def test_where_the_destination_cannot_be_listed_every_key_is_asked_for(mode: Mode) -> None:
    expected = [task(f"p/{name}", f"q/{name}", ask=True) for name in "ab"]
    found = [listed("p/a"), listed("p/b")]
    assert planned(found, None, mode) == expected
    listing = Listing({"q/a": SAME, "q/b": SAME}, DENIED)
    assert planned(found, listing, mode) == expected, "the key that found out as well"
    assert listing.asked == ["q/a"]


def test_keys_that_become_too_long_fail_by_name() -> None:
    fits, long = listed("p/" + "k" * 1022), listed("p/" + "k" * 1023)
    first, second = planned([fits, long], Listing({}))
    assert isinstance(first, CopyTask)
    assert isinstance(second, Failed)
    assert (second.source, second.target) == (long.key, "q/" + "k" * 1023)
    assert second.kind is FailureKind.NAME


def test_the_key_of_the_prefix_itself_has_no_name_in_a_bare_bucket() -> None:
    (step,) = planned([listed("p/")], Listing({}), dest="s3://into")
    assert isinstance(step, Failed)
    assert (step.target, step.kind) == ("", FailureKind.NAME)
    assert "prefix" in step.message


def test_failures_of_the_source_keep_their_place_and_name_the_target() -> None:
    failed = Failed("p/b", "b", FailureKind.NOT_FOUND, "why")
    listing = Listing({})
    steps = planned([listed("p/a"), failed, listed("p/c")], listing)
    missing = failed._replace(target="q/b")
    assert steps == [task("p/a", "q/a"), missing, task("p/c", "q/c")]
    assert listing.asked == ["q/a", "q/c"]


def test_what_was_copied_is_not_copied_again() -> None:
    """The destination lies in the source."""
    found = [listed(key) for key in ("p/a", "p/old/a", "p/old/old/a", "p/older")]
    listing = Listing({})
    steps = planned(found, listing, source="s3://bkt/p", dest="s3://bkt/p/old")
    assert steps == [task("p/a", "p/old/a"), task("p/older", "p/old/older")]


def test_no_target_lies_in_the_source() -> None:
    """The source lies in the destination."""
    found = [listed(key) for key in ("p/q/a", "p/q/q/a")]
    first, second = planned(found, Listing({}), source="s3://bkt/p/q", dest="s3://bkt/p")
    assert first == task("p/q/a", "p/a")
    assert isinstance(second, Failed)
    assert (second.source, second.target) == ("p/q/q/a", "p/q/a")
    assert second.kind is FailureKind.CONFLICT


def test_objects_are_taken_one_at_a_time() -> None:
    taken = []

    def objects() -> Iterable[Listed]:
        for at in range(10):
            taken.append(at)
            yield listed(f"p/{at}")

    job = Job("copy", origins=(parse_origin("s3://from/p"),), dest=Place("into"), mode=Mode.STUPID)
    assert job.origin is not None
    known = DestinationIndex(job, None, lambda text: None)
    steps = CopyPlanner(job, job.origin, known, overlap=Overlap()).plan(objects())
    next(steps)
    next(steps)
    assert len(taken) == 2


@pytest.mark.parametrize(
    ("source", "dest", "safe"),
    [
        ("s3://bkt/p/q", Place("bkt", "p"), False),
        ("s3://bkt/p/q/x*", Place("bkt", "p"), True),
        ("s3://bkt/p", Place("bkt"), False),
        ("s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/p/q", Place("bkt", "p"), False),
        ("s3://mine-abc-s3alias/p/q", Place("bkt", "p"), False),
        ("s3://bkt/p/q", Place("mine-abc-s3alias", "p"), False),
        ("s3://bkt/p", Place("bkt", "p/q"), True),
        ("s3://bkt/p", Place("bkt", "q"), True),
        ("s3://bkt/p/q", Place("other", "p"), True),
        ("s3://mine-abc-s3alias/p", Place("bkt", "q"), True),
    ],
)
def test_a_mirror_inside_of_which_the_source_may_lie_is_refused(
    source: str, dest: Place, safe: bool
) -> None:
    with nullcontext() if safe else pytest.raises(UsageError, match="lies inside"):
        check_mirrored(parse_origin(source), dest)


class Pages:
    """A bucket that lists ``held`` by pages."""

    def __init__(self, held: dict[str, Dest], size: int) -> None:
        self._held = held
        self._size = size

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        after = parameters.get("continuation-token") or parameters.get("start-after", "")
        keys = sorted(key for key in self._held if key > after)
        page = keys[: self._size]
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>{self._held[key].size}</Size>"
            f"<ETag>{self._held[key].etag}</ETag></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if page else ""
        more = str(len(keys) > self._size).lower()
        top = f"<IsTruncated>{more}</IsTruncated>{token if more == 'true' else ''}"
        return f"<ListBucketResult>{top}{entries}</ListBucketResult>".encode()


def at_once(coroutine: Coroutine[Any, Any, Page]) -> Future[Page]:
    future: Future[Page] = Future()
    future.set_result(asyncio.run(coroutine))
    return future


@given(st.data())
@settings(max_examples=examples(200), deadline=None)
def test_what_is_left_out_as_unchanged_would_have_been_skipped(data: st.DataObject) -> None:
    """With runs left out and counted, everything else is planned as it would be without."""
    keys = data.draw(st.sets(st.text("ab/", min_size=1, max_size=4), max_size=12))
    objects = st.builds(
        Dest, st.sampled_from([0, 5, 5, 5]), st.sampled_from([OURS, OURS, OTHER, ""])
    )
    found = [Listed(f"p/{key}", *data.draw(objects)[:2], MODIFIED) for key in sorted(keys)]
    held = {f"q/{key}": data.draw(objects) for key in keys if data.draw(st.integers(0, 3))}
    page = data.draw(st.integers(1, 5))
    mode = data.draw(st.sampled_from([Mode.UPDATE, Mode.UPDATE, Mode.ADD, Mode.STUPID]))
    counted: list[tuple[int, int]] = []
    plain = planned(found, Listing(held), mode)
    listing = ListingLookup(Pages(held, page), "q/", run=at_once)
    job = Job("copy", origins=(parse_origin("s3://from/p"),), dest=Place("into", "q"), mode=mode)
    known = DestinationIndex(job, listing, lambda text: None)
    planner = CopyPlanner(job, job.origin, known, overlap=Overlap())
    steps = list(planner.plan(planner.leave_unchanged(found, lambda *each: counted.append(each))))
    named = [each for each in plain if each not in steps]
    assert all(isinstance(each, Skipped) and each.reason is SkipReason.SAME_ETAG for each in named)
    assert sum(size for _, size in counted) == sum(
        each.size for each in named if isinstance(each, Skipped)
    )
    assert sum(count for count, _ in counted) == len(named) == len(plain) - len(steps)
    assert [each for each in plain if each in steps] == steps
