"""Which headers, metadata and tags may be set, and what to do instead of setting the others."""

from __future__ import annotations

from s3pp.errors import UsageError
from s3pp.limits import MAX_METADATA_BYTES, MAX_TAGS

_TRANSPORT = "is s3pp's own; leave it out"
_CONDITION = "would decide what is sent; use --mode"
_SECRET = "would show a key in the process list; use --sse aws:kms"

METADATA = "x-amz-meta-"

# Where s3pp sets the header itself, what to do instead. A name ending in * is a prefix.
OWNED = {
    "authorization": _TRANSPORT,
    "connection": _TRANSPORT,
    "content-length": _TRANSPORT,
    "content-md5": "is set by --checksum md5, the default; leave it out",
    "date": _TRANSPORT,
    "expect": _TRANSPORT,
    "host": _TRANSPORT,
    "if-*": _CONDITION,
    "keep-alive": _TRANSPORT,
    "proxy-*": _TRANSPORT,
    "te": _TRANSPORT,
    "trailer": _TRANSPORT,
    "transfer-encoding": _TRANSPORT,
    "upgrade": _TRANSPORT,
    "x-amz-acl": "is set by --acl",
    "x-amz-checksum-*": "is set by --checksum",
    "x-amz-content-sha256": _TRANSPORT,
    "x-amz-copy-*": "would make a copy of the upload; leave it out",
    "x-amz-date": _TRANSPORT,
    "x-amz-decoded-content-length": _TRANSPORT,
    "x-amz-request-payer": "is set by --request-payer",
    "x-amz-sdk-checksum-algorithm": "is set by --checksum",
    "x-amz-security-token": _TRANSPORT,
    "x-amz-server-side-encryption": "is set by --sse",
    "x-amz-server-side-encryption-aws-kms-key-id": "is set by --sse-kms-key-id",
    "x-amz-server-side-encryption-customer-*": _SECRET,
    "x-amz-storage-class": "is set by --storage-class",
    "x-amz-tagging": "is set by --tag",
    "x-amz-trailer": _TRANSPORT,
}

Pairs = tuple[tuple[str, str], ...]


def check_headers(headers: Pairs, *, gzip: bool) -> None:
    """Raise ``UsageError`` for headers that are reserved, repeated, or contradict --gzip."""
    for name, _ in headers:
        if reason := owner_of(name.lower()):
            raise UsageError(f"--header {name} {reason}")
    _check_unique("--header", headers)
    if gzip and any(name.lower() == "content-encoding" for name, _ in headers):
        raise UsageError("--header Content-Encoding contradicts --gzip, which sets it; drop one")


def check_metadata(pairs: Pairs) -> None:
    """Raise ``UsageError`` for a repeated key, or more metadata than S3 stores."""
    _check_unique("--metadata", pairs)
    total = sum(len(name) + len(value) for name, value in pairs)
    if total > MAX_METADATA_BYTES:
        raise UsageError(f"--metadata is {total} bytes in all; S3 keeps {MAX_METADATA_BYTES}")


def check_tags(pairs: Pairs) -> None:
    """``UsageError`` for a key given twice, or more tags than S3 keeps."""
    keys = [key for key, _ in pairs]
    if len(keys) > MAX_TAGS:
        raise UsageError(f"--tag is given {len(keys)} times; S3 keeps {MAX_TAGS} tags")
    for key in keys:
        if keys.count(key) > 1:
            raise UsageError(f"--tag {key!r} is given twice; give it once")


def owner_of(name: str) -> str | None:
    """What to do instead of setting ``name`` (lower case); None: it may be set."""
    for owned, reason in OWNED.items():
        if name == owned or (owned.endswith("*") and name.startswith(owned[:-1])):
            return reason
    return None


def _check_unique(option: str, pairs: Pairs) -> None:
    names = [name.lower() for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{option} {name} is given twice; give it once")
