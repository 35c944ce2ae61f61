"""``s3pp list``: the walker's listing, in one process and written to stdout.

::

    pages ──Listed──▶ filters ──▶ lines ──▶ stdout

All on one event loop: while a page is written, the next are being fetched. Only names that must be
looked up are handled as in the walker, with a loop in another thread.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Callable, Sequence
from contextlib import aclosing
from itertools import islice

from s3pp.errors import ExitStatus, FailureKind, FatalError, ObjectError
from s3pp.job import Job
from s3pp.pipeline.connect import DistantBucket, LoopThread, RetryHooks, connect, only_loop
from s3pp.pipeline.credentials import SignIn
from s3pp.places import Origin
from s3pp.records import Failed
from s3pp.report.lines import KeyTotals, KeyView
from s3pp.report.outlet import Streams
from s3pp.s3.endpoint import Opened
from s3pp.s3.listing import Listed, Lister, parse_page
from s3pp.s3.parallel_listing import list_pages
from s3pp.s3.session import Session
from s3pp.sources.filters import Filters
from s3pp.sources.objects import choose, list_origin, prefix_object_notice

AT_ONCE = 1000  # keys written together: a page


class Sheet:
    """Writes pages of a listing, and counts their objects."""

    def __init__(self, streams: Streams, view: KeyView) -> None:
        self.totals = KeyTotals()
        self._streams = streams
        self._view = view

    def take(self, page: Sequence[Listed | Failed]) -> bool:
        """Write a page; False once stdout was closed. Raises ``FatalError`` if writing fails."""
        stdout, stderr = self._streams
        self.totals.fold(page)
        stdout.lines(self._view.lines(page))
        stderr.lines(self._view.remarks(page))
        if stdout.trouble is not None:
            raise FatalError(f"standard output cannot be written: {stdout.trouble}")
        return not stdout.gone

    def notify(self, text: str) -> None:
        """Write a line for users."""
        self._streams.stderr.lines(self._view.notice(text))

    def give_up(self, defect: str) -> None:
        """Exit the process after an error in a callback, whose waiters would wait forever."""
        self._streams.stderr.lines([f"s3pp: {defect}"])
        os._exit(ExitStatus.ABORTED)


class Patience:
    """The wait before another attempt; until it is granted, there are no further attempts."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        """``notify`` informs the user why there is a wait."""
        self.granted = False
        self._notify = notify

    def notify(self, text: str) -> None:
        """Pass on why there is a wait, if waiting is granted."""
        if self.granted:
            self._notify(text)

    async def __call__(self, seconds: float) -> None:
        """Wait. Raises ``ObjectError`` instead if waiting is not granted."""
        if not self.granted:
            raise ObjectError(FailureKind.STORE, "not tried again")
        await asyncio.sleep(seconds)


class Primed:
    """A bucket whose first page was already fetched."""

    def __init__(self, bucket: Lister, first: bytes) -> None:
        self._bucket = bucket
        self._first: bytes | None = first

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        """``Bucket.list_page``; the first call returns the page already fetched."""
        first, self._first = self._first, None
        return first if first is not None else await self._bucket.list_page(parameters)


def list_keys(job: Job, origin: Origin, streams: Streams, view: KeyView) -> KeyTotals:
    """Write the objects of ``origin`` that ``job`` selects to stdout; returns the counts.

    Stops early once stdout was closed. Raises the errors of ``Session.open_source``, and
    ``FatalError`` where the listing fails or stdout cannot be written.
    """
    sheet = Sheet(streams, view)
    session = Session(job.access, origin.bucket, notify=sheet.notify)
    run = only_loop(streams).run_until_complete
    gc.freeze()  # what was imported is never garbage
    by_name = job.choosing.files_from is not None
    if not by_name and run(_list_at_once(job, origin, session, sheet)):
        return sheet.totals
    opened = session.open_source(origin, by_name=by_name)
    if not by_name and opened.single is False:
        run(_list_opened(job, origin, session, opened, sheet))
    else:
        _list_found(job, session, opened, sheet)
    return sheet.totals


async def _list_at_once(job: Job, origin: Origin, session: Session, sheet: Sheet) -> bool:
    """List without probing the bucket first: the usual case, which saves a request.

    False, with nothing written, if the first page fails at the first attempt or has no keys.
    """
    opened, patience = session.open_unverified(), Patience(sheet.notify)
    renew, hooks = SignIn(session, opened.keys), RetryHooks(patience, notify=patience.notify)
    bucket = connect(job.access, opened, job.speed.listers, renew=renew, hooks=hooks)
    beside = asyncio.ensure_future(prefix_object_notice(job, origin, bucket))
    first = await _first_page(bucket, origin)
    if first is None:
        beside.cancel()
        return False
    patience.granted = True
    await _write_pages(job, origin, Primed(bucket, first), sheet)
    await _notify_of(beside, sheet)
    return True


async def _first_page(bucket: Lister, origin: Origin) -> bytes | None:
    try:
        first = await bucket.list_page({"prefix": origin.prefix})
        return first if parse_page(first).objects else None
    except (ObjectError, FatalError):  # botocore finds the reason, and buckets in other regions
        return None


async def _list_opened(
    job: Job, origin: Origin, session: Session, opened: Opened, sheet: Sheet
) -> None:
    renew, hooks = SignIn(session, opened.keys), RetryHooks(notify=sheet.notify)
    bucket = connect(job.access, opened, job.speed.listers, renew=renew, hooks=hooks)
    beside = asyncio.ensure_future(prefix_object_notice(job, origin, bucket))
    await _write_pages(job, origin, bucket, sheet)
    await _notify_of(beside, sheet)


async def _notify_of(beside: asyncio.Future[str | None], sheet: Sheet) -> None:
    if note := await beside:
        sheet.notify(note)


async def _write_pages(job: Job, origin: Origin, bucket: Lister, sheet: Sheet) -> None:
    """Write the listing to stdout page by page, in one thread."""
    filters, left = Filters(job.choosing), job.choosing.limit
    listing = list_pages(bucket, origin.prefix, listers=job.speed.listers, notify=sheet.notify)
    try:
        async with aclosing(listing):
            async for page in listing:
                found = choose(page, origin, filters)[:left]
                left = None if left is None else left - len(found)
                if not sheet.take(found) or left == 0:
                    return
    except ObjectError as error:
        raise FatalError(f"list {origin}: {error}") from None


def _list_found(job: Job, session: Session, opened: Opened, sheet: Sheet) -> None:
    """List as a walker does, for names to look up, or a single object."""
    renewal, thread = SignIn(session, opened.keys), LoopThread(sheet.give_up)
    bucket = DistantBucket(thread, job.access, opened, renewal=renewal, notify=sheet.notify)
    stdin = os.fdopen(0, "rb", closefd=False) if job.choosing.files_from == "-" else None
    _, found = list_origin(job, bucket, sheet.notify, single=opened.single, stdin=stdin)
    while page := list(islice(found, AT_ONCE)):
        if not sheet.take(page):
            return
