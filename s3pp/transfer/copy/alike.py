"""Whether two objects whose ETags tell nothing are the same: by the checksums stored with them.

An object uploaded in parts has an ETag that its copy, made in one piece, cannot have. Stores that
keep a checksum of the whole object copy it along (API reference, "CopyObject", ChecksumAlgorithm),
and two HEADs are cheaper than copying what has not changed.
"""

from __future__ import annotations

import asyncio

from s3pp.integrity.checksums import ALGORITHMS
from s3pp.integrity.received import ASK_CHECKSUM, whole_checksums
from s3pp.records import Dest
from s3pp.s3.operations import Bucket
from s3pp.s3.retry import StoreError


async def alike(source: tuple[Bucket, str, Dest], dest: tuple[Bucket, str, Dest]) -> bool:
    """True if both objects, as listed, have a strong checksum of the same kind, and it is equal."""
    here, there = await asyncio.gather(_checksums(*source), _checksums(*dest))
    # What one of 32 bits did not show would never be copied.
    return any(ALGORITHMS[name].is_strong for name, _ in here & there)


async def _checksums(bucket: Bucket, key: str, listed: Dest) -> set[tuple[str, str]]:
    try:
        found = await bucket.look(key, headers=(ASK_CHECKSUM,))
    except StoreError:
        return set()  # not known, and therefore not equal
    if found is None or Dest(found.size, found.etag) != listed:
        return set()
    return set(whole_checksums(found.response))
