"""Test whether a store refuses the requested settings of copies, rather than copying.

A store without ACLs, encryption keys or KMS answers a CopyObject that has them like a store that
cannot copy (501); and a lack of permission to set them is answered like a source that may not be
read (403). A multipart upload created with only the settings, and aborted, distinguishes them:

==================  =====================  ===========================================
with the settings   without them           what it means
==================  =====================  ===========================================
created                                    the settings are not why nothing is copied
refused             created                they are: no other way to copy would help
refused             refused                nothing: it may know no uploads in parts
==================  =====================  ===========================================
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import Uploads
from s3pp.s3.retry import StoreError
from s3pp.transfer.parts.support import refused_creation

# Headers for features that a store may lack, and the options that set them.
_OPTIONS = {
    "x-amz-acl": "--acl",
    "x-amz-server-side-encryption": "--sse",
    "x-amz-server-side-encryption-aws-kms-key-id": "--sse-kms-key-id",
    "x-amz-storage-class": "--storage-class",
    "x-amz-tagging": "--tag",
}
_OTHERS = ("x-amz-grant-", "x-amz-server-side-encryption", "x-amz-object-lock-")


class Asked:
    """The settings of one run, and whether the destination refuses them: tested at most once."""

    def __init__(self, headers: Headers, dest: Bucket) -> None:
        """Set up; ``headers``: those of every copy; headers that are not settings are ignored."""
        self._settings = settings_of(headers)
        self._uploads = Uploads(dest)
        self._verdict: asyncio.Task[StoreError | None] | None = None

    async def check(self, key: str) -> None:
        """Raise ``ObjectError`` if the store refuses the settings, as it would for ``key``."""
        if not self._settings:
            return
        if self._verdict is None:
            self._verdict = asyncio.ensure_future(self._refusal(key))
        refusal = await asyncio.shield(self._verdict)
        if refusal is not None:
            kind = FailureKind.ACCESS if refusal.status == 403 else FailureKind.REJECTED
            raise ObjectError(kind, f"the store refuses {named(self._settings)}: {refusal}")

    async def _refusal(self, key: str) -> StoreError | None:
        refusal = await refused_creation(self._uploads, key, self._settings)
        if refusal is None or (refusal.kind is FailureKind.STORE and refusal.status != 501):
            return None
        return refusal if await refused_creation(self._uploads, key, ()) is None else None


def settings_of(headers: Headers) -> Sequence[tuple[str, str]]:
    """Return those of ``headers`` that set features a store may lack."""
    return [each for each in headers if each[0] in _OPTIONS or each[0].startswith(_OTHERS)]


def named(settings: Headers) -> str:
    """Return the settings as the options of the command line."""
    names = [_OPTIONS.get(name, f"--header {name}") for name, _ in settings]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
