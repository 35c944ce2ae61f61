"""The voices of a run that a program has called: its lines on stdout are records for that program.

They are the records of ``--json``, and ``{"event":"notice","message":…}``.
"""

from __future__ import annotations

from s3pp.job import Job
from s3pp.records import Failed, Outcome
from s3pp.report.lines import Lines, as_json
from s3pp.report.totals import RunReport, Totals, summary_event
from s3pp.report.voice import NOTHING, Rendered, Voice


class FailureVoice(Voice):
    """Failures and notices only: for callers that want no events."""

    replaces_log = False

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._lines = Lines.of(job)

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return the record of a failure."""
        return self._record(outcome) if type(outcome) is Failed else NOTHING

    def notice(self, text: str) -> Rendered | None:
        """Return the record of a notice."""
        return Rendered([as_json({"event": "notice", "message": text})])

    def end(self, result: RunReport) -> Rendered | None:
        """Return nothing: the summary is in the result."""
        return NOTHING

    def _record(self, outcome: Outcome) -> Rendered:
        return Rendered([self._lines.json(outcome)])


class EventVoice(FailureVoice):
    """Every record of ``--json``, and the notices."""

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return the record of an outcome."""
        return self._record(outcome)

    def end(self, result: RunReport) -> Rendered | None:
        """Return the summary."""
        if not isinstance(result.totals, Totals):
            return NOTHING
        return Rendered([as_json(summary_event(result.totals, self.job))])
