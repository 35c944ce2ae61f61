"""Whether another machine sees a path of this one: by a file that it has to find there.

What is read is proved by a file that exists; a directory that is written to, by one that is there
for this run. So neither an empty mount point nor another disk under the same name passes.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.localfs.locks import lock
from s3pp.localfs.paths import temporary_name
from s3pp.localfs.tree import make_directory

_LOOKS = 1000  # names that are looked at to find a file in a source


class PathProbe(NamedTuple):
    """What a machine has to find: ``named`` is the path that users know, ``path`` the file's."""

    named: str
    path: str  # absolute
    size: int = -1  # bytes; -1: ``path`` is a directory, and only that is to be found
    mtime_ns: int = 0  # since the epoch


@contextmanager
def probes(job: Job) -> Iterator[list[PathProbe]]:
    """Yield the probes of the local paths of a job; a file that was written for it is removed.

    Raises ``FatalError`` where it cannot be written.
    """
    found = [_of_source(os.path.abspath(each.path), each.path) for each in job.sources]
    if not job.directory or job.is_read_only:
        found += [_of_source(os.path.abspath(job.directory), job.directory)] * bool(job.directory)
        yield found
        return
    with _written(job.directory) as probe:
        yield [*found, probe]


def unseen(probe: PathProbe) -> str:
    """Return why a path of the other machine is not what this one sees; empty: it is."""
    try:
        found = os.stat(probe.path)
    except OSError as error:
        return f"{error.strerror}: {probe.named!r}"
    if probe.size < 0:
        return "" if stat.S_ISDIR(found.st_mode) else f"no directory: {probe.named!r}"
    if (found.st_size, found.st_mtime_ns) != (probe.size, probe.mtime_ns):
        return f"another file is there: {probe.named!r}"
    return "" if os.access(probe.path, os.R_OK) else f"Permission denied: {probe.named!r}"


def _of_source(path: str, named: str) -> PathProbe:
    """Return the probe of what is read: of the first file that is found in it."""
    file = next(_files(path), path)
    try:
        found = os.stat(file)
    except OSError:
        return PathProbe(named, path)  # the walker says what is wrong with it
    if stat.S_ISREG(found.st_mode):
        return PathProbe(named, file, found.st_size, found.st_mtime_ns)
    return PathProbe(named, path)


def _files(path: str) -> Iterator[str]:
    """Yield files below a directory, of those that are found first."""
    waiting, looked = [path], 0
    while waiting and looked < _LOOKS:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                looked += 1
                if entry.is_file(follow_symlinks=False):
                    yield entry.path
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


@contextmanager
def _written(directory: str) -> Iterator[PathProbe]:
    """Yield the probe of a directory that is written to: a temporary file, of a random size.

    It is locked meanwhile, so that no sweep takes it for one that was left.
    """
    whole = os.path.abspath(directory)
    there = whole if os.path.isdir(whole) or directory.endswith("/") else os.path.dirname(whole)
    make_directory(there)
    path = os.path.join(there, temporary_name("probe"))
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "xb", buffering=0))
            stack.callback(_remove, path)
            lock(file.fileno())
            file.write(b"\0" * (1 + secrets.randbelow(4096)))
            found = os.stat(path)
        except OSError as error:
            raise FatalError(f"{directory!r} cannot be written: {error.strerror}") from None
        yield PathProbe(directory, path, found.st_size, found.st_mtime_ns)


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)
