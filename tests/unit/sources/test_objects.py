"""A bucket as a source: what of its listing belongs to a job."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Choosing, Job
from s3pp.pipeline.connect import LoopThread
from s3pp.places import parse_origin
from s3pp.records import Failed, Skipped
from s3pp.s3.answers import Answer
from s3pp.s3.exchange import Fault, Response, WireError
from s3pp.s3.listing import Listed
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.sources.filters import Filters, NameChoice, filters_of
from s3pp.sources.objects import choose_single, list_objects, prefix_object_notice, sort_pages
from s3pp.speed import Speed

from .listings import Pages, Store, encoded, etag, listed, written

DENIED = StoreError(403, "AccessDenied", "no")


class Distant:
    """A store on another thread's loop."""

    def __init__(self, store: Store, thread: LoopThread) -> None:
        self.list_page = store.list_page
        self.run = thread.run
        self.held = store.keys
        self.looks: list[str] = []

    async def look(self, key: str) -> Answer | None:
        self.looks.append(key)
        if key.endswith("forbidden"):
            raise StoreError(403, "HTTP403", "")
        lines = [f'ETag: "{etag(key)}"\r\n'.encode(), b"Content-Length: %d\r\n" % len(key)]
        return (
            Answer(Response(200, b"".join([b"HTTP/1.1 200 OK\r\n", *lines]), b""), 1)
            if key in self.held
            else None
        )


@pytest.fixture(scope="module")
def thread() -> LoopThread:
    return LoopThread(pytest.fail)


Found = list[Listed | Skipped | Failed]
ALL = NameChoice(Filters(Choosing()))


@pytest.fixture(scope="module")
def found(thread: LoopThread) -> Callable[..., tuple[Found, list[str]]]:
    """``found(store, source, listers=…, stdin=…, **choosing)``: the objects, and what was told."""

    def walk(
        store: Store, source: str = "s3://bucket", *, listers: int = 1, **choosing: Any
    ) -> tuple[Found, list[str]]:
        told: list[str] = []
        stdin = io.BytesIO(choosing.pop("stdin", b""))
        origin = parse_origin(source)
        speed = Speed(processes=1, listers=listers)
        job = Job("get", origins=(origin,), choosing=Choosing(**choosing), speed=speed)
        choice = NameChoice(filters_of(job.choosing), stdin)
        return list(list_objects(job, origin, Distant(store, thread), told.append, choice)), told

    return walk


Walk = Callable[..., tuple[Found, list[str]]]


def keys(walked: tuple[Found, list[str]]) -> list[str]:
    """The keys of the objects; there must be no failure, and nothing told."""
    records, told = walked
    assert told == []
    assert all(isinstance(each, Listed) for each in records)
    return [each.key for each in records if isinstance(each, Listed)]


class Refuser(Store):
    """A store whose every listing is refused."""

    def __init__(self, error: Exception) -> None:
        super().__init__([], 1)
        self._error = error

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        raise self._error


# The whole listing


@pytest.mark.parametrize("listers", [1, 4])
@pytest.mark.parametrize("page_size", [1, 3, 1000])
def test_everything_below_the_prefix_comes_in_key_order(
    page_size: int, listers: int, found: Walk
) -> None:
    inside = [f"p/{at:02}" for at in range(20)] + ["p/", "p/é", "p/\U00010000", "p/\uffff"]
    store = Store([*inside, "o", "p", "p0", "q/p/x"], page_size)
    records, told = found(store, "s3://bucket/p", listers=listers)
    assert records == [listed(key) for key in sorted(inside, key=encoded)]
    assert told == []
    assert {parameters["prefix"] for parameters in store.asked} == {"p/"}


def test_nothing_below_it_is_nothing_found(found: Walk) -> None:
    assert keys(found(Store(["o", "q"], 10), "s3://bucket/p")) == []


def test_every_key_that_begins_so_comes_where_a_star_says_it(found: Walk) -> None:
    store = Store(["a/log", "a/log-1", "a/log-1/x", "a/loggia", "a/lo", "b/log"], 10)
    walked = found(store, "s3://bucket/a/log*")
    assert keys(walked) == ["a/log", "a/log-1", "a/log-1/x", "a/loggia"]


