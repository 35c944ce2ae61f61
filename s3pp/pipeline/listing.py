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
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from itertools import islice
from typing import NamedTuple, Protocol

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.job import Job
from s3pp.pipeline.connect import (
    DistantBucket,
    LoopThread,
    RetryHooks,
    connect,
    exit_at_defect,
    only_loop,
)
from s3pp.pipeline.credentials import SignIn
from s3pp.pipeline.signals import Signals, Stopped
from s3pp.places import Origin
from s3pp.report.key_sheet import KeySheet
from s3pp.report.outlet import Streams
from s3pp.report.totals import RunReport, run_report
from s3pp.s3.endpoint import Opened
from s3pp.s3.listing import Lister
from s3pp.s3.session import Session, SessionHooks
from s3pp.sources.filters import Filters, NameChoice, filters_of, unmatched_notice
from s3pp.sources.list_scope import KeyScope, LimitedPages, scope_of
from s3pp.sources.objects import (
    is_empty,
    iterate_pages,
    list_origin,
    no_such_origin,
    prefix_object_notice,
)

PROBES = 1  # requests that find the bucket
AT_ONCE = 100  # keys written together, of those that are looked up by name


class Counting(Protocol):
    """A bucket's client."""

    @property
    def requests(self) -> int:
        """Requests sent so far."""


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


def list_keys(job: Job, origin: Origin, streams: Streams) -> RunReport:
    """Write the objects of ``origin`` that ``job`` selects to stdout.

    Stops early once the reader of stdout has exited, and at a signal, as nothing has to be
    finished. Raises ``Stopped`` for a signal that comes before anything is listed, ``FatalError``
    where stdout is closed from the start, and the errors of ``Session.open_source``. Later errors
    are part of the result.
    """
    if streams.stdout.closed_at_start:
        raise FatalError(
            f"list {origin}: standard output is closed: send it to a file, a pipe or a terminal"
        )
    started, sheet, filters = time.monotonic(), KeySheet(streams, job), filters_of(job.choosing)
    totals, error, signal = sheet.totals, None, None
    try:
        with Signals():
            _list(ListRun(job, origin, filters, sheet, scope_of(job, origin, filters)), streams)
        sheet.finish()
        totals.complete = True
    except FatalError as fatal:
        if not totals.keys and not totals.failed:
            raise
        error = str(fatal)
    except Stopped as stopped:
        if not totals.keys and not totals.failed:
            raise
        signal = stopped.status
        sheet.notify(f"{stopped}: the listing is incomplete")
    is_read = totals.complete and not streams.stdout.gone
    if is_read and (text := unmatched_notice(job, filters.unmatched)):
        sheet.notify(text)
    sheet.notify_empty()
    totals.seconds = time.monotonic() - started
    return run_report(totals, error=error, signal=signal)


class ListRun(NamedTuple):
    """What is listed, and where to."""

    job: Job
    origin: Origin
    filters: Filters
    sheet: KeySheet
    scope: KeyScope


def _list(run: ListRun, streams: Streams) -> None:
    job, origin, _, sheet, _ = run
    session = Session(job.access, origin.bucket, hooks=SessionHooks(sheet.notify))
    complete = only_loop(streams.stderr.lines).run_until_complete
    gc.freeze()  # what was imported is never garbage
    by_name = job.by_name
    if not by_name and complete(_list_at_once(run, session)):
        return
    opened = session.open_source(origin, by_name=by_name)
    sheet.totals.requests += PROBES
    if opened.empty and not by_name:
        if job.requires(origin):
            raise no_such_origin(job, origin)
        return
    if not by_name and opened.single is False:
        complete(_list_opened(run, session, opened))
    else:
        _list_found(run, session, opened, streams)


