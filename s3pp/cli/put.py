"""``s3pp put``: files to objects."""

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

USAGE = "[OPTIONS] SOURCE... s3://BUCKET[/PREFIX]"
ABOUT = (
    "Put the contents of each SOURCE, a directory or a file, under PREFIX, each file under its"
    " path relative to SOURCE (a single file: under its base name)."
)


def main(argv: Sequence[str], streams: Streams) -> ExitStatus:
    """Run the command; errors are raised."""
    given = _parser().parse(argv)
    job = build_job(given)
    return running.run(job, streams, check=lambda: _check(job), sandbox=given.sandbox)


def build_job(given: Namespace) -> Job:
    """The job these arguments describe; touches nothing."""
    *sources, dest = given.paths or [""]
    if not sources:
        raise UsageError("put needs a SOURCE and a destination, s3://BUCKET[/PREFIX]")
    return Job(
        verb="put",
        sources=tuple(_source(text) for text in sources),
        dest=places.dest(dest),
        mode=Mode(given.mode),
        walk=given.walk,
        dry_run=given.dry_run,
        choosing=settings.choosing(given),
        objects=settings.objects(given),
        access=settings.access(given),
        parts=settings.parts(given),
        speed=settings.speed(given),
        output=settings.output(given),
    )


def _check(job: Job) -> None:
    from s3pp import sources

    sources.check(job)


def _parser() -> Parser:
    parser = Parser("s3pp put", USAGE, ABOUT)
    parser.add_argument("paths", nargs="*", help=SUPPRESS)  # the usage line shows them
    options.add_choosing(parser)
    options.add_walking(parser)
    object_options.add_objects(parser)
    object_options.add_compression(parser)
    options.add_parts(parser)
    options.add_speed(parser)
    options.add_access(parser)
    options.add_faults(parser)
    options.add_output(parser)
    return parser


def _source(text: str) -> str:
    if not text:
        raise UsageError("SOURCE '' is empty; name a directory or a file, '.' for this one")
    places.check_no_stream(text, "SOURCE", "put reads files only")
    if text.startswith("s3://"):
        raise UsageError(f"SOURCE {text!r} is not a file: the destination, and only it, is s3://")
    return text
