"""``s3pp clean``: incomplete uploads are listed and aborted, in one process on one event loop.

::

                        at most ABORTS_AT_ONCE of them
    pages ──▶ select ──▶ Aborter │ Aborter │ Aborter … ──Done | Skipped | Failed──▶ Recorder

The listing waits while that many are active, so that memory does not grow with their number.
Outcomes are recorded in the order of the listing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from s3pp.errors import ExitStatus, FatalError
from s3pp.job import Job
from s3pp.pipeline.connect import Pause, RetryHooks, connect, only_loop
from s3pp.pipeline.credentials import SignIn, with_store
from s3pp.pipeline.signals import Signals, stopping_notice
from s3pp.places import Origin
from s3pp.records import Failed, Outcome, Skipped
from s3pp.report.outlet import Streams
from s3pp.report.recorder import Recorder
from s3pp.report.totals import RunReport, run_report
from s3pp.s3.multipart import Uploads
from s3pp.s3.session import Session, SessionHooks
from s3pp.s3.upload_listing import Upload
from s3pp.sources.incomplete_uploads import Selection, select
from s3pp.transfer.aborter import Aborter

ABORTS_AT_ONCE = 16  # uploads that are looked at and aborted side by side
PROBES = 1  # requests of botocore's that find the bucket
PER_ABORT = 2  # requests a dry run does not make: the abort, and a check that it is gone
TICK = 1.0  # seconds between looks at the clock


def clean(job: Job, origin: Origin, streams: Streams) -> RunReport:
    """Abort the uploads in ``origin`` that ``job`` selects; in a dry run, only list them.

    Raises ``Stopped`` for a signal that arrives before anything was done, and the errors of
    ``Session.open``. Later errors are part of the result.
    """
    with Signals() as signals:
        recorder, pause = Recorder.on(streams, job), Pause()
        session = Session(job.access, origin.bucket, hooks=SessionHooks(recorder.notice))
        opened = session.open(origin.prefix)
        recorder.settle(with_store(job, opened))
        renew = SignIn(session, opened.keys)
        hooks = RetryHooks(pause, notify=recorder.notice).limited_alone(job.speed)

        async def run() -> RunReport:
            bucket = connect(job.access, opened, ABORTS_AT_ONCE + 1, renew=renew, hooks=hooks)
            uploads = Uploads(bucket)
            selection = Selection(job, origin, uploads.store_time)
            found = select(uploads, selection)
            aborter = Aborter(uploads, dry_run=job.dry_run, sleep=pause)
            cleaner = Cleaner(Sweep(found, aborter, pause), recorder, signals)
            await cleaner.run()
            unmade = PER_ABORT * recorder.totals.done if job.dry_run else 0
            recorder.count_requests(PROBES + bucket.requests + unmade)
            if cleaner.is_complete and (text := selection.unmatched_notice):
                recorder.notice(text)
            return cleaner.end()

        signals.calm = True
        return only_loop(streams.stderr.lines).run_until_complete(run())


class Cleaner:
    """Records the outcomes of a sweep, and ends it after a signal or an error."""

    def __init__(self, sweep: Sweep, recorder: Recorder, signals: Signals) -> None:
        self._sweep = sweep
        self._recorder = recorder
        self._signals = signals
        self._status: ExitStatus | None = None  # what the first signal asked for

    async def run(self) -> None:
        """Run the sweep to its end."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._signals.fd, self._on_signal)
        self._tick()
        async for outcome in self._sweep.outcomes():
            self._recorder.set_listed(self._sweep.listed, self._sweep.complete)
            if self._sweep.error is not None:
                self._recorder.hide_message(self._sweep.error)
            try:
                self._recorder.record([outcome])
            except FatalError as error:
                self._sweep.fail(error)
        loop.remove_reader(self._signals.fd)

    @property
    def is_complete(self) -> bool:
        """Whether all uploads were listed."""
        return self._sweep.complete

    def end(self) -> RunReport:
        """Close the records. What was listed and has no outcome counts as not attempted."""
        sweep, recorder = self._sweep, self._recorder
        recorder.set_listed(sweep.listed, sweep.complete)
        try:
            left = sweep.listed - recorder.totals.finished
            recorder.close(left, error=sweep.error, signal=self._status)
        except FatalError as error:
            sweep.fail(error)
        return run_report(
            recorder.totals, refusal=recorder.refusal, error=sweep.error, signal=self._status
        )

    def _on_signal(self) -> None:
        for status in self._signals.take():
            if self._status is not None:
                self._sweep.cancel()
                continue
            self._status = status
            self._recorder.notice(stopping_notice(status, "requests"))
            self._sweep.stop()

    def _tick(self) -> None:
        self._recorder.tick()
        asyncio.get_running_loop().call_later(TICK, self._tick)


class Sweep:
    """Lists uploads and aborts them side by side."""

    def __init__(
        self,
        found: AsyncGenerator[Upload | Skipped | Failed, None],
        aborter: Aborter,
        pause: Pause,
    ) -> None:
        """``pause`` is what ``aborter`` and its requests wait for before they try again."""
        self.listed = 0  # uploads, so far
        self.complete = False  # all are listed
        self.error: str | None = None  # why it ended
        self._found = found
        self._aborter = aborter
        self._pause = pause
        self._slots = asyncio.Semaphore(ABORTS_AT_ONCE)
        self._queue: asyncio.Queue[asyncio.Task[Outcome] | None] = asyncio.Queue()
        self._active: set[asyncio.Task[Outcome]] = set()
        self._listing: asyncio.Future[None] | None = None

    async def outcomes(self) -> AsyncGenerator[Outcome, None]:
        """Yield the outcome of each upload that was started, in the order of the listing."""
        self._listing = asyncio.ensure_future(self._list())
        while (task := await self._queue.get()) is not None:
            await asyncio.wait([task])
            self._active.discard(task)
            self._slots.release()
            if not task.cancelled():
                yield task.result()
        with suppress(asyncio.CancelledError):
            await self._listing

    def fail(self, error: FatalError) -> None:
        """Start no more aborts, for this reason."""
        self.error = self.error or str(error)
        self.stop()

    def stop(self) -> None:
        """Start no more aborts; those active finish."""
        self._pause.end()
        if self._listing is not None:
            self._listing.cancel()

    def cancel(self) -> None:
        """Cancel the active aborts, which get no outcome."""
        for task in self._active:
            task.cancel()

    async def _list(self) -> None:
        """List uploads, and start an abort for each as slots become free."""
        try:
            async with aclosing(self._found) as found:
                async for each in found:
                    await self._slots.acquire()
                    self.listed += 1
                    task = asyncio.ensure_future(self._end(each))
                    self._active.add(task)
                    self._queue.put_nowait(task)
            self.complete = True
        except FatalError as error:
            self.fail(error)
        finally:
            self._queue.put_nowait(None)

    async def _end(self, found: Upload | Skipped | Failed) -> Outcome:
        if not isinstance(found, Upload):
            return found
        try:
            return await self._aborter.abort(found)
        except FatalError as error:  # the run's, and it is this upload's outcome too
            self.fail(error)
            failed = Failed(found.key, found.key, error.kind, str(error))
            return failed._replace(upload=found.facts())
