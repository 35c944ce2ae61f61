"""The run of one transfer from standard input, or to standard output: its records, and signals.

A first signal stops what can be stopped: nothing more is read or written, and an upload that was
begun is aborted. Only where all is read already, the end is awaited. A second one stops that too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from contextlib import suppress
from typing import Protocol

from s3pp.errors import ExitStatus, FatalError, Kept, RunEnding
from s3pp.job import STREAM, Job
from s3pp.pipeline.connect import Pause
from s3pp.pipeline.credentials import with_store
from s3pp.pipeline.signals import Signals, stopping_notice
from s3pp.pipeline.standard_streams import ReaderGone
from s3pp.records import Failed, OpenUpload, Outcome, PartOutcome
from s3pp.report.outlet import Streams
from s3pp.report.recorder import Recorder
from s3pp.report.totals import RunReport, run_report
from s3pp.s3.client import Bucket
from s3pp.s3.endpoint import Opened
from s3pp.transfer.observed_role import streamed
from s3pp.transfer.resume import OwnUploads

PROBES = 1  # requests that find the bucket
TICK = 1.0  # seconds between looks at the clock


class StreamTransfer(Protocol):
    """The transfer of one object from standard input, or to standard output."""

    notes: list[str]  # notices for the user, each shown once; the reader removes them

    async def transfer(self) -> Outcome:
        """Transfer the object. Raises only ``FatalError`` and ``RunEnding``."""

    def stop(self) -> bool:
        """End the transfer, unless there is nothing left but to await its end: then return false.

        ``transfer`` raises ``RunEnding`` where it was ended.
        """


class StreamRun:
    """Records the outcome of one transfer, and ends it after a signal.

    It is the transfer's ``PartRunner`` too, in a run without workers.
    """

    def __init__(self, job: Job, streams: Streams, signals: Signals) -> None:
        self.job = job
        self.pause = Pause()
        self.own = OwnUploads(self._note_upload)
        self._recorder = Recorder.on(streams, job)
        self._signals = signals
        self._transfer: StreamTransfer | None = None
        self._task: asyncio.Task[Outcome] | None = None
        self._status: ExitStatus | None = None  # what the first signal asked for
        self._error: str | None = None
        self._open_uploads = 0

    def notice(self, text: str) -> None:
        """Notify users of something."""
        self._recorder.notice(text)

    def settle(self, opened: Opened) -> None:
        """Record the start of the run, whose store is known by now. Raises ``FatalError``."""
        self._recorder.settle(with_store(self.job, opened))

    async def execute(self, transfer: StreamTransfer, bucket: Bucket) -> RunReport:
        """Run ``transfer`` to its end; return the result of the run."""
        loop, recorder = asyncio.get_running_loop(), self._recorder
        recorder.set_listed(1, True)
        self._transfer, began = transfer, time.time()
        self._task = asyncio.ensure_future(transfer.transfer())
        loop.add_reader(self._signals.fd, self._take_signals)
        self._tick()
        await asyncio.wait([self._task])
        loop.remove_reader(self._signals.fd)
        self._show_notes()
        self._record(self._task, began)
        recorder.count_requests(PROBES + bucket.requests)
        return self._end()

    def check(self) -> None:
        """Raise ``RunEnding`` if a signal has arrived."""
        self._take_signals()
        if self._status is not None:
            raise RunEnding

    def report(self, size: int) -> None:
        """Count ``size`` bytes that were transferred of an object that is not done."""
        self._recorder.count_moved(size)

    def run(self, part: object, /) -> Awaitable[PartOutcome]:
        """Raise ``RunEnding``: there is no other worker."""
        raise RunEnding

    def _record(self, ended: asyncio.Task[Outcome], began: float) -> None:
        try:
            outcome = ended.result()
            if self.job.output.keeps_facts:
                outcome = streamed(outcome, began)
            self._recorder.record([outcome])
        except ReaderGone:
            self._status = self._status or ExitStatus.READER_GONE
        except (RunEnding, asyncio.CancelledError):
            self.notice(self._describe_end())
        except FatalError as error:
            self._error = str(error)
            self._record_fatal(error)

    def _record_fatal(self, error: FatalError) -> None:
        """Record the error that ends the run as what became of the object, unless it has ended."""
        if self._recorder.totals.finished:
            return
        self._recorder.hide_message(str(error))
        failed = Failed(*names(self.job), error.kind, str(error))
        with suppress(FatalError):  # the run is ending already
            self._recorder.record([failed])

    def _end(self) -> RunReport:
        recorder = self._recorder
        try:
            left = 1 - recorder.totals.finished
            recorder.close(left, error=self._error, signal=self._status)
        except FatalError as error:
            self._error = self._error or str(error)
        return run_report(
            recorder.totals, refusal=recorder.refusal, error=self._error, signal=self._status
        )

    def _describe_end(self) -> str:
        """Describe, for users, what remains of a transfer that a signal ended."""
        source, target = self.job.reads[0], self.job.writes
        kept = f"; {Kept.STUCK_PARTS.value}" if self._open_uploads else ""
        return f"{self.job.verb} {source} -> {target}: not finished, and cannot be resumed{kept}"

    def _take_signals(self) -> None:
        for status in self._signals.take():
            if self._status is not None and self._task is not None:
                self._task.cancel()
                continue
            self._status = status
            self.notice(stopping_notice(status, "requests"))
            if self._transfer is not None and not self._transfer.stop():
                self.pause.end()

    def _tick(self) -> None:
        self._show_notes()
        self._recorder.tick()
        asyncio.get_running_loop().call_later(TICK, self._tick)

    def _show_notes(self) -> None:
        notes = self._transfer.notes if self._transfer else []
        while notes:
            self.notice(notes.pop(0))

    def _note_upload(self, upload: OpenUpload) -> None:
        self._open_uploads += 1 if upload.open else -1


def names(job: Job) -> tuple[str, str]:
    """Return the source and the target of the one object, as its outcome has them."""
    return (STREAM, job.dest.prefix) if not job.origins else (job.origin.prefix, STREAM)
