"""What S3 allows, and how this program is tuned: the constants that more than one module needs."""

from __future__ import annotations

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# S3's limits: S3 user guide, "Uploading objects" and "Object key naming".
MAX_SINGLE_PUT = 5 * GIB
# Of a multipart upload: S3 user guide, "Multipart upload limits"; of an object: API reference,
# "CopyObject", which counts in decimal TB (10,000 of the largest parts would be 53.7).
MIN_PART = 5 * MIB  # but for the last one
MAX_PART = 5 * GIB
MAX_PARTS = 10_000
MAX_OBJECT = 50 * 10**12
MAX_KEY_BYTES = 1024
MAX_METADATA_BYTES = 2 * KIB
MAX_TAGS = 10

# Tuning.
# S3 user guide, "Performance design patterns": requests of 8 to 16 MB. 16 MiB make half as many of
# them as 8 MiB, and reach 156 GiB before parts have to grow.
DEFAULT_PART_SIZE = 16 * MIB
# Up to here the ETag stays an MD5, which every tool can compare, and one request does what six
# would (begin, four parts, complete); a failure costs 64 MiB at most.
DEFAULT_MULTIPART_THRESHOLD = 64 * MIB
# Requests for parts in flight, of one process: S3 user guide, "Performance design patterns": one
# request for each 85 to 90 MB/s of what the network does.
PLACES = 8
MAX_CONCURRENCY = 100_000  # beyond, no machine has the descriptors
MAX_ATTEMPTS = 1000  # per request
# A run whose address is wrong must end: with the waits between them these take minutes.
MAX_ATTEMPTS_TO_OPEN = 8
DEFAULT_MAX_THROTTLED = 600.0  # seconds of throttling without a single success
DEFAULT_ABORT_AGE = 86400.0  # seconds; an upload begun since may be in progress
SMALL = 256 * KIB  # bytes up to which a body is held in memory
PIECE = MIB  # bytes of a larger one that are read or written at a time

# Of an object whose size is not known (standard input): parts of equal size up to this number, as
# some stores want them; then they double with each so many more. So 10,000 parts of at least 5 MiB
# at first hold 9.7 TiB.
EQUAL_PARTS = 900
STREAM_MEMORY = 128 * MIB  # bytes of a stream held in memory, or two parts where these have more

ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
)
# S3 user guide, "Access control list (ACL) overview": permissions, and the groups they may go to.
PERMISSIONS = ("READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL")
GROUPS = {
    "AllUsers": "http://acs.amazonaws.com/groups/global/AllUsers",
    "AuthenticatedUsers": "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
    "LogDelivery": "http://acs.amazonaws.com/groups/s3/LogDelivery",
}
# Of unpacking: gzip reaches 1,032, so that only what is packed several times is beyond the default.
DEFAULT_MAX_RATIO, MAX_RATIO = 2000, 10**9
AUTO = "auto"
CHECKSUMS = (AUTO, "md5", "crc32", "crc32c", "crc64nvme", "sha256")
