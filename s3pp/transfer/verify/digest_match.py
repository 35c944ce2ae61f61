"""Whether bytes that were read are those that a journal has recorded.

A recorded checksum decides. An ETag does where it is an MD5, or that of parts of a size that is
known, which only the store can say: it looks the same where it is computed from something else.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Sequence

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.integrity.etag import is_md5, likely_sizes
from s3pp.recorded import Recorded
from s3pp.records import Dest
from s3pp.transfer.verify.reading import BodyDigests, DigestKinds
from s3pp.transfer.verify.verdicts import differs

NOTHING_RECORDED = "the journal has no digest of its bytes, so that reading them shows nothing"


def wanted_of(recorded: Recorded, part_size: int, known: Sequence[int] = ()) -> DigestKinds:
    """Return what has to be computed of the bytes.

    ``part_size`` is the likeliest of parts in bytes, ``known`` those that the store has named.
    Raises ``ObjectError`` where nothing can be compared.
    """
    size, etag, checksum, _, _ = recorded
    names = []
    if checksum is not None and ALGORITHMS[checksum[0]].is_available:
        names.append(checksum[0])
    if is_md5(etag):
        names.append("md5")
    sizes = () if names or size is None else (*known, *likely_sizes(Dest(size, etag), part_size))
    wanted = DigestKinds(tuple(dict.fromkeys(names)), tuple(dict.fromkeys(sizes)))
    if not any(wanted):
        raise ObjectError(FailureKind.UNDECIDED, NOTHING_RECORDED)
    return wanted


def digest_fault(recorded: Recorded, found: BodyDigests) -> str | None:
    """Return why bytes are not the recorded ones; None if they are."""
    _, etag, checksum, _, _ = recorded
    if checksum is not None and (raw := found.checksums.get(checksum[0])) is not None:
        ours = b2a_base64(raw, newline=False).decode()
        if ours == checksum[1]:
            return None
        return f"their {checksum[0]} is {ours}, and {checksum[1]} is recorded"
    if "md5" in found.checksums:
        ours = found.checksums["md5"].hex()
        return None if ours == etag else f"their MD5 is {ours}, and the ETag {etag} is recorded"
    return None if etag in found.etags else f"they do not make the recorded ETag {etag}"


def digest_match(recorded: Recorded, found: BodyDigests) -> None:
    """Raise ``ObjectError`` if bytes are not the recorded ones, or that is not certain."""
    if (why := digest_fault(recorded, found)) is None:
        return
    if recorded.checksum is not None and recorded.checksum[0] in found.checksums:
        raise differs(f"its bytes are others: {why}")
    raise ObjectError(
        FailureKind.UNDECIDED,
        f"{why}: its bytes are others, unless that ETag is no digest of them (SSE-KMS, parts of"
        " another size: --part-size)",
    )