def test_names_are_matched_as_they_are_at_the_destination(found: Walk) -> None:
    store = Store(["a/log-1/x.gz", "a/log-1/y", "a/log-2/x.gz"], 10)
    rules: tuple[tuple[str, str], ...] = (("include", "log-1/**"), ("exclude", "*.gz"))
    assert keys(found(store, "s3://bucket/a/log*", rules=rules)) == ["a/log-1/y"]
    rules = (("include", "a/**"),)
    assert keys(found(store, "s3://bucket/a/log*", rules=rules)) == []
    assert keys(found(store, "s3://bucket/a", rules=(("exclude", "log-1/**"),))) == ["a/log-2/x.gz"]


def test_sizes_are_bytes_and_inclusive(found: Walk) -> None:
    store = Store(["a", "bb", "ccc", "dddd"], 2)
    assert keys(found(store, min_size=2, max_size=3)) == ["bb", "ccc"]


DAYS = {name: f"2026-01-0{day}T00:00:00.000Z" for day, name in enumerate("abc", 1)}
SECOND = 1767312000.0  # 2026-01-02


@pytest.mark.parametrize(
    ("choosing", "chosen"),
    [
        ({"newer_than": SECOND}, ["c"]),
        ({"newer_than": SECOND - 0.001}, ["b", "c"]),
        ({"older_than": SECOND}, ["a"]),
        ({"older_than": SECOND + 0.001}, ["a", "b"]),
        ({"newer_than": SECOND - 1, "older_than": SECOND + 1}, ["b"]),
    ],
)
def test_ages_are_those_of_the_objects(
    choosing: dict[str, float], chosen: list[str], found: Walk
) -> None:
    assert keys(found(Store("abc", 2, DAYS), **choosing)) == chosen


def test_a_listing_without_times_has_no_ages_but_sizes(found: Walk) -> None:
    store = Store(["a", "bb"], 2, {"a": "when it was"})
    assert keys(found(store, min_size=2)) == ["bb"]
    for age in ("newer_than", "older_than"):
        with pytest.raises(FatalError, match="without a time"):
            found(store, **{age: SECOND})


@pytest.mark.parametrize("limit", [0, 1, 3, 5, 9])
def test_a_limit_counts_what_is_chosen(limit: int, found: Walk) -> None:
    store = Store("abcdefghij", 2)
    walked = found(store, limit=limit, rules=(("exclude", "[aceg]"),))
    assert keys(walked) == list("bdfhij")[:limit]


def test_a_limit_spares_the_rest_of_the_listing(found: Walk) -> None:
    store = Store([f"{at:03}" for at in range(100)], 5)
    assert len(keys(found(store, limit=7))) == 7
    assert len(store.asked) <= 4


