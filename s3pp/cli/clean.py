"""``s3pp clean``: what unfinished uploads have left behind."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3pp.cli import cleaning_options, options, places, running, settings
from s3pp.cli.parser import Parser
from s3pp.errors import ExitStatus, UsageError
from s3pp.job import Job

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams

USAGE = "[OPTIONS] s3://BUCKET[/PREFIX]"
ABOUT = (
    "Abort the unfinished multipart uploads of the keys below PREFIX, and of the key PREFIX itself;"
    " with a * at its end PREFIX means every key that begins so. Those begun less than a day ago"
    " are left alone unless --older-than says otherwise. Objects are never touched."
)


def main(argv: Sequence[str], streams: Streams) -> ExitStatus:
    """Run the command; errors are raised."""
    given = _parser().parse(argv)
    job = build_job(given)
    running.check_files(job, streams, lambda: running.check_origin(job))
    if not given.sandbox:
        return _clean(job, streams)
    with running.sandboxed(job, streams) as imposed:
        return _clean(imposed, streams)


def build_job(given: Namespace) -> Job:
    """The job these arguments describe; touches nothing."""
    if len(given.paths) != 1:
        raise UsageError("clean needs one place, s3://BUCKET[/PREFIX]")
    return Job(
        verb="clean",
        origin=places.origin(given.paths[0]),
        dry_run=given.dry_run,
        choosing=settings.choosing(given),
        access=settings.access(given),
        output=settings.output(given),
    )


def _clean(job: Job, streams: Streams) -> ExitStatus:
    from s3pp.pipeline.cleaning import clean
    from s3pp.pipeline.signals import Stopped
    from s3pp.report.aborts import abort_summary
    from s3pp.report.escape import one_line
    from s3pp.report.summary import wants_summary

    assert job.origin is not None
    try:
        status, totals, error = clean(job, job.origin, streams)
    except Stopped as stopped:
        streams.stderr.write("s3pp: stopped before anything was done\n")
        return stopped.status
    if error is not None:
        streams.stderr.write(f"s3pp: {one_line(error)}\n")
    if wants_summary(job, status):
        streams.stdout.lines([abort_summary(totals, job)])
    if streams.stdout.trouble is not None:
        streams.stderr.write(f"s3pp: standard output: {streams.stdout.trouble}\n")
        return ExitStatus.ABORTED
    return status


def _parser() -> Parser:
    parser = Parser("s3pp clean", USAGE, ABOUT)
    parser.add_argument("paths", nargs="*", help=SUPPRESS)  # the usage line shows them
    cleaning_options.add_uploads(parser)
    options.add_access(parser)
    options.add_attempts(parser)
    cleaning_options.add_cleaning_output(parser)
    return parser
