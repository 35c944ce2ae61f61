"""The run of each verb: which part of the pipeline executes a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3pp.job import Job

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams
    from s3pp.report.totals import RunReport


def run_verb(job: Job, output: Streams) -> RunReport:
    """Run a job to its end; its last lines are not printed.

    Raises ``UsageError`` or ``FatalError`` for what shows before anything is done, and
    ``signals.Stopped`` for a signal that comes by then.
    """
    runs = {"list": _list, "du": _list, "clean": _clean}
    run = _stream if job.is_stream else runs.get(job.verb, _transfer)
    return run(job, output)


def _transfer(job: Job, output: Streams) -> RunReport:
    from s3pp.pipeline.children import Crew
    from s3pp.pipeline.signals import Signals
    from s3pp.pipeline.supervisor import Supervisor

    try:
        with Signals() as signals:
            return Supervisor(job, signals, Crew).run()
    finally:
        if output.stderr.terminal:  # where a statter that was killed may have left its display
            from s3pp.report.progress import erase_display

            erase_display(output.stderr, job.output)


def _stream(job: Job, output: Streams) -> RunReport:
    from s3pp.pipeline import streaming

    if job.reads_stdin:
        return streaming.put(job, output)
    return streaming.get(job, job.origin, output)


def _clean(job: Job, output: Streams) -> RunReport:
    from s3pp.pipeline.cleaner import clean

    return clean(job, job.origin, output)


def _list(job: Job, output: Streams) -> RunReport:
    if job.listing.buckets:
        from s3pp.pipeline.bucket_listing import list_buckets

        return list_buckets(job, output)
    from s3pp.pipeline.listing import list_keys

    return list_keys(job, job.origin, output)
