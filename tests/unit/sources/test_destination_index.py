"""A bucket's listing, walked beside keys in order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.job import Job, Mode
from s3pp.places import Place, Source
from s3pp.records import Dest
from s3pp.s3.exchange import Fault, WireError
from s3pp.s3.listing import Listed, ListingError, Page
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.sources.destination_index import (
    DestinationIndex,
    ListingLookup,
    UnorderedListing,
    just_before,
)

from .listings import Pages, Store, encoded, listed, written


def at_once(coroutine: Coroutine[Any, Any, Page]) -> Future[Page]:
    """Runs a request before the next line, as a loop in another thread might."""
    future: Future[Page] = Future()
    try:
        coroutine.send(None)  # the stores here wait for nothing: one step brings it to its end
    except StopIteration as end:
        future.set_result(end.value)
    except Exception as error:
        future.set_exception(error)
    return future


def listing(store: Store, prefix: str = "") -> ListingLookup:
    return ListingLookup(store, prefix, run=at_once)


def answers(store: Store, asked: Sequence[str]) -> list[Listed | None]:
    dest = listing(store)
    return [dest.lookup(key) for key in asked]


def expected(stored: Sequence[str], asked: Sequence[str]) -> list[Listed | None]:
    held = set(stored)
    return [listed(key) if key in held else None for key in asked]


# Few letters, so that keys meet; those at the edges of what ``just_before`` has to step over.
LETTERS = st.sampled_from("ab/!~ é\uffff\U00010000")
KEYS = st.lists(st.text(LETTERS, min_size=1, max_size=3), unique=True, max_size=12)
SIZES = st.integers(1, 5)


@given(KEYS, KEYS, SIZES)
@settings(deadline=None, max_examples=examples(400))
def test_answers_are_those_of_a_dict(stored: list[str], asked: list[str], size: int) -> None:
    asked.sort(key=encoded)
    assert answers(Store(stored, size), asked) == expected(stored, asked)


PLAIN_KEYS = st.lists(
    st.text("acegi/", min_size=1, max_size=3), unique=True, min_size=1, max_size=15
)


@given(PLAIN_KEYS, PLAIN_KEYS, SIZES)
@settings(deadline=None, max_examples=examples(200))
def test_there_are_never_more_requests_than_heads(
    stored: list[str], asked: list[str], size: int
) -> None:
    store = Store(stored, size)
    asked.sort(key=encoded)
    assert answers(store, asked) == expected(stored, asked)
    assert len(store.asked) <= len(asked) + 1


@given(PLAIN_KEYS, PLAIN_KEYS, SIZES, st.integers(1, 6), st.sets(st.integers(0, 14)))
@settings(deadline=None, max_examples=examples(400))
def test_runs_of_equal_objects_are_found_together(
    stored: list[str], asked: list[str], size: int, chunk: int, changed: set[int]
) -> None:
    """Runs and single keys alternate, as in a walk; neither disturbs the answers of the other."""
    store = Store(stored, size)
    dest = listing(store)
    asked.sort(key=encoded)
    found = [
        listed(key)._replace(etag="other") if number in changed else listed(key)
        for number, key in enumerate(asked)
    ]
    held = expected(stored, asked)
    for start in range(0, len(found), chunk):
        run = found[start : start + chunk]
        keys, sizes, etags, *_ = zip(*run, strict=True)
        equal = dest.count_equal(keys, sizes, etags)
        assert run[:equal] == held[start : start + equal]
        assert equal or (run[0] != held[start] or len(run) > 1)
        rest = slice(start + equal, start + len(run))
        assert [dest.lookup(key) for key in asked[rest]] == held[rest]
    assert len(store.asked) <= len(asked) + 1


@pytest.mark.parametrize("size", [3, 10, 100])
def test_a_whole_listing_is_one_run_of_as_many_requests_as_pages(size: int) -> None:
    keys = [f"k{number:04}" for number in range(300)]
    store = Store(keys, size)
    _, sizes, etags, *_ = zip(*map(listed, keys), strict=True)
    assert listing(store).count_equal(tuple(keys), sizes, etags) == 300
    assert len(store.asked) == 300 // size


@pytest.mark.parametrize("size", [2, 3, 10, 100])
@pytest.mark.parametrize("extra", [[], ["k0000", "zz"]], ids=["the same", "and new ones"])
def test_where_every_key_is_asked_for_each_page_is_asked_for_once(
    size: int, extra: list[str]
) -> None:
    stored = [f"k{at:03}" for at in range(100)]
    asked = sorted([*stored, *extra])
    store = Store(stored, size)
    assert answers(store, asked) == expected(stored, asked)
    assert len(store.asked) <= -(-len(stored) // size) + 1


def test_a_sparse_source_jumps_over_what_nobody_asks_for() -> None:
    stored = [f"{letter}/{at:04}" for letter in "abcdef" for at in range(200)]
    asked = ["a/0000", "b/0100", "f/0199", "g"]
    store = Store(stored, 10)
    assert answers(store, asked) == expected(stored, asked)
    assert len(store.asked) <= len(asked)


def fewest_pages(stored: Sequence[str], asked: Sequence[str], size: int) -> int:
    """The pages that cover the keys: each begins with the first key that no page covers yet."""
    held, pages, covered = sorted(stored, key=encoded), 0, -1
    for key in asked:
        at = bisect_left(held, encoded(key), key=encoded)
        if at >= covered and not (covered >= len(held) and pages):
            pages, covered = pages + 1, at + size
    return pages


@given(PLAIN_KEYS, PLAIN_KEYS, SIZES)
@settings(deadline=None, max_examples=examples(200))
def test_there_are_at_most_twice_the_fewest_pages(
    stored: list[str], asked: list[str], size: int
) -> None:
    store = Store(stored, size)
    asked.sort(key=encoded)
    answers(store, asked)
    assert len(store.asked) <= 2 * fewest_pages(stored, asked, size) + 1


MANY = [f"k{at:05}" for at in range(10_000)]  # in pages of 100


def groups(count: int, length: int) -> list[str]:
    """As many groups of neighbours, far apart."""
    return [key for at in range(count) for key in MANY[at * 300 :][:length]]


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        (MANY, 101),  # all: a page for each hundred
        (MANY[::10], 101),
        (MANY[::150], 67),  # what HEADs would cost
        (MANY[::5000], 2),
        (groups(33, 2), 33),  # one page for each group that one covers
        (groups(33, 70), 33),
        (groups(33, 99), 66),
        (groups(33, 150), 99),
        (MANY[:2000], 21),
        (MANY[3000:3200] + MANY[9000:9001], 4),
        (["a", "b", *MANY[::60]], 101),
    ],
    ids=[
        "all",
        "tenth",
        "sparse",
        "two",
        "pairs",
        "groups",
        "pages",
        "long",
        "half",
        "one",
        "in between",
    ],
)
def test_requests_are_near_the_better_of_pages_and_heads(asked: list[str], most: int) -> None:
    store = Store(MANY, 100)
    assert answers(store, asked) == expected(MANY, asked)
    assert len(store.asked) <= most


def test_the_page_that_follows_is_asked_for_before_it_is_needed() -> None:
    store = Store([f"k{at:03}" for at in range(100)], 10)
    dest = listing(store)
    for key in ("k000", "k001", "k006"):
        dest.lookup(key)
        assert len(store.asked) == 1, "the next key may be anywhere"
    dest.lookup("k007")
    assert len(store.asked) == 2
    assert "continuation-token" in store.asked[1]
    dest.lookup("k010")
    assert len(store.asked) == 2, "one key is no reason to read on"
    dest.lookup("k011")
    assert len(store.asked) == 3, "the listing is being read page by page"


def test_after_a_page_that_was_asked_for_in_vain_the_next_one_is_jumped_to() -> None:
    store = Store(MANY, 100)
    dest = listing(store)
    for key in ("k00000", "k00080", "k05000", "k05001", "k09000"):
        dest.lookup(key)
    assert [parameters.get("start-after") for parameters in store.asked] == [
        *(just_before("k00000"), None),
        *(just_before("k05000"), just_before("k09000")),
    ]


def test_nothing_is_asked_of_the_store_before_a_key_is() -> None:
    store = Store(["a"], 10)
    listing(store)
    assert store.asked == []


def test_only_what_is_below_the_prefix_is_asked_for() -> None:
    store = Store(["o/z", "p/a", "p/b", "p/c", "q"], 2)
    dest = listing(store, "p/")
    assert [dest.lookup(key) is not None for key in ("p/a", "p/b", "p/bb", "p/c", "p/d")] == [
        True,
        True,
        False,
        True,
        False,
    ]
    assert {parameters["prefix"] for parameters in store.asked} == {"p/"}


def test_an_empty_bucket_is_asked_once() -> None:
    store = Store([], 10)
    assert answers(store, ["a", "b", "c"]) == [None] * 3
    assert len(store.asked) == 1


def test_once_the_listing_is_at_its_end_nothing_more_is_asked() -> None:
    store = Store(["a", "b"], 10)
    assert answers(store, ["b", "c", "d", "e"])[1:] == [None] * 3
    assert len(store.asked) == 1


@pytest.mark.parametrize(
    "pages",
    [
        [written(["b", "a"], None)],
        [written(["a", "c", "b"], None)],
        [written(["a", "c"], "t"), written(["b", "d"], None)],
        [written(["a", "c"], "t"), written(["c", "d"], None)],
        # UTF-16 order, and an order that ignores case: not bytes, and so not mergeable.
        [written(["\U00010000", "\uffff"], None)],
        [written(["a", "B"], None)],
    ],
    ids=["page", "later", "pages", "page repeats", "utf-16", "case"],
)
def test_a_store_that_lists_out_of_order_is_found_out(pages: list[bytes]) -> None:
    with pytest.raises(UnorderedListing):
        answers(Pages(*pages), ["a", "c", "cc", "e"])


@pytest.mark.parametrize(
    "pages",
    [
        [written([], "t")],
        [written(["a", "b"], "t"), written(["c", "d"], "t")],
    ],
    ids=["empty page", "token repeats"],
)
def test_a_listing_that_makes_no_headway_is_an_error(pages: list[bytes]) -> None:
    with pytest.raises(ListingError):
        answers(Pages(*pages), ["a", "b", "c", "d"])


def test_a_listing_that_breaks_off_is_never_its_end() -> None:
    cut = written(["c", "d"], None)[:-30]
    dest = listing(Pages(written(["a", "b"], "t"), cut, cut, cut))
    assert dest.lookup("a") is not None
    assert dest.lookup("b") is not None
    with pytest.raises(ListingError):
        dest.lookup("c")


def test_what_the_request_raises_surfaces() -> None:
    class Refused(Exception):
        pass

    class Refuser(Store):
        async def list_page(self, parameters: dict[str, str]) -> bytes:
            raise Refused

    with pytest.raises(Refused):
        listing(Refuser([], 1)).lookup("a")


ANY_KEY = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
TYPICAL = st.text("abcXYZ0189-_./", min_size=1, max_size=12).filter(lambda key: key[-1] != ".")


@given(ANY_KEY)
def test_just_before_is_below_its_key(key: str) -> None:
    before = just_before(key)
    assert before.encode() < key.encode()


@given(ANY_KEY)
def test_just_before_can_be_sent_to_any_store(key: str) -> None:
    """No control character beyond those of the key itself, which the store has taken."""
    added = just_before(key).removeprefix(key[:-1])
    assert all(character.isprintable() or ord(character) > 0x7F for character in added)


@given(TYPICAL, st.text("abcXYZ0189-_./", max_size=6), st.text("abcXYZ0189-_./", max_size=6))
def test_typical_keys_do_not_lie_between_just_before_and_its_key(
    key: str, start: str, end: str
) -> None:
    before = just_before(key).encode()
    stem, beside = key[:-1], chr(ord(key[-1]) - 1)
    for other in (start + end, stem + end, stem + beside + end, key[: len(start)] + end):
        assert not before < other.encode() < key.encode()


COMPARING = pytest.mark.parametrize("mode", [Mode.ADD, Mode.UPDATE])


class ScriptedListing:
    """Holds ``b`` and ``d``; raises ``error`` when it is asked for ``b``."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._error = error

    def lookup(self, key: str) -> Listed | None:
        self.asked.append(key)
        if self._error and key == "b":
            raise self._error
        return Listed(key, 5, "etag", "", "STANDARD") if key in ("b", "d") else None


