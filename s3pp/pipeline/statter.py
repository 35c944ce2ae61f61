"""The statter: folds reports into totals, and shows and keeps what is told of them.

::

    OUTCOMES, NOTICE, FATAL, LISTED, END ──▶ Recorder ──▶ TOTALS

It alone writes the journal, the log and the lines on stdout and stderr while a run goes on.
"""

from __future__ import annotations

import os
import select
import sys
from typing import NamedTuple

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Job
from s3pp.pipeline.children import fatal
from s3pp.pipeline.messages import Frame, Kind, Report, frame, report_of
from s3pp.pipeline.queues import FrameReader, FrameWriter
from s3pp.records import Failed, Outcome
from s3pp.report.failures import Refusals, cause_of
from s3pp.report.recorder import REDRAW_SECONDS, Recorder
from s3pp.report.totals import Flow, Totals

ENOUGH_SILENCE = 100  # objects in a row, each tried to the end, that no answer came for


class Verdict(NamedTuple):
    """The statter's last word. Consumer: the supervisor, which decides the exit code by it."""

    totals: Totals
    refused: str | None  # why, if the store refused access to every object it was sent


def run_statter(inbox: FrameReader, outbox: FrameWriter, job: Job, started: float) -> None:
    """The statter's process, from the first message to the last."""
    recorder = Recorder.open(job, sys.stdout, sys.stderr, started=started)
    statter = Statter(recorder, outbox)
    os.set_blocking(inbox.fd, False)
    while not inbox.closed:
        select.select([inbox.fd], [], [], REDRAW_SECONDS)
        for message in inbox.once():
            if message.kind is Kind.END:
                outbox.send(statter.end(message))
                return
            statter.hear(message)
        recorder.tick()


class Statter:
    """Hears every message of a run, and sums up."""

    def __init__(self, recorder: Recorder, outbox: FrameWriter) -> None:
        self._recorder = recorder
        self._outbox = outbox
        self._told: set[str] = set()  # notices: several workers may find out the same
        self._refusals = Refusals()
        self._unreached = 0  # objects in a row that no answer came for

    def hear(self, message: Frame) -> None:
        """Take a message, other than END."""
        if message.kind is Kind.OUTCOMES:
            self._outcomes(report_of(message))
        elif message.kind is Kind.LISTED:
            self._recorder.listed(message.objects, done=bool(message.size))
        elif message.kind is Kind.MOVED:
            self._recorder.requests(message.objects)
            self._recorder.moved(message.size)
        elif message.kind is Kind.FLOW:
            self._recorder.flow(Flow(*message.open()))
        elif message.kind is Kind.NOTICE:
            self._notice(message.payload.decode("utf-8"))
        elif message.kind is Kind.FATAL:
            self._recorder.aborted(message.payload.decode("utf-8"))

    def end(self, message: Frame) -> Frame:
        """Close the records.

        ``message`` counts what was listed, its size what was dropped, and its batch is 0 where the
        walk was cut short.
        """
        self._recorder.listed(message.objects, done=bool(message.batch))
        try:
            totals = self._recorder.close(not_attempted=message.size)
        except FatalError as error:
            self._outbox.send(fatal(str(error)))
            raise
        denied = self._refusals.denied if self._refusals.everything else None
        return frame(Kind.TOTALS, Verdict(totals, denied.message if denied else None))

    def _outcomes(self, report: Report) -> None:
        self._watch(report.outcomes)  # first: what ends the run is told in one line
        try:
            self._recorder.requests(report.requests)
            self._recorder.outcomes(report.outcomes)
        except FatalError as error:
            self._outbox.send(fatal(str(error)))

    def _watch(self, outcomes: list[Outcome]) -> None:
        """Stop a run early whose every object is refused, or whose store has gone."""
        for outcome in outcomes:
            if not isinstance(outcome, Failed) or outcome.kind is not FailureKind.NETWORK:
                self._unreached = 0
                continue
            self._unreached += 1
            if self._unreached == ENOUGH_SILENCE:
                self._outbox.send(fatal(f"the store does not answer any more: {outcome.message}"))
        if refused := self._refusals.add(outcomes):
            self._recorder.ended_by(cause_of(refused))
            everything = "the store refuses every object"
            self._outbox.send(fatal(f"{everything}, and the rest is not tried: {refused.message}"))

    def _notice(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._recorder.notice(text)
