"""Which unfinished upload is resumed, and which of its parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import MAX_PARTS, MIB, MIN_PART
from s3pp.s3.exchange import Fault, WireError
from s3pp.s3.listing import ListingError
from s3pp.s3.multipart import Spans
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.s3.upload_listing import Part, Upload, UploadedParts
from s3pp.transfer.parts import UploadState
from s3pp.transfer.resume import MOST_UPLOADS, QUIET, NotListed, find_unfinished, fitting

SIZE = 5 * MIN_PART + 7
OURS, THEIRS = "ours", "theirs"
MIDNIGHT = 1767225600.0  # 2026-01-01T00:00:00Z


def part(number: int, size: int, etag: str = OURS) -> Part:
    return Part(number, size, etag, None)


def cut(size: int, each: int, etag: str = OURS) -> list[Part]:
    return [part(span.number, span.size, etag) for span in Spans(size, each)]


# Which parts lie where ours would


@given(st.data())
def test_any_parts_that_lie_as_planned_are_kept(data: st.DataObject) -> None:
    """Whatever the part size was: of all but a last one alone it is known."""
    each = data.draw(st.integers(MIN_PART, 4 * MIN_PART))
    size = data.draw(st.integers(1, 12 * each))
    kept = data.draw(st.sets(st.sampled_from(cut(size, each)), min_size=1))
    parts = sorted(kept)
    wanted = data.draw(st.sampled_from([each, MIN_PART, 64 * MIB]))
    found = fitting("id", parts, size=size, wanted=wanted)
    whole = [one for one in parts if one.size == each]
    if whole and not (len(parts) == 1 and wanted != each):
        assert found == UploadState("id", each, {one.number: one for one in parts})
        assert found.size == sum(one.size for one in parts)


@given(
    st.lists(st.tuples(st.integers(1, MAX_PARTS), st.integers(0, 8 * MIN_PART)), max_size=12),
    st.integers(1, 40 * MIN_PART),
    st.integers(MIN_PART, 8 * MIN_PART),
)
def test_what_is_kept_fits_whatever_is_there(
    there: list[tuple[int, int]], size: int, wanted: int
) -> None:
    parts = [part(*each) for each in sorted(dict(there).items())]
    found = fitting("id", parts, size=size, wanted=wanted)
    plan = Spans(size, found.part_size)
    assert plan.count <= MAX_PARTS
    for number, kept in found.parts.items():
        assert (number, kept.size) == plan.span(number)[::2]
        assert kept in parts


@pytest.mark.parametrize(
    ("parts", "each", "kept"),
    [
        ([], MIN_PART, []),
        (cut(SIZE, MIN_PART), MIN_PART, [1, 2, 3, 4, 5, 6]),
        ([part(6, 7)], MIN_PART, [6]),  # the last alone, of those that are wanted
        ([part(2, 6 * MIB)], 6 * MIB, [2]),
        ([part(2, 6 * MIB), part(5, SIZE - 24 * MIB)], 6 * MIB, [2, 5]),
        ([part(1, MIN_PART - 1)], MIN_PART, []),  # no S3 upload would be completed from it
        (cut(SIZE + 1, MIN_PART), MIN_PART, [1, 2, 3, 4, 5]),  # the file is shorter by a byte
        (cut(SIZE + MIN_PART, MIN_PART), MIN_PART, [1, 2, 3, 4, 5]),
        (cut(2 * MIN_PART + 1, MIN_PART), MIN_PART, [1, 2]),  # it grew
        ([part(9999, MIN_PART)], MIN_PART, []),
    ],
)
def test_parts_that_fit(parts: list[Part], each: int, kept: list[int]) -> None:
    found = fitting("id", parts, size=SIZE, wanted=MIN_PART)
    assert (found.part_size, list(found.parts)) == (each, kept)


# Which upload


class Store:
    """The unfinished uploads of a bucket: their parts, or how the store refuses to tell them.

    It is midnight, and they were begun a second after the other.
    """

    def __init__(self, *uploads: tuple[str, str, list[Part] | Exception]) -> None:
        self._uploads = {
            name: Upload(key, name, f"2026-01-01T00:{at // 60:02}:{at % 60:02}.000Z")
            for at, (key, name, _) in enumerate(uploads)
        }
        self._parts = {name: parts for _, name, parts in uploads}
        self.own: set[str] = set()
        self.later = 2.0 * QUIET  # seconds that have passed since they were begun
        self.newest: float | None = MIDNIGHT
        self.refusal: Exception | None = None
        self.denied: set[str] = set()  # listed still, though they are said to be gone
        self.looked: list[str] = []
        self.probed: list[int] = []

    def store_time(self) -> float:
        return MIDNIGHT + self.later

    async def list_key(self, key: str) -> AsyncIterator[Upload]:
        if self.refusal:
            raise self.refusal
        for upload in self._uploads.values():
            if upload.key == key:
                yield upload

    async def is_listed(self, upload: Upload) -> bool:
        return upload.id in self.denied

    async def fetch_parts(self, key: str, name: str) -> UploadedParts:
        assert self._uploads[name].key == key
        self.looked.append(name)
        parts = self._parts[name]
        if isinstance(parts, Exception):
            raise parts
        return UploadedParts(parts, self.newest)

    def find(self, size: int = SIZE, wanted: int = MIN_PART) -> UploadState | None:
        async def proves(plan: Spans, there: Part) -> bool:
            assert plan.span(there.number).size == there.size
            self.probed.append(there.number)
            return there.etag == OURS

        async def main() -> UploadState | None:
            return await find_unfinished(
                self,  # type: ignore[arg-type]
                "key",
                size=size,
                part_size=wanted,
                proves=proves,
            )

        return asyncio.run(main())


def test_the_one_that_has_most_of_ours() -> None:
    ours = cut(SIZE, MIN_PART)
    store = Store(
        ("key", "few", ours[:1]),
        ("key", "theirs", cut(SIZE, MIN_PART, THEIRS)),
        ("key", "many", ours[:3]),
        ("key", "empty", []),
        ("key2", "another key's", ours),
    )
    found = store.find()
    assert found is not None
    assert (found.id, list(found.parts)) == ("many", [1, 2, 3])
    assert "another key's" not in store.looked


def test_none_is_ours() -> None:
    store = Store(("key", "theirs", cut(SIZE, MIN_PART, THEIRS)), ("key", "empty", []))
    assert store.find() is None
    assert store.probed == [1, 3, 6], "three parts tell: not all have to be read"


def test_one_part_of_three_is_enough() -> None:
    parts = cut(SIZE, MIN_PART, THEIRS)
    parts[-1] = part(6, 7)
    found = Store(("key", "changed", parts)).find()
    assert found is not None
    assert found.id == "changed"


# Who may be sending it


def mixed() -> list[Part]:
    """As the upload of a file whose beginning is ours."""
    return [*cut(SIZE, MIN_PART)[:1], *cut(SIZE, MIN_PART, THEIRS)[1:]]


@pytest.mark.parametrize(
    ("later", "newest", "taken"),
    [
        (QUIET + 1, MIDNIGHT, True),
        (QUIET - 1, MIDNIGHT, False),
        (9 * QUIET, MIDNIGHT + 9 * QUIET - 1, False),  # begun long ago, and still at it
        (9 * QUIET, MIDNIGHT + 9 * QUIET + 5, False),
        (QUIET + 1, None, True),  # the store tells no times of parts
        (QUIET - 1, None, False),
    ],
)
def test_what_differs_is_gone_on_with_when_nobody_sends_it(
    later: float, newest: float | None, taken: bool
) -> None:
    store = Store(("key", "live?", mixed()))
    store.later, store.newest = later, newest
    assert bool(store.find()) is taken


def test_what_differs_and_has_no_time_is_left_alone() -> None:
    store = Store(("key", "live?", mixed()))
    store.newest = None
    store._uploads["live?"] = Upload("key", "live?", "")
    assert store.find() is None


def test_a_run_that_was_just_killed_is_gone_on_with() -> None:
    store = Store(("key", "ours", cut(SIZE, MIN_PART)[:4]))
    store.later = 1
    found = store.find()
    assert found is not None
    assert list(found.parts) == [1, 2, 3, 4]


def test_what_this_run_began_is_gone_on_with_though_the_file_has_changed() -> None:
    store = Store(("key", "ours", mixed()))
    store.later = 1
    assert store.find() is None
    store.own = {"ours"}
    assert store.find() is not None


def test_one_difference_among_many_parts_is_seen() -> None:
    size = 400 * MIN_PART
    parts = cut(size, MIN_PART)
    parts[30:90] = cut(size, MIN_PART, THEIRS)[30:90]  # an image, most of it empty
    store = Store(("key", "theirs", parts))
    store.later = 1
    assert store.find(size) is None


def test_a_body_of_another_length_is_another_body() -> None:
    """As of a log that somebody sends who has more of it."""
    store = Store(("key", "theirs", cut(SIZE + MIN_PART, MIN_PART)))
    store.later = 1
    assert store.find() is None
    assert store.probed == []
    store.later = 2 * QUIET
    assert store.find() is not None


def test_only_the_latest_are_looked_into() -> None:
    many = [("key", f"{number:04d}", cut(SIZE, MIN_PART, THEIRS)) for number in range(1200)]
    store = Store(*many)
    assert store.find() is None
    assert sorted(store.looked) == [f"{number:04d}" for number in range(1200 - MOST_UPLOADS, 1200)]


def test_thousands_of_parts() -> None:
    size = 4000 * MIN_PART
    found = Store(("key", "large", cut(size, MIN_PART)[:3999])).find(size)
    assert found is not None
    assert (len(found.parts), found.size) == (3999, 3999 * MIN_PART)


@pytest.mark.parametrize("status", [403, 404, 405, 501])
def test_one_that_vanishes_or_is_not_told_is_passed_over(status: int) -> None:
    gone = StoreError(status, "NoSuchUpload" if status == 404 else "No", "")
    store = Store(("key", "ours", cut(SIZE, MIN_PART)[:1]), ("key", "gone", gone))
    found = store.find()
    assert found is not None
    assert found.id == "ours"


@pytest.mark.parametrize("denied", [False, True])
def test_one_that_is_listed_and_denied_is_as_good_as_not_told(denied: bool) -> None:
    store = Store(("key", "gone", StoreError(404, "NoSuchUpload", "")))
    store.denied = {"gone"} if denied else set()
    if not denied:
        assert store.find() is None
        return
    with pytest.raises(NotListed):
        store.find()


BROKEN = [
    *(StoreError(status, "No", "") for status in (400, 403, 404, 405, 500, 501)),
    ListingError("the store answered ListMultipartUploads with <html>"),
]


@pytest.mark.parametrize("where", ["uploads", "parts"])
@pytest.mark.parametrize("broken", BROKEN, ids=str)
def test_a_store_that_does_not_tell(broken: Exception, where: str) -> None:
    store = Store(("key", "ours", broken if where == "parts" else []))
    store.refusal = broken if where == "uploads" else None
    with pytest.raises(NotListed):
        store.find()


def test_what_it_does_not_tell_matters_only_if_nothing_else_is_ours() -> None:
    store = Store(("key", "ours", cut(SIZE, MIN_PART)[:1]), ("key", "untold", BROKEN[-1]))
    found = store.find()
    assert found is not None
    assert found.id == "ours"


def test_a_store_that_does_not_answer_is_no_store_without_uploads() -> None:
    store = Store()
    store.refusal = NetworkError(WireError(Fault.SILENT, "timed out"))
    with pytest.raises(ObjectError, match=r"^list unfinished.*timed out.*--no-resume") as caught:
        store.find()
    assert caught.value.kind is FailureKind.NETWORK
