"""The lines of s3-parallel-put, those of Python's ``logging``, on stderr or in its log::

    INFO:s3-parallel-put[putter-123]:photos/1.jpg -> backup/1.jpg
    INFO:s3-parallel-put[putter-123]:site/a.css z> www/a.css
    INFO:s3-parallel-put[putter-123]:skipping photos/2.jpg -> backup/2.jpg
    ERROR:s3-parallel-put[putter-123]:photos/3.jpg -> backup/3.jpg (permission denied)
    INFO:s3-parallel-put[statter-122]:put 4096 bytes in 2 files in 0.1 seconds (40960 bytes/s, …)

The number is a process's. A dry run has ``dry-run`` in the place of ``putter``, so that
``--resume`` does not take its log for that of a run; ``escaped-putter`` marks lines whose names are
escaped, so that it does not take ``x\\ty`` for the name of a file, as it is in a log of the old
program.
"""

from __future__ import annotations

import os

from s3pp.errors import ExitStatus
from s3pp.escaping import one_line, printable
from s3pp.job import Job
from s3pp.records import Done, Failed, Outcome, Skipped, SkipReason
from s3pp.report.failures import explain
from s3pp.report.lines import pluralize
from s3pp.report.outlet import message
from s3pp.report.totals import RunReport, Totals
from s3pp.report.view import SURPRISING
from s3pp.report.voice import NOTHING, Rendered, Voice

# The verbosity down to which lines of a level are shown: -q hides INFO, -qqq also ERROR.
_LEVELS = {"DEBUG": 1, "INFO": 0, "WARNING": -1, "ERROR": -2}


class PutVoice(Voice):
    """The lines of one run."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self._role = f"{'dry-run' if job.dry_run else 'putter'}-{os.getpid()}"

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return the line of a file."""
        arrow = "z>" if isinstance(outcome, Done) and outcome.encoding else "->"
        line = f"{printable(outcome.source)} {arrow} {printable(outcome.target)}"
        role = f"escaped-{self._role}" if "\\" in line else self._role
        if isinstance(outcome, Done):
            return self._say("INFO", role, line)
        if isinstance(outcome, Failed):
            return self._say("ERROR", role, f"{line} ({one_line(explain(outcome))})")
        return self._skipped(outcome, role, line) if isinstance(outcome, Skipped) else None

    def notice(self, text: str) -> Rendered | None:
        """Return the line of a notice."""
        return self._say("WARNING", f"walker-{os.getpid()}", one_line(text))

    def end(self, result: RunReport) -> Rendered | None:
        """Return the last line; before it, how much is missing."""
        totals, role = result.totals, f"statter-{os.getpid()}"
        if not isinstance(totals, Totals):
            return NOTHING
        rate = 1 / totals.seconds if totals.seconds > 0 else 0.0
        last = self._say(
            "INFO",
            role,
            f"put {totals.bytes} bytes in {totals.done} files in {totals.seconds:.1f} seconds"
            f" ({totals.bytes * rate:.0f} bytes/s, {totals.done * rate:.1f} files/s)",
        )
        missing = totals.failed + totals.not_attempted
        if not missing or result.status is ExitStatus.OK:
            return last
        why = self._say("ERROR", role, f"{pluralize(missing, 'file')} not sent")
        # A log is read only by those who know that there is a reason to.
        see = f"{pluralize(missing, 'file')} not sent: see {self.job.output.log_file}"
        stderr = [message(self.job.output.program, see)] if why.log else why.stderr
        return Rendered(stderr=[*stderr, *last.stderr], log=[*why.log, *last.log])

    def _skipped(self, outcome: Skipped, role: str, line: str) -> Rendered:
        if outcome.reason in SURPRISING:
            return self._say("WARNING", role, f"skipping {line} ({outcome.reason.value})")
        if outcome.reason is SkipReason.SYMLINK:
            return self._say("INFO", role, f"skipping {line} (link to a directory)")
        level = "DEBUG" if outcome.reason is SkipReason.DONE_EARLIER else "INFO"
        return self._say(level, role, f"skipping {line}")

    def _say(self, level: str, role: str, text: str) -> Rendered:
        output = self.job.output
        if output.verbosity < _LEVELS[level]:
            return NOTHING
        line = f"{level}:s3-parallel-put[{role}]:{text}"
        return Rendered(stderr=[line]) if output.log_file is None else Rendered(log=[line])
