"""What the destination holds, as long as there is a listing to ask."""

from __future__ import annotations

import pytest

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.job import Job, Mode
from s3pp.places import Place
from s3pp.records import Dest
from s3pp.s3.listing import Listed, ListingError
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.s3.wire import WireError
from s3pp.sources.bucket import Unordered
from s3pp.transfer.known import Known

COMPARING = pytest.mark.parametrize("mode", [Mode.ADD, Mode.UPDATE])


class Listing:
    """Holds ``b`` and ``d``; raises ``error`` when it is asked for ``b``."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self._error = error

    def lookup(self, key: str) -> Listed | None:
        self.asked.append(key)
        if self._error and key == "b":
            raise self._error
        return Listed(key, 5, "etag", "", "STANDARD") if key in ("b", "d") else None


def known(listing: Listing | None, mode: Mode = Mode.UPDATE) -> tuple[Known, list[str]]:
    told: list[str] = []
    job = Job("put", ("/src",), Place("bucket", "p"), mode=mode)
    return Known(job, listing, told.append), told  # type: ignore[arg-type]


@COMPARING
def test_it_answers_from_the_listing(mode: Mode) -> None:
    here, told = known(Listing(), mode)
    held = Dest(5, "etag")
    assert [here.lookup(key) for key in "abcd"] == [None, held, None, held]
    assert not here.ask
    assert told == []


@COMPARING
def test_without_a_listing_every_key_has_to_be_asked_for(mode: Mode) -> None:
    here, told = known(None, mode)
    assert here.ask
    assert here.lookup("b") is None
    assert told == [], "the store said so when the run began"


@pytest.mark.parametrize("listing", [None, Listing()])
def test_mode_stupid_has_nothing_to_ask(listing: Listing | None) -> None:
    here, _ = known(listing, Mode.STUPID)
    assert not here.ask
    assert here.lookup("b") is None
    assert listing is None or listing.asked == []


def test_a_key_asked_for_twice_is_in_order() -> None:
    here, told = known(Listing())
    assert here.lookup("d") == here.lookup("d") == Dest(5, "etag")
    assert not here.ask
    assert told == []


def test_a_source_out_of_order_is_asked_for_key_by_key() -> None:
    listing = Listing()
    here, told = known(listing)
    assert [here.lookup(key) for key in "adb"][2] is None
    assert here.ask
    assert [here.lookup(key) for key in "bd"] == [None, None]
    assert listing.asked == ["a", "d"]
    (line,) = told
    assert "not in the order of its keys" in line
    assert "HEAD" in line


def test_order_is_that_of_utf_8() -> None:
    here, told = known(Listing())
    for key in ("Z", "a", "é", "\uffff", "\U00010000"):
        here.lookup(key)
    assert not here.ask
    assert told == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unordered(), "does not list its keys in order"),
        (StoreError(403, "AccessDenied", "no"), "access denied: ListBucket on s3://bucket/p (Acc"),
        (ListingError("a page repeats"), "list s3://bucket/p: a page repeats"),
        (StoreError(405, "MethodNotAllowed", "no"), "not supported: ListBucket on"),
        (StoreError(501, "NotImplemented", "no"), "not supported: ListBucket on"),
    ],
    ids=repr,
)
def test_a_listing_that_cannot_be_used_is_given_up_once(error: Exception, words: str) -> None:
    listing = Listing(error)
    here, told = known(listing)
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
        NetworkError(WireError(7, "broken")),
        ObjectError(FailureKind.STORE, "broken"),
        FatalError("broken"),
    ],
    ids=repr,
)
def test_a_listing_that_breaks_ends_the_run(error: Exception) -> None:
    here, told = known(Listing(error))
    with pytest.raises(FatalError, match="broken") as caught:
        here.lookup("b")
    assert isinstance(error, FatalError) or "s3://bucket/p" in str(caught.value)
    assert told == []
