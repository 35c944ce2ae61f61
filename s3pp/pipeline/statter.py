"""The statter: computes totals from reports, and writes all output of a run.

::

    BatchReport, Notice, Fatal, WalkProgress, …, RunDone ──▶ Recorder ──▶ StatterReport

Only it writes the journal, the log and the lines on stdout and stderr during a run.
"""

from __future__ import annotations

import os
import select
import sys
from typing import TYPE_CHECKING

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.pipeline.messages import (
    ActiveObjects,
    BatchReport,
    CountFailures,
    FailureCount,
    Fatal,
    FileDigests,
    Message,
    NamesExcluded,
    Notice,
    PartProgress,
    RunDone,
    Setup,
    StatterReport,
    WalkProgress,
)
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.report.recorder import REDRAW_SECONDS, Recorder
from s3pp.report.totals import Extent, Flow, Retries

if TYPE_CHECKING:
    from s3pp.pipeline.digest_storage import DigestStorage


def run_statter(inbox: MessageReader, outbox: MessageWriter, job: Job, started: float) -> None:
    """Run the statter's process until ``RunDone``."""
    recorder = Recorder.open(job, sys.stdout, sys.stderr, started=started)
    statter = Statter(recorder, outbox, etag_cache=job.speed.etag_cache or "")
    os.set_blocking(inbox.fd, False)
    while not inbox.closed:
        select.select([inbox.fd], [], [], REDRAW_SECONDS)
        for message in inbox.once():
            if isinstance(message, RunDone):
                outbox.send(statter.end(message))
                return
            statter.receive(message)
        recorder.tick()


class Statter:
    """Processes the messages of a run, and computes the totals."""

    def __init__(self, recorder: Recorder, outbox: MessageWriter, *, etag_cache: str = "") -> None:
        """``etag_cache`` is its path; empty: there is none."""
        self._etag_cache = etag_cache
        self._storage: DigestStorage | None = None  # once there is anything to store
        self._recorder = recorder
        self._outbox = outbox
        self._notices: set[str] = set()  # notices; several workers may send the same
        self._last: list[str] = []  # those for the end

    def receive(self, message: Message) -> None:
        """Process a message other than ``RunDone``."""
        match message:
            case BatchReport():
                self._report(message)
            case WalkProgress(objects, walk_done, size):
                self._recorder.set_listed(objects, done=walk_done, size=size)
            case ActiveObjects() | Extent():
                self._show(message)
            case PartProgress(size, requests):
                self._recorder.count_requests(requests)
                self._recorder.count_moved(size)
            case Retries():
                self._recorder.count_retries(message)
            case Flow():
                self._recorder.set_flow(message)
            case Notice(text, True):
                self._last.append(text)
            case Notice(text):
                self._notice(text)
            case NamesExcluded(names):
                self._recorder.exclude(names)
            case FileDigests():
                self._store(message)
            case Setup(job):
                self._settle(job)
            case CountFailures():
                self._outbox.send(FailureCount(self._recorder.totals.failed))
            case Fatal(text, cause):
                self._recorder.hide_message(text)
                if cause is not None:
                    self._recorder.hide_cause(cause)

    def _show(self, message: ActiveObjects | Extent) -> None:
        """Process what only displays need."""
        if isinstance(message, Extent):
            self._recorder.set_counted(message)
        else:
            self._recorder.set_active(*message)

    def end(self, message: RunDone) -> StatterReport:
        """Close the recorder and return the report."""
        self._recorder.set_listed(message.listed, done=message.walk_done)
        self._recorder.totals.not_deleted = message.not_deleted
        if self._storage is not None:
            self._storage.close()
            self._notice_fault(self._storage)
        for text in self._last:
            self._notice(text)
        try:
            error, signal = message.error, message.signal
            self._recorder.close(message.not_attempted, error=error, signal=signal)
        except FatalError as error:  # the totals are complete all the same
            self._outbox.send(Fatal(str(error)))
        return StatterReport(self._recorder.totals, self._recorder.refusal)

    def _settle(self, job: Job) -> None:
        try:
            self._recorder.settle(job)
        except FatalError as error:
            self._outbox.send(Fatal(str(error)))

    def _report(self, report: BatchReport) -> None:
        try:
            self._recorder.count_requests(report.requests)
            if report.unchanged:
                self._recorder.count_unchanged(report.unchanged, report.unchanged_bytes)
            self._recorder.record(report.outcomes)
        except FatalError as error:
            self._outbox.send(Fatal(str(error)))

    def _store(self, message: FileDigests) -> None:
        if self._storage is None:
            from s3pp.pipeline.digest_storage import DigestStorage

            self._storage = DigestStorage(self._etag_cache)
        self._storage.add(message.digests)
        self._notice_fault(self._storage)

    def _notice_fault(self, storage: DigestStorage) -> None:
        if storage.fault is not None:
            self._notice(storage.fault)

    def _notice(self, text: str) -> None:
        if text not in self._notices:
            self._notices.add(text)
            self._recorder.notice(text)
