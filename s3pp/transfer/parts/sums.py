"""What an upload says of its checksums: when it is begun, of each part, and of the whole.

S3 keeps a CRC of the whole (FULL_OBJECT), made of the parts' CRCs, and of a hash only one of the
parts' hashes (COMPOSITE): S3 user guide, "Checking object integrity".
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Sequence

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import ALGORITHMS, composite, full_object
from s3pp.records import PartDone
from s3pp.s3.answers import xml_text
from s3pp.s3.client import Headers
from s3pp.s3.upload_listing import Checksum
from s3pp.s3.wire import Response

# Of requests with a body (API reference, "PutObject"); a beginning names the algorithm otherwise.
_SDK = "x-amz-sdk-checksum-algorithm"
_MD5 = "content-md5"  # which no answer tells again
_OTHER = "the store holds other bytes: {} {}, sent {}"


def begun_with(checksum: str, headers: Headers) -> Headers:
    """The headers by which an upload is begun whose object gets ``headers``."""
    asked = [pair for pair in headers if pair[0] != _SDK]
    if checksum == "md5":
        return asked
    kind = "FULL_OBJECT" if ALGORITHMS[checksum].is_crc else "COMPOSITE"
    named = ("x-amz-checksum-algorithm", checksum.upper()), ("x-amz-checksum-type", kind)
    return [*asked, *named]


def of_the_whole(checksum: str, parts: Sequence[PartDone]) -> Headers:
    """The headers that tell a completion the whole's checksum; none where the parts do not make it.

    Those of ``parts`` are in base64, in order.
    """
    algorithm = ALGORITHMS[checksum]
    if not algorithm.is_crc or not all(part.checksum for part in parts):
        return ()
    value = _full(checksum, parts)
    return ((algorithm.header, value), ("x-amz-checksum-type", "FULL_OBJECT"))


def of_each(checksum: str, parts: Iterable[PartDone]) -> dict[int, Checksum]:
    """The checksums a completion lists, by part number."""
    return {part.number: (checksum, part.checksum) for part in parts if part.checksum}


def told(answer: Response, sent: tuple[str, str]) -> bool:
    """Whether an answer tells the checksum that went with the body, as the header ``sent``.

    A store that knows it tells it again (API reference, "UploadPart"), and has verified it. Raises
    ``ObjectError`` where that is another.
    """
    name, value = sent
    theirs = None if name == _MD5 else answer.header(name.encode())
    if theirs and theirs != value:
        raise ObjectError(FailureKind.INTEGRITY, _OTHER.format(name, theirs, value))
    return bool(theirs)


def proven(checksum: str, parts: Sequence[PartDone], answer: Response) -> bool:
    """Whether the answer to a completion, or to a HEAD, tells a checksum that the parts make.

    Raises ``ObjectError`` where it tells another. A hash without a count may be one of the whole
    object, which nobody has computed.
    """
    header = answer.header(ALGORITHMS[checksum].header.encode())
    theirs = xml_text(answer.body, f"Checksum{checksum.upper()}") or header
    if not theirs or not all(part.checksum for part in parts):
        return False
    ours = composite(checksum, (b64decode(part.checksum) for part in parts))
    if theirs in (ours, ours.partition("-")[0]):
        return True
    if "-" not in theirs:
        if not ALGORITHMS[checksum].is_crc:
            return False
        ours = _full(checksum, parts)
    if theirs != ours:
        message = _OTHER.format(checksum.upper(), theirs, f"parts that make {ours}")
        raise ObjectError(FailureKind.INTEGRITY, message)
    return True


def _full(checksum: str, parts: Sequence[PartDone]) -> str:
    return full_object(checksum, ((b64decode(part.checksum), part.size) for part in parts))
