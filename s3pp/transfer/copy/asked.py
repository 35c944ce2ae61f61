"""Whether a store refuses what copies were asked to be given, rather than to copy.

A store without ACLs, keys of its own or KMS answers a CopyObject that has them as one would that
cannot copy at all (501); and where a right to set them is lacking, as where the source may not be
read (403). An upload in parts that is created with the settings alone, and aborted, tells:

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
from s3pp.s3.operations import Bucket, Headers
from s3pp.s3.retry import StoreError
from s3pp.s3.uploads import Uploads
from s3pp.transfer.parts.support import refused_creation

# Headers that give an object something a store may not have, and the options that ask for it.
_OPTIONS = {
    "x-amz-acl": "--acl",
    "x-amz-server-side-encryption": "--sse",
    "x-amz-server-side-encryption-aws-kms-key-id": "--sse-kms-key-id",
    "x-amz-storage-class": "--storage-class",
    "x-amz-tagging": "--tag",
}
_OTHERS = ("x-amz-grant-", "x-amz-server-side-encryption", "x-amz-object-lock-")


class Asked:
    """The settings of one run, and what the destination makes of them: asked once at most."""

    def __init__(self, headers: Headers, dest: Bucket) -> None:
        """``headers``: what every copy is given; those that are no settings are passed over."""
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
    """Those of ``headers`` that ask for something a store may not have."""
    return [each for each in headers if each[0] in _OPTIONS or each[0].startswith(_OTHERS)]


def named(settings: Headers) -> str:
    """What the user calls the settings."""
    names = [_OPTIONS.get(name, f"--header {name}") for name, _ in settings]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
