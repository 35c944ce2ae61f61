"""What the bucket is set to, as far as the account may know: facts that explain failures."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from s3pp.diagnosis.findings import Finding, not_tried, ok, warning
from s3pp.diagnosis.requests import ExaminedBucket, ask
from s3pp.errors import ObjectError
from s3pp.s3.answers import Answer, xml_text
from s3pp.s3.client import Call
from s3pp.s3.retry import StoreError
from s3pp.s3.timestamps import epoch_seconds

UNHEEDED, REFUSED = 60.0, 900.0  # seconds: S3 refuses requests that differ by 15 minutes


class BucketFacts:
    """Findings about the bucket; ``keeps_what_is_written`` says whether nothing can be deleted."""

    def __init__(self, target: ExaminedBucket, configured: str) -> None:
        """``configured`` is the region that requests were to go to."""
        self._target = target
        self._configured = configured
        self.keeps_what_is_written = False

    async def run(self) -> AsyncIterator[Finding]:
        """Yield a finding for each."""
        bucket = self._target.bucket
        answer = await ask("HeadBucket", bucket.call(Call("HEAD", bucket.endpoint.path(""))))
        # Once the store has refused our time, its own has been adopted, as in a run.
        skew = bucket.signer.offset or _skew(answer)
        yield check_clock(skew)
        if isinstance(answer, Answer):
            yield ok("server", answer.response.header(b"server") or "it does not say")
        yield self._check_region()
        yield await self._check_versioning()
        yield await self._check_object_lock()
        yield await self._check_encryption()
        yield await self._check_ownership()

    def _check_region(self) -> Finding:
        found = self._target.bucket.endpoint.region
        if found == self._configured:
            return ok("bucket's region", found)
        text = f"{found}, and not {self._configured}"
        return warning("bucket's region", text, f"--region {found} saves a request in each run")

    async def _read_setting(self, name: str) -> bytes | StoreError:
        answer = await ask(f"Get {name}", self._target.query(name))
        if isinstance(answer, Answer):
            return answer.response.body
        return answer if isinstance(answer, StoreError) else StoreError(500, "", str(answer))

    async def _check_versioning(self) -> Finding:
        body = await self._read_setting("versioning")
        if isinstance(body, StoreError):
            return _unknown("versioning", body, "s3:GetBucketVersioning")
        status = xml_text(body, "Status")
        if status is None:
            return ok("versioning", "off")
        return ok("versioning", f"{status.lower()}: what is deleted or replaced is kept")

    async def _check_object_lock(self) -> Finding:
        body = await self._read_setting("object-lock")
        if isinstance(body, StoreError):
            if body.status in (400, 404, 405, 501):
                return ok("object lock", "none")
            return _unknown("object lock", body, "s3:GetBucketObjectLockConfiguration")
        mode = xml_text(body, "Mode")
        if mode is None:
            return ok("object lock", "none by default")
        self.keeps_what_is_written = True
        time_kept = xml_text(body, "Days"), xml_text(body, "Years")
        length = f"{time_kept[0]} days" if time_kept[0] else f"{time_kept[1]} years"
        return ok("object lock", f"{mode.lower()}: versions cannot be deleted for {length}")

    async def _check_encryption(self) -> Finding:
        body = await self._read_setting("encryption")
        if isinstance(body, StoreError):
            if body.status in (404, 405, 501):
                return ok("encryption", "no default")
            return _unknown("encryption", body, "s3:GetEncryptionConfiguration")
        name = xml_text(body, "SSEAlgorithm")
        if name and name.startswith("aws:kms"):
            advice = "kms:GenerateDataKey is needed to write, kms:Decrypt to read and for parts"
            return ok("encryption", f"{name} by default", advice)
        return ok("encryption", f"{name} by default" if name else "no default")

    async def _check_ownership(self) -> Finding:
        body = await self._read_setting("ownershipControls")
        if isinstance(body, StoreError):
            if body.status in (400, 404, 405, 501):
                return ok("ownership", "ACLs are not disabled")
            return _unknown("ownership", body, "s3:GetBucketOwnershipControls")
        owner = xml_text(body, "ObjectOwnership")
        if owner == "BucketOwnerEnforced":
            return ok("ownership", "ACLs are disabled: --acl and --grant-to are refused")
        return ok("ownership", owner or "ACLs are not disabled")


def _unknown(check: str, refusal: StoreError, action: str) -> Finding:
    if refusal.status in (401, 403):
        return not_tried(check, f"not known: {action} is not allowed, and not needed")
    return not_tried(check, f"not known: {refusal}")


def _skew(answer: Answer | ObjectError) -> float | None:
    """How far the store's clock is ahead, in seconds; None: its answer does not say."""
    if isinstance(answer, Answer):
        date = answer.response.header(b"date")
    else:
        date = answer.date if isinstance(answer, StoreError) else None
    there = epoch_seconds(date)
    return None if there is None else there - time.time()


def check_clock(skew: float | None) -> Finding:
    """Whether requests are refused for their time; ``skew`` is how far the store is ahead."""
    if skew is None:
        return not_tried("clock", "the store's answers have no date")
    size = abs(skew)
    if size < UNHEEDED:
        return ok("clock", "as the store's, within a minute")
    found = f"{size:.0f} seconds {'behind' if skew > 0 else 'ahead of'} the store's"
    if size < REFUSED:
        return warning("clock", found, "set the clock (NTP): S3 refuses 900 seconds")
    return warning("clock", found, "set the clock (NTP): s3pp uses the store's, others are refused")
