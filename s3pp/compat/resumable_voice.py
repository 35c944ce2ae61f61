"""The lines of amazon-s3-resumable-upload that scripts look for.

They are those of its log, on stderr, with the time and a level; what is said of single parts, and
the colours, are left out.
"""

from __future__ import annotations

import json

from s3pp.compat.log_lines import log_time
from s3pp.errors import ExitStatus
from s3pp.escaping import printable
from s3pp.job import Job
from s3pp.records import Deleted, Done, Failed, Outcome, Skipped, SkipReason
from s3pp.report.failures import explain
from s3pp.report.lines import pluralize
from s3pp.report.totals import RunReport, Totals
from s3pp.report.voice import NOTHING, Rendered, Voice


def log_line(level: str, text: str) -> Rendered:
    """Return ``2026-11-20 08:30:00,123 INFO - text``, in local time."""
    return Rendered(stderr=[f"{log_time()} {level} - {text}"])


class TransferVoice(Voice):
    """A transfer: a line per object, unless the level is WARNING."""

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return the line for an object that was transferred, or was there."""
        if isinstance(outcome, Done):
            text = f"FINISH: {printable(named(outcome, self.job))} TO {_place(outcome, self.job)}"
        elif isinstance(outcome, Skipped) and outcome.reason is SkipReason.SAME_SIZE:
            text = f"Duplicated. {printable(named(outcome, self.job))} same size, goto next file."
        else:
            return None
        return log_line("INFO", text) if self.job.output.verbosity >= 1 else NOTHING


class ComparisonVoice(Voice):
    """The comparison after an upload: what is missing as JSON, and how much that is."""

    level, success = "WARNING", "All source files are in destination Bucket/Prefix. Job well done."

    def start(self) -> Rendered:
        """Return the first line."""
        if self.job.output.verbosity < 1:
            return NOTHING
        return log_line("INFO", "Comparing destination and source ...")

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return the line for a file that is missing at the destination, or is not the same."""
        if isinstance(outcome, Skipped | Deleted):
            return NOTHING
        missing: dict[str, str | int | None] = {"Key": named(outcome, self.job), "Size": None}
        if isinstance(outcome, Done):
            missing["Size"] = outcome.size
        else:
            missing["Error"] = explain(outcome)
        return log_line("WARNING", json.dumps(missing))

    def end(self, result: RunReport) -> Rendered | None:
        """Return the result; nothing where the comparison did not get to its end."""
        totals = result.totals
        if not isinstance(totals, Totals) or result.status > ExitStatus.SOME_FAILED:
            return NOTHING
        if missing := totals.done + totals.failed:
            why = "files not in destination or not the same size"
            return log_line("WARNING", f"There are {missing} {why}")
        return log_line(self.level, self.success)


class FirstComparisonVoice(ComparisonVoice):
    """The same in the words of the versions with a configuration in Python."""

    level, success = "INFO", "All source files are in destination Bucket/Prefix"


class DownloadComparisonVoice(ComparisonVoice):
    """The comparison after a download."""

    level, success = "INFO", "All source files are in destination, job well done."


class UnfinishedVoice(Voice):
    """Unfinished uploads, before the question whether they are to be aborted."""

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return the line for an upload."""
        if not isinstance(outcome, Done) or outcome.upload is None:
            return None
        key, begun = printable(outcome.target), printable(outcome.upload.initiated)
        return log_line("INFO", f"Unfinished upload, Key: {key}, Time: {begun}")

    def end(self, result: RunReport) -> Rendered | None:
        """Return the number of uploads."""
        if not result.transferred or not isinstance(result.totals, Totals):
            return NOTHING
        found = pluralize(result.totals.done, "unfinished upload")
        where = f"in {self.job.reads[0]}, begun more than a day ago"
        return log_line("WARNING", f"{found} {where}")


class CleanVoice(Voice):
    """The abort of unfinished uploads."""

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return no line for an upload that was aborted."""
        return None if isinstance(outcome, Failed) else NOTHING

    def end(self, result: RunReport) -> Rendered | None:
        """Return the last line."""
        finished = result.status is ExitStatus.OK
        return log_line("INFO", "CLEAN FINISHED") if finished else NOTHING


def named(outcome: Outcome, job: Job) -> str:
    """Return the file relative to SrcDir, or the key of an object."""
    if job.verb != "put":
        return outcome.source
    return outcome.target.removeprefix(job.dest.key(""))


def _place(outcome: Done, job: Job) -> str:
    if job.verb == "get":
        return printable(f"{job.directory.rstrip('/')}/{outcome.target}")
    return printable(f"s3://{job.dest.bucket}/{outcome.target}")
