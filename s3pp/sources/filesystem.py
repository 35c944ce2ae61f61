"""Walks of directory trees in key order.

* The key of a file is its path relative to SOURCE; of a SOURCE that is a file, its base name, or
  the name it was given.
  Keys are the same whether SOURCE is written with ``.``, ``..`` or as an absolute path.
* A directory sorts as ``name/``: the file ``a-b`` comes before the file ``a/x``, as in a listing.
* Symbolic links are followed. A link to a directory that contains it (by device and inode: on
  the path walked, or above SOURCE) is skipped as a loop; a broken link, or one to itself, fails.
  Several links to one directory are each followed: the kernel ends such a walk after 40 links in
  one path. With ``--no-follow-symlinks`` every link below SOURCE is skipped, and without
  ``linked_directories`` each link to a directory; SOURCE itself may be a link.
* FIFOs, sockets and devices are skipped, and never opened.
* Unfinished downloads of a ``get`` are skipped, by their names.
* A directory that cannot be listed fails under its own name, and the walk continues. A file that
  vanishes between listing and ``stat`` fails too.
* Empty directories yield nothing: S3 has no directories.
* Names that are not UTF-8 fail one by one, including those below a directory of such a name.

A file costs one ``stat``, a link two. Each directory is sorted by itself; memory holds the names
of the directories on the path walked, up to a limit set by ``external_sort``.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from s3pp.errors import FailureKind
from s3pp.localfs.external_sort import SortMemory, sort_records
from s3pp.localfs.paths import is_unfinished, shown
from s3pp.places import Source
from s3pp.records import Entry, Failed, Skipped, SkipReason
from s3pp.sources.filters import Record, Scope, Stream, key_bytes, key_fault
from s3pp.sources.left_out import LeftOut

# The kinds of names in a directory. FILE is anything that needs a stat to classify.
FILE, DIRECTORY, LINK, LOOP = range(4)

Name = tuple[bytes, str, int]  # the bytes it sorts by in its directory, the name, its kind


class WalkedEntry(Entry):
    """An entry with the state of its file, for the ETag cache. Workers get it without."""

    status: os.stat_result

    @classmethod
    def of(cls, key: str, path: str, status: os.stat_result) -> WalkedEntry:
        """Return the entry of a file that ``status`` describes."""
        made = cls(key, path, status.st_size, status.st_mtime_ns)
        made.status = status
        return made


class _Level(NamedTuple):
    """A directory on the path walked."""

    path: str
    base: str  # the prefix of the paths of its contents: "" or "top/a/b/"
    relative: str  # the same, relative to SOURCE: "" or "a/b/"
    order: bytes  # the prefix of their keys, as bytes
    names: Iterator[Name]  # those not walked yet


def walk_files(source: Source, scope: Scope) -> Stream:
    """Walk the file or directory ``source``, which may itself be a link."""
    if os.path.isdir(source.path):
        return TreeWalk(source.path, scope.within(source.name)).run()
    return walk_single(source, scope)


def walk_single(source: Source, scope: Scope) -> Stream:
    """Yield the file ``source`` under its name; it is chosen by its base name."""
    base = os.path.basename(source.path)
    key = scope.prefix + (source.name or base)
    order = key_bytes(key)
    if scope.filters.is_elsewhere(order):
        return
    if scope.filters.name_refusal(base) is not None:
        scope.filters.refused += 1
        return
    record = stat_entry(source.path, key, order, scope)
    if isinstance(record, Failed) and source.name is None and not os.path.lexists(source.path):
        # It may have been a directory, of which nothing has this key: that of the destination.
        record = record._replace(target=scope.prefix.rstrip("/"))
    if record is not None:
        yield order, record


def stat_entry(path: str, key: str, order: bytes, scope: Scope) -> Record | None:
    """Return the record of the file at ``path``, whose key has the bytes ``order``.

    None when its size or age is not chosen, or ``LeftOut`` where that is to be known. Links are
    followed.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        return stat_failure(path, key, error)
    if not S_ISREG(status.st_mode):
        return _irregular(path, key, status)
    filters = scope.filters
    if filters.by_stat and filters.stat_refusal(status.st_size, status.st_mtime_ns):
        filters.refused += 1
        return LeftOut.of(path, key) if filters.names_left_out else None
    if fault := key_fault(order):
        return Failed(path, key, FailureKind.NAME, fault)
    if scope.with_states:
        return WalkedEntry.of(key, path, status)
    return Entry(key, path, status.st_size, status.st_mtime_ns)


def _irregular(path: str, key: str, status: os.stat_result) -> Record:
    if not S_ISDIR(status.st_mode):
        return Skipped(path, key, 0, SkipReason.SPECIAL)
    message = "is a directory, not a file: name the files below it"
    return Failed(path, key, FailureKind.UNREADABLE, message)