def index(
    listing: ScriptedListing | None, mode: Mode = Mode.UPDATE
) -> tuple[DestinationIndex, list[str]]:
    told: list[str] = []
    job = Job("put", (Source("/src"),), Place("bucket", "p"), mode=mode)
    return DestinationIndex(job, listing, told.append), told


@COMPARING
def test_it_answers_from_the_listing(mode: Mode) -> None:
    here, told = index(ScriptedListing(), mode)
    held = Dest(5, "etag")
    assert [here.as_dest(here.lookup(key)) for key in "abcd"] == [None, held, None, held]
    assert not here.ask
    assert told == []


@COMPARING
def test_without_a_listing_every_key_has_to_be_asked_for(mode: Mode) -> None:
    here, told = index(None, mode)
    assert here.ask
    assert here.lookup("b") is None
    assert told == [], "the store said so when the run began"


@pytest.mark.parametrize("listing", [None, ScriptedListing()])
def test_mode_stupid_has_nothing_to_ask(listing: ScriptedListing | None) -> None:
    here, _ = index(listing, Mode.STUPID)
    assert not here.ask
    assert here.lookup("b") is None
    assert listing is None or listing.asked == []


def test_a_key_asked_for_twice_is_in_order() -> None:
    here, told = index(ScriptedListing())
    assert here.as_dest(here.lookup("d")) == here.as_dest(here.lookup("d")) == Dest(5, "etag")
    assert not here.ask
    assert told == []


