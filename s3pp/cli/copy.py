"""``s3pp copy``: objects to objects."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3pp.cli import object_options, options, places, running, settings
from s3pp.cli.parser import Parser
from s3pp.errors import ExitStatus, UsageError
from s3pp.job import Job, Mode

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams

USAGE = "[OPTIONS] s3://BUCKET[/PREFIX] s3://BUCKET[/PREFIX]"
ABOUT = (
    "Copy the objects below the first PREFIX, or the one object of that name, under the second,"
    " each under its key relative to the first. With a * at its end the first PREFIX means every"
    " key that begins so."
)


def main(argv: Sequence[str], streams: Streams) -> ExitStatus:
    """Run the command; errors are raised."""
    given = _parser().parse(argv)
    job = build_job(given)
    return running.run(job, streams, check=lambda: running.check_origin(job), sandbox=given.sandbox)


def build_job(given: Namespace) -> Job:
    """The job these arguments describe; touches nothing."""
    if len(given.paths) != 2:
        raise UsageError("copy needs a source and a destination, both s3://BUCKET[/PREFIX]")
    source, dest = given.paths
    return Job(
        verb="copy",
        origin=places.origin(source),
        dest=places.dest(dest),
        mode=Mode(given.mode),
        dry_run=given.dry_run,
        choosing=settings.choosing(given),
        objects=settings.copied(given),
        access=settings.dest_access(given),
        source_access=settings.source_access(given),
        parts=settings.parts(given),
        speed=settings.speed(given),
        output=settings.output(given),
    )


def _parser() -> Parser:
    parser = Parser("s3pp copy", USAGE, ABOUT)
    parser.add_argument("paths", nargs="*", help=SUPPRESS)  # the usage line shows them
    options.add_choosing(parser)
    object_options.add_objects(parser)
    object_options.add_directive(parser)
    options.add_parts(parser)
    options.add_speed(parser)
    options.add_listers(parser)
    options.add_access(parser)
    options.add_source_access(parser)
    options.add_faults(parser)
    options.add_output(parser)
    return parser
