"""Every key once, in order, whatever the keys, the cuts and the order of the answers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from string import ascii_lowercase
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.errors import FatalError
from s3pp.s3.listing import ListingError
from s3pp.s3.parallel_listing import PAGES_AHEAD, list_pages
from s3pp.s3.retry import StoreError

from .listers import FakeLister, SlowLister, collect, page

KEY_SHAPES = st.one_of(
    st.integers(0, 3000).map(str),
    st.integers(0, 3000).map("{:08}".format),
    st.binary(min_size=4, max_size=4).map(bytes.hex),
    st.uuids().map(str),
    st.dates().map(lambda date: f"logs/{date:%Y-%m-%d}/{date.day * 37 % 24}.gz"),
    st.tuples(st.sampled_from("abc"), st.integers(0, 99)).map(lambda at: f"{at[0]}/{at[1]}"),
    st.text("aä漢😀~\x01 %+", min_size=1, max_size=4),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
)
KEY_SETS = KEY_SHAPES.flatmap(lambda key: st.sets(st.one_of(KEY_SHAPES, st.just(key)), max_size=90))
FEW_SHAPES = st.sampled_from(
    [
        st.integers(0, 300).map("{:05}".format),
        st.integers(0, 9999).map(str),
        st.binary(min_size=2, max_size=2).map(bytes.hex),
        st.tuples(st.integers(0, 30), st.integers(0, 9)).map("d{0[0]:02}/{0[1]}".format),
        st.text("ab~", min_size=1, max_size=6),
    ]
).flatmap(lambda shape: st.sets(shape, max_size=120))


@given(st.one_of(KEY_SETS, FEW_SHAPES), st.integers(1, 7), st.sampled_from([1, 2, 5, 16]))
@example({"a", "a~", "a~~", "b", "b~"}, 1, 16)
@settings(deadline=None, max_examples=examples(300))
def test_every_key_once_in_order(keys: set[str], size: int, listers: int) -> None:
    lister = FakeLister(keys, size)
    found, told = asyncio.run(collect(lister, listers=listers))
    assert found == list(lister.keys)
    assert told == []
    fruitful = -(-len(keys) // size) or 1
    assert len(lister.asked) <= 3 * fruitful + 3 * listers


@given(FEW_SHAPES, st.integers(1, 7), st.text("0123abd/", max_size=2), st.text("0d1", max_size=3))
@settings(deadline=None)
def test_prefix_and_start(keys: set[str], size: int, prefix: str, after: str) -> None:
    lister = FakeLister(keys, size)
    found, _ = asyncio.run(collect(lister, prefix, listers=8, start_after=after))
    assert found == [key for key in lister.keys if key.startswith(prefix) and key > after]


def test_nothing_is_asked_twice_of_a_small_listing() -> None:
    lister = FakeLister(["a", "b"], 2)
    found, _ = asyncio.run(collect(lister, "", listers=16))
    assert (found, len(lister.asked)) == (["a", "b"], 1)


def test_cuts_hold_nothing_that_cannot_be_sent() -> None:
    lister = FakeLister([f"\x01{at:04}\x7f\ufffe" for at in range(300)], 3)
    found, _ = asyncio.run(collect(lister, listers=8))
    assert found == list(lister.keys)
    for asked in lister.asked:
        assert asked.get("start-after", "a").isprintable()


# Shapes of listings of 200 pages each, 100 keys to a page.
KEYS = range(20_000)
SHAPES: dict[str, Callable[[random.Random], list[str]]] = {
    "numbers": lambda _: [f"{at:08}" for at in KEYS],
    "numbers without zeros": lambda _: [f"file{at}.txt" for at in KEYS],
    "hexadecimal": lambda rng: [f"{rng.getrandbits(128):032x}" for _ in KEYS],
    "UUIDs": lambda rng: [str(UUID(int=rng.getrandbits(128))) for _ in KEYS],
    "one page to a directory": lambda _: [f"d{at // 100:04}/f{at:07}.txt" for at in KEYS],
    "directories": lambda _: [f"dir{at // 400:03}/file-{at % 400:06}.dat" for at in KEYS],
    "small directories": lambda _: [f"d/{at // 10:05}/{at % 10}" for at in KEYS],
    "dates": lambda _: [
        f"logs/2026-{1 + day // 28:02}-{1 + day % 28:02}/{hour:02}/{at}.gz"
        for day in range(100) for hour in range(24) for at in range(8)
    ],
    "words": lambda rng: ["".join(rng.choices(ascii_lowercase, k=8)) for _ in KEYS],
    "Japanese": lambda rng: ["".join(rng.choices("漢字かな", k=6)) + str(at) for at in KEYS],
    "two trees": lambda _: [f"{tree}/{at:07}" for tree in ("a", "omega") for at in KEYS[:10_000]],
    "one large, ten small": lambda _: [f"a/{at:06}" for at in range(18_000)]
    + [f"{tree}/{at}" for tree in "bcdefghijk" for at in range(200)],
}  # fmt: skip


def keys_of(shape: str) -> list[str]:
    return SHAPES[shape](random.Random(1))


async def rounds(lister: SlowLister, listers: int) -> int:
    serving = asyncio.ensure_future(lister.serve())
    found, told = await collect(lister, listers=listers)
    serving.cancel()
    assert (found, told) == (list(lister.keys), [])
    return lister.rounds


USUAL = {"numbers without zeros", "one large, ten small"}


@pytest.mark.parametrize(
    "shape",
    [pytest.param(shape, marks=() if shape in USUAL else pytest.mark.thorough) for shape in SHAPES],
)
def test_sixteen_listers_take_an_eighth_of_the_rounds(shape: str) -> None:
    """No wall clock: a round is what one latency is worth, and one lister takes 200.

    Up to two rounds find out whether the store obeys ``start-after``.
    """
    lister = SlowLister(set(keys_of(shape)), 100)
    took = asyncio.run(rounds(lister, 16))
    alone = len(lister.keys) / 100
    assert took <= alone / 8 + 2
    assert len(lister.asked) <= 2 * alone
    assert lister.most == 16


def test_one_lister_takes_a_round_a_page() -> None:
    lister = SlowLister(keys_of("words"), 1000)
    assert asyncio.run(rounds(lister, 1)) == -(-len(lister.keys) // 1000)
    assert lister.most == 1


@pytest.mark.parametrize(("listers", "most"), [(1, 1), (4, 4 * PAGES_AHEAD)])
def test_pages_fetched_ahead_are_bounded(listers: int, most: int) -> None:
    lister = FakeLister(keys_of("numbers"), 10)

    async def sip() -> None:
        """Take a page now and then; everybody else has all the time there is."""
        listing = list_pages(lister, "", listers=listers)
        taken = 0
        async for _ in listing:
            taken += 1
            for _ in range(most * 10):
                await asyncio.sleep(0)
            fruitful = len(lister.asked) / 2  # the others were barren
            assert fruitful <= taken + most + listers
            if taken == 20:
                break
        assert len(lister.asked) >= taken + most // 2
        await listing.aclose()

    asyncio.run(sip())


def test_the_next_page_is_asked_for_before_the_consumer_is_at_work() -> None:
    lister = FakeLister(keys_of("numbers"), 100)

    async def work() -> None:
        listing = list_pages(lister, "")
        for count in range(1, 5):
            await anext(listing)
            assert len(lister.asked) == count + 1
        await listing.aclose()

    asyncio.run(work())


def test_closing_early_leaves_nothing_running() -> None:
    lister = SlowLister(keys_of("numbers"), 10)

    async def close() -> set[asyncio.Task[None]]:
        serving = asyncio.ensure_future(lister.serve())
        listing = list_pages(lister, "", listers=8)
        for _ in range(3):
            await anext(listing)
        await listing.aclose()
        asked = len(lister.asked)
        await asyncio.sleep(0.01)
        assert len(lister.asked) == asked
        return asyncio.all_tasks() - {asyncio.current_task(), serving}

    assert asyncio.run(close()) == set()


# Stores that misbehave


class IgnoresStart(FakeLister):
    """Knows tokens only, as directory buckets do."""

    def start(self, parameters: dict[str, str]) -> int:
        return super().start({k: v for k, v in parameters.items() if k != "start-after"})


class RefusesStart(FakeLister):
    def answer(self, parameters: dict[str, str]) -> bytes:
        if "start-after" in parameters:
            raise StoreError(400, "InvalidArgument", "StartAfter is not supported")
        return super().answer(parameters)


class LosesDirectories(FakeLister):
    """Takes ``start-after`` for the path of a file, as SeaweedFS does."""

    def start(self, parameters: dict[str, str]) -> int:
        start = super().start(parameters)
        directory = f"{parameters.get('start-after', '')}/"
        while start < len(self.keys) and self.keys[start].startswith(directory):
            start += 1
        return start


class Shuffled(FakeLister):
    """In an order of its own, from the key ``first`` on."""

    def __init__(self, keys: set[str], size: int, first: int = 0) -> None:
        super().__init__(keys, size)
        tail = list(self.keys[first:])
        random.Random(3).shuffle(tail)
        self.keys = [*self.keys[:first], *tail]

    def start(self, parameters: dict[str, str]) -> int:
        return super().start({k: v for k, v in parameters.items() if k != "start-after"})


NUMBERS = {f"{at:05}" for at in range(500)}


@pytest.mark.parametrize("kind", [IgnoresStart, RefusesStart])
@pytest.mark.parametrize("listers", [2, 16])
def test_a_store_without_start_after_is_listed_by_its_tokens(
    kind: type[IgnoresStart] | type[RefusesStart], listers: int
) -> None:
    lister = kind(NUMBERS, 7)
    found, told = asyncio.run(collect(lister, listers=listers))
    assert found == sorted(NUMBERS)
    assert len(told) == 1
    assert "start-after" in told[0]
    assert len(lister.asked) <= 500 / 7 + 2 * listers + 2


@given(
    st.integers(1, 9),
    st.integers(1, 6),
    st.integers(20, 150),
    st.sampled_from([2, 4, 16]),
    st.integers(2, 9),
)
@settings(deadline=None, max_examples=examples(60))
def test_a_store_that_leaves_out_directories_is_listed_by_its_tokens(
    outer: int, inner: int, count: int, listers: int, size: int
) -> None:
    """Cut at the name of a directory, such a listing would lose all keys in it."""
    keys = {f"{at % outer}/{at % inner}/{at:03}" for at in range(count)}
    found, _ = asyncio.run(collect(LosesDirectories(keys, size), listers=listers))
    assert found == sorted(keys)


def test_a_start_that_is_ignored_is_kept_to_all_the_same() -> None:
    for listers in (1, 4):
        found, told = asyncio.run(
            collect(IgnoresStart(NUMBERS, 7), listers=listers, start_after="00321")
        )
        assert found == [key for key in sorted(NUMBERS) if key > "00321"]
        assert len(told) == 1


@given(st.integers(0, 60), st.sampled_from([1, 2, 16]), st.integers(2, 9))
@settings(deadline=None, max_examples=examples(40))
def test_an_order_of_its_own_is_told_and_nothing_lost(first: int, listers: int, size: int) -> None:
    lister = Shuffled(NUMBERS, size, first)
    found, told = asyncio.run(collect(lister, listers=listers))
    assert sorted(found) == sorted(NUMBERS)
    assert found == list(lister.keys)
    assert 1 <= len(told) <= 2  # that start-after is ignored may have come first


class LateDisorder(FakeLister):
    """Swaps two keys in the middle of the listing, and knows start-after."""

    def page_at(self, start: int, prefix: str = "") -> bytes:
        body = super().page_at(start, prefix)
        return (
            body.replace(b"00251", b"xxxxx").replace(b"00252", b"00251").replace(b"xxxxx", b"00252")
        )


@pytest.mark.parametrize("size", [2, 5, 7, 50])
@pytest.mark.parametrize("listers", [1, 2, 4, 16])
def test_late_disorder_loses_nothing_or_is_an_error(size: int, listers: int) -> None:
    lister = LateDisorder(NUMBERS, size)
    try:
        found, _ = asyncio.run(collect(lister, listers=listers))
    except ListingError as error:
        found = [*lister.keys] if "one lister" in str(error) else []
    assert sorted(found) == sorted(NUMBERS)


class Circle(FakeLister):
    """Comes back to an earlier page after ``length`` pages; tokens never repeat with ``fresh``."""

    def __init__(self, keys: set[str], size: int, *, length: int, fresh: bool) -> None:
        super().__init__(keys, size)
        self._length = length
        self._fresh = fresh

    def start(self, parameters: dict[str, str]) -> int:
        return super().start(parameters) % (self._length * self.size)

    def page_at(self, start: int, prefix: str = "") -> bytes:
        number = len(self.asked) if self._fresh else 0
        token = f"token {number} {start + self.size}"
        return page(self.keys[start : start + self.size], token)


@pytest.mark.parametrize("length", [1, 2, 3, 10])
@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("listers", [1, 4])
def test_a_listing_that_goes_in_circles_ends(length: int, fresh: bool, listers: int) -> None:
    lister = Circle(NUMBERS, 5, length=length, fresh=fresh)
    with pytest.raises(ListingError):
        asyncio.run(collect(lister, listers=listers))
    assert len(lister.asked) <= 4 * length + 8 * listers + 8


class Endless(FakeLister):
    """Says for ever that there is more, and has nothing."""

    def answer(self, parameters: dict[str, str]) -> bytes:
        return page([], f"token {len(self.asked)}")


class Overlapping(FakeLister):
    """Begins each page with the last key of the one before."""

    def page_at(self, start: int, prefix: str = "") -> bytes:
        return super().page_at(max(0, start - 1), prefix)


@pytest.mark.parametrize("kind", [Endless, Overlapping])
def test_no_headway_is_an_error(kind: type[Endless] | type[Overlapping]) -> None:
    lister = kind(NUMBERS, 5)
    with pytest.raises(ListingError):
        asyncio.run(collect(lister))
    assert len(lister.asked) < 200


class Sparse(FakeLister):
    """Every other page is empty, as where a store skips over what is deleted."""

    def answer(self, parameters: dict[str, str]) -> bytes:
        token = parameters.get("continuation-token", "full")
        start = self.start(parameters)
        if token.startswith("full"):
            return page([], f"empty {start}")
        return self.page_at(start, parameters["prefix"]).replace(b"token", b"full")


@pytest.mark.parametrize("listers", [1, 8])
def test_empty_pages_on_the_way_are_no_end(listers: int) -> None:
    found, _ = asyncio.run(collect(Sparse(NUMBERS, 9), listers=listers))
    assert found == sorted(NUMBERS)


class Failing(FakeLister):
    """Fails where a page would hold ``at``."""

    def __init__(self, keys: set[str], error: Exception, at: str) -> None:
        super().__init__(keys, 5)
        self._error, self._at = error, at

    def answer(self, parameters: dict[str, str]) -> bytes:
        start = self.start(parameters)
        if self._at in self.keys[start : start + self.size]:
            raise self._error
        return super().answer(parameters)


@pytest.mark.parametrize("listers", [1, 2, 16])
@pytest.mark.parametrize("error", [StoreError(500, "InternalError", ""), FatalError("keys")])
def test_an_error_comes_after_what_stood_before_it(listers: int, error: Exception) -> None:
    lister = Failing(NUMBERS, error, "00300")
    found: list[str] = []

    async def read() -> None:
        async for objects in list_pages(lister, "", listers=listers):
            found.extend(listed.key for listed in objects)

    with pytest.raises(type(error)):
        asyncio.run(read())
    assert found == sorted(NUMBERS)[: len(found)]
    assert "00300" not in found
    assert len(found) >= 295 or isinstance(error, FatalError)
