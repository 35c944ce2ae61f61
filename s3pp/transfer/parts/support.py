"""Whether a store takes uploads in parts, or refuses what one was to be created with.

A store that has no multipart uploads, and one that does not know a header of the object, answer
CreateMultipartUpload alike (405, 501). An upload that is created without headers, and aborted at
once, shows which it is: each worker tries one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum

from s3pp.errors import ObjectError
from s3pp.limits import MAX_SINGLE_PUT
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import Uploads
from s3pp.s3.retry import StoreError

UNSUPPORTED = (405, 501)  # what a store without uploads in parts answers to their creation


class Support(Enum):
    """What a store makes of uploads in parts."""

    TAKEN = "one without headers is created"
    REFUSED = "no upload is created, whatever its headers"
    UNKNOWN = "the answer says nothing of it"


class MultipartSupport:
    """Explains refused creations, by what the store makes of one without headers."""

    def __init__(self, bucket: Bucket) -> None:
        self._uploads = Uploads(bucket)
        self._origin = bucket.endpoint.origin
        self._found: asyncio.Task[Support] | None = None

    async def explained(self, key: str, size: int, refusal: StoreError) -> ObjectError:
        """What it means that no upload is created for an object of ``size`` bytes at ``key``."""
        if refusal.status not in UNSUPPORTED:
            return refusal
        if await self._support(key) is not Support.REFUSED:
            return refusal  # it is about what the object is to be given, as the store says
        message = f"{self._origin} takes no uploads in parts ({refusal.code}): {advice(size)}"
        unsupported = ObjectError(refusal.kind, message)
        unsupported.code = refusal.code
        return unsupported

    async def _support(self, key: str) -> Support:
        if self._found is None:
            self._found = asyncio.ensure_future(support(self._uploads, key))
        asked = self._found
        found = await asyncio.shield(asked)
        if found is Support.UNKNOWN and self._found is asked:
            self._found = None  # the next object may find out
        return found


def advice(size: int) -> str:
    """What can be done about an object of ``size`` bytes that cannot go in parts."""
    if size > MAX_SINGLE_PUT:
        return f"one request holds up to 5 GiB, and the object has {size} bytes"
    return "raise --multipart-threshold above the object's size (one PUT holds up to 5 GiB)"


async def support(uploads: Uploads, key: str) -> Support:
    """Try one upload without headers. It does not raise: what fails leaves it unknown."""
    try:
        refusal = await refused_creation(uploads, key, ())
    except ObjectError:
        return Support.UNKNOWN
    if refusal is None:
        return Support.TAKEN
    return Support.REFUSED if refusal.status in UNSUPPORTED else Support.UNKNOWN


async def refused_creation(uploads: Uploads, key: str, headers: Headers) -> StoreError | None:
    """Create an upload and abort it; returns how the creation was refused, if it was.

    Raises as ``Uploads.create`` does where no answer came.
    """
    try:
        upload_id = await uploads.create(key, headers=headers)
    except StoreError as error:
        return error
    with suppress(StoreError):  # an upload without parts, which clean finds
        await uploads.abort(key, upload_id)
    return None
