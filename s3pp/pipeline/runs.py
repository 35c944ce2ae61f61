"""The run of each verb: which part of the pipeline executes a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from s3pp.job import Job

if TYPE_CHECKING:
    from s3pp.pipeline.children import Callbacks, Crew
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
    from s3pp.pipeline.signals import Signals
    from s3pp.pipeline.supervisor import Supervisor

    try:
        with Signals() as signals, _crew_for(job) as (settled, create_crew):
            return Supervisor(settled, signals, create_crew).run()
    finally:
        if output.stderr.terminal:  # where a statter that was killed may have left its display
            from s3pp.report.progress import erase_display

            erase_display(output.stderr, job.output)


@contextmanager
def _crew_for(job: Job) -> Iterator[tuple[Job, Callable[[Job, Callbacks], Crew]]]:
    """Yield what creates the children of a run: here, or on a cluster; and the job for these."""
    if job.cluster.dask is None:
        from s3pp.pipeline.children import Crew

        yield job, Crew
        return
    from s3pp.pipeline.cluster.connection import connected
    from s3pp.pipeline.cluster.crew import ClusterCrew

    with connected(job) as (settled, connection):
        yield settled, partial(ClusterCrew, connection)


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
