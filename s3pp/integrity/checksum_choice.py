"""The checksum that a body is sent with, if ``--checksum auto`` leaves it to this program.

=====================  ==========================================  =================================
the object is sent     to AWS                                      to another store
=====================  ==========================================  =================================
whole                  md5; crc64nvme where the ETag is no MD5     md5
in parts               crc64nvme                                   crc64nvme, unless the store has
                                                                   shown that it does not keep it
in parts of a stream   crc64nvme                                   md5, unless the store has shown
                                                                   that it keeps crc64nvme
=====================  ==========================================  =================================

*Whole.* The ETag is the MD5 of the body, which modes ``update`` and ``add`` compute anyway: it
proves the body with any store, and costs little up to ``--multipart-threshold``. It is none with
SSE-KMS and in directory buckets, which do not support Content-MD5 either (API reference,
"PutObject").

*In parts.* An MD5 of each part proves nothing more than a CRC64NVME that the store returns, and
takes many times as long. S3 keeps it of the whole object (FULL_OBJECT), so that every later reader
can verify its copy; the tools of AWS have sent it by default since 2025 (S3 user guide, "Checking
object integrity"). Other stores show whether they keep it: the answer to CreateMultipartUpload
names the algorithm (API reference). As far as their users have reported:

- MinIO names it (minio/minio, NewMultipartUploadHandler); Cloudflare R2 supports it as FULL_OBJECT
  since 2025-07 (its table of S3 compatibility), and answered 501 before (cortexproject/cortex
  5829).
- Backblaze B2 refuses every ``x-amz-checksum-*`` header with 400 InvalidArgument
  (stonith404/pingvin-share 798); so did OVHcloud in 2025 (ovh/public-cloud-roadmap 781).
- Google Cloud Storage answers a part with a checksum with 403 SignatureDoesNotMatch (qdrant/qdrant
  9568).
- SeaweedFS kept CRC64NVME as a COMPOSITE before 4.37 (seaweedfs/seaweedfs 10235); 4.48 keeps it.
- OpenStack Swift 2.38 verifies it and returns nothing, Ceph RGW 16 ignores it; moto 5 names it, and
  returns none of parts (tests/stores).

*A stream* cannot be read again, if a store refuses in its parts what it accepted at their creation.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from typing import NamedTuple

from s3pp.attributes import Objects
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.job import Job
from s3pp.limits import AUTO
from s3pp.s3.endpoint import Endpoint

MD5, CRC64NVME = "md5", "crc64nvme"


class Sending(Enum):
    """How an object is sent."""

    WHOLE = "in one request"
    PARTS = "in parts, which can be read again"
    STREAM = "in parts, which can be read only once"


class Support(Enum):
    """What the store of a bucket has shown of CRC64NVME in this run."""

    UNKNOWN = "nothing"
    KEPT = "an object that was sent with it is stored"
    NOT_KEPT = "it does not return it, or refuses it"


class ChecksumReason(Enum):
    """Why a body is sent with its checksum."""

    GIVEN = "the user named it"
    WHOLE = "the object is sent whole, and its ETag is its MD5"
    NO_MD5 = "the object's ETag is no MD5"
    AWS = "the store is AWS"
    KEPT = "the store keeps it"
    ASKED = "the store may keep it, as the answer to the creation of the upload shows"
    NOT_KEPT = "the store does not keep CRC64NVME"
    ONCE = "the store may not keep CRC64NVME, and a stream cannot be sent again"
    UNAVAILABLE = "CRC64NVME needs awscrt, which cannot be imported"


class ChecksumChoice(NamedTuple):
    """The name of a checksum, as in ``ALGORITHMS``, and why it was chosen."""

    name: str
    reason: ChecksumReason


class DestinationTraits(NamedTuple):
    """What the choice depends on besides the body."""

    is_aws: bool
    etags_are_md5s: bool  # of objects sent whole by this run
    support: Support = Support.UNKNOWN

    @classmethod
    def of(cls, objects: Objects, endpoint: Endpoint) -> DestinationTraits:
        """Return those of a bucket, before anything was sent to it."""
        is_kms = (objects.sse or "").startswith("aws:kms")
        return cls(endpoint.is_aws, not (is_kms or endpoint.etags_are_random))


def choose_checksum(
    option: str, sending: Sending, traits: DestinationTraits, *, can_compute: bool
) -> ChecksumChoice:
    """Choose the checksum of a body; the rule is above.

    ``option`` is the value of ``--checksum``; ``can_compute``: whether CRC64NVME can be computed.
    """
    if option != AUTO:
        return ChecksumChoice(option, ChecksumReason.GIVEN)
    reason = _reason(sending, traits)
    if reason in _FOR_MD5:
        return ChecksumChoice(MD5, reason)
    if not can_compute:
        return ChecksumChoice(MD5, ChecksumReason.UNAVAILABLE)
    return ChecksumChoice(CRC64NVME, reason)


_FOR_MD5 = (ChecksumReason.WHOLE, ChecksumReason.NOT_KEPT, ChecksumReason.ONCE)


def _reason(sending: Sending, traits: DestinationTraits) -> ChecksumReason:
    is_aws, etags_are_md5s, support = traits
    if sending is Sending.WHOLE:
        is_without = is_aws and not etags_are_md5s
        return ChecksumReason.NO_MD5 if is_without else ChecksumReason.WHOLE
    if support is not Support.UNKNOWN:
        is_kept = support is Support.KEPT
        return ChecksumReason.KEPT if is_kept else ChecksumReason.NOT_KEPT
    if is_aws:
        return ChecksumReason.AWS
    return ChecksumReason.ONCE if sending is Sending.STREAM else ChecksumReason.ASKED


def with_whole_checksum(objects: Objects, endpoint: Endpoint) -> Objects:
    """Return ``objects`` with the checksum of those that are sent whole to a bucket."""
    if objects.checksum != AUTO:
        return objects
    traits = DestinationTraits.of(objects, endpoint)
    can_compute = traits.etags_are_md5s or ALGORITHMS[CRC64NVME].is_available
    choice = choose_checksum(AUTO, Sending.WHOLE, traits, can_compute=can_compute)
    return replace(objects, checksum=choice.name)


def copying_job(job: Job, dest: Endpoint) -> Job:
    """Return a job that copies, with its checksum.

    ``auto`` is that of objects sent whole, in parts too: a body that passes through this machine is
    compared with the MD5 in its source's ETag anyway, and one that does not is not hashed here.
    """
    return replace(job, objects=with_whole_checksum(job.objects, dest))
