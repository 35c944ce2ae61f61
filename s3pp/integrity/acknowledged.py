"""Whether the store has what it acknowledged, where the answer itself does not show it.

::

    the ETag proves the bytes           nothing is asked
    it proves others                    integrity
    it proves nothing, or there is none HEAD ─ not there, another size, MD5 or checksum ─▶ integrity

Of an object sent whole only a missing ETag is no proof: the checksum went along with its bytes. An
upload in parts ends with a request that holds none of them: see
``transfer/multipart_upload``.
"""

from __future__ import annotations

from s3pp.errors import FailureKind
from s3pp.integrity.etag import OtherBytes, check_md5
from s3pp.integrity.stored_object import ASK_CHECKSUM
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket
from s3pp.s3.retry import StoreError

_ABSENT = "the store acknowledged it, and HEAD finds no such object"
_UNTOLD = "the store acknowledged it, and HEAD does not tell its size"
_REFUSED = (
    "the store acknowledged it with an answer that proves nothing, and refuses to show it "
    "({}): allow HeadObject (s3:GetObject), and put it again"
)


class HiddenObject(OtherBytes):
    """Nothing shows that the store holds it, and we may not look."""

    def __init__(self, refusal: StoreError) -> None:
        super().__init__(_REFUSED.format(refusal))


async def confirm(bucket: Bucket, key: str, size: int) -> Answer:
    """HEAD an object that should have ``size`` bytes.

    Raises ``OtherBytes`` where it has not, or is not there, and ``ObjectError``.
    """
    try:
        answer = await bucket.look(key, headers=(ASK_CHECKSUM,))
    except StoreError as error:
        raise HiddenObject(error) if error.kind is FailureKind.ACCESS else error from None
    if answer is None:
        raise OtherBytes(_ABSENT)
    if answer.declared is None:
        raise OtherBytes(_UNTOLD)
    if answer.size != size:
        raise OtherBytes(f"the store holds {answer.size} bytes, and {size} were sent")
    return answer


async def etag_of_whole(bucket: Bucket, key: str, answer: Answer, sent: Dest) -> str:
    """The ETag of an object that was sent whole, by the answer to its PUT, or by a HEAD.

    ``sent``: its size, and its MD5 or an empty string. Raises as ``confirm`` does.
    """
    shown = answer if answer.etag else await confirm(bucket, key, sent.size)
    check_md5(shown, sent.etag, bucket.endpoint)
    return shown.etag
