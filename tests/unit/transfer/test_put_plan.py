"""From entries to tasks or outcomes, by what the destination holds."""

from __future__ import annotations

import pytest

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.job import Job, Mode
from s3pp.limits import MAX_OBJECT
from s3pp.places import Place, Source
from s3pp.records import Dest, Entry, Failed, Outcome, PutTask, Skipped, SkipReason
from s3pp.s3.exchange import Fault, WireError
from s3pp.s3.listing import Listed
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.sources.destination_index import DestinationIndex, UnorderedListing
from s3pp.transfer.planners import PutPlanner

HELD = Dest(5, "etag")


class Listing:
    """A destination that holds ``b`` and ``d``, or raises when asked for ``breaks_at``."""

    def __init__(self, error: Exception | None = None, breaks_at: str = "b") -> None:
        self.asked: list[str] = []
        self._error = error
        self._breaks_at = breaks_at

    def lookup(self, key: str) -> Listed | None:
        self.asked.append(key)
        if self._error and key == self._breaks_at:
            raise self._error
        return Listed(key, HELD.size, HELD.etag, "") if key in ("b", "d") else None


def entry(key: str, size: int = 3) -> Entry:
    return Entry(key, f"/src/{key}", size, 0)


ENTRIES = [entry(key) for key in "abcd"]


def planned(
    mode: Mode, dest: Listing | None, found: object = None
) -> tuple[list[PutTask | Outcome], list[str]]:
    told: list[str] = []
    job = Job("put", (Source("/src"),), Place("bucket", "p"), mode=mode)
    planner = PutPlanner(job, DestinationIndex(job, dest, told.append))
    return list(planner.plan(found or ENTRIES)), told  # type: ignore[arg-type]


def test_add_skips_what_the_listing_holds() -> None:
    exists = SkipReason.EXISTS
    assert planned(Mode.ADD, Listing()) == (
        [
            PutTask(entry("a"), None),
            Skipped("/src/b", "b", 3, exists, dest_size=5),
            PutTask(entry("c"), None),
            Skipped("/src/d", "d", 3, exists, dest_size=5),
        ],
        [],
    )


def test_update_sends_along_what_the_listing_holds() -> None:
    dests = [None, HELD, None, HELD]
    expected = [PutTask(e, dest) for e, dest in zip(ENTRIES, dests, strict=True)]
    assert planned(Mode.UPDATE, Listing()) == (expected, [])


def test_stupid_asks_nobody() -> None:
    assert planned(Mode.STUPID, None) == ([PutTask(e, None) for e in ENTRIES], [])


@pytest.mark.parametrize("mode", [Mode.ADD, Mode.UPDATE])
def test_without_a_listing_every_key_is_asked_for(mode: Mode) -> None:
    assert planned(mode, None) == ([PutTask(e, None, ask=True) for e in ENTRIES], [])


def test_outcomes_of_the_source_pass_through_in_their_place() -> None:
    skipped = Skipped("/src/aa", "aa", 0, SkipReason.SPECIAL)
    failed = Failed("/src/e", "e", FailureKind.NAME, "why")
    listing = Listing()
    found, _ = planned(Mode.UPDATE, listing, [ENTRIES[0], skipped, ENTRIES[2], failed])
    assert found == [PutTask(ENTRIES[0], None), skipped, PutTask(ENTRIES[2], None), failed]
    assert listing.asked == ["a", "c"]


@pytest.mark.parametrize(
    "error",
    [
        UnorderedListing(),
        StoreError(403, "AccessDenied", "no"),
        StoreError(501, "NotImplemented", "no"),
        StoreError(400, "InvalidRequest", "no"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("mode", [Mode.ADD, Mode.UPDATE])
def test_a_listing_that_cannot_be_used_is_given_up_for_heads(mode: Mode, error: Exception) -> None:
    listing = Listing(error)
    found, told = planned(mode, listing)
    assert found == [
        PutTask(entry("a"), None),
        *(PutTask(entry(key), None, ask=True) for key in "bcd"),
    ]
    assert listing.asked == ["a", "b"]
    (line,) = told
    assert "HEAD" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "error",
    [
        StoreError(500, "InternalError", "broken"),
        StoreError(503, "SlowDown", "broken"),
        NetworkError(WireError(Fault.CONNECTION, "broken")),
        ObjectError(FailureKind.STORE, "broken"),
        FatalError("broken"),
    ],
    ids=repr,
)
def test_a_listing_that_breaks_ends_the_run(error: Exception) -> None:
    """Carrying on as if nothing more were there would send, or one day delete, what is equal."""
    with pytest.raises(FatalError, match="broken"):
        planned(Mode.UPDATE, Listing(error))


def test_what_no_object_holds_fails_before_anything_is_read() -> None:
    fits, large = entry("a", MAX_OBJECT), entry("b", MAX_OBJECT + 1)
    found, _ = planned(Mode.UPDATE, Listing(), [fits, large])
    assert found[0] == PutTask(fits, None)
    assert isinstance(found[1], Failed)
    assert (found[1].target, found[1].kind) == ("b", FailureKind.TOO_LARGE)


def test_entries_are_taken_one_at_a_time() -> None:
    """The walker never holds the whole job."""
    job = Job("put", (Source("/src"),), Place("bucket"), mode=Mode.STUPID)
    taken = []

    def entries() -> object:
        for at in range(10):
            taken.append(at)
            yield entry(str(at))

    planner = PutPlanner(job, DestinationIndex(job, None, lambda text: None))
    steps = planner.plan(entries())  # type: ignore[arg-type]
    next(steps)
    next(steps)
    assert len(taken) == 2
