"""``s3pp get``: objects to files."""

from __future__ import annotations

from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3pp.cli import options, places, running, settings
from s3pp.cli.parser import Parser
from s3pp.errors import ExitStatus, UsageError
from s3pp.job import Job, Landing, Mode

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams

USAGE = "[OPTIONS] s3://BUCKET[/PREFIX] DIRECTORY"
ABOUT = (
    "Get the objects below PREFIX, or the one object of that name, into DIRECTORY, each under its"
    " key relative to PREFIX. With a * at its end PREFIX means every key that begins so."
)


def main(argv: Sequence[str], streams: Streams) -> ExitStatus:
    """Run the command; errors are raised."""
    given = _parser().parse(argv)
    job = build_job(given)
    return running.run(job, streams, check=lambda: _check(job), sandbox=given.sandbox)


def build_job(given: Namespace) -> Job:
    """The job these arguments describe; touches nothing."""
    if len(given.paths) != 2:
        raise UsageError("get needs a source, s3://BUCKET[/PREFIX], and a DIRECTORY")
    source, directory = given.paths
    return Job(
        verb="get",
        origin=places.origin(source),
        directory=_directory(directory),
        mode=Mode(given.mode),
        dry_run=given.dry_run,
        choosing=settings.choosing(given),
        landing=Landing(fsync=given.fsync, gunzip=given.gunzip),
        access=settings.access(given),
        parts=settings.parts(given),
        speed=settings.speed(given),
        output=settings.output(given),
    )


def _directory(text: str) -> str:
    if not text:
        raise UsageError("DIRECTORY '' is empty; '.' means this one")
    places.check_no_stream(text, "DIRECTORY", "get writes files only")
    if text.startswith("s3://"):
        raise UsageError(f"DIRECTORY {text!r} is a bucket: use s3pp copy")
    return text


def _check(job: Job) -> None:
    from s3pp.transfer.files.ground import check_ground

    running.check_origin(job)
    check_ground(job.directory)


def _parser() -> Parser:
    parser = Parser("s3pp get", USAGE, ABOUT)
    parser.add_argument("paths", nargs="*", help=SUPPRESS)  # the usage line shows them
    options.add_choosing(parser)
    options.add_landing(parser)
    options.add_parts(parser)
    options.add_speed(parser)
    options.add_listers(parser)
    options.add_access(parser)
    options.add_faults(parser)
    options.add_output(parser)
    return parser
