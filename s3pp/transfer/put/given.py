"""Whether an object was given what this run gives: asked where another run began its upload.

What an upload was begun with the store does not tell, but of the object once it is completed. An
ACL, a key of KMS's and what a bucket gives by itself cannot be compared, and are not.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

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


async def given(bucket: Bucket, key: str, wanted: Headers) -> bool:
    """Whether the object at ``key`` has the headers and tags ``wanted``; True if it cannot be told.

    Raises as ``Bucket.look`` does, but for a refusal.
    """
    try:
        answer = await bucket.look(key)
        if answer is None or not has_headers(answer.response, wanted):
            return answer is None  # somebody has deleted it since: that is no concern of ours
        return await _has_tags(bucket, key, wanted, answer.response)
    except StoreError as error:
        if error.status == 403:
            return True
        raise


def has_headers(response: Response, wanted: Headers) -> bool:
    """Whether a HEAD's answer shows all that is ``wanted``, and no metadata beside it."""
    for name, value in wanted:
        if name in _TOLD and (response.header(name.encode()) or _UNTOLD.get(name)) != value:
            return False
    meta = {name: value for name, value in wanted if name.startswith(_META)}
    names = (line.partition(b":")[0].decode("latin-1").lower() for line in response.lines)
    there = {name for name in names if name.startswith(_META)}
    return there == set(meta) and all(
        response.header(name.encode()) == value for name, value in meta.items()
    )


async def _has_tags(bucket: Bucket, key: str, wanted: Headers, response: Response) -> bool:
    tags = parse_qsl(dict(wanted).get(_TAGS, ""), keep_blank_values=True)
    if not tags:
        return int(response.header(b"x-amz-tagging-count") or 0) == 0
    try:
        return sorted(await bucket.tags(key)) == sorted(tags)
    except StoreError as error:
        if error.status in (403, 501):
            return True
        raise