@pytest.mark.parametrize("waits", [False, True], ids=["at a page", "at a request"])
def test_a_walk_that_ends_early_ends_the_listing_where_it_runs(
    waits: bool, thread: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: Future[int] = Future()

    async def pages(*_arguments: Any, **_settings: Any) -> AsyncIterator[list[Listed]]:
        try:
            for at in range(9):
                if waits and at:
                    await asyncio.sleep(3600)
                yield [listed(str(at))]
        finally:
            closed.set_result(threading.get_ident())

    monkeypatch.setattr("s3pp.sources.objects.list_pages", pages)
    origin = parse_origin("s3://bucket")
    job = Job("get", origins=(origin,), choosing=Choosing(limit=1))
    distant = Distant(Store([], 1), thread)
    assert list(list_objects(job, origin, distant, pytest.fail, ALL)) == [listed("0")]

    async def here() -> int:
        return threading.get_ident()

    assert closed.result(10) == thread.run(here()).result(10)


def test_objects_are_taken_as_they_are_needed(thread: LoopThread) -> None:
    store = Store([f"{at:03}" for at in range(100)], 5)
    origin = parse_origin("s3://bucket")
    job = Job("get", origins=(origin,), speed=Speed(processes=1, listers=1))
    walk = list_objects(job, origin, Distant(store, thread), pytest.fail, ALL)
    assert next(walk) == listed("000")
    assert len(store.asked) <= 3
    assert len(list(walk)) == 99


KEYS = st.lists(st.text("ab/*.é", min_size=1, max_size=4), unique=True, max_size=12)
LIMITS = st.none() | st.integers(0, 8)


@given(KEYS, st.sampled_from(["", "/a", "/a/", "/a*", "/b/a*"]), st.integers(1, 4), LIMITS)
@settings(deadline=None)
def test_the_walk_is_a_filter_of_the_listing(
    found: Walk, stored: list[str], source: str, page_size: int, limit: int | None
) -> None:
    origin = parse_origin(f"s3://bucket{source}")
    rules = (("exclude", "*b"), ("include", "a/**"))
    choice = Filters(Choosing(rules=rules))
    chosen = [
        key
        for key in sorted(stored, key=encoded)
        if key.startswith(origin.prefix)
        and choice.name_refusal(origin.relative(key)) is None
        and len(key) < 4
    ]
    store, url = Store(stored, page_size), f"s3://bucket{source}"
    walked = found(store, url, rules=rules, max_size=3, limit=limit)
    assert keys(walked) == chosen[:limit]


# Listings that cannot be trusted, or cannot be had


def test_a_store_that_lists_out_of_order_is_sorted_and_said(found: Walk) -> None:
    store = Pages(written(["a", "d"], "1"), written(["c", "e"], "2"), written(["b"], None))
    records, told = found(store)
    assert [each.key for each in records if isinstance(each, Listed)] == ["a", "d", "b", "c", "e"]
    (line,) = told  # who lists the pages has seen it too
    assert "order" in line
    assert "sorted" in line
    assert "\n" not in line


@pytest.mark.parametrize("listing", [["a", "c", "b"], ["b", "a", "c"], ["c", "b", "a"]])
def test_a_page_out_of_order_is_sorted(listing: list[str], found: Walk) -> None:
    records, told = found(Pages(written(listing, None)))
    assert [each.key for each in records if isinstance(each, Listed)] == ["a", "b", "c"]
    assert ["sorted" in line for line in told] == [True]


BUSY = StoreError(503, "SlowDown", "again")


@pytest.mark.parametrize(("error", "stdin"), [(DENIED, None), (BUSY, None), (BUSY, b"a\n")])
def test_a_listing_that_is_refused_ends_the_run(
    stdin: bytes | None, error: StoreError, found: Walk
) -> None:
    listing = {} if stdin is None else {"stdin": stdin, "files_from": "-"}
    with pytest.raises(FatalError, match=f"list s3://bucket/p: {error.code}"):
        found(Refuser(error), "s3://bucket/p", **listing)


def test_a_listing_that_stops_in_the_middle_ends_the_run(found: Walk) -> None:
    cut = written(["c"], None)[:-30]
    with pytest.raises(FatalError, match="listing"):
        found(Pages(written(["a", "b"], "t"), cut, cut, cut))


def test_what_came_before_it_has_gone_out(thread: LoopThread) -> None:
    cut = written(["c"], None)[:-30]
    store = Pages(written(["a", "b"], "t"), cut, cut, cut)
    origin = parse_origin("s3://bucket")
    job = Job("get", origins=(origin,), speed=Speed(processes=1, listers=1))
    walk = list_objects(job, origin, Distant(store, thread), pytest.fail, ALL)
    assert [next(walk), next(walk)] == [listed("a"), listed("b")]
    with pytest.raises(FatalError):
        next(walk)


def test_what_ends_the_run_is_raised(found: Walk) -> None:
    with pytest.raises(FatalError, match="expired"):
        found(Refuser(FatalError("the keys have expired")))


# Order

LISTINGS = st.lists(st.lists(st.sampled_from("abcdef"), max_size=4), max_size=5)


def ordered(listing: Sequence[Sequence[str]]) -> tuple[list[str], list[str]]:
    told: list[str] = []
    pages = iter([[listed(key) for key in page] for page in listing])
    return [each.key for each in sort_pages(pages, told.append)], told


@given(LISTINGS)
def test_whatever_is_listed_comes_once_and_in_order_from_where_it_was_lost(
    listing: list[list[str]],
) -> None:
    found, told = ordered(listing)
    flat = [key for page in listing for key in page]
    assert set(found) == set(flat)
    assert all(a != b for a, b in pairwise(found))
    if flat == sorted(flat):
        assert found == sorted(set(flat))
        assert told == []
    else:
        assert len(told) == 1
        steps_back = sum(a > b for a, b in pairwise(found))
        assert steps_back <= 1, "what went out before cannot be taken back"


@pytest.mark.parametrize(
    "listing", [["aa", "ab"], ["ab", "bc"], ["a", "", "a"], ["", "aab", "bbc", "c"]]
)
def test_a_key_listed_twice_comes_once(listing: list[str]) -> None:
    found, told = ordered([list(page) for page in listing])
    assert found == sorted(set("".join(listing)))
    assert told == []


def test_pages_are_taken_one_at_a_time() -> None:
    taken = []

    def pages() -> Iterator[list[Listed]]:
        for at in range(9):
            taken.append(at)
            yield [listed(str(at))]

    walk = sort_pages(pages(), pytest.fail)
    next(walk)
    next(walk)
    assert taken == [0, 1]


# Names from a list


def from_list(found: Walk, store: Store, text: bytes, source: str, **choosing: Any) -> Found:
    records, told = found(store, source, stdin=text, files_from="-", **choosing)
    assert told == []
    return records


def _why(each: Skipped | Failed) -> str:
    return each.kind.value if isinstance(each, Failed) else each.reason.value


def short(records: Found) -> list[tuple[str, str]]:
    """Each record in short: its key, and ``listed`` or the failure's kind."""
    return [
        (each.key, "listed") if isinstance(each, Listed) else (each.source, _why(each))
        for each in records
    ]


STORED = ["p/a", "p/a-b", "p/b/c", "p/é", "p/zz", "q"]


def test_names_are_looked_up_below_the_origin_once_and_in_order(found: Walk) -> None:
    records = from_list(found, Store(STORED, 2), "é\nzz\na\nb/c\na".encode(), "s3://bucket/p")
    assert records == [listed(key) for key in ("p/a", "p/b/c", "p/zz", "p/é")]


def test_a_name_that_is_not_there_fails(found: Walk) -> None:
    records = from_list(found, Store(STORED, 2), b"./a\nb\na/\ngone\nzz\n/a\n../q", "s3://bucket/p")
    assert short(records) == [
        ("p/../q", "not-found"),
        ("p/./a", "not-found"),
        ("p//a", "not-found"),
        ("p/a/", "not-found"),
        ("p/b", "not-found"),
        ("p/gone", "not-found"),
        ("p/zz", "listed"),
    ]
    missing = records[5]
    assert isinstance(missing, Failed)
    assert (missing.source, missing.target) == ("p/gone", "gone")
    assert "s3://bucket/p" in missing.message


def test_names_that_cannot_be_keys_fail_and_are_not_asked_for(found: Walk) -> None:
    store = Store(STORED, 10)
    text = b"b\xff\n" + b"n" * 1023 + b"\nzz"
    records = from_list(found, store, text, "s3://bucket/p")
    assert [kind for _, kind in short(records)] == ["name", "name", "listed"]
    bad = records[0]
    assert isinstance(bad, Failed)
    assert bad.target == "b\udcff"


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("s3://bucket/p/a*", b"a\na-b\nb/c\n", ["listed", "listed", "not-found"]),
        ("s3://bucket", b"p/a\nq\na", ["not-found", "listed", "listed"]),
    ],
)
def test_names_are_those_at_the_destination(
    source: str, text: bytes, expected: list[str], found: Walk
) -> None:
    records = from_list(found, Store(STORED, 10), text, source)
    assert [kind for _, kind in short(records)] == expected


