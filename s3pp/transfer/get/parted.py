"""Whether what came with one GET has the ETag of parts that its object has.

::

    a checksum of the whole was told ─▶ that has proved it
    the ETag in the likeliest part size ─ fits      of most: made as they come, in place of the MD5
    HEAD of part 1 ─ its size ─▶ the ETag in that ─ fits
                   │              └─ HEADs of all parts ─ of that size ─▶ Corrupt
                   └─ not told, or parts are not equally long ─▶ nothing but the length

Larger objects come in ranges, and are proved by the same rules: see ``integrity/verifiers``.
"""

from __future__ import annotations

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.received import Arrived, Corrupt
from s3pp.integrity.stored_object import StoredObject
from s3pp.integrity.verifiers import Feed, parts_verifier
from s3pp.records import Dest, PartFault
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket
from s3pp.s3.retry import StoreError
from s3pp.transfer.bodies import SMALL
from s3pp.transfer.get.range import fault_of
from s3pp.transfer.reading import Reader


class Overtaken(ObjectError):
    """The object was replaced before it could be verified; to fetch it again may help."""

    def __init__(self) -> None:
        message = "it was replaced before it was verified, each time: get it again later"
        super().__init__(FailureKind.CHANGED, message)


class Parted:
    """Verifies bodies of objects that were sent in parts."""

    def __init__(self, bucket: Bucket, reader: Reader) -> None:
        self._bucket = bucket
        self._reader = reader

    async def fault(self, key: str, answer: Answer, arrived: Arrived) -> Corrupt | None:
        """Why a body does not make the ETag of ``answer``; None where it does, or nobody knows.

        ``received.fault`` has nothing against it. Where its ETag is not made yet a request is made,
        and the body is read, both only for ETags of parts; where it turns out another, a request
        for each part. Raises ``Overtaken``, and as ``Bucket`` does.
        """
        stored = StoredObject(self._bucket, key, Dest(arrived.size, answer.etag))
        try:
            verifier = await parts_verifier(stored, answer, arrived.etag)
            feed = verifier.feed
            if feed is None:
                return None
            if arrived.size <= SMALL:
                _fed(arrived, feed)
            else:
                await self._reader.whole(lambda: _fed(arrived, feed))
            return await verifier.fault(())
        except StoreError as error:
            replaced = fault_of(error) is PartFault.REPLACED
            raise (Overtaken() if replaced else error) from None


def _fed(arrived: Arrived, feed: Feed) -> None:
    for piece in arrived.pieces():
        feed(piece)
