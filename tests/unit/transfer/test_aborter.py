"""What becomes of one unfinished upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError
from s3pp.records import Done, Failed, Outcome, SendReason, Skipped, SkipReason, UploadFacts
from s3pp.s3.listing import ListingError
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_listing import Part, Upload
from s3pp.transfer.aborter import PAUSES, Aborter

INITIATED = "2026-11-18T08:30:00.000Z"
UPLOAD = Upload("p/a", "id", INITIATED)
GONE = StoreError(404, "NoSuchUpload", "")
DENIED = StoreError(403, "AccessDenied", "")


def aborted(parts: int | None, size: int = 0) -> Done:
    facts = UploadFacts("id", INITIATED, parts)
    return Done("p/a", "p/a", size, 0, "", SendReason.ALWAYS, upload=facts)


class Store:
    """Uploads that answer as scripted; what comes last goes on for ever."""

    def __init__(self, parts: list[Any], aborts: list[Any] | None = None) -> None:
        self._parts, self._aborts = parts, aborts or [True]
        self.aborts = 0
        self.lags: list[Any] = [False]  # whether one that is gone is listed, time after time
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        assert (key, upload_id) == UPLOAD[:2]
        for size in self._next(self._parts):
            yield Part(1, size, "", None)

    async def abort(self, key: str, upload_id: str) -> bool:
        assert (key, upload_id) == UPLOAD[:2]
        self.aborts += 1
        told: bool = self._next(self._aborts)
        return told

    async def is_listed(self, upload: Upload) -> bool:
        assert upload == UPLOAD
        told: bool = self._next(self.lags)
        return told

    def outcome(self, *, dry_run: bool = False) -> Outcome:
        aborter = Aborter(self, dry_run=dry_run, sleep=self.sleep)  # type: ignore[arg-type]
        # Without its facts, which are times.
        return asyncio.run(aborter.abort(UPLOAD))._replace(facts=None)

    def _next(self, script: list[Any]) -> Any:
        step = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(step, BaseException):
            raise step
        return step


def test_an_upload_is_weighed_and_aborted() -> None:
    store = Store([[5, 7], GONE])
    assert store.outcome() == aborted(2, 12)
    assert (store.aborts, store.slept) == (1, [])


def test_an_empty_list_is_as_good_as_none() -> None:
    store = Store([[5], []])
    assert store.outcome() == aborted(1, 5)
    assert store.aborts == 1


def test_a_dry_run_aborts_nothing() -> None:
    store = Store([[5, 7]])
    assert store.outcome(dry_run=True) == aborted(2, 12)
    assert store.aborts == 0


def test_parts_that_arrive_late_are_aborted_again() -> None:
    store = Store([[5], [6], [6], GONE], [True, True, False])
    assert store.outcome() == aborted(1, 5)
    assert (store.aborts, store.slept) == (3, list(PAUSES[:2]))


def test_parts_that_never_end_fail() -> None:
    store = Store([[5]])
    outcome = store.outcome()
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.CHANGED
    assert (store.aborts, store.slept) == (1 + len(PAUSES), list(PAUSES))


@pytest.mark.parametrize("script", [([GONE],), ([[5]], [False])], ids=["parts", "abort"])
@pytest.mark.parametrize(
    "lags", [[False], [True, True, False]], ids=["at once", "a list that lags"]
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_is_gone_already(script: Any, lags: list[bool], dry_run: bool) -> None:
    store = Store(*script)
    store.lags = [*lags]
    outcome = store.outcome(dry_run=dry_run)
    if dry_run and len(script) > 1:
        assert outcome == aborted(1, 5)
        return
    assert outcome == Skipped("p/a", "p/a", 0, SkipReason.GONE, UPLOAD.facts())
    assert store.slept == list(PAUSES[: len(lags) - 1])


@pytest.mark.parametrize("script", [([GONE],), ([[5]], [False])], ids=["parts", "abort"])
def test_what_is_listed_and_denied_fails(script: Any) -> None:
    store = Store(*script)
    store.lags = [True]
    outcome = store.outcome()
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.NOT_FOUND
    assert UPLOAD.id in outcome.message
    store.lags = [DENIED]
    denied = Failed("p/a", "p/a", FailureKind.ACCESS, str(DENIED), "AccessDenied", UPLOAD.facts())
    denied = denied._replace(attempts=1)
    assert store.outcome() == denied


@pytest.mark.parametrize(
    "untold",
    [DENIED, StoreError(501, "NotImplemented", ""), ListingError("no headway")],
    ids=["denied", "not implemented", "not to be trusted"],
)
def test_parts_that_cannot_be_listed_keep_nobody_from_aborting(untold: Exception) -> None:
    assert Store([untold]).outcome() == aborted(None)
    assert Store([[5], untold]).outcome() == aborted(1, 5)


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
    outcome = store.outcome()
    assert isinstance(outcome, Failed)
    assert outcome.kind is kind


def test_keys_that_ran_out_end_the_run() -> None:
    with pytest.raises(FatalError):
        Store([[5]], [FatalError("expired")]).outcome()
