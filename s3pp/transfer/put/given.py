"""Comparison of an object's headers with those of this run, for an upload that was resumed.

A store reports headers only of the completed object, not of an upload. An ACL, a KMS key and
defaults of the bucket cannot be compared and are ignored. So are headers that a store may not
support or may add by itself: only AWS is known to report all of them and to add none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum
from urllib.parse import parse_qsl

from s3pp.s3.client import Bucket, Headers
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.retry import StoreError
from s3pp.s3.wire import Response

_TOLD = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "x-amz-server-side-encryption",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
)
_META = "x-amz-meta-"
_TAGS = "x-amz-tagging"
# API reference, "HeadObject": the class is returned for all objects except those of this one.
_UNTOLD = {"x-amz-storage-class": "STANDARD"}
# Headers that many stores accept and ignore.
_OPTIONAL = ("x-amz-storage-class", "x-amz-website-redirect-location")
_AWS = ("amazonaws.com", "amazonaws.com.cn")
DOUBT = (
    "the store does not tell the storage class, or tells other metadata than this run gives, "
    "of some objects that were resumed: if an earlier run gave others, they have those"
)


class Likeness(Enum):
    """The result of comparing a HEAD's answer with the headers that an object should have."""

    SAME = "it has them"
    UNTOLD = "it may have them, or those of an earlier run"
    OTHER = "it has others"


async def given(bucket: Bucket, key: str, wanted: Headers, tell: Callable[[str], None]) -> bool:
    """Return whether the object has the headers and tags ``wanted``; True if that is unknown.

    Raises as ``Bucket.look`` does, except for a refusal (403).
    """
    try:
        answer = await bucket.look(key)
        if answer is None:
            return True  # deleted since by another client, which is not an error
        like = likeness(answer.response, wanted, bucket.endpoint)
        if like is Likeness.OTHER or not await _has_tags(bucket, key, wanted, answer.response):
            return False
    except StoreError as error:
        if error.status == 403:
            return True
        raise
    if like is Likeness.UNTOLD:
        tell(DOUBT)
    return True


def likeness(response: Response, wanted: Headers, endpoint: Endpoint) -> Likeness:
    """Compare a HEAD's answer with the headers ``wanted``; other metadata also counts."""
    told = {name: response.header(name.encode()) for name, _ in wanted if _comparable(name)}
    differing = [
        (name, told[name])
        for name, value in wanted
        if name in told and (told[name] or _UNTOLD.get(name, told[name])) != value
    ]
    names = (line.partition(b":")[0].decode("latin-1").lower() for line in response.lines)
    more = {name for name in names if name.startswith(_META)} - told.keys()
    return judged(differing, more, endpoint)


def judged(
    differing: Collection[tuple[str, str | None]], more: Collection[str], endpoint: Endpoint
) -> Likeness:
    """Return what differences between actual and expected headers mean.

    ``differing``: names of the headers, with the actual values, if any. ``more``: unexpected
    metadata, which sending again does not remove if the store adds it by itself.
    """
    if any(told or name not in _OPTIONAL for name, told in differing):
        return Likeness.OTHER
    if not differing and not more:
        return Likeness.SAME
    return Likeness.OTHER if endpoint.service in _AWS else Likeness.UNTOLD


def _comparable(name: str) -> bool:
    return name in _TOLD or name.startswith(_META)


async def _has_tags(bucket: Bucket, key: str, wanted: Headers, response: Response) -> bool:
    tags = parse_qsl(dict(wanted).get(_TAGS, ""), keep_blank_values=True)
    if not tags:
        return (response.header(b"x-amz-tagging-count") or "0") == "0"
    try:
        return sorted(await bucket.tags(key)) == sorted(tags)
    except StoreError as error:
        if error.status in (403, 501):
            return True
        raise
