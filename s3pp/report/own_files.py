"""The files that a run writes for itself, and where they must not be.

These are its journal and its log, which it appends to, its plan, its report and its metrics, which
replace what an earlier run has written, the ETag cache, which it can do without, and its lock.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from s3pp.errors import S3ppError, UsageError
from s3pp.job import STREAM, Job
from s3pp.locking import AUTO_LOCK

PLAN_BEGINS = b'{"plan":'
REPORT_BEGINS = b"<!DOCTYPE html>\n<!-- s3pp report -->"
METRICS_BEGINS = b"# HELP s3pp_"


class _Replaced(NamedTuple):
    """A file that a run writes as a whole, in place of what an earlier run has written."""

    path: str
    argument: str
    begins: bytes  # with which every such file begins
    what: str


def check_named(path: str, argument: str) -> None:
    """Raise ``UsageError`` for an empty name, as that of a variable which is not set."""
    if not path:
        raise UsageError(f"{argument} '' is empty: name a file, or leave the option out")


def check_own_files(job: Job) -> None:
    """Refuse such a file in SOURCE or DIRECTORY, or one that is a file which the job reads.

    In SOURCE it would be sent while being written, and could become public; in DIRECTORY an object
    of its name could replace it. A file that is read would have lines of the run appended.
    """
    _check_distinct(job)
    for path, argument in _own_files(job):
        check_named(path, argument)
        for other, name in _other_files(job):
            if _is_same_file(path, other):
                raise UsageError(f"{argument} {path!r} is the same file as {name}: name another")
    if job.is_stream:
        return
    word = "SOURCE" if job.sources else "DIRECTORY"
    for path, argument in (*_own_files(job), *_endangered(job)):
        for place in job.reads if job.sources else (job.directory,) if job.directory else ():
            top, own = os.path.realpath(place), os.path.realpath(path)
            inside = os.path.commonpath([top, own]) == top
            if inside and (os.path.isdir(top) or not job.sources):
                raise UsageError(f"{argument} {path!r} lies in {word} {place!r}: put it elsewhere")


def _check_distinct(job: Job) -> None:
    """Refuse one file for two uses; only a journal and a log may be one, as both are appended to.

    A plan would replace the other file, a cache has a format of its own, and on a lock others wait.
    """
    seen: dict[str, str] = {}
    for path, argument in _own_files(job):
        other = seen.setdefault(os.path.realpath(path), argument)
        if other != argument and {other, argument} != {"--journal", "--log-file"}:
            raise UsageError(f"{argument} and {other} are the same file; name another for one")


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
    if job.applies is not None:
        yield job.applies, "PLAN"
    if job.access.ca_bundle is not None:
        yield job.access.ca_bundle, "--ca-bundle"
    yield from ((source.path, f"SOURCE {source.path!r}") for source in job.sources)


def _is_same_file(path: str, other: str | int) -> bool:
    """Return whether both are one regular file, by whatever names and links."""
    with suppress(OSError, ValueError):  # one does not exist: others report that
        found = os.stat(path)
        return stat.S_ISREG(found.st_mode) and os.path.samestat(found, os.stat(other))
    return False


def _own_files(job: Job) -> list[tuple[str, str]]:
    """Return the path of each such file, with the option that names it."""
    cache = job.speed.etag_cache
    others = [(each.path, each.argument) for each in _replaced_files(job)]
    others += [] if cache is None else [(cache, "--etag-cache")]
    return [*_appended_files(job), *others, *_lock_file(job)]


def _lock_file(job: Job) -> list[tuple[str, str]]:
    named = job.locking.lock
    return [] if named is None or named == AUTO_LOCK else [(named, "--lock")]


def _appended_files(job: Job) -> list[tuple[str, str]]:
    named = ((job.output.journal, "--journal"), (job.output.log_file, "--log-file"))
    return [(path, argument) for path, argument in named if path is not None]


def _replaced_files(job: Job) -> list[_Replaced]:
    output = job.output
    named = (
        _Replaced(job.plan or "", "--plan", PLAN_BEGINS, "plan"),
        _Replaced(output.report or "", "--report", REPORT_BEGINS, "report of s3pp"),
        _Replaced(output.metrics or "", "--metrics", METRICS_BEGINS, "file of --metrics"),
    )
    given = (job.plan, output.report, output.metrics)
    return [each for each, path in zip(named, given, strict=True) if path is not None]


def check_replaceable(path: str, argument: str, begins: bytes, what: str) -> None:
    """Raise ``UsageError`` where no such file can be written at ``path``. Creates nothing.

    What is there is replaced only if it is empty or ``begins`` so; ``what`` it is then.
    """
    above = os.path.dirname(os.path.realpath(path)) or os.curdir
    fault = None
    if not os.path.basename(path) or os.path.isdir(path):
        fault = "it is a directory"
    elif not os.path.isdir(above):
        fault = f"{above!r} is not a directory"
    elif not os.access(above, os.W_OK | os.X_OK):
        fault = f"nothing can be written in {above!r}"
    elif os.path.exists(path) and (why := _irreplaceable(path, begins, what)) is not None:
        raise UsageError(f"{argument} {path!r}: {why}: name another file")
    if fault is not None:
        raise UsageError(f"{argument} {path!r}: {fault}: name a file")


def may_replace(job: Job, argument: str) -> bool:
    """Whether a run that could not begin may write a file: it may not have been checked."""
    try:
        for each in _replaced_files(job):
            if each.argument == argument:
                check_replaceable(*each)
    except UsageError:
        return False
    return True


def _irreplaceable(path: str, begins: bytes, what: str) -> str | None:
    """Return why what is at ``path`` is not replaced."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            return "it is not a regular file"
        with open(path, "rb") as file:
            found_begins = file.read(len(begins))
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if found_begins in (b"", begins):
        return None
    return f"it is no {what}, and is not replaced"


def create_own_files(job: Job) -> Iterator[str]:
    """Create the journal and the log; yields a remark for each whose mode was changed.

    Raises ``UsageError`` if one cannot be written.
    """
    for each in _replaced_files(job):
        check_replaceable(*each)
    for path, argument in _appended_files(job):
        from s3pp.report.appender import check_appendable

        remark = check_appendable(path, argument)
        if remark is not None:
            yield remark


def open_cache(job: Job) -> tuple[Job, str | None]:
    """Return ``job`` without an ETag cache that cannot be used, and a notice that says why.

    A missing one is created, but not for a dry run.
    """
    path = job.speed.etag_cache
    if path is None:
        return job, None
    try:
        from s3pp.localfs import etag_cache  # which imports SQLite

        is_there, notice = etag_cache.prepare(path, write=not job.dry_run), None
    except ImportError:
        is_there, notice = False, "this Python has no sqlite3"
    except etag_cache.UnusableCacheError as error:
        is_there, notice = False, str(error)
    from s3pp.localfs.file_state import cache_notice

    used = job if is_there else replace(job, speed=replace(job.speed, etag_cache=None))
    return used, notice and cache_notice(path, notice)


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
