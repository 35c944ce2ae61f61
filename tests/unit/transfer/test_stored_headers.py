"""Whether an object has what this run gives: a HEAD, and a look at its tags, tell."""

from __future__ import annotations

import asyncio

import pytest

from s3pp.s3.answers import Answer
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.retry import StoreError
from s3pp.transfer.object_headers import NO_REPORT, matches_upload

from .buckets import DENIED, UNKNOWN, Pairs, Scripted, endpoint, response

AWS = Endpoint("https", "bkt.s3.us-east-1.amazonaws.com", "", "us-east-1", "bkt")
ANOTHER = endpoint("bkt")


def has(lines: list[str], wanted: Pairs, tags: object = None, at: Endpoint = AWS) -> bool | str:
    """Whether it does; or what is told, if anything is."""
    store = Scripted(looks=[Answer(response(*lines), 1)], taggings=[tags])
    store.endpoint = at
    told: list[str] = []
    same = asyncio.run(matches_upload(store, "key", wanted, told.append))  # type: ignore[arg-type]
    return told[0] if told else same


CASES = [
    ([], [], True),
    (["Content-Type: text/csv"], [("content-type", "text/csv")], True),
    (["Content-Type: text/csv"], [("content-type", "text/html")], False),
    ([], [("cache-control", "no-store")], False),
    (["Cache-Control: public"], [], True),  # a store may give it by itself
    (["x-amz-meta-a: 1"], [("x-amz-meta-a", "1")], True),
    (["X-Amz-Meta-A: 1"], [("x-amz-meta-a", "1")], True),
    (["x-amz-meta-a: 2"], [("x-amz-meta-a", "1")], False),
    (["x-amz-meta-a: 1", "x-amz-meta-b: 1"], [("x-amz-meta-a", "1")], False),
    (["x-amz-meta-a: 1"], [], False),
    ([], [("x-amz-storage-class", "STANDARD")], True),
    ([], [("x-amz-storage-class", "GLACIER")], False),
    (["x-amz-storage-class: GLACIER"], [("x-amz-storage-class", "GLACIER")], True),
    (["x-amz-server-side-encryption: AES256"], [("x-amz-server-side-encryption", "AES256")], True),
    ([], [("x-amz-server-side-encryption", "aws:kms")], False),
    ([], [("x-amz-acl", "private")], True),  # it cannot be told
    (["x-amz-tagging-count: 1"], [], False),
]


@pytest.mark.parametrize(("lines", "wanted", "same"), CASES)
def test_headers(lines: list[str], wanted: Pairs, same: bool) -> None:
    assert has(lines, wanted) is same


@pytest.mark.parametrize(
    ("lines", "wanted", "same"),
    [
        ([], [("x-amz-storage-class", "GLACIER")], NO_REPORT),
        ([], [("x-amz-website-redirect-location", "/b")], NO_REPORT),
        (["x-amz-meta-mtime: 1"], [], NO_REPORT),
        (
            ["x-amz-meta-mtime: 1", "x-amz-meta-a: 1"],
            [("x-amz-meta-a", "1")],
            NO_REPORT,
        ),
        (["x-amz-meta-mtime: 1", "x-amz-meta-a: 2"], [("x-amz-meta-a", "1")], False),
        (["x-amz-meta-mtime: 1", "x-amz-tagging-count: 1"], [], False),
        (["x-amz-storage-class: OTHER"], [("x-amz-storage-class", "GLACIER")], False),
        ([], [("x-amz-server-side-encryption", "AES256")], False),
        ([], [("cache-control", "no-store")], False),
        ([], [("x-amz-storage-class", "STANDARD")], True),
    ],
)
def test_what_many_stores_do_not_tell_or_add_is_not_held_against_an_object(
    lines: list[str], wanted: Pairs, same: bool | str
) -> None:
    assert has(lines, wanted, at=ANOTHER) == same


@pytest.mark.parametrize(
    ("tags", "same"),
    [
        ([("a b", "c"), ("d", "")], True),
        ([("d", ""), ("a b", "c")], True),
        ([("a b", "c")], False),
        ([], False),
        (DENIED, True),
        (UNKNOWN, True),
    ],
)
def test_tags(tags: object, same: bool) -> None:
    assert has([], [("x-amz-tagging", "a%20b=c&d=")], tags) is same


def test_what_cannot_be_looked_at_is_taken_as_it_is() -> None:
    for look in (None, DENIED):
        store = Scripted(looks=[look])
        assert asyncio.run(matches_upload(store, "key", [("content-type", "x")], print))  # type: ignore[arg-type]


def test_a_store_that_breaks_does_not_pass_for_one_that_agrees() -> None:
    broken = StoreError(500, "InternalError", "")
    for store in (
        Scripted(looks=[broken]),
        Scripted(looks=[Answer(response(), 1)], taggings=[broken]),
    ):
        with pytest.raises(StoreError):
            asyncio.run(matches_upload(store, "key", [("x-amz-tagging", "a=b")], print))  # type: ignore[arg-type]
