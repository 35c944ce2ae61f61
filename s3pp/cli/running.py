"""From a job to its end, the same way under every verb: checks, sandbox, run, last lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from s3pp.errors import ExitStatus, S3ppError, UsageError
from s3pp.job import Job, access_point

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams


def run(job: Job, streams: Streams, *, check: Callable[[], None], sandbox: bool) -> ExitStatus:
    """Run ``job``; errors are raised, and left in its log as well.

    ``check`` raises ``UsageError`` for what the verb needs and is not there.
    """
    _check_own_files(job)
    try:
        check_files(job, streams, check)
        if not sandbox:
            return _run(job, streams)
        with sandboxed(job, streams) as imposed:
            return _run(imposed, streams)
    except S3ppError as error:
        _log(job, str(error))
        raise


def check_files(job: Job, streams: Streams, check: Callable[[], None]) -> None:
    """``UsageError`` for files the job names that are not there to be used."""
    from s3pp.report.appender import check_appendable
    from s3pp.report.escape import one_line

    if job.access.ca_bundle is not None:
        _check_readable(job.access.ca_bundle, "--ca-bundle")
    if job.choosing.files_from == "-":
        _check_stdin()
    check()
    # Last, because checking creates them.
    for path, argument in _own_files(job):
        remark = check_appendable(path, argument)
        if remark is not None and job.output.verbosity >= 0:
            streams.stderr.write(f"s3pp: {one_line(remark)}\n")


def check_origin(job: Job) -> None:
    """``UsageError`` for what a run that reads from a bucket needs and is not there."""
    from s3pp.sources import checking

    checking.check_origin(job)


def _own_files(job: Job) -> list[tuple[str, str]]:
    named = ((job.output.journal, "--journal"), (job.output.log_file, "--log-file"))
    return [(path, argument) for path, argument in named if path is not None]


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
    """A journal below SOURCE would be sent while it is written, and could become public.

    One in DIRECTORY could be replaced by an object of its name.
    """
    word = "SOURCE" if job.sources else "DIRECTORY"
    for path, argument in _own_files(job):
        for place in job.sources or ((job.directory,) if job.directory else ()):
            top, own = os.path.realpath(place), os.path.realpath(path)
            inside = os.path.commonpath([top, own]) == top
            if inside and (os.path.isdir(top) or not job.sources):
                raise UsageError(f"{argument} {path!r} lies in {word} {place!r}: put it elsewhere")


@contextmanager
def sandboxed(job: Job, streams: Streams) -> Iterator[Job]:
    """``job`` against a fresh S3 in memory, as long as the context lasts; its buckets are there."""
    from s3pp.sandbox import Sandbox

    buckets = [each.bucket for each in (job.origin, job.dest) if each is not None and each.bucket]
    for bucket in buckets:
        if access_point(bucket):
            raise UsageError(f"--sandbox has no access points: name a bucket, not {bucket}")
    with Sandbox() as sandbox, sandbox.imposed(os.environ):
        for bucket in dict.fromkeys(buckets):
            sandbox.create_bucket(bucket)
        if job.output.verbosity >= 0:
            streams.stderr.write("s3pp: S3 in memory, for this run only: nothing is kept\n")
        yield replace(job, access=replace(job.access, endpoint_url=sandbox.url))


def _run(job: Job, streams: Streams) -> ExitStatus:
    from s3pp.pipeline import supervisor
    from s3pp.pipeline.descriptors import ensure_run
    from s3pp.pipeline.signals import Stopped
    from s3pp.report.escape import one_line
    from s3pp.report.summary import summary, wants_summary

    ensure_run(job.speed.processes)
    try:
        with _cleared(job, streams):
            status, totals, error = supervisor.run(job)
    except Stopped as stopped:
        streams.stderr.write("s3pp: stopped before anything was done\n")
        return stopped.status
    if error is not None:
        _log(job, error)
        streams.stderr.write(f"s3pp: {one_line(error)}\n")
    if totals is not None and wants_summary(job, status):
        streams.stdout.write(summary(totals, job) + "\n")
    if streams.stdout.trouble is not None:
        trouble = f"standard output cannot be written: {streams.stdout.trouble}"
        if trouble != error:  # a disk that is full by now is full to the end
            streams.stderr.write(f"s3pp: {trouble}\n")
        return ExitStatus.ABORTED
    return status


@contextmanager
def _cleared(job: Job, streams: Streams) -> Iterator[None]:
    """Erase, at the end, what a statter that was killed has left of its display on the terminal."""
    from s3pp.report.progress import erase_display

    try:
        yield
    finally:
        erase_display(streams.stderr, job.output)


def _log(job: Job, error: str) -> None:
    """Leave the error that ended the run in its log as well."""
    if job.output.log_file is None:
        return
    from s3pp.report.log import log_error

    try:
        log_error(job.output.log_file, error)
    except S3ppError:
        return  # the log itself is what broke, and ``error`` is printed in any case