async def _list_at_once(run: ListRun, session: Session) -> bool:
    """List without probing the bucket first: the usual case, which saves a request.

    False, with nothing written, if the first page fails at the first attempt or has no keys.
    """
    job, origin, _, sheet, _ = run
    opened, patience = session.open_unverified(), Patience(sheet.notify)
    renew = SignIn(session, opened.keys)
    hooks = RetryHooks(patience, notify=patience.notify).limited_alone(job.speed)
    bucket = connect(job.access, opened, job.speed.listers, renew=renew, hooks=hooks)
    with _counted(bucket, sheet):
        beside = asyncio.ensure_future(prefix_object_notice(job, origin, bucket))
        first = await _first_page(run, bucket)
        if first is None:
            beside.cancel()
            return False
        patience.granted = True
        await _write_pages(run, Primed(bucket, first))
        await _notify_of(beside, sheet)
    return True


@contextmanager
def _counted(bucket: Counting, sheet: KeySheet) -> Iterator[None]:
    """Add the requests to ``bucket``, however the block ends."""
    try:
        yield
    finally:
        sheet.totals.requests += bucket.requests


async def _first_page(run: ListRun, bucket: Lister) -> bytes | None:
    try:
        first = await bucket.list_page(run.scope.first_request)
        return first if run.scope.holds(first) else None
    except (ObjectError, FatalError):  # botocore finds the reason, and buckets in other regions
        return None


async def _list_opened(run: ListRun, session: Session, opened: Opened) -> None:
    job, origin, _, sheet, _ = run
    renew = SignIn(session, opened.keys)
    hooks = RetryHooks(notify=sheet.notify).limited_alone(job.speed)
    bucket = connect(job.access, opened, job.speed.listers, renew=renew, hooks=hooks)
    with _counted(bucket, sheet):
        beside = asyncio.ensure_future(prefix_object_notice(job, origin, bucket))
        await _write_pages(run, bucket)
        await _notify_of(beside, sheet)


async def _notify_of(beside: asyncio.Future[str | None], sheet: KeySheet) -> None:
    if note := await beside:
        sheet.notify(note)


async def _write_pages(run: ListRun, bucket: Lister) -> None:
    """Write the listing to stdout page by page, in one thread."""
    job, origin, _, sheet, _ = run
    pages = LimitedPages(sheet.take, job.choosing.limit)
    listing = run.scope.pages(bucket, sheet.notify)
    try:
        async with aclosing(listing):
            async for page in listing:
                if not pages.take(run.scope.choose(page)):
                    return
    except ObjectError as error:
        raise FatalError(f"list {origin}: {error}") from None


def _list_levels(run: ListRun, bucket: DistantBucket) -> None:
    pages = LimitedPages(run.sheet.take, run.job.choosing.limit)
    try:
        for page in iterate_pages(run.scope.pages(bucket, run.sheet.notify), bucket):
            if not pages.take(run.scope.choose(page)):
                return
    except ObjectError as error:
        raise FatalError(f"list {run.origin}: {error}") from None


def _list_found(run: ListRun, session: Session, opened: Opened, streams: Streams) -> None:
    """List as a walker does, for names to look up, or a single object."""
    job, origin, filters, sheet, _ = run
    renewal, thread = (
        SignIn(session, opened.keys),
        LoopThread(partial(exit_at_defect, streams.stderr.lines)),
    )
    hooks = RetryHooks(notify=sheet.notify).limited_alone(job.speed)
    bucket = DistantBucket(thread, job.access, opened, renewal=renewal, hooks=hooks)
    stdin = os.fdopen(0, "rb", closefd=False) if job.choosing.files_from == "-" else None
    single = opened.single and not job.by_name  # names are below it, even if there are none
    with _counted(bucket, sheet):
        if opened.single is None and not job.by_name:
            single = thread.run(is_empty(origin, bucket)).result()
        origin = origin.alone if single else origin
        if run.scope.is_level and not origin.is_single:
            _list_levels(run, bucket)
            return
        found = list_origin(job, origin, bucket, sheet.notify, NameChoice(filters, stdin))
        while page := list(islice(found, AT_ONCE)):
            if not sheet.take(page):
                return
