"""Runs that find nothing to act on: an empty source, a missing prefix, filters that match nothing.

All verbs treat them alike: a notice, or with ``--fail-if-empty`` the exit code 1.
"""

from __future__ import annotations

from s3pp.errors import ExitStatus
from s3pp.job import Choosing, Job
from s3pp.report.lines import KeyTotals
from s3pp.report.totals import RunReport, Totals

_FOUND = {"put": "files", "clean": "unfinished uploads"}  # others: objects


def found_nothing(totals: Totals | KeyTotals | None) -> bool:
    """Return whether a listing that came to its end found nothing that can be acted on."""
    if isinstance(totals, KeyTotals):
        return totals.complete and not (totals.keys or totals.prefixes or totals.failed)
    return totals is not None and totals.walk_done and totals.listed == totals.left_out


def empty_notice(totals: Totals | KeyTotals | None, job: Job) -> str | None:
    """Return the notice for a run that found nothing; None: it found something, or will fail."""
    chosen = job.choosing
    if chosen.fail_if_empty or chosen.must_exist or not found_nothing(totals):
        return None
    if isinstance(totals, Totals) and totals.not_deleted:  # the run will say why
        return None
    if job.applies is not None:  # a plan of nothing has said so when it was made
        return None
    return f"{_describe(job)}: nothing to do (--fail-if-empty makes this exit code 1)"


def fail_if_empty(result: RunReport, job: Job) -> RunReport:
    """Return ``result``, as a failure if nothing was found and the job requires something."""
    is_failure = job.choosing.fail_if_empty and found_nothing(result.totals)
    if not is_failure or result.status is not ExitStatus.OK:
        return result
    error = f"{_describe(job)}, and --fail-if-empty requires some"
    return result._replace(status=ExitStatus.SOME_FAILED, error=error)


def _describe(job: Job) -> str:
    if job.listing.buckets:
        return "list --buckets: no buckets found"
    kind = _FOUND.get(job.verb, "objects")
    selected = " that the filters select" if _has_filters(job.choosing) else ""
    where = "" if job.choosing.shard is None else f" in shard {job.choosing.shard}"
    return f"{job.title} {' '.join(job.reads)}: no {kind} found{where}{selected}"


def _has_filters(chosen: Choosing) -> bool:
    given = (chosen.newer_than, chosen.older_than, chosen.min_size, chosen.max_size)
    return bool(chosen.rules) or given != (None,) * 4
