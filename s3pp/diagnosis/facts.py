"""What the bucket is set to, as far as the account may know: facts that explain failures."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection
from typing import NamedTuple

from s3pp.diagnosis.findings import Finding, not_tried, ok, warning
from s3pp.diagnosis.requests import ExaminedBucket, ask
from s3pp.errors import ObjectError
from s3pp.s3.answers import Answer, xml_text
from s3pp.s3.client import Call
from s3pp.s3.retry import StoreError
from s3pp.s3.timestamps import epoch_seconds

UNHEEDED, REFUSED = 60.0, 900.0  # seconds: S3 refuses requests that differ by 15 minutes
_NOTHING_SET = (404, 405, 501)  # there is none, or the store does not know such a setting


class _Setting(NamedTuple):
    """A setting of the bucket, which an account may not be allowed to know."""

    check: str  # the name of its finding
    query: str
    action: str  # that reading it needs
    tell: Callable[[bytes], Finding]  # of what the store answers
    unset: str = ""  # what holds where the store refuses with one of ``unset_by``
    unset_by: Collection[int] = ()

    def without(self, refusal: StoreError) -> Finding:
        """Return the finding where the store does not say how it is set."""
        if refusal.status in self.unset_by:
            return ok(self.check, self.unset)
        if refusal.status in (401, 403):
            return not_tried(self.check, f"not known: {self.action} is not allowed, and not needed")
        return not_tried(self.check, f"not known: {refusal}")


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
        for setting in _SETTINGS:
            yield await self._check_setting(setting)

    def _check_region(self) -> Finding:
        found = self._target.bucket.endpoint.region
        if found == self._configured:
            return ok("bucket's region", found)
        text = f"{found}, and not {self._configured}"
        return warning("bucket's region", text, f"--region {found} saves a request in each run")

    async def _check_setting(self, setting: _Setting) -> Finding:
        answer = await ask(f"Get {setting.query}", self._target.query(setting.query))
        if not isinstance(answer, Answer):
            refusal = answer if isinstance(answer, StoreError) else StoreError(500, "", str(answer))
            return setting.without(refusal)
        body = answer.response.body
        if setting is _OBJECT_LOCK:
            self.keeps_what_is_written = xml_text(body, "Mode") is not None
        return setting.tell(body)


def _tell_versioning(body: bytes) -> Finding:
    status = xml_text(body, "Status")
    if status is None:
        return ok("versioning", "off")
    return ok("versioning", f"{status.lower()}: what is deleted or replaced is kept")


def _tell_object_lock(body: bytes) -> Finding:
    mode = xml_text(body, "Mode")
    if mode is None:
        return ok("object lock", "none by default")
    days, years = xml_text(body, "Days"), xml_text(body, "Years")
    length = f"{days} days" if days else f"{years} years"
    return ok("object lock", f"{mode.lower()}: versions cannot be deleted for {length}")


def _tell_encryption(body: bytes) -> Finding:
    name = xml_text(body, "SSEAlgorithm")
    if name and name.startswith("aws:kms"):
        advice = "kms:GenerateDataKey is needed to write, kms:Decrypt to read and for parts"
        return ok("encryption", f"{name} by default", advice)
    return ok("encryption", f"{name} by default" if name else "no default")


def _tell_ownership(body: bytes) -> Finding:
    owner = xml_text(body, "ObjectOwnership")
    if owner == "BucketOwnerEnforced":
        return ok("ownership", "ACLs are disabled: --acl and --grant-to are refused")
    return ok("ownership", owner or "ACLs are not disabled")


_OBJECT_LOCK = _Setting(
    "object lock",
    "object-lock",
    "s3:GetBucketObjectLockConfiguration",
    _tell_object_lock,
    "none",
    (400, *_NOTHING_SET),
)
_SETTINGS = (
    _Setting("versioning", "versioning", "s3:GetBucketVersioning", _tell_versioning),
    _OBJECT_LOCK,
    _Setting(
        "encryption",
        "encryption",
        "s3:GetEncryptionConfiguration",
        _tell_encryption,
        "no default",
        _NOTHING_SET,
    ),
    _Setting(
        "ownership",
        "ownershipControls",
        "s3:GetBucketOwnershipControls",
        _tell_ownership,
        "ACLs are not disabled",
        (400, *_NOTHING_SET),
    ),
)


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
