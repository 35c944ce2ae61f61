"""The summary of a run: its last line."""

from __future__ import annotations

from typing import Any

from s3pp.errors import ExitStatus
from s3pp.job import Job
from s3pp.report.lines import as_json
from s3pp.report.totals import Totals


def wants_summary(job: Job, status: ExitStatus) -> bool:
    """Return whether to print the summary on stdout; ``status`` is the run's exit status.

    With ``-q`` only if it matters: after a run with any fault, for a dry run, which has no other
    result, and for programs that read ``--json``.
    """
    level = job.output.verbosity
    asked = job.output.json or job.dry_run or status is not ExitStatus.OK
    return level >= 0 or (level == -1 and asked)


def summary(totals: Totals, job: Job) -> str:
    """Return the summary as text or, with ``--json``, as an event; no line end."""
    return as_json(summary_event(totals, job)) if job.output.json else summary_text(totals, job)


def left_alone(young: int) -> str:
    """Return the notice of a clean that skipped ``young`` uploads, which may be in use."""
    begun = "begun less than a day ago"
    if young == 1:
        return f"1 upload {begun} is left alone: --older-than 0s aborts it too"
    return f"{young} uploads {begun} are left alone: --older-than 0s aborts them too"


def summary_text(totals: Totals, job: Job) -> str:
    """Return ``put 4096 bytes in 1 files in 0.1 seconds (40960 bytes/s, 10.0 files/s), 3 skipped``.

    The first number counts the bytes of the sources, the rate those transferred. For a clean:
    ``clean 3 uploads (31457280 bytes) in 0.4 seconds, 2 skipped``.
    """
    line = _uploads(totals, job) if job.verb == "clean" else _objects(totals, job)
    if job.dry_run:
        line += f", with {totals.requests} requests"
    return line + _not_done(totals)


def _objects(totals: Totals, job: Job) -> str:
    per_second = 1 / totals.seconds if totals.seconds > 0 else 0.0
    verb = f"would {job.verb}" if job.dry_run else job.verb
    return (
        f"{verb} {totals.bytes} bytes in {totals.done} files in {totals.seconds:.1f} seconds"
        f" ({totals.sent * per_second:.0f} bytes/s, {totals.done * per_second:.1f} files/s)"
    )


def _uploads(totals: Totals, job: Job) -> str:
    verb = "would abort" if job.dry_run else "clean"
    least = "at least " if totals.unknown_sizes else ""
    size = f"{least}{totals.bytes} bytes"
    return f"{verb} {totals.done} uploads ({size}) in {totals.seconds:.1f} seconds"


def _not_done(totals: Totals) -> str:
    """Return the counts of objects not done, to end a line: ``, 3 skipped, 1 failed``.

    A run that was ended before anything was found does not look as if there was nothing to do.
    """
    least = "" if totals.walk_done else "at least "
    unknown = not totals.walk_done and not totals.listed and not totals.finished
    counts = {
        "skipped": totals.skipped,
        "failed": totals.failed,
        "not attempted": totals.not_attempted,
    }
    return "".join(
        f", {least if what == 'not attempted' else ''}{count} {what}"
        for what, count in counts.items()
        if count or (what == "not attempted" and unknown)
    )


def summary_event(totals: Totals, job: Job) -> dict[str, Any]:
    """Return the summary as an event for programs; seconds to the millisecond."""
    event: dict[str, Any] = {
        "event": "summary",
        "verb": job.verb,
        "listed": totals.listed,
        "done": totals.done,
        "skipped": totals.skipped,
        "failed": totals.failed,
        "bytes": totals.bytes,
        "seconds": round(totals.seconds, 3),
    }
    if job.dry_run:
        event |= {"dry_run": True, "requests": totals.requests}
    if totals.not_attempted:
        event["not_attempted"] = totals.not_attempted
    return event
