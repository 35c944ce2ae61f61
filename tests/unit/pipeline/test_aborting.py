"""Which uploads belong to a clean, and what becomes of one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Choosing, Job
from s3pp.pipeline.aborting import PAUSES, Aborter, Selection, due
from s3pp.places import parse_origin
from s3pp.records import SkipReason
from s3pp.report.aborts import Aborted, Fate, Refused, Spared, Weight
from s3pp.s3.listing import ListingError
from s3pp.s3.retry import StoreError
from s3pp.s3.uploads import Part, Upload

DAY = 86400
OLD, NEW = "2026-11-18T08:30:00.000Z", "2026-11-20T08:00:00.000Z"
NOW = 1795163400.0  # 2026-11-20T08:30:00Z
UPLOAD = Upload("p/a", "id", OLD)
GONE = StoreError(404, "NoSuchUpload", "")
DENIED = StoreError(403, "AccessDenied", "")


def selection(place: str = "p", **choosing: Any) -> Selection:
    job = Job("clean", origin=parse_origin(f"s3://bucket/{place}"), choosing=Choosing(**choosing))
    assert job.origin is not None
    return Selection(job, job.origin, lambda: NOW)


def decided(upload: Upload, place: str = "p", **choosing: Any) -> Upload | Fate | None:
    return selection(place, **choosing).decide(upload)


@pytest.mark.parametrize(
    ("place", "key", "meant"),
    [
        ("p", "p/a", True),
        ("p", "p", True),
        ("p", "p/", True),
        ("p", "p-a", False),
        ("p", "o/p/a", False),
        ("p", "P/a", False),
        ("p/", "p", True),
        ("p*", "p-a", True),
        ("p*", "q", False),
        ("p/a*", "p/", False),
        ("", "anything", True),
        ("", "/", True),
        ("a//b", "a//b/c", True),
        ("a//b", "a/b/c", False),
    ],
)
def test_what_a_place_means(place: str, key: str, meant: bool) -> None:
    upload = Upload(key, "id", OLD)
    assert decided(upload, place) == (upload if meant else None)
    assert key.startswith(selection(place).prefix) or not meant


@pytest.mark.parametrize(
    ("choosing", "initiated", "meant"),
    [
        ({}, OLD, True),
        ({"older_than": NOW}, NEW, True),
        ({"older_than": NOW - DAY / 2}, NEW, False),
        ({"older_than": NOW - DAY / 2}, OLD, True),
        ({"older_than": NOW - 9 * DAY}, OLD, False),
        ({"rules": (("exclude", "a"),)}, OLD, False),
        ({"rules": (("include", "*.x"),)}, OLD, False),
        ({"rules": (("include", "a"),)}, OLD, True),
    ],
)
def test_ages_and_globs(choosing: dict[str, Any], initiated: str, meant: bool) -> None:
    upload = UPLOAD._replace(initiated=initiated)
    assert decided(upload, **choosing) == (upload if meant else None)


def test_what_may_be_under_way_is_spared() -> None:
    assert decided(UPLOAD._replace(initiated=NEW)) == Spared(
        UPLOAD._replace(initiated=NEW), SkipReason.YOUNG
    )


@pytest.mark.parametrize("choosing", [{}, {"older_than": NOW}])
def test_what_has_no_time_is_refused(choosing: dict[str, Any]) -> None:
    for initiated in ("", "yesterday"):
        refused = decided(UPLOAD._replace(initiated=initiated), **choosing)
        assert isinstance(refused, Refused)
        assert refused.kind is FailureKind.STORE


def test_the_name_of_a_place_itself_is_its_last_segment() -> None:
    upload = Upload("p/deep", "id", OLD)
    assert decided(upload, "p/deep", rules=(("include", "deep"),)) == upload
    assert decided(upload, "p/deep", rules=(("exclude", "deep"),)) is None


class Store:
    """Uploads that answer as scripted; what comes last goes on for ever."""

    def __init__(
        self, parts: list[Any], aborts: list[Any] | None = None, listed: list[Any] | None = None
    ) -> None:
        self._parts, self._aborts, self._listed = parts, aborts or [True], listed or []
        self.aborts = 0
        self.lags: list[Any] = [False]  # whether one that is gone is listed, time after time
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        assert (key, upload_id) == UPLOAD[:2]
        for size in self._next(self._parts):
            yield Part(1, size, "", None)

    async def abort(self, key: str, upload_id: str) -> bool:
        assert (key, upload_id) == UPLOAD[:2]
        self.aborts += 1
        told: bool = self._next(self._aborts)
        return told

    async def lists(self, upload: Upload) -> bool:
        assert upload == UPLOAD
        told: bool = self._next(self.lags)
        return told

    async def unfinished(self, prefix: str) -> AsyncIterator[Upload]:
        for each in self._listed:
            if isinstance(each, Exception):
                raise each
            yield each

    def fate(self, *, dry_run: bool = False) -> Fate:
        aborter = Aborter(self, dry_run=dry_run, sleep=self.sleep)  # type: ignore[arg-type]
        return asyncio.run(aborter.fate(UPLOAD))

    def _next(self, script: list[Any]) -> Any:
        step = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(step, BaseException):
            raise step
        return step


def test_an_upload_is_weighed_and_aborted() -> None:
    store = Store([[5, 7], GONE])
    assert store.fate() == Aborted(UPLOAD, Weight(2, 12))
    assert (store.aborts, store.slept) == (1, [])


def test_an_empty_list_is_as_good_as_none() -> None:
    store = Store([[5], []])
    assert store.fate() == Aborted(UPLOAD, Weight(1, 5))
    assert store.aborts == 1


def test_a_dry_run_aborts_nothing() -> None:
    store = Store([[5, 7]])
    assert store.fate(dry_run=True) == Aborted(UPLOAD, Weight(2, 12))
    assert store.aborts == 0


def test_parts_that_arrive_late_are_aborted_again() -> None:
    store = Store([[5], [6], [6], GONE], [True, True, False])
    assert store.fate() == Aborted(UPLOAD, Weight(1, 5))
    assert (store.aborts, store.slept) == (3, list(PAUSES[:2]))


def test_parts_that_never_end_fail() -> None:
    store = Store([[5]])
    fate = store.fate()
    assert isinstance(fate, Refused)
    assert fate.kind is FailureKind.CHANGED
    assert (store.aborts, store.slept) == (1 + len(PAUSES), list(PAUSES))


@pytest.mark.parametrize("script", [([GONE],), ([[5]], [False])], ids=["parts", "abort"])
@pytest.mark.parametrize(
    "lags", [[False], [True, True, False]], ids=["at once", "a list that lags"]
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_gone_already(script: Any, lags: list[bool], dry_run: bool) -> None:
    store = Store(*script)
    store.lags = [*lags]
    fate = store.fate(dry_run=dry_run)
    if dry_run and len(script) > 1:
        assert fate == Aborted(UPLOAD, Weight(1, 5))
        return
    assert fate == Spared(UPLOAD, SkipReason.GONE)
    assert store.slept == list(PAUSES[: len(lags) - 1])


@pytest.mark.parametrize("script", [([GONE],), ([[5]], [False])], ids=["parts", "abort"])
def test_what_is_listed_and_denied_fails(script: Any) -> None:
    store = Store(*script)
    store.lags = [True]
    fate = store.fate()
    assert isinstance(fate, Refused)
    assert fate.kind is FailureKind.NOT_FOUND
    assert UPLOAD.id in fate.message
    store.lags = [DENIED]
    assert store.fate() == Refused(UPLOAD, FailureKind.ACCESS, str(DENIED), "AccessDenied")


@pytest.mark.parametrize(
    "untold",
    [DENIED, StoreError(501, "NotImplemented", ""), ListingError("no headway")],
    ids=["denied", "not implemented", "not to be trusted"],
)
def test_parts_that_cannot_be_listed_keep_nobody_from_aborting(untold: Exception) -> None:
    assert Store([untold]).fate() == Aborted(UPLOAD, None)
    assert Store([[5], untold]).fate() == Aborted(UPLOAD, Weight(1, 5))


@pytest.mark.parametrize(
    ("store", "kind"),
    [
        (Store([[5]], [DENIED]), FailureKind.ACCESS),
        (Store([StoreError(503, "SlowDown", "")]), FailureKind.STORE),
        (Store([[5], StoreError(503, "SlowDown", "")]), FailureKind.STORE),
        (Store([RuntimeError("a defect")]), FailureKind.INTERNAL),
    ],
    ids=["denied", "busy", "busy later", "defect"],
)
def test_what_cannot_be_aborted_fails(store: Store, kind: FailureKind) -> None:
    fate = store.fate()
    assert isinstance(fate, Refused)
    assert fate.kind is kind


def test_keys_that_ran_out_end_the_run() -> None:
    with pytest.raises(FatalError):
        Store([[5]], [FatalError("expired")]).fate()


def found(store: Store, limit: int | None) -> list[Upload | Fate]:
    async def main() -> list[Upload | Fate]:
        return [each async for each in due(store, selection(), limit)]  # type: ignore[arg-type]

    return asyncio.run(main())


def test_a_limit_counts_what_is_to_be_aborted() -> None:
    young, beside = UPLOAD._replace(initiated=NEW), UPLOAD._replace(key="q")
    store = Store([], listed=[young, beside, UPLOAD, young, UPLOAD, AssertionError("too far")])
    spared = Spared(young, SkipReason.YOUNG)
    assert found(store, 2) == [spared, UPLOAD, spared, UPLOAD]


def test_a_list_that_cannot_be_had_ends_the_run() -> None:
    with pytest.raises(FatalError, match="s3://bucket/p: AccessDenied"):
        found(Store([], listed=[DENIED]), None)
