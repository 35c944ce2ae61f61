"""Large objects in trials: small parts, and what the proxy and the store saw of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import md5
from typing import Any

from faults.trials import Trial
from stores.fault_actions import Response, Rewrite
from stores.fault_proxy import Rule
from stores.store import Bucket

MIB = 1 << 20
PART = 5 * MIB
SIZE = 3 * PART + MIB  # four parts
SMALL_PARTS = ["--part-size=5M", "--multipart-threshold=5M"]
STAY = "its parts stay in the store for the next run (s3pp clean removes them)"


def parts_of(body: bytes, each: int = PART) -> dict[int, bytes]:
    """A body in parts, by number."""
    return {1 + at // each: body[at : at + each] for at in range(0, len(body), each)}


def compound(body: bytes, each: int = PART) -> str:
    """The ETag of ``body`` sent in parts of ``each`` bytes."""
    digests = [md5(part).digest() for part in parts_of(body, each).values()]
    return f"{md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def sent(trial: Trial, since: int = 0) -> list[int]:
    """The numbers of the parts that arrived, after the first ``since`` of them, sorted."""
    hits = trial.proxy.hits("PUT", "partNumber=")[since:]
    found = (re.search(r"partNumber=(\d+)", hit.request.path) for hit in hits)
    return sorted(int(each[1]) for each in found if each)


def begin(bucket: Bucket, key: str, parts: Mapping[int, bytes], **settings: Any) -> str:
    """Leave an unfinished upload with these parts; return its id."""
    at = {"Bucket": bucket.name, "Key": key}
    upload = str(bucket.client.create_multipart_upload(**at, **settings)["UploadId"])
    for number, body in parts.items():
        bucket.client.upload_part(**at, UploadId=upload, PartNumber=number, Body=body)
    return upload


def long_ago() -> Rule:
    """For a proxy: nobody sends what the store has unfinished, as its times tell."""
    dated = re.compile(rb"(<LastModified>|<Initiated>)20")
    return Rule(Rewrite(lambda page: dated.sub(rb"\g<1>19", page)), "GET", "[?&]upload")


def uploads(bucket: Bucket) -> set[str]:
    """The ids of the unfinished uploads."""
    found = bucket.client.list_multipart_uploads(Bucket=bucket.name)
    return {str(each["UploadId"]) for each in found.get("Uploads", [])}


def there(bucket: Bucket, key: str) -> set[int]:
    """The numbers of the parts that the store has of any unfinished upload of ``key``."""
    found: set[int] = set()
    for upload in uploads(bucket):
        listed = bucket.client.list_parts(Bucket=bucket.name, Key=key, UploadId=upload)
        found |= {int(each["PartNumber"]) for each in listed.get("Parts", [])}
    return found


def pattern(numbers: Iterable[int]) -> str:
    """What the targets of these parts match."""
    return rf"partNumber=({'|'.join(map(str, numbers))})&"


def late_error(code: str) -> Response:
    """An answer of 200 that turns out an error."""
    body = f"<?xml version='1.0'?>\n  <Error><Code>{code}</Code><Message>late</Message></Error>"
    return Response(200, (("Content-Type", "application/xml"),), body.encode())
