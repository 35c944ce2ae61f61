"""The checks that send requests to the store, in their order.

::

    facts ──▶ reading ──▶ writing, as far as it may be undone ──▶ features ──▶ speed ──▶ removal
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, Protocol

from s3pp.diagnosis import latency
from s3pp.diagnosis.facts import BucketFacts
from s3pp.diagnosis.features import WrittenFeatures, read_features
from s3pp.diagnosis.findings import Finding, failed, not_tried, ok, warning
from s3pp.diagnosis.machine import count
from s3pp.diagnosis.page import FindingsPage
from s3pp.diagnosis.permissions import (
    WRITES,
    ReadPermissions,
    WritePermissions,
    no_object,
    read_object,
)
from s3pp.diagnosis.probe_keys import ProbeKeys
from s3pp.diagnosis.requests import ExaminedBucket, NoAnswerError, ask, is_denied
from s3pp.errors import FatalError, ObjectError
from s3pp.s3.bucket_list import parse_buckets
from s3pp.s3.client import Bucket, Call
from s3pp.s3.listing import ListingError
from s3pp.s3.retry import StoreError

MakeBucket = Callable[[], Bucket]
CLEANUP = 60.0  # seconds for the removal of all that was written
_STOPPED = "the checks end here: see 'network', and repeat them when the store answers"
MOST_NAMED = 5
_BROKEN = frozenset({500, 502, 503, 504})


class RequestChecks(Protocol):
    """Checks that send requests."""

    async def run(self) -> None:
        """Make them. Raises ``FatalError``."""

    async def clean(self) -> None:
        """Remove what they have written."""


class CheckSettings(NamedTuple):
    """What is to be checked."""

    region: str  # that requests were to go to
    prefix: str  # as ``ExaminedBucket.prefix``
    read_only: bool
    connect: float  # seconds that a new connection takes
    features: bool = True  # whether to find out what the store supports


class StoreChecks:
    """The checks of a bucket."""

    def __init__(self, make: MakeBucket, wanted: CheckSettings, page: FindingsPage) -> None:
        """``make`` is called on the event loop."""
        self._make = make
        self._wanted = wanted
        self._page = page
        self._keys: ProbeKeys | None = None

    async def run(self) -> None:
        """Make all checks; they end where the store no longer answers. Raises ``FatalError``."""
        try:
            await self._check(ExaminedBucket(self._make(), self._wanted.prefix))
        except NoAnswerError as error:
            self._page.add(failed("requests", str(error), _STOPPED))
        except FatalError as error:
            self._page.add(failed("requests", str(error), "no run can begin before this works"))
            raise

    async def _check(self, target: ExaminedBucket) -> None:
        facts = BucketFacts(target, self._wanted.region)
        await self._add(facts.run())
        self._page.begin("permissions")
        reading = ReadPermissions(target)
        await self._add(reading.run())
        key = reading.sample.key if reading.sample else None
        written = await self._write(target, kept=facts.keeps_what_is_written)
        if key is None and written is not None:
            await self._add(read_object(target, written))
        elif key is None:
            self._page.add_all(no_object(target))
        if self._wanted.features:
            await self._check_features(target, key, written)
        self._page.begin("speed")
        absent = f"{target.prefix}.s3pp-doctor"
        await self._add(latency.measure(target, key or written or absent, self._wanted.connect))

    async def _check_features(
        self, target: ExaminedBucket, key: str | None, written: str | None
    ) -> None:
        """Find out what the store supports, by an object that was found or written."""
        self._page.begin("features")
        await self._add(read_features(target, key or written))
        if self._keys is not None and written is not None:
            await self._add(WrittenFeatures(target, self._keys, written).run())

    async def _write(self, target: ExaminedBucket, *, kept: bool) -> str | None:
        """Try what writes, where that is wanted; the key of the object that was written."""
        why = "--read-only" if self._wanted.read_only else "object lock would keep what is written"
        if self._wanted.read_only or kept:
            self._page.add_all(not_tried(need.check, why) for need in WRITES)
            return None
        self._keys = ProbeKeys(target)
        writing = WritePermissions(target, self._keys)
        await self._add(writing.run())
        return writing.written

    async def _add(self, findings: AsyncIterator[Finding]) -> None:
        async for each in findings:
            self._page.add(each)

    async def clean(self) -> None:
        """Remove the probe objects, and say what is left."""
        if self._keys is None:
            return
        self._page.begin("probe")
        try:
            self._page.add(await asyncio.wait_for(self._keys.remove(), CLEANUP))
        except (asyncio.TimeoutError, NoAnswerError, FatalError) as error:
            found = f"it is not known whether {self._keys.base} is removed: {error}"
            advice = f"s3pp remove 's3://…/{self._keys.base}*', when the store answers"
            self._page.add(warning("probe objects", found, advice))


class BucketsCheck:
    """The check of a store as a whole: which buckets there are."""

    def __init__(self, make: MakeBucket, page: FindingsPage) -> None:
        """``make`` is called on the event loop."""
        self._make = make
        self._page = page

    async def run(self) -> None:
        """List the buckets. Raises ``FatalError``."""
        made = self._make()
        # Of the session's address, which has a bucket in its path.
        base = made.endpoint.base.removesuffix(f"/{made.endpoint.bucket}")
        try:
            answer = await ask("ListBuckets", made.call(Call("GET", f"{base}/")))
        except (NoAnswerError, FatalError) as error:
            self._page.add(failed("requests", str(error), "no run can begin before this works"))
            raise FatalError(str(error)) from None
        if isinstance(answer, ObjectError):
            self._page.add(_refused(answer))
            if is_denied(answer) and answer.code != "AccessDenied":
                raise FatalError(str(answer))
            return
        try:
            names = [each.name for each in parse_buckets(answer.response.body).buckets]
        except ListingError as error:
            why = f"{error}: no S3 store answers there"
            self._page.add(failed("buckets", why, "check the endpoint, or name --endpoint-url"))
            raise FatalError(why) from None
        shown = ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
        self._page.add(
            ok("buckets", f"{count(len(names), 'bucket')}: {shown}" if names else "none")
        )

    async def clean(self) -> None:
        """Nothing was written."""


def _refused(answer: ObjectError) -> Finding:
    if answer.code == "AccessDenied":
        return not_tried("buckets", "s3:ListAllMyBuckets is not allowed, and not needed")
    if isinstance(answer, StoreError) and answer.status in _BROKEN:
        advice = "repeat the checks when the store works again"
        return failed("buckets", f"ListBuckets fails: {answer}", advice)
    return failed("buckets", f"ListBuckets is refused: {answer}", "check key and endpoint")
