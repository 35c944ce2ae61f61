"""The files that a run writes for itself: its journal and its log, and where they must not be."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress

from s3pp.errors import S3ppError, UsageError
from s3pp.job import STREAM, Job


def check_own_files(job: Job) -> None:
    """Refuse a journal or log in SOURCE or DIRECTORY, or that is a file which the job reads.

    In SOURCE it would be sent while being written, and could become public; in DIRECTORY an object
    of its name could replace it. A file that is read would have lines of the run appended.
    """
    for path, argument in own_files(job):
        for other, name in _other_files(job):
            if _is_same_file(path, other):
                raise UsageError(f"{argument} {path!r} is the same file as {name}: name another")
    if job.is_stream:
        return
    word = "SOURCE" if job.sources else "DIRECTORY"
    for path, argument in (*own_files(job), *_endangered(job)):
        for place in job.reads if job.sources else (job.directory,) if job.directory else ():
            top, own = os.path.realpath(place), os.path.realpath(path)
            inside = os.path.commonpath([top, own]) == top
            if inside and (os.path.isdir(top) or not job.sources):
                raise UsageError(f"{argument} {path!r} lies in {word} {place!r}: put it elsewhere")


def _endangered(job: Job) -> list[tuple[str, str]]:
    """The files that the run reads, and that it could delete from DIRECTORY."""
    if not (job.directory and job.deletion.extraneous) or job.access.ca_bundle is None:
        return []
    return [(job.access.ca_bundle, "--ca-bundle")]


def _other_files(job: Job) -> Iterator[tuple[str | int, str]]:
    """Yield each file that the job reads, or a descriptor of it, and how messages name it."""
    if job.directory == STREAM:
        yield 1, "standard output, where the object goes"
    if job.reads_stdin or job.choosing.files_from == STREAM:
        yield 0, "standard input"
    elif job.choosing.files_from is not None:
        yield job.choosing.files_from, "the list of --files-from"
    if job.choosing.manifest is not None:
        yield job.choosing.manifest, "--manifest"
    if job.objects.rules_file is not None:
        yield job.objects.rules_file, "--rules"
    if job.access.ca_bundle is not None:
        yield job.access.ca_bundle, "--ca-bundle"
    yield from ((source.path, f"SOURCE {source.path!r}") for source in job.sources)


def _is_same_file(path: str, other: str | int) -> bool:
    """Return whether both are one regular file, by whatever names and links."""
    with suppress(OSError, ValueError):  # one does not exist: others report that
        found = os.stat(path)
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, os.stat(other))
    return False


def own_files(job: Job) -> list[tuple[str, str]]:
    """Return the paths of the journal and the log, each with the option that names it."""
    named = ((job.output.journal, "--journal"), (job.output.log_file, "--log-file"))
    return [(path, argument) for path, argument in named if path is not None]


def create_own_files(job: Job) -> Iterator[str]:
    """Create the journal and the log; yields a remark for each whose mode was changed.

    Raises ``UsageError`` if one cannot be written.
    """
    for path, argument in own_files(job):
        from s3pp.report.appender import check_appendable

        remark = check_appendable(path, argument)
        if remark is not None:
            yield remark


def log_error(job: Job, error: str) -> None:
    """Write the error that ended the run to its log."""
    if job.output.log_file is None:
        return
    from s3pp.report import journal

    with suppress(S3ppError):  # the log itself is what broke, and ``error`` is printed in any case
        journal.log_error(job.output.log_file, error)


def append_to_log(path: str, lines: Sequence[str]) -> str | None:
    """Append ``lines`` to the log; returns why that failed."""
    from s3pp.report.appender import Unwritten
    from s3pp.report.journal import log_lines

    try:
        log_lines(path, lines)
    except Unwritten as error:
        return error.what
    except S3ppError as error:
        return str(error)
    return None