def test_globs_sizes_and_limit_choose_among_the_names(found: Walk) -> None:
    rules = (("exclude", "gone"), ("exclude", "b/**"))
    choosing = {"rules": rules, "min_size": 4}
    store = Store(STORED, 10)
    text = b"gone\na\na-b\nb/c\nzz"
    records = from_list(found, store, text, "s3://bucket/p", **choosing)
    assert short(records) == [("p/a-b", "listed"), ("p/zz", "listed")]
    records = from_list(found, store, text, "s3://bucket/p", limit=1, **choosing)
    assert short(records) == [("p/a-b", "listed")]


@pytest.mark.parametrize("choosing", [{"min_size": 9}, {"rules": (("include", "g*"),)}])
def test_a_name_that_is_not_there_fails_whatever_else_is_asked(
    choosing: dict[str, Any], found: Walk
) -> None:
    records = from_list(found, Store(STORED, 10), b"gone\na", "s3://bucket/p", **choosing)
    assert short(records) == [("p/gone", "not-found")]


def test_names_may_end_in_nul(found: Walk) -> None:
    store = Store(["new\nline", "return\r"], 10)
    records = from_list(found, store, b"return\r\0new\nline\0", "s3://bucket", null=True)
    assert short(records) == [("new\nline", "listed"), ("return\r", "listed")]


