"""What an ETag proves: of an object sent whole, of one sent in parts, or nothing.

It is the MD5 of objects sent whole, either plain or encrypted with the store's own keys; it is not
after a multipart upload, under SSE-KMS or SSE-C, and in directory buckets (API reference,
"Object", ETag).

Of an object sent in parts it is the MD5 of its parts' MD5s, and their number. It depends on the
bytes and on the part size, and reveals the latter only within bounds: ``count`` parts make ``size``
bytes if each has between ``size / count`` and ``size / (count - 1)``. The more parts, the narrower
the bounds; few of the sizes in use lie within, and those are tried.

It does not depend on the bytes where the object is encrypted with a key of its own (SSE-KMS,
SSE-C), as with a single part: then no size gives it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from hashlib import md5

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import DEFAULT_PART_SIZE, GIB, MAX_PART, MAX_PARTS, MIB, MIN_PART
from s3pp.records import Dest, PartDone
from s3pp.s3.answers import Answer, etag_of
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Response
from s3pp.s3.multipart import count_of, part_size, rounded_up

_MD5 = re.compile(r"[0-9a-f]{32}\Z")
_KMS = ("aws:kms", "aws:kms:dsse")


class OtherBytes(ObjectError):
    """The store has other bytes than those sent, or nothing shows that it has those."""

    def __init__(self, message: str) -> None:
        super().__init__(FailureKind.INTEGRITY, message)


class MD5Mismatch(OtherBytes):
    """The ETag of the answer is not the MD5 of what was sent."""

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"the store holds other bytes: ETag {got}, sent MD5 {expected}")


def is_md5(etag: str) -> bool:
    """Whether an ETag has the form of an MD5; those of multipart uploads end in ``-N``."""
    return _MD5.match(etag) is not None


def proves_content(etag: str, response: Response, endpoint: Endpoint) -> bool:
    """Whether ``etag`` must be an MD5, given the ``response`` to a GET, HEAD or PUT of the object.

    For a listing, which has no such response, only ``is_md5`` can be known.
    """
    if not is_md5(etag) or endpoint.etags_are_random:
        return False
    header = response.header
    own_key = header(b"x-amz-server-side-encryption-customer-algorithm")
    return own_key is None and header(b"x-amz-server-side-encryption") not in _KMS


def check_md5(answer: Answer, md5: str, endpoint: Endpoint) -> None:
    """Raise ``MD5Mismatch`` if the answer's ETag proves other bytes than those with this MD5.

    ``md5`` is in hex; empty: it is unknown, and nothing is checked.
    """
    etag = answer.etag
    if md5 and etag != md5 and proves_content(etag, answer.response, endpoint):
        raise MD5Mismatch(md5, etag)


def is_etag_of_md5s(answer: Answer, endpoint: Endpoint) -> bool:
    """Whether the answer's ETag, if it is one of parts, must be computed from their MD5s."""
    # MinIO with --no-compat invents ETags, which end like this (minio/minio, MD5CurrentHexString);
    # they cannot be told from those of uploads in one part.
    server = answer.response.header(b"server") or ""
    if answer.etag.endswith("-1") and server.startswith("MinIO"):
        return False
    # It is, wherever the ETag of a single PUT is an MD5.
    return proves_content(answer.etag.partition("-")[0], answer.response, endpoint)


# Parts

_COMPOUND = re.compile(r"[0-9a-f]{32}-([1-9][0-9]{0,4})\Z")
_COUNTED = re.compile(r"[0-9a-f]{32}-([0-9]+)\Z")  # also a count that no object can have
MOST_SIZES = 12  # each costs an MD5 of all bytes

_TOOLS = [
    8 * MIB,  # aws cli, boto3: boto/s3transfer, manager.py, TransferConfig
    50 * MIB,  # peak/s5cmd, command/cp.go, defaultPartSize
    5 * MIB,  # rclone's documentation of --s3-chunk-size; aws/aws-sdk-go, s3manager/upload.go
    16 * MIB,  # minio/minio-go, constants.go, minPartSize
    15 * MIB,  # s3tools/s3cmd, S3/Config.py, multipart_chunk_size_mb
    17_179_870,  # the AWS console, as its users found: 160 GiB / 10,000
]

# What users set where they set one, the likeliest first: powers of two, then other round numbers.
_ROUND = [
    *(count * MIB for count in (16, 32, 64, 128, 256, 512)),
    *(GIB, 2 * GIB),
    *(count * MIB for count in (10, 100, 25, 20, 50, 200, 250, 500, 1000, 5, 6, 7, 12, 24, 48, 96)),
    *(count * 10**6 for count in (8, 10, 16, 25, 50, 64, 100, 128, 250, 256, 500, 512, 1000)),
    MAX_PART,
]


def etag_of_md5s(md5s: Iterable[bytes]) -> str:
    """The ETag, without quotes, of an object whose parts have these MD5s, 16 bytes each."""
    parts = list(md5s)
    return f"{md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


def etag_of_parts(digests: Iterable[str]) -> str:
    """The ETag of an object with parts of these MD5s, in hex; empty if one of them is no MD5."""
    known = list(map(etag_of, digests))
    return etag_of_md5s(map(bytes.fromhex, known)) if all(map(is_md5, known)) else ""


def part_count(etag: str) -> int | None:
    """The number of parts in an ETag; None if it is not that of a multipart upload."""
    match = _COMPOUND.match(etag)
    count = int(match[1]) if match else MAX_PARTS + 1
    return count if count <= MAX_PARTS else None


