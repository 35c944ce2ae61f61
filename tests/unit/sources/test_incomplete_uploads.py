"""Which unfinished uploads belong to a clean, and which of them are due."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Choosing, Job
from s3pp.places import parse_origin
from s3pp.records import Failed, Skipped, SkipReason
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_listing import Upload
from s3pp.sources.incomplete_uploads import Selection, select

DAY = 86400
OLD, NEW = "2026-11-18T08:30:00.000Z", "2026-11-20T08:00:00.000Z"
NOW = 1795163400.0  # 2026-11-20T08:30:00Z
UPLOAD = Upload("p/a", "id", OLD)
YOUNG = UPLOAD._replace(initiated=NEW)
SPARED = Skipped("p/a", "p/a", 0, SkipReason.YOUNG, YOUNG.facts())
DENIED = StoreError(403, "AccessDenied", "")
Found = Upload | Skipped | Failed


def selection(place: str = "p", **choosing: Any) -> Selection:
    job = Job(
        "clean", origins=(parse_origin(f"s3://bucket/{place}"),), choosing=Choosing(**choosing)
    )
    assert job.origin is not None
    return Selection(job, job.origin, lambda: NOW)


def decided(upload: Upload, place: str = "p", **choosing: Any) -> Found | None:
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
    assert decided(YOUNG) == SPARED


@pytest.mark.parametrize("choosing", [{}, {"older_than": NOW}])
def test_what_has_no_time_is_refused(choosing: dict[str, Any]) -> None:
    for initiated in ("", "yesterday"):
        refused = decided(UPLOAD._replace(initiated=initiated), **choosing)
        assert isinstance(refused, Failed)
        assert refused.kind is FailureKind.STORE
        assert refused.upload == ("id", initiated, None)


def test_the_name_of_a_place_itself_is_its_last_segment() -> None:
    upload = Upload("p/deep", "id", OLD)
    assert decided(upload, "p/deep", rules=(("include", "deep"),)) == upload
    assert decided(upload, "p/deep", rules=(("exclude", "deep"),)) is None


class Store:
    """The uploads that are listed; an error breaks the list off."""

    def __init__(self, listed: list[Any]) -> None:
        self._listed = listed

    async def list_uploads(self, prefix: str) -> AsyncIterator[Upload]:
        for each in self._listed:
            if isinstance(each, Exception):
                raise each
            yield each


def found(listed: list[Any], limit: int | None = None) -> list[Found]:
    async def main() -> list[Found]:
        uploads: Any = Store(listed)
        return [each async for each in select(uploads, selection(limit=limit))]

    return asyncio.run(main())


def test_a_limit_counts_what_is_to_be_aborted() -> None:
    listed = [YOUNG, UPLOAD._replace(key="q"), UPLOAD, YOUNG, UPLOAD, AssertionError("too far")]
    assert found(listed, 2) == [SPARED, UPLOAD, SPARED, UPLOAD]


def test_a_list_that_cannot_be_had_ends_the_run() -> None:
    with pytest.raises(FatalError, match="s3://bucket/p: AccessDenied"):
        found([DENIED])
