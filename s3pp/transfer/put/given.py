"""Whether an object was given what this run gives: asked where another run began its upload.

What an upload was begun with the store does not tell, but of the object once it is completed. An
ACL, a key of KMS's and what a bucket gives by itself cannot be compared, and are not. Nor is
what a store may not know, or may add by itself: AWS alone is known to tell everything, and to add
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum
from urllib.parse import parse_qsl

from s3pp.s3.endpoint import Endpoint
from s3pp.s3.operations import Bucket, Headers
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
# API reference, "HeadObject": the class is told of all objects but those of this one.
_UNTOLD = {"x-amz-storage-class": "STANDARD"}
# What many stores take and do not know.
_OPTIONAL = ("x-amz-storage-class", "x-amz-website-redirect-location")
_AWS = ("amazonaws.com", "amazonaws.com.cn")
DOUBT = (
    "the store does not tell the storage class, or tells other metadata than this run gives, "
    "of some objects that were resumed: if an earlier run gave others, they have those"
)


class Likeness(Enum):
    """What a HEAD's answer shows of the headers that an object should have."""

    SAME = "it has them"
    UNTOLD = "it may have them, or those of an earlier run"
    OTHER = "it has others"


async def given(bucket: Bucket, key: str, wanted: Headers, tell: Callable[[str], None]) -> bool:
    """Whether the object at ``key`` has the headers and tags ``wanted``; True if it cannot be told.

    Raises as ``Bucket.look`` does, but for a refusal.
    """
    try:
        answer = await bucket.look(key)
        if answer is None:
            return True  # somebody has deleted it since: that is no concern of ours
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
    """What a HEAD's answer shows of the headers ``wanted``, and of metadata beside them."""
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
    """What it means that an object has other headers than it should have.

    ``differing``: their names, and what is told of each, if anything. ``more``: metadata that it
    should not have, which no re-sending takes from it where the store gives it by itself.
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
