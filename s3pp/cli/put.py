"""``s3pp put``: files to objects."""

from __future__ import annotations

import os
from argparse import SUPPRESS, Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from s3pp.cli import options, settings
from s3pp.cli.parser import Parser
from s3pp.errors import ExitStatus, S3ppError, UsageError
from s3pp.job import Job, Mode, Place, parse_place

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
    try:
        check_files(job)
        return _in_sandbox(job, streams) if given.sandbox else _put(job, streams)
    except S3ppError as error:
        _log(job, str(error))
        raise


def build_job(given: Namespace) -> Job:
    """The job these arguments describe; touches nothing."""
    *sources, dest = given.paths or [""]
    if not sources:
        raise UsageError("put needs a SOURCE and a destination, s3://BUCKET[/PREFIX]")
    return Job(
        verb="put",
        sources=tuple(_source(text) for text in sources),
        dest=_dest(dest),
        mode=Mode(given.mode),
        walk=given.walk,
        dry_run=given.dry_run,
        choosing=settings.choosing(given),
        objects=settings.objects(given),
        access=settings.access(given),
        speed=settings.speed(given),
        output=settings.output(given),
    )


def check_files(job: Job) -> None:
    """``UsageError`` for files and directories the job names that are not there to be used."""
    from s3pp import sources
    from s3pp.report.appender import check_appendable

    if job.access.ca_bundle is not None:
        _check_readable(job.access.ca_bundle, "--ca-bundle")
    if job.choosing.files_from == "-":
        _check_stdin()
    sources.check(job)
    _check_own_files(job)
    # Last, because checking creates them.
    for path, argument in ((job.output.journal, "--journal"), (job.output.log_file, "--log-file")):
        if path is not None:
            check_appendable(path, argument)


def _parser() -> Parser:
    parser = Parser("s3pp put", USAGE, ABOUT)
    parser.add_argument("paths", nargs="*", help=SUPPRESS)  # the usage line shows them
    options.add_choosing(parser)
    options.add_objects(parser)
    options.add_speed(parser)
    options.add_access(parser)
    options.add_faults(parser)
    options.add_output(parser)
    return parser


def _source(text: str) -> str:
    if not text:
        raise UsageError("SOURCE '' is empty; name a directory or a file, '.' for this one")
    if text.startswith("s3://"):
        raise UsageError(f"SOURCE {text!r} is not a file: the destination, and only it, is s3://")
    return text


def _dest(text: str) -> Place:
    place = parse_place(text)
    try:
        place.prefix.encode()
    except UnicodeEncodeError:
        raise UsageError(f"destination {text!r} is not UTF-8, as keys must be") from None
    return place


def _check_readable(path: str, argument: str) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)  # a directory opens, and then cannot be read
    except OSError as error:
        raise UsageError(f"{argument} {path!r} cannot be read: {error.strerror}") from None


def _check_stdin() -> None:
    try:
        os.read(0, 0)
    except OSError:
        raise UsageError("--files-from -: standard input is closed; send it the list") from None


def _check_own_files(job: Job) -> None:
    """A journal below SOURCE would be sent while it is written, and could become public."""
    for path, argument in ((job.output.journal, "--journal"), (job.output.log_file, "--log-file")):
        for source in job.sources if path else ():
            top, own = os.path.realpath(source), os.path.realpath(str(path))
            if os.path.isdir(top) and os.path.commonpath([top, own]) == top:
                raise UsageError(f"{argument} {path!r} lies in SOURCE {source!r}: put it elsewhere")


def _in_sandbox(job: Job, streams: Streams) -> ExitStatus:
    from s3pp.sandbox import Sandbox

    with Sandbox() as sandbox, sandbox.imposed(os.environ):
        sandbox.create_bucket(job.dest.bucket)
        if job.output.verbosity >= 0:
            streams.stderr.write("s3pp: S3 in memory, for this run only: nothing is kept\n")
        return _put(replace(job, access=replace(job.access, endpoint_url=sandbox.url)), streams)


def _put(job: Job, streams: Streams) -> ExitStatus:
    from s3pp.pipeline import supervisor
    from s3pp.pipeline.signals import Stopped
    from s3pp.report.escape import one_line
    from s3pp.report.summary import summary

    try:
        status, totals, error = supervisor.run(job)
    except Stopped as stopped:
        streams.stderr.write("s3pp: stopped before anything was sent\n")
        return stopped.status
    if error is not None:
        _log(job, error)
        streams.stderr.write(f"s3pp: {one_line(error)}\n")
    if totals is not None and job.output.verbosity > -2:
        streams.stdout.write(summary(totals, job) + "\n")
    if streams.stdout.trouble is not None:
        streams.stderr.write(f"s3pp: standard output: {streams.stdout.trouble}\n")
        return ExitStatus.ABORTED
    return status


def _log(job: Job, error: str) -> None:
    """Leave the error that ended the run in its log as well."""
    if job.output.log_file is None:
        return
    from s3pp.report.log import log_error

    try:
        log_error(job.output.log_file, error)
    except S3ppError:
        return  # the log itself is what broke, and ``error`` is printed in any case