class Evidence(Enum):
    """What the ETag of an object proves about the parts that it should consist of."""

    PROVEN = "it is that of the parts"
    OTHER = "it is that of other parts"
    AS_MANY = "it is that of as many parts; their bytes it does not show"
    NONE = "it shows nothing, or there is none"


def evidence(etag: str, parts: Sequence[PartDone], *, random: bool) -> Evidence:
    """What the ETag of an object proves about ``parts``; ``random``: no ETag of the bucket does.

    It depends on the MD5 of a part only where the store uses that as the part's ETag, which it does
    not with customer keys.
    """
    made = etag_of_parts(part.md5 for part in parts)
    if made and etag == made:
        return Evidence.PROVEN
    count = _COUNTED.match(etag)
    if random or not count:
        return Evidence.NONE
    ordinary = made and all(part.md5 == etag_of(part.etag) for part in parts)
    as_many = count[1].lstrip("0") == str(len(parts))  # it may have thousands of digits
    return Evidence.AS_MANY if as_many and not ordinary else Evidence.OTHER


def plausible_sizes(size: int, count: int, preferred: Sequence[int] = ()) -> list[int]:
    """The part sizes that would make ``count`` parts of ``size`` bytes, the likeliest first.

    At most ``MOST_SIZES`` of them, all in bytes: the ``preferred``, those of known tools, round
    numbers, and the size divided evenly. With one part, its size is ``size``.
    Empty where S3 allows no such parts.
    """
    if count == 1:
        return [max(size, 1)] if size <= MAX_PART else []
    fitting = (each for each in _candidates(size, count, preferred) if _fits(size, count, each))
    return list(dict.fromkeys(fitting))[:MOST_SIZES]


def _fits(size: int, count: int, each: int) -> bool:
    return MIN_PART <= each <= MAX_PART and count_of(size, each) == count


def _candidates(size: int, count: int, preferred: Sequence[int]) -> Iterator[int]:
    yield from preferred
    yield from _TOOLS
    yield from _ROUND
    # For objects that would have too many parts, aws-sdk-go, and s5cmd by it, choose this size.
    yield size // MAX_PARTS + 1
    # Others choose whole MiB; with so many parts only the one nearest to an even division fits.
    evenly = -(-size // count)
    yield from (rounded_up(evenly, 8 * MIB), rounded_up(evenly, MIB), evenly)


class _Layout:
    """The ETag for one part size, computed piece by piece."""

    def __init__(self, part_size: int) -> None:
        self._size = part_size
        self._left = part_size
        self._part = md5(usedforsecurity=False)
        self._whole = md5(usedforsecurity=False)
        self._count = 0

    def feed(self, piece: memoryview) -> None:
        while piece:
            if self._left == 0:
                self._close()
            taken = piece[: self._left]
            self._part.update(taken)
            self._left -= len(taken)
            piece = piece[len(taken) :]

    def _close(self) -> None:
        self._whole.update(self._part.digest())
        self._count += 1
        self._part = md5(usedforsecurity=False)
        self._left = self._size

    def etag(self) -> str:
        whole = self._whole.copy()
        whole.update(self._part.digest())
        return f"{whole.hexdigest()}-{self._count + 1}"


class RollingETags:
    """The ETags of several part sizes, in one pass over the bytes and in constant memory.

    Each size costs an MD5 of every byte: none can be ruled out before the end, since the ETag shows
    no part by itself. An MD5 takes a core for 600 MB/s, so run it on a thread.
    """

    def __init__(self, sizes: Iterable[int]) -> None:
        self._layouts = {size: _Layout(size) for size in sizes}

    def feed(self, piece: bytes | memoryview) -> None:
        """Add the next bytes, of any number."""
        view = memoryview(piece)
        for layout in self._layouts.values():
            layout.feed(view)

    def etags(self) -> dict[int, str]:
        """The ETag of all bytes so far, by part size."""
        return {size: layout.etag() for size, layout in self._layouts.items()}

    def size_for(self, etag: str) -> int | None:
        """The part size that gives ``etag``; None if none does."""
        return next((size for size, ours in self.etags().items() if ours == etag), None)


def likely_sizes(
    there: Dest, wanted: int = DEFAULT_PART_SIZE, first: Sequence[int] = ()
) -> list[int]:
    """The part sizes to try for an object; empty if it was not sent in parts.

    ``wanted`` is the size that this program would choose; ``first`` are the likeliest: those of
    neighbouring objects.
    """
    count = part_count(there.etag)
    if count is None:
        return []
    return plausible_sizes(there.size, count, [*first, part_size(there.size, wanted)])


def is_plausible_part_size(there: Dest, each: int) -> bool:
    """Whether an object, according to its ETag, may have been sent in parts of ``each`` bytes."""
    count = part_count(there.etag)
    return count is not None and each > 0 and count_of(there.size, each) == count


def matches_in_parts(
    pieces: Iterable[bytes], there: Dest, sizes: Sequence[int] | None = None
) -> bool:
    """Whether these bytes, in parts of one of ``sizes``, have the ETag of the object ``there``.

    ``sizes`` are by default those of ``likely_sizes``. False proves nothing: it may have been sent
    in parts of another size. Reads nothing if there is no size to try; else all pieces, so do not
    call it on an event loop unless they are small.
    """
    sizes = likely_sizes(there) if sizes is None else sizes
    if not sizes:
        return False
    rolling = RollingETags(sizes)
    for piece in pieces:
        rolling.feed(piece)
    return rolling.size_for(there.etag) is not None
