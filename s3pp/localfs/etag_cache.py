"""The ETag cache (``--etag-cache FILE``): digests of local files, by the state each file was in.

::

    main process ──prepare──▶ FILE, created or checked, before any other process exists
    walker ──DigestReader──▶ what is known of the files that it has found
    statter, on a thread ──DigestWriter──▶ what workers have computed

A row says that a file in a certain state (``FileState``) has a certain digest. That is true
for ever: rows may be lost, out of date, or stored by several runs, without doing harm.

FILE is an SQLite database with a rollback journal, which needs no more than the locks of ``fcntl``
(https://www.sqlite.org/wal.html: a write-ahead log does not work over a network file system). Locks
are held for one query, or one commit. Each commit is synchronous: what kills a process or the
machine leaves the database as it was before, or after it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from urllib.parse import quote

from s3pp.localfs.file_state import FileDigest, FileState

APPLICATION = (
    0x73337070  # "s3pp", in the header of the file (https://www.sqlite.org/fileformat.html)
)
FORMAT = 1  # of the tables below
TOGETHER = 256  # files looked up in one query: two variables each, of 999 that SQLite accepts
KEPT = 90  # days after which a row is removed whose file was not seen
REFRESHED = 7  # days after which it is noted that a file was seen: most runs write nothing
_DAY = 86_400  # seconds
_WAIT = 1.0  # seconds for the lock of another run, before a run does without the cache
_WRITER_WAIT = 5.0  # likewise, on a thread that nothing waits for
_MEMORY = "PRAGMA cache_size = -4000"  # KiB, of pages

_TABLES = (
    "CREATE TABLE digests (device INTEGER NOT NULL, inode INTEGER NOT NULL, kind TEXT NOT NULL,"
    " size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,"
    " value TEXT NOT NULL, seen INTEGER NOT NULL,"  # in days since the epoch
    " PRIMARY KEY (device, inode, kind)) WITHOUT ROWID",
    "CREATE TABLE expiry (day INTEGER NOT NULL)",  # of the last removal of old rows
    "INSERT INTO expiry VALUES (0)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
)
_INSERT = "INSERT OR REPLACE INTO digests VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_DELETE_OTHER_STATES = (
    "DELETE FROM digests WHERE device = ? AND inode = ?"
    " AND NOT (size = ? AND mtime_ns = ? AND ctime_ns = ?)"
)
_SIGN = 1 << 63
_OTHER_FILE = "remove it, or name another file"
_UNLOCK = " by another program: end that one, or name another file"  # runs share a cache
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class UnusableCacheError(Exception):
    """The cache cannot be used; ``str()`` is the cause and, where there is one, the remedy."""


Digests = dict[str, str]  # of one file, by kind


def prepare(path: str, *, write: bool) -> bool:
    """Check the cache at ``path``, and create it if ``write``. Returns whether there is one.

    Raises ``UnusableCacheError``. Nothing that exists is ever removed or replaced.
    """
    _check_directory(path)
    with _faults():
        if write:
            _create_file(path)
        elif not os.path.exists(path):
            return False
        _check_file(os.stat(path))
        with closing(_connect(path, "rw" if write else "ro", _WAIT)) as database:
            if not _has_tables(database) and write:
                _create_tables(database)
            return _has_tables(database)


class DigestReader:
    """Looks up files, in one query for many."""

    def __init__(self, path: str, *, read_only: bool) -> None:
        """``read_only``: not even what a killed run left is undone. Raises as ``look_up``."""
        with _faults():
            self._database = _connect(path, "ro" if read_only else "rw", _WAIT)
            self._database.execute("PRAGMA query_only = ON")
        self._old_day = _today() - REFRESHED
        self.old: list[FileDigest] = []  # found, and to be stored again, so that they stay

    def look_up(self, states: Sequence[FileState]) -> list[Digests]:
        """Return what is known of each of up to ``TOGETHER`` files, in their order.

        Raises ``UnusableCacheError``.
        """
        if not states:
            return []
        rows = list(map(_row, states))
        values = [number for row in rows for number in row[:2]]
        with _faults():
            found = self._database.execute(_query(len(states)), values).fetchall()
        known: dict[tuple[int, ...], Digests] = {row: {} for row in rows}
        old = self._old_day
        for *state, kind, value, seen in found:
            digests = known.get(tuple(state))
            if digests is None:  # that of another state of the file
                continue
            digests[kind] = value
            if isinstance(seen, int) and seen <= old:  # anything, where the file is damaged
                self.old += [
                    FileDigest(each, kind, value) for each in states if _row(each) == tuple(state)
                ]
        return [known[row] for row in rows]

    def close(self) -> None:
        """Close the file."""
        self._database.close()


class DigestWriter:
    """Stores digests; every method raises ``UnusableCacheError``, and then nothing was stored."""

    def __init__(self, path: str) -> None:
        with _faults():
            self._database = _connect(path, "rw", _WRITER_WAIT)

    def store(self, digests: Sequence[FileDigest]) -> None:
        """Store digests in one transaction; those of other states of the same files are removed."""
        today = _today()
        files = {_row(each.state) for each in digests}
        rows = [_digest_row(each, today) for each in digests]
        with _faults(), _transaction(self._database, "IMMEDIATE"):
            self._database.executemany(_DELETE_OTHER_STATES, files)
            self._database.executemany(_INSERT, rows)

    def expire(self) -> None:
        """Remove the rows of files that were not seen for ``KEPT`` days, once a day."""
        today = _today()
        with _faults(), _transaction(self._database, "IMMEDIATE"):
            (last,) = self._database.execute("SELECT max(day) FROM expiry").fetchone()
            if last != today:
                self._database.execute("DELETE FROM digests WHERE seen < ?", (today - KEPT,))
                self._database.execute("UPDATE expiry SET day = ?", (today,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()


# The file


def _check_directory(path: str) -> None:
    """Raise ``UnusableCacheError`` if any user could put files beside the cache.

    SQLite takes what is called ``FILE-journal`` for what a killed process left there.
    """
    directory = os.path.dirname(os.path.realpath(path))
    try:
        mode = os.stat(directory).st_mode
    except OSError as error:
        raise UnusableCacheError(error.strerror) from None
    if mode & stat.S_IWOTH:
        raise UnusableCacheError("other users can change its directory: name a file in another one")


def _create_file(path: str) -> None:
    """Create an empty file that nobody else may read: it tells what files contain."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _check_file(status: os.stat_result) -> None:
    """Raise ``UnusableCacheError`` for what is no file, or could tell lies of another user."""
    if not stat.S_ISREG(status.st_mode):
        raise UnusableCacheError("it is not a regular file: name another")
    if status.st_uid not in (0, os.geteuid()):
        raise UnusableCacheError(f"it belongs to another user: {_OTHER_FILE}")
    if status.st_mode & _OTHERS:
        raise UnusableCacheError("other users can change it: restrict its mode to 0600")


