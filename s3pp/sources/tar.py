"""``--walk tar``: the regular members of tar archives, without unpacking them.

* A SOURCE is an archive, plain or compressed with gzip, bzip2 or xz. Keys are the names in the
  archive; ``./a`` and ``a`` are the same.
* A name that is absolute or has a ``..`` segment fails: it escapes the archive.
* Links, FIFOs, devices and other special members are skipped. Directories yield nothing.
* If a name occurs more than once, the last member counts, as after extraction.
* The members of a plain archive are read in place. Those of a compressed archive, and sparse
  ones, cannot be: their entries have ``spool`` set, and ``spooling`` copies them out in one
  more pass over the archive.
* A truncated or damaged archive fails under its own name; the members before the damage are
  processed (of a gzip stream, up to a read buffer of 8 KiB less). Damage includes a missing
  end-of-archive mark and a wrong checksum of the compressed stream. A file that is no archive
  fails in the same way.

Only headers are read here, into the external sort: memory is constant however many members.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator

from s3pp.errors import FailureKind
from s3pp.localfs.external_sort import RICH_RUN_LENGTH, SortMemory, sort_records
from s3pp.records import Entry, Failed, Skipped, SkipReason
from s3pp.sources.archive import compression, opened
from s3pp.sources.naming import climbs, key_fault, normal, raw
from s3pp.sources.scope import Record, Scope, Stream

LAST = b"\xff"  # sorts after every key: UTF-8 contains no such byte
NS = 1_000_000_000  # nanoseconds in a second

Row = tuple[bytes, int, Record]  # the bytes it sorts by, its number in the archive, the record


def found(path: str, scope: Scope) -> Stream:
    """Yield the members of the archive at ``path``, then its failure, if any."""
    choice = scope.choice
    rows = sort_records(_Members(path, scope).rows(), memory=SortMemory(RICH_RUN_LENGTH))
    for order, record in _latest(rows):
        if (
            choice.by_stat
            and isinstance(record, Entry)
            and choice.stat_refusal(record.size, record.mtime_ns)
        ):
            continue
        yield order, record


def _latest(rows: Iterator[Row]) -> Stream:
    """Yield the last of the members with the same name."""
    last = next(rows, None)
    for row in rows:
        if last is not None and last[0] != row[0]:
            yield last[0], last[2]
        last = row
    if last is not None:
        yield last[0], last[2]


class _Members:
    """The members of one archive, as records."""

    def __init__(self, path: str, scope: Scope) -> None:
        self._path = path
        self._scope = scope
        self._packed = False
        self._changed_ns = 0  # the archive's own time

    def rows(self) -> Iterator[Row]:
        """Yield every member with a name that the globs choose, in archive order."""
        place = 0
        try:
            with open(self._path, "rb") as stream:
                self._packed = compression(stream) is not None
                self._changed_ns = os.fstat(stream.fileno()).st_mtime_ns
            with opened(self._path) as archive:
                for place, member in enumerate(archive.members()):
                    archive.skip()  # a member counts once all of it is known to exist
                    yield from self._row(member, place)
                if self._packed:
                    archive.drain()
        except Exception as error:  # tarfile documents no complete list of its errors on damage
            message = f"the archive cannot be read to its end: {_reason(error)}"
            key = self._scope.prefix
            yield LAST, place, Failed(self._path, key, FailureKind.UNREADABLE, message)

    def _row(self, member: tarfile.TarInfo, place: int) -> Iterator[Row]:
        name = member.name if climbs(member.name) else normal(member.name)
        if member.isdir() or self._scope.choice.name_refusal(name) is not None:
            return
        key = self._scope.prefix + name
        order = raw(key)
        yield order, place, self._record(member, name, key, order)

    def _record(self, member: tarfile.TarInfo, name: str, key: str, order: bytes) -> Record:
        source = f"{self._path}:{member.name}"
        if member.issym() or member.islnk():
            return Skipped(source, key, 0, SkipReason.LINK_MEMBER)
        if not member.isreg():
            return Skipped(source, key, 0, SkipReason.SPECIAL)
        fault = "escapes the archive" if climbs(name) else key_fault(order)
        if fault or not name:
            return Failed(source, key, FailureKind.NAME, fault or "has no name")
        spool = self._packed or member.issparse()
        entry = Entry(key, self._path, member.size, _mtime_ns(member), member.offset_data, source)
        return entry._replace(spool=spool, archive_ns=None if spool else self._changed_ns)


def _mtime_ns(member: tarfile.TarInfo) -> int:
    """Return nanoseconds since the epoch; 0 for an invalid time (pax headers may hold any text)."""
    try:
        return int(member.mtime * NS)
    except (ValueError, OverflowError):
        return 0


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
