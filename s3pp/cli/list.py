"""``s3pp list``: what is there."""

from __future__ import annotations

import os
import signal
import time
from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3pp.cli import options, places, running, settings
from s3pp.cli.parser import Parser
from s3pp.errors import ExitStatus, FatalError, UsageError
from s3pp.job import Job

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams

USAGE = "[OPTIONS] s3://BUCKET[/PREFIX]"
ABOUT = (
    "List the objects below PREFIX, or the one object of that name: time, size, ETag, key. With a"
    " * at its end PREFIX means every key that begins so."
)


def main(argv: Sequence[str], streams: Streams) -> ExitStatus:
    """Run the command; errors are raised."""
    given = _parser().parse(argv)
    job = build_job(given)
    running.check_files(job, streams, lambda: running.check_origin(job))
    if not given.sandbox:
        return _list(job, streams, summarize=given.summarize)
    with running.sandboxed(job, streams) as imposed:
        return _list(imposed, streams, summarize=given.summarize)


def build_job(given: Namespace) -> Job:
    """The job these arguments describe; touches nothing."""
    if len(given.paths) != 1:
        raise UsageError("list needs one source, s3://BUCKET[/PREFIX]")
    return Job(
        verb="list",
        origin=places.origin(given.paths[0]),
        choosing=settings.choosing(given),
        access=settings.access(given),
        speed=settings.listing_speed(given),
        output=settings.listing_output(given),
    )


def _list(job: Job, streams: Streams, *, summarize: bool) -> ExitStatus:
    started = time.monotonic()
    from s3pp.pipeline.listing import list_keys
    from s3pp.report.keys import KeyView

    signal.signal(signal.SIGTERM, _ended)
    signal.signal(signal.SIGHUP, _ended)
    assert job.origin is not None
    view = KeyView.of(job)
    totals = list_keys(job, job.origin, streams, view)
    totals.seconds = time.monotonic() - started
    if summarize and job.output.verbosity > -2:
        streams.stdout.lines([view.summary(totals)])
        if streams.stdout.trouble is not None:
            raise FatalError(f"standard output cannot be written: {streams.stdout.trouble}")
    return ExitStatus.SOME_FAILED if totals.failed else ExitStatus.OK


def _ended(number: int, _frame: object) -> None:
    """There is nothing to bring to an end: what was printed is right as far as it goes."""
    os._exit(128 + number)


def _parser() -> Parser:
    parser = Parser("s3pp list", USAGE, ABOUT)
    parser.add_argument("paths", nargs="*", help=SUPPRESS)  # the usage line shows them
    options.add_filters(parser)
    options.add_listers(parser)
    options.add_access(parser)
    options.add_attempts(parser)
    options.add_listing_output(parser)
    return parser