def _connect(path: str, mode: str, wait: float) -> sqlite3.Connection:
    """Open the file that exists; ``wait`` in seconds for locks of others."""
    uri = f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode={mode}"
    database = sqlite3.connect(
        uri, uri=True, timeout=wait, isolation_level=None, check_same_thread=False
    )
    for pragma in (_MEMORY, "PRAGMA trusted_schema = OFF", "PRAGMA cell_size_check = ON"):
        database.execute(pragma)
    return database


def _has_tables(database: sqlite3.Connection) -> bool:
    """Return whether the database is a cache; false if it is empty. Raises for any other."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if (application, version) == (APPLICATION, FORMAT):
        return True
    if application == APPLICATION:
        raise UnusableCacheError(f"it is that of another version of s3pp: {_OTHER_FILE}")
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables or application or version:
        raise UnusableCacheError("it is a database of another program: name another file")
    return False


def _create_tables(database: sqlite3.Connection) -> None:
    with _transaction(database, "EXCLUSIVE"):
        if not _has_tables(database):  # else another run was faster
            for statement in _TABLES:
                database.execute(statement)


@contextmanager
def _transaction(database: sqlite3.Connection, kind: str) -> Iterator[None]:
    database.execute(f"BEGIN {kind}")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


@contextmanager
def _faults() -> Iterator[None]:
    """Turn errors of the system and of SQLite into ``UnusableCacheError``."""
    try:
        yield
    except OSError as error:
        raise UnusableCacheError(error.strerror) from None
    except sqlite3.OperationalError as error:  # locks, permissions, disks, in SQLite's words
        remedy = _UNLOCK if str(error).endswith(" is locked") else ""
        raise UnusableCacheError(f"{error}{remedy}") from None
    except sqlite3.Error:
        raise UnusableCacheError(f"it is damaged, or not an ETag cache: {_OTHER_FILE}") from None


# Rows


@lru_cache(maxsize=4)
def _query(files: int) -> str:
    """Return the query for so many files, by their devices and inodes."""
    # CROSS JOIN: SQLite takes the left table for the outer loop (https://www.sqlite.org/optoverview.html).
    return (
        "SELECT device, inode, size, mtime_ns, ctime_ns, kind, value, seen FROM (VALUES "
        f"{', '.join(['(?, ?)'] * files)}) AS wanted CROSS JOIN digests"
        " ON device = wanted.column1 AND inode = wanted.column2"
    )


def _signed(number: int) -> int:
    """Return an unsigned number of 64 bits as the signed one that SQLite can store."""
    return number if number < _SIGN else number - 2 * _SIGN


def _row(state: FileState) -> tuple[int, ...]:
    """Return a state as it is stored: SQLite has signed numbers of 64 bits."""
    device, inode, size, mtime_ns, ctime_ns = state
    if device < _SIGN and inode < _SIGN:
        return tuple(state)
    return _signed(device), _signed(inode), size, mtime_ns, ctime_ns


def _digest_row(digest: FileDigest, day: int) -> tuple[int | str, ...]:
    device, inode, *times = _row(digest.state)
    return device, inode, digest.kind, *times, digest.value, day


def _today() -> int:
    return int(time.time() // _DAY)
