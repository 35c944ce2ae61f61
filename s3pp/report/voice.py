"""Voices: other lines for a run than s3pp's own, for commands whose users parse those of a tool.

A job names its voice, ``module:Class``, so that the name crosses to processes that are spawned; the
class is found where it is needed. What a voice leaves to s3pp, by returning None, is printed as for
every run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from s3pp.job import Job
from s3pp.records import Outcome
from s3pp.report.lines import KeyTotals
from s3pp.report.list_views import view_of
from s3pp.report.outlet import Streams, message
from s3pp.report.totals import RunReport, Totals, dry_run_table, summary, wants_summary


class Rendered(NamedTuple):
    """Lines, without line ends."""

    stdout: Sequence[str] = ()
    stderr: Sequence[str] = ()
    log: Sequence[str] = ()  # appended to the file of ``--log-file`` as they are

    def write_to(self, streams: Streams) -> None:
        """Write all but ``log``."""
        streams.stdout.lines(self.stdout)
        streams.stderr.lines(self.stderr)

    def without_log(self) -> Rendered:
        """Return the same lines, with those for the log on stderr: the log cannot have them."""
        return Rendered(self.stdout, (*self.stderr, *self.log))


NOTHING = Rendered()


class Voice:
    """The lines of one run; writes nothing. The base class leaves all to s3pp.

    The statter's instance is asked for everything but ``end``, which another one answers, in the
    main process.
    """

    replaces_log = True  # the log of a run has only the lines of the voice

    def __init__(self, job: Job) -> None:
        self.job = job

    def start(self) -> Rendered:
        """Return the first lines."""
        return NOTHING

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return the lines for an outcome; None: those of s3pp."""
        return None

    def notice(self, text: str) -> Rendered | None:
        """Return the lines for a notice; None: that of s3pp."""
        return None

    def beat(self, totals: Totals) -> Rendered:
        """Return the lines that are due now: called several times a second during the run."""
        return NOTHING

    def end(self, result: RunReport) -> Rendered | None:
        """Return the last lines; None: the summary of s3pp."""
        return None


def voice_of(job: Job) -> Voice | None:
    """Return the voice of ``job``; None: that of s3pp."""
    if not job.output.voice:
        return None
    from pkgutil import resolve_name

    voice: Voice = resolve_name(job.output.voice)(job)
    return voice


def notice_lines(text: str, job: Job) -> Rendered:
    """Return the lines for a notice outside of a recorder: those of the voice, or s3pp's."""
    voice = voice_of(job)
    said = None if voice is None else voice.notice(text)
    if said is not None or job.output.verbosity < 0:
        return (said or NOTHING).without_log()
    return Rendered(stderr=[message(job.output.program, text)])


def last_lines(result: RunReport, job: Job) -> Rendered:
    """Return the last lines of a run: those of its voice, or else the summary."""
    voice = voice_of(job)
    last = None if voice is None else voice.end(result)
    if last is not None:
        return last
    return Rendered(stdout=_summary(result, job))


def _summary(result: RunReport, job: Job) -> list[str]:
    """The summary, after the table of a dry run; nothing where the totals are unknown."""
    totals = result.totals
    if isinstance(totals, KeyTotals):
        # A sum of a part would be taken for that of all; in JSON it is marked.
        whole = totals.complete or job.output.json
        asked = job.output.summarize or job.verb == "du"  # whose result it is
        wanted = whole and asked and job.output.verbosity > -2
        return [view_of(job).summary(totals)] if wanted else []
    if totals is None or not wants_summary(job, result.status):
        return []
    line = summary(totals, job)
    return [line] if job.output.json else [*dry_run_table(totals), line]
