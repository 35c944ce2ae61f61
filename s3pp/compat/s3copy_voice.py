"""The lines of s3copy: those of a dry run, its log, and the last one.

A line of the log has the time and a level: ``2026-11-20 08:30:00,123: INFO     Validate …``. It is
printed on stdout, or appended to the file of ``-L``.
"""

from __future__ import annotations

from typing import ClassVar

from s3pp.compat.log_lines import log_time
from s3pp.errors import ExitStatus
from s3pp.escaping import one_line, printable
from s3pp.records import Failed, Outcome, Skipped
from s3pp.report.failures import explain
from s3pp.report.outlet import message
from s3pp.report.totals import RunReport, Totals
from s3pp.report.voice import NOTHING, Rendered, Voice

_MB = 1024 * 1024


class CopyingVoice(Voice):
    """A copy whose log is at level CRITICAL, where it has no lines."""

    levels: ClassVar[frozenset[str]] = frozenset()  # of which there are lines

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return the lines for an object."""
        source = printable(f"s3://{self.job.origins[0].bucket}/{outcome.source}")
        target = printable(f"s3://{self.job.dest.bucket}/{outcome.target}")
        if isinstance(outcome, Failed):
            if "ERROR" not in self.levels:
                return None
            why = f"Copy file {source} to file {target}: error: {one_line(explain(outcome))}"
            line = message(self.job.output.program, why)
            return self._log("ERROR", why)._replace(stderr=[line])
        if isinstance(outcome, Skipped):
            return self._log(
                "INFO", f"Validate {source} copy {target} {outcome.etag} already exists"
            )
        if self.job.dry_run:
            return Rendered(stdout=[f"Copy file {source} to file {target}"])
        return self._log("INFO", f"Validate {source} copy {target} {outcome.etag} complete")

    def end(self, result: RunReport) -> Rendered | None:
        """Return the last line: what was copied, and how fast."""
        totals = result.totals
        if not isinstance(totals, Totals):
            return None
        if not totals.listed and result.status is ExitStatus.OK:
            return Rendered(stdout=["Nothing to copy: quitting"])
        if self.job.dry_run:
            return NOTHING
        rate = totals.bytes / totals.seconds / _MB if totals.seconds else 0.0
        copied = f"{totals.bytes} bytes-to-target ({rate:.2f} MB/sec)"
        all_of = f"{totals.bytes} total-bytes-with-overhead ({rate:.2f} MB/sec)"
        return Rendered(stdout=[f"{totals.seconds:.2f} secs {copied} {all_of}"])

    def _log(self, level: str, text: str) -> Rendered:
        if level not in self.levels:
            return NOTHING
        line = [f"{log_time()}: {level:<8} {text}"]
        return Rendered(log=line) if self.job.output.log_file else Rendered(stdout=line)


class FailuresVoice(CopyingVoice):
    """A copy whose log is at level ERROR or WARNING: it has a line for each failure."""

    levels = frozenset({"ERROR"})


class AuditVoice(CopyingVoice):
    """A copy whose log is at level INFO or DEBUG: it has a line for each object."""

    levels = frozenset({"ERROR", "INFO"})