def test_few_names_in_a_large_bucket_cost_few_requests(found: Walk) -> None:
    store = Store([f"{at:04}" for at in range(5000)], 10)
    records = from_list(found, store, b"4999\n0001\n2500", "s3://bucket")
    assert [kind for _, kind in short(records)] == ["listed"] * 3
    assert len(store.asked) <= 4


def test_a_list_written_on_windows(found: Walk) -> None:
    store = Store(["p/a", "p/b c", "p/d"], 10)
    walked = found(store, "s3://bucket/p", files_from="-", stdin=b"b c\r\na\r\n\r\n")
    assert keys(walked) == ["p/a", "p/b c"]


class Unlisted(Store):
    """Holds keys, and answers a listing so."""

    def __init__(self, keys: list[str], answer: bytes | Exception) -> None:
        super().__init__(keys, 10)
        self._answer = answer

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        self.asked.append(parameters)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (DENIED, "AccessDenied"),
        (StoreError(501, "NotImplemented", "no"), "NotImplemented"),
        (written(["p/b", "p/a"], None), "order"),
        (b"<html>", "cannot be read"),
    ],
    ids=["denied", "501", "order", "no XML"],
)
def test_names_are_asked_for_where_they_cannot_be_listed(
    found: Walk, answer: bytes | Exception, why: str
) -> None:
    held = [f"p/{n:02d}" for n in range(40)]
    store = Unlisted(held, answer)
    names = "\n".join(
        [*(key[2:] for key in reversed(held)), "absent", "forbidden", "/odd//../", "00"]
    )
    records, told = found(store, "s3://bucket/p", files_from="-", stdin=names.encode())
    assert [each.key for each in records if isinstance(each, Listed)] == held
    failed = {each.source: each.kind for each in records if isinstance(each, Failed)}
    assert failed.pop("p/absent") is FailureKind.NOT_FOUND
    assert failed.pop("p/forbidden") is FailureKind.ACCESS
    (line,) = told
    assert why in line
    assert "HEAD" in line


def test_a_name_found_by_head_is_told_as_a_listing_would(found: Walk) -> None:
    store = Unlisted(["p/a"], DENIED)
    records, _ = found(store, "s3://bucket/p", files_from="-", stdin=b"a", min_size=1)
    assert records == [Listed("p/a", 3, etag("p/a"), "", "STANDARD")]


def test_a_list_that_is_not_there_ends_the_run(found: Walk) -> None:
    with pytest.raises(FatalError, match="/gone/list"):
        found(Store([], 1), files_from="/gone/list")


NAMES = st.lists(st.text("ab/é", min_size=1, max_size=3), max_size=8)


@given(KEYS, NAMES, st.integers(1, 3))
@settings(deadline=None)
def test_each_name_is_one_object_or_one_failure(
    found: Walk, stored: list[str], names: list[str], page_size: int
) -> None:
    text = "\0".join(names).encode()
    store = Store([f"p/{key}" for key in stored], page_size)
    records = from_list(found, store, text, "s3://bucket/p", null=True)
    wanted = sorted(set(names), key=encoded)
    kinds = ["listed" if name in stored else "not-found" for name in wanted]
    assert short(records) == list(zip([f"p/{name}" for name in wanted], kinds, strict=True))


