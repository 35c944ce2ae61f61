"""``s3pp list --buckets``: the buckets of an account, in one process and written to stdout."""

from __future__ import annotations

import time

from s3pp.errors import FatalError, ObjectError
from s3pp.job import Job
from s3pp.pipeline.connect import RetryHooks, connect, only_loop
from s3pp.pipeline.credentials import SignIn
from s3pp.pipeline.signals import Signals, Stopped
from s3pp.report.bucket_sheet import BucketSheet
from s3pp.report.outlet import Streams
from s3pp.report.totals import RunReport, run_report
from s3pp.s3.bucket_list import list_all
from s3pp.s3.session import Session, SessionHooks
from s3pp.sources.list_scope import LimitedPages

ANY = "s3pp-any-bucket"  # a name by which the address of the store is found; nothing is asked of it


def list_buckets(job: Job, streams: Streams) -> RunReport:
    """Write the buckets that the store shows to these credentials.

    Raises ``FatalError`` and ``UsageError`` for what shows before anything is listed, and
    ``Stopped`` for a signal by then. Later errors are part of the result.
    """
    if streams.stdout.closed_at_start:
        raise FatalError(
            "list --buckets: standard output is closed: send it to a file, a pipe or a terminal"
        )
    started, sheet = time.monotonic(), BucketSheet(streams, job)
    totals, error, signal = sheet.totals, None, None
    try:
        with Signals():
            only_loop(streams.stderr.lines).run_until_complete(_list(job, sheet))
        totals.complete = True
    except FatalError as fatal:
        if not totals.keys:
            raise
        error = str(fatal)
    except Stopped as stopped:
        if not totals.keys:
            raise
        signal = stopped.status
        sheet.notify(f"{stopped}: the listing is incomplete")
    sheet.notify_empty()
    totals.seconds = time.monotonic() - started
    return run_report(totals, error=error, signal=signal)


async def _list(job: Job, sheet: BucketSheet) -> None:
    session = Session(job.access, ANY, hooks=SessionHooks(sheet.notify))
    opened = session.open_unverified()
    opened = opened._replace(endpoint=opened.endpoint.of_store)
    hooks = RetryHooks(notify=sheet.notify).limited_alone(job.speed)
    store = connect(job.access, opened, 1, renew=SignIn(session, opened.keys), hooks=hooks)
    pages = LimitedPages(sheet.take, job.choosing.limit)
    try:
        async for page in list_all(store, opened.endpoint):
            if not pages.take(page):
                return
    except ObjectError as error:
        raise FatalError(f"list --buckets at {opened.endpoint.store_url}: {error}") from None
    finally:
        sheet.totals.requests += store.requests
