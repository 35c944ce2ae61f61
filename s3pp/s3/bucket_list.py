"""The buckets of an account: ListBuckets, page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import NamedTuple, Protocol
from xml.parsers import expat

from s3pp.s3.answers import Answer, parse_entries
from s3pp.s3.client import Call
from s3pp.s3.endpoint import Endpoint, query_string
from s3pp.s3.listing import ListingError, PageLoopGuard, fetch_valid

MOST = 1000  # buckets of a page
_OPEN, _CLOSE = b"<Buckets>", b"</Buckets>"


class BucketEntry(NamedTuple):
    """A bucket."""

    name: str
    created: str  # ISO 8601, as the store writes it
    region: str = ""  # empty: the store does not say


class BucketPage(NamedTuple):
    """One page of a list of buckets."""

    buckets: list[BucketEntry]
    token: str  # empty: the last page


class Caller(Protocol):
    """The one operation that is needed; ``client.Bucket`` has it."""

    async def call(self, call: Call) -> Answer:
        """Send a request, and retry it where that may help."""


async def list_all(store: Caller, endpoint: Endpoint) -> AsyncGenerator[list[BucketEntry], None]:
    """Yield the pages of buckets at ``endpoint``, which is that of no bucket.

    Raises as ``call`` does, and ``ListingError``.
    """
    guard, parameters = PageLoopGuard("list of buckets"), {"max-buckets": str(MOST)}
    while True:
        page = await fetch_valid(partial(_fetch, store, endpoint, parameters), parse_buckets)
        guard.follow(page.token, page.buckets[0].name if page.buckets else "")
        if page.buckets:
            yield page.buckets
        if not page.token:
            return
        parameters["continuation-token"] = page.token


async def _fetch(store: Caller, endpoint: Endpoint, parameters: dict[str, str]) -> bytes:
    answer = await store.call(Call("GET", endpoint.path(""), query_string(parameters)))
    return answer.response.body


def parse_buckets(body: bytes) -> BucketPage:
    """Parse a page. Raises ``ListingError`` when it is invalid."""
    try:
        root, top, _ = parse_entries(body, "Buckets")
        start, end = body.find(_OPEN), body.rfind(_CLOSE)
        inner = body[start : end + len(_CLOSE)] if 0 <= start < end else b""
        found = parse_entries(inner, "Bucket").entries if inner else []
        buckets = [_bucket(each) for each in found]
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ListingError(f"the store's list of buckets cannot be read: {error}") from None
    if root != "ListAllMyBucketsResult":
        raise ListingError(f"the store answered a request for its buckets with <{root}>")
    return BucketPage(buckets, top.get("ContinuationToken", ""))


def _bucket(fields: dict[str, str]) -> BucketEntry:
    return BucketEntry(
        fields["Name"], fields.get("CreationDate", ""), fields.get("BucketRegion", "")
    )