# One object alone


@pytest.mark.parametrize(
    ("choosing", "chosen"),
    [
        (Choosing(), True),
        (Choosing(rules=(("include", "*.txt"),)), True),
        (Choosing(rules=(("exclude", "*.txt"),)), False),
        (Choosing(rules=(("include", "a/*.txt"),)), False),  # it is called b.txt
        (Choosing(max_size=6), False),
        (Choosing(newer_than=SECOND), False),
        (Choosing(older_than=SECOND), True),
    ],
)
def test_a_single_object_is_chosen_like_any_other(choosing: Choosing, chosen: bool) -> None:
    origin = parse_origin("s3://bucket/a/b.txt").alone
    one = listed("a/b.txt", DAYS["a"])
    assert list(choose_single(origin, one, filters_of(choosing))) == ([one] if chosen else [])


THERE = Answer(Response(200, b"".join([b"HTTP/1.1 200 OK\r\n"]), b""), 1)


class NoticeBucket:
    """Answers every HEAD alike."""

    def __init__(self, answer: Answer | Exception | None) -> None:
        self.looks: list[str] = []
        self._answer = answer

    async def look(self, key: str) -> Answer | None:
        self.looks.append(key)
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def notice(
    source: str, answer: Answer | Exception | None = THERE, **choosing: Any
) -> tuple[list[str], str | None]:
    bucket, origin = NoticeBucket(answer), parse_origin(source)
    job = Job("get", origins=(origin,), directory="d", choosing=Choosing(**choosing))
    return bucket.looks, asyncio.run(prefix_object_notice(job, origin, bucket))


@pytest.mark.parametrize("source", ["s3://bkt/a/p", "s3://bkt/a/p/"])
def test_it_is_named_with_what_means_it_alone(source: str) -> None:
    looks, note = notice(source)
    assert looks == ["a/p"]
    assert note is not None
    assert note.startswith("s3://bkt/a/p is an object too, and left out")
    assert "'s3://bkt/a/p*' with --limit 1" in note


@pytest.mark.parametrize("name", ["p*", "p/", "p*/"])
def test_the_way_to_it_is_right_for_odd_names(name: str) -> None:
    looks, note = notice(f"s3://bkt/{name}/")
    assert looks == [name]
    assert note is not None
    way = parse_origin(note.split("'")[1])
    assert (way.prefix, way.single) == (name, None), "it means what begins so, the name first"


@pytest.mark.parametrize("source", ["s3://bkt", "s3://bkt/", "s3://bkt/p*", "s3://bkt/p/*"])
def test_where_no_object_could_be_meant_nobody_asks(source: str) -> None:
    assert notice(source) == ([], None)


def test_nor_where_names_are_listed() -> None:
    assert notice("s3://bkt/p", files_from="list") == ([], None)


def test_nor_where_it_is_what_is_read() -> None:
    bucket, origin = NoticeBucket(THERE), parse_origin("s3://bkt/p").alone
    assert asyncio.run(prefix_object_notice(Job("list", origins=(origin,)), origin, bucket)) is None
    assert bucket.looks == []


@pytest.mark.parametrize(
    "answer",
    [
        None,
        StoreError(403, "AccessDenied", "no"),
        StoreError(500, "InternalError", "no"),
        NetworkError(WireError(Fault.SILENT, "no answer")),
        FatalError("the token has expired"),
    ],
    ids=repr,
)
def test_what_is_not_known_is_not_told(answer: Exception | None) -> None:
    assert notice("s3://bkt/p", answer) == (["p"], None)


def test_nobody_waits_for_it_for_long() -> None:
    class Silent(NoticeBucket):
        async def look(self, key: str) -> Answer | None:
            await asyncio.sleep(3600)
            return THERE

    origin, bucket = parse_origin("s3://bkt/p"), Silent(None)
    note = prefix_object_notice(Job("list", origins=(origin,)), origin, bucket, patience=0.01)
    assert asyncio.run(note) is None
