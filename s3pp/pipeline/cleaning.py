"""``s3pp clean``: unfinished uploads are listed, and aborted, in one process on one event loop.

::

                           at most ABORTS_AT_ONCE of them
    pages ──▶ Selection ──▶ Aborter │ Aborter │ Aborter … ──▶ AbortRecord

The listing waits while that many are under way, so that memory does not grow with their number;
fates are told in the order of the listing.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import aclosing, suppress
from typing import Any

from s3pp.errors import ExitStatus, FatalError
from s3pp.job import Job
from s3pp.limits import ABORTS_AT_ONCE
from s3pp.pipeline.aborting import Aborter, Selection, due
from s3pp.pipeline.connect import RetryHooks, connect
from s3pp.pipeline.credentials import Credentials
from s3pp.pipeline.listing import SignIn
from s3pp.pipeline.loops import new_loop
from s3pp.pipeline.run_result import RunResult
from s3pp.pipeline.signals import stopping_notice
from s3pp.pipeline.stopping import Pause, Stopping
from s3pp.pipeline.watch import Watch
from s3pp.places import Origin
from s3pp.report.abort_record import AbortRecord
from s3pp.report.aborts import Fate
from s3pp.report.escape import one_line
from s3pp.report.outlet import Streams
from s3pp.s3.session import Session
from s3pp.s3.uploads import Upload, Uploads

PROBES = 1  # requests of botocore's that find the bucket
PER_ABORT = 2  # requests a dry run does not make: the abort, and a look whether it is gone


def clean(job: Job, origin: Origin, streams: Streams) -> RunResult:
    """Abort what is unfinished in ``origin`` and chosen by ``job``, or say so in a dry run.

    Raises ``Stopped`` for a signal that comes before anything was done, and as ``Session.open``
    does. Not raised but returned is what breaks it off later.
    """
    with Stopping() as stopping:
        notify = _notifier(job, streams)
        session = Session(job.access, origin.bucket, notify=notify)
        opened = session.open(origin.prefix)
        renew = SignIn(Credentials(session, opened.keys, time.monotonic()))
        record = AbortRecord(job, streams)

        async def main() -> RunResult:
            pause = Pause()
            hooks = RetryHooks(pause, notify=notify)
            bucket = connect(job.access, opened, ABORTS_AT_ONCE + 1, renew=renew, hooks=hooks)
            sweep = Sweep(job, Uploads(bucket), record=record, pause=pause)
            error = await _attended(sweep, origin, stopping)
            made = PROBES + bucket.requests
            return _ending(job, record, requests=made, error=error, status=stopping.status)

        return _loop(streams).run_until_complete(main())


async def _attended(sweep: Sweep, origin: Origin, stopping: Stopping) -> str | None:
    """Run the sweep, and end it when a signal comes; returns what broke it off."""
    running = asyncio.ensure_future(sweep.run(origin))
    stopping.watch(first=sweep.interrupted, again=running.cancel)
    try:
        with suppress(asyncio.CancelledError):
            await running
    except FatalError as error:
        return str(error)
    return None


def _ending(
    job: Job, record: AbortRecord, *, requests: int, error: str | None, status: ExitStatus | None
) -> RunResult:
    unmade = PER_ABORT * record.totals.done if job.dry_run else 0
    try:
        record.close(requests + unmade)
    except FatalError as broken:
        error = error or str(broken)
    failed = ExitStatus.SOME_FAILED if record.totals.failed else ExitStatus.OK
    return RunResult(ExitStatus.ABORTED if error else status or failed, record.totals, error)


class Sweep:
    """Lists, aborts and records side by side."""

    def __init__(self, job: Job, uploads: Uploads, *, record: AbortRecord, pause: Pause) -> None:
        self._job = job
        self._uploads = uploads
        self._record = record
        self._pause = pause
        self._watch = Watch()
        self._aborter = Aborter(uploads, dry_run=job.dry_run, sleep=pause)
        self._slots = asyncio.Semaphore(ABORTS_AT_ONCE)
        self._under_way: asyncio.Queue[asyncio.Task[Fate] | None] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Fate]] = set()
        self._listing: asyncio.Task[None] | None = None

    async def run(self, origin: Origin) -> None:
        """Do it all. Raises ``FatalError`` when what was under way has come to its end.

        Cancelled, it leaves what is under way where it is, and records what is not.
        """
        selection = Selection(self._job, origin, self._uploads.clock)
        self._listing = asyncio.ensure_future(self._list(selection))
        try:
            fatal = await self._collect()
            with suppress(asyncio.CancelledError):
                await self._listing
        except asyncio.CancelledError:
            over = [task for task in self._tasks if task.done() and not task.cancelled()]
            self._record.fates([task.result() for task in over if not task.exception()])
            raise
        finally:
            for task in (self._listing, *self._tasks):
                task.cancel()
        if fatal is not None:
            raise fatal

    def interrupted(self, status: ExitStatus) -> None:
        """Begin nothing more, and say so."""
        self._record.notice(stopping_notice(status, "requests"))
        self.stop()

    def stop(self) -> None:
        """Begin nothing more."""
        self._pause.end()
        if self._listing is not None:
            self._listing.cancel()

    async def _list(self, selection: Selection) -> None:
        """Start what is due, as places get free."""
        try:
            async with aclosing(due(self._uploads, selection, self._job.choosing.limit)) as found:
                async for each in found:
                    await self._slots.acquire()
                    self._record.listed()
                    self._start(each)
            self._record.totals.walk_done = True
        finally:
            self._under_way.put_nowait(None)

    def _start(self, each: Upload | Fate) -> None:
        act = self._aborter.fate(each) if isinstance(each, Upload) else _known(each)
        task = asyncio.ensure_future(act)
        self._tasks.add(task)
        self._under_way.put_nowait(task)

    async def _collect(self) -> FatalError | None:
        """Record fates until there are no more; returns the first error that ends the run."""
        fatal: FatalError | None = None
        while (task := await self._under_way.get()) is not None:
            try:
                fate = await task
                self._record.fates([fate])
                self._watch.see(fate)
            except FatalError as error:
                fatal = fatal or error
                self.stop()
            self._tasks.discard(task)
            self._slots.release()
        return fatal or self._watch.verdict()


def _notifier(job: Job, streams: Streams) -> Callable[[str], None]:
    """What tells the user why nothing happens; the record begins only with the first upload."""

    def notify(text: str) -> None:
        if job.output.verbosity >= 0:
            streams.stderr.lines([f"s3pp: {one_line(text)}"])

    return notify


async def _known(fate: Fate) -> Fate:
    return fate


def _loop(streams: Streams) -> asyncio.AbstractEventLoop:
    def on_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "handle" in context:  # in a callback: whoever waits elsewhere would do so for ever
            streams.stderr.lines([f"s3pp: internal error: {context.get('exception')!r}"])
            os._exit(ExitStatus.ABORTED)

    loop = new_loop()
    loop.set_exception_handler(on_error)
    return loop
