"""Checks of a job's sources before the run starts."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace

from s3pp.errors import UsageError
from s3pp.job import Choosing, Job
from s3pp.localfs.paths import path_fault, shown
from s3pp.localfs.tree import check_directory
from s3pp.sources.filters import Scope, filters_of, key_bytes, key_fault

WALKS = ("filesystem", "tar")


def check(job: Job) -> None:
    """Raise ``UsageError`` for an unusable source, list or glob.

    Changes of the sources after this check yield outcomes, not errors.
    """
    if not job.sources:
        raise UsageError("no SOURCE: name a directory, a file or an archive")
    if job.walk not in WALKS:
        raise UsageError(f"--walk {job.walk!r}: choose from {', '.join(WALKS)}")
    if shown(job.dest.prefix) != job.dest.prefix:
        raise UsageError(f"the prefix of {shown(str(job.dest))} is not UTF-8")
    _check_surroundings()
    Scope.of(job)
    for source in job.sources:
        _check_source(source.path, job.walk)
        if source.name == "":
            raise UsageError(f"SOURCE '{shown(source.path)}': its name is empty: leave it out")
    _check_earlier_runs(job.choosing)
    if job.by_name:
        _check_list(job)
    if job.deletion.extraneous and not os.path.isdir(top := job.sources[0].path):
        raise UsageError(f"SOURCE '{shown(top)}' is a single file: --delete needs a directory")


def with_plan(job: Job) -> Job:
    """Return ``job``; of an apply, with what its plan says, of a verify with what its journal does.

    Raises as ``open_plan`` and ``settle_journal``.
    """
    if job.verified is not None:
        from s3pp.sources.journal_places import settle_journal

        return settle_journal(job)
    if job.applies is None:
        return job
    from s3pp.sources.plan_file import open_plan

    return open_plan(job)


def check_planned(job: Job) -> None:
    """Raise ``UsageError`` for a DIRECTORY that nothing can be written to.

    Whether the sources are as a plan saw them is found for each.
    """
    if job.directory:
        check_directory(job.directory)


def notices(job: Job) -> Iterator[str]:
    """Yield what users should know of sources that passed ``check``."""
    from s3pp.sources.earlier_runs import unknown_runs

    return unknown_runs(job.choosing)


def settle(job: Job) -> Job:
    """Return ``job`` with what its sources show by themselves. Raises ``UsageError``."""
    if job.choosing.manifest is not None:
        from s3pp.sources.inventory import find_files

        return replace(job, inventory=find_files(job))
    return name_single(job) if job.sources else job


def name_single(job: Job) -> Job:
    """Return ``job``; if it transfers a single file or object, with the name that it is to have.

    That is a destination that neither ends in a slash nor is an existing directory. The origin of a
    get or copy must be known to be the one object, or not. Raises ``UsageError`` where the name
    cannot be given.
    """
    if job.applies is not None or job.verified is not None:  # names are in the plan, or journal
        return job
    if job.verb == "put":
        return _name_file(job)
    if len(job.origins) == 1 and job.origin.is_empty:
        return job
    if job.verb == "get" and may_be_file(job):
        return _name_download(job)
    if len(job.origins) != 1 or job.origin.name is not None or not job.origin.is_single:
        return job
    if not job.dest.may_be_key:
        return job
    dest, name = job.dest.split()
    return replace(job, origins=(replace(job.origin, name=name),), dest=dest)


def may_be_file(job: Job) -> bool:
    """Return whether a get writes to DIRECTORY itself, if it turns out to be of a single object."""
    named = os.path.basename(job.directory) not in ("", os.curdir, os.pardir)
    single = len(job.origins) == 1 and job.origin.single is not None and job.origin.name is None
    return named and single and not job.unlisted and not job.is_stream


def _name_file(job: Job) -> Job:
    if job.is_stream or not job.dest.may_be_key or len(job.sources) != 1 or job.walk == "tar":
        return job
    (source,) = job.sources
    if source.name is not None or os.path.isdir(source.path):
        return job
    dest, name = job.dest.split()
    return replace(job, sources=(replace(source, name=name),), dest=dest)


def _name_download(job: Job) -> Job:
    above, name = os.path.split(job.directory)
    if job.origin.is_single and job.deletion.extraneous:
        why = "is a single object: --delete needs a prefix; leave it out"
        raise UsageError(f"{job.origin} {why}")
    if not job.origin.is_single:
        check_directory(job.directory)
        return job
    if os.path.isdir(job.directory):
        return job
    if path_fault(name, 1):
        unfit = "no downloaded file can have this name: name another"
        raise UsageError(f"FILE '{shown(job.directory)}': {unfit}")
    return replace(job, origins=(replace(job.origin, name=name),), directory=above or os.curdir)


def _check_source(source: str, walk: str) -> None:
    mode = _mode(source, "SOURCE")
    if stat.S_ISDIR(mode):
        if walk == "tar":
            raise UsageError(f"SOURCE '{shown(source)}' is a directory; --walk tar reads archives")
        _check_directory(source)
    elif not stat.S_ISREG(mode):
        raise UsageError(f"SOURCE '{shown(source)}' is neither a regular file nor a directory")


def _mode(path: str, argument: str) -> int:
    """The mode of the file that ``argument`` names. Raises ``UsageError``."""
    try:
        return os.stat(path).st_mode
    except OSError as error:
        raise UsageError(f"{argument} '{shown(path)}' {_stat_failure(path, error)}") from None


def _stat_failure(path: str, error: OSError) -> str:
    """Why there is no file at ``path``, as the end of a sentence."""
    if error.errno not in (errno.ENOENT, errno.ENOTDIR):
        return f"cannot be read: {error.strerror}"
    if os.path.islink(path):
        return f"is a broken symbolic link to '{shown(os.readlink(path))}'"
    if path.endswith("/") and os.path.exists(path.rstrip("/")):
        return "is not a directory"
    return "does not exist"


def _check_directory(source: str) -> None:
    try:
        os.scandir(source).close()
    except OSError as error:
        raise UsageError(f"SOURCE '{shown(source)}' cannot be listed: {error.strerror}") from error


def _check_earlier_runs(choosing: Choosing) -> None:
    if choosing.names_earlier_runs:
        from s3pp.sources.earlier_runs import check_earlier_runs

        check_earlier_runs(choosing)


def _check_list(job: Job) -> None:
    if job.walk != "filesystem":
        raise UsageError(
            "--files-from names files in a directory, and cannot be combined with --walk tar"
        )
    if len(job.sources) != 1 or not os.path.isdir(job.sources[0].path):
        raise UsageError("--files-from needs exactly one SOURCE, the directory of its names")
    _check_readable_list(job.choosing)


def check_origin(job: Job) -> None:
    """Raise ``UsageError`` as ``check`` does, for a job whose source is a bucket."""
    _check_surroundings()
    filters_of(job.choosing)
    _check_earlier_runs(job.choosing)
    if job.by_name and len(job.origins) > 1:
        raise UsageError("--files-from needs exactly one source, the place of its names")
    if job.by_name:
        _check_readable_list(job.choosing)
    if job.choosing.manifest is not None and len(job.origins) > 1:
        raise UsageError("--manifest needs exactly one source, the bucket of the inventory")
    if job.is_stream and not (len(job.origins) == 1 and job.origin.is_single):
        raise UsageError("DIRECTORY - takes one object: name its whole key as the source")
    if job.verifies and job.directory and not os.path.exists(job.directory):
        where = f"DIRECTORY '{shown(job.directory)}' does not exist"
        raise UsageError(f"{where}, so that nothing can be compared: check the name")
    if job.directory and not job.is_stream:
        # A link that leads nowhere, a FIFO or a device is left alone, as it is in a directory.
        there = os.path.lexists(job.directory) and not os.path.isdir(job.directory)
        is_file = there and may_be_file(job)
        check_directory(os.path.dirname(job.directory) or os.curdir if is_file else job.directory)


def check_key(key: str) -> None:
    """Raise ``UsageError`` for the key of a single object that cannot be one."""
    if not key:
        raise UsageError("destination: it has no key, and standard input is one object: name it")
    if fault := key_fault(key_bytes(key)):
        raise UsageError(f"destination: {fault}")


def _check_surroundings() -> None:
    if sys.getfilesystemencoding().lower() != "utf-8":
        raise UsageError("file names would not be read as UTF-8 here: set PYTHONUTF8=1")
    try:
        os.getcwd()
    except OSError:
        raise UsageError("the current directory was removed: change to another") from None


def _check_readable_list(choosing: Choosing) -> None:
    path = choosing.files_from
    if path is not None and choosing.names is not None:
        raise UsageError(f"names are given, and --files-from '{shown(path)}' too; drop one")
    if path is None or path == "-":
        return
    mode = _mode(path, "--files-from")
    # Not opened: it may be a pipe (process substitution), which can be read only once.
    if stat.S_ISDIR(mode) or not os.access(path, os.R_OK):
        raise UsageError(f"--files-from '{shown(path)}' cannot be read")
    if stat.S_ISREG(mode) and not choosing.null:
        _check_encoding(path)


def _check_encoding(path: str) -> None:
    from s3pp.sources.names import UTF16, is_utf16

    try:
        with open(path, "rb") as file:
            beginning = file.read(4)
    except OSError as error:
        raise UsageError(f"--files-from '{shown(path)}' cannot be read: {error.strerror}") from None
    if is_utf16(beginning):
        raise UsageError(f"--files-from '{shown(path)}' {UTF16}")