def stat_failure(path: str, key: str, error: OSError) -> Failed:
    """Return the failure of a ``stat`` of ``path``: a broken link, a missing file, or another."""
    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
        return Failed(path, key, _kind(error), f"cannot be examined: {error.strerror}")
    try:
        message = f"broken symbolic link to '{shown(os.readlink(path))}'"
    except OSError:
        message = "file not found"
    return Failed(path, key, FailureKind.NOT_FOUND, message)


def _kind(error: OSError) -> FailureKind:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return FailureKind.NOT_FOUND
    if error.errno == errno.ENAMETOOLONG:
        return FailureKind.NAME
    return FailureKind.UNREADABLE


class TreeWalk:
    """One walk through one tree, depth first, with its path on a stack of its own."""

    def __init__(self, top: str, scope: Scope) -> None:
        self._top = top
        self._scope = scope
        self._base = "" if top == "." else os.path.join(top, "")
        self._stack: list[_Level] = []
        self._memory = SortMemory()
        self._around = [str(path) for path in Path(os.path.realpath(top)).parents]

    def run(self) -> Stream:
        yield from self._enter("")
        while self._stack:
            level = self._stack[-1]
            for order, name, kind in level.names:
                if kind == DIRECTORY:
                    yield from self._enter(f"{level.relative}{name}/")
                    break
                whole = level.order + order
                record = self._record(level, name, whole, kind)
                if record is not None:
                    yield whole, record
            else:
                self._stack.pop()

    def _enter(self, relative: str) -> Stream:
        """Push a directory on the stack unless it is excluded; yield a failure to list it."""
        if relative and self._scope.filters.tree_refusal(relative[:-1]):
            self._scope.filters.refused += 1
            return
        path = (self._base + relative)[:-1] if relative else self._top
        trouble: list[OSError] = []
        names = sort_records(self._scan(path, trouble), memory=self._memory)
        first = list(islice(names, 1))  # by now all of the directory has been read
        key = self._scope.prefix + relative
        level = _Level(path, self._base + relative, relative, key_bytes(key), chain(first, names))
        self._stack.append(level)
        for error in trouble:
            message = f"the directory cannot be listed: {error.strerror}"
            yield level.order, Failed(path, key, _kind(error), message)

    def _scan(self, path: str, trouble: list[OSError]) -> Iterator[Name]:
        """Yield the names in a directory, unsorted; an error is appended to ``trouble``."""
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    plain = entry.is_file(follow_symlinks=False)
                    kind = FILE if plain else self._kind(entry)
                    order = name.encode("utf-8", "surrogateescape")
                    yield (order + b"/" if kind == DIRECTORY else order), name, kind
        except OSError as error:
            trouble.append(error)

    def _kind(self, entry: os.DirEntry[str]) -> int:
        if not self._scope.follow and entry.is_symlink():
            return LINK
        try:
            if not entry.is_dir():
                return FILE
            if not entry.is_symlink():
                return DIRECTORY
            if not self._scope.follow_directories:
                return LINK
            return LOOP if self._contains(entry) else DIRECTORY
        except OSError:
            return FILE  # the stat of its record fails again, and is reported

    def _contains(self, link: os.DirEntry[str]) -> bool:
        """Return whether ``link`` leads to a directory on the path walked, or to one above SOURCE.

        The directory being read is not on the stack yet; it is the parent of ``link``.
        """
        target = link.stat()
        above = [*self._around, *self._path_walked(), os.path.dirname(link.path)]
        return any(os.path.samestat(target, os.stat(path)) for path in above)

    def _path_walked(self) -> list[str]:
        """Return the directories on the path walked, as far as they are known."""
        return [level.path for level in self._stack]

    def _record(self, level: _Level, name: str, order: bytes, kind: int) -> Record | None:
        """Return the record of one name, which is not a directory to enter."""
        relative = level.relative + name
        scope = self._scope
        if scope.filters.shard is not None and scope.filters.is_elsewhere(order):
            return None
        if scope.filters.by_name and self._is_refused(relative, kind):
            scope.filters.refused += 1
            return None
        path = level.base + name
        if is_unfinished(name):
            return Skipped(path, scope.prefix + relative, 0, SkipReason.TEMPORARY)
        if kind == FILE:
            return stat_entry(path, scope.prefix + relative, order, scope)
        reason = SkipReason.LOOP if kind == LOOP else SkipReason.SYMLINK
        return Skipped(path, scope.prefix + relative, 0, reason)

    def _is_refused(self, relative: str, kind: int) -> bool:
        filters = self._scope.filters
        refusal = filters.tree_refusal if kind == LOOP else filters.name_refusal
        return refusal(relative) is not None