def test_a_source_out_of_order_is_asked_for_key_by_key() -> None:
    listing = ScriptedListing()
    here, told = index(listing)
    assert [here.lookup(key) for key in "adb"][2] is None
    assert here.ask
    assert [here.lookup(key) for key in "bd"] == [None, None]
    assert listing.asked == ["a", "d"]
    (line,) = told
    assert "not in the order of its keys" in line
    assert "HEAD" in line


def test_order_is_that_of_utf_8() -> None:
    here, told = index(ScriptedListing())
    for key in ("Z", "a", "é", "\uffff", "\U00010000"):
        here.lookup(key)
    assert not here.ask
    assert told == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UnorderedListing(), "does not list its keys in order"),
        (StoreError(403, "AccessDenied", "no"), "access denied: ListBucket on s3://bucket/p (Acc"),
        (ListingError("a page repeats"), "list s3://bucket/p: a page repeats"),
        (StoreError(405, "MethodNotAllowed", "no"), "not supported: ListBucket on"),
        (StoreError(501, "NotImplemented", "no"), "not supported: ListBucket on"),
    ],
    ids=repr,
)
def test_a_listing_that_cannot_be_used_is_given_up_once(error: Exception, words: str) -> None:
    listing = ScriptedListing(error)
    here, told = index(listing)
    assert [here.lookup(key) for key in "abcd"] == [None] * 4
    assert here.ask
    assert listing.asked == ["a", "b"]
    (line,) = told
    assert words in line
    assert "HEAD" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "error",
    [
        StoreError(503, "SlowDown", "broken"),
        NetworkError(WireError(Fault.CONNECTION, "broken")),
        ObjectError(FailureKind.STORE, "broken"),
        FatalError("broken"),
    ],
    ids=repr,
)
def test_a_listing_that_breaks_ends_the_run(error: Exception) -> None:
    here, told = index(ScriptedListing(error))
    with pytest.raises(FatalError, match="broken") as caught:
        here.lookup("b")
    assert isinstance(error, FatalError) or "s3://bucket/p" in str(caught.value)
    assert told == []
