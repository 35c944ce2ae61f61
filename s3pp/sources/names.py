"""``--files-from``: a list of names as a source, instead of a tree.

* Names are relative to the one SOURCE, a directory; ``./x`` and ``a//b`` mean ``x`` and ``a/b``.
* One name per line, without a carriage return at its end; with ``--null`` each ends in NUL
  instead. Empty lines are ignored, and there are no comments. A byte order mark of UTF-8 is
  skipped, and a list in UTF-16 refused, unless ``--null`` is given.
* A name that is absolute or has a ``..`` segment fails as outside the source. A missing file
  fails. So does a directory: the list has to name the files below it.
* Repeated names count once. The filters apply to the names as in a walk.
* With ``--no-follow-symlinks`` a name that is a link, or leads through one, is skipped.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
from typing import BinaryIO

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Choosing
from s3pp.localfs.external_sort import sort_records
from s3pp.records import Failed, Skipped, SkipReason
from s3pp.sources.filesystem import stat_entry
from s3pp.sources.filters import Record, Scope, Stream, key_bytes, leads_out, normalize

CHUNK = 1 << 16  # bytes read at once
LONGEST = 1 << 13  # bytes kept of one name: twice the maximum length of a path


@contextmanager
def read_list(choosing: Choosing, stdin: BinaryIO | None) -> Iterator[Iterator[bytes]]:
    """Return the names of a list: in memory, or that of ``--files-from``; "-" reads ``stdin``.

    Raises ``FatalError`` if it cannot be opened.
    """
    if choosing.names is not None:
        yield _without_empty(map(os.fsencode, choosing.names), b"")
        return
    path = choosing.files_from
    if path == "-":
        if stdin is None:
            raise ValueError("--files-from - needs a stream to read")
        yield split(stdin, null=choosing.null)
        return
    try:
        stream = open(str(path), "rb")  # noqa: SIM115
    except OSError as error:
        raise FatalError(f"--files-from {path}: {error.strerror}") from error
    with stream:
        yield split(stream, null=choosing.null)


def walk_names(source: str, scope: Scope, given: Iterable[bytes]) -> Stream:
    """Yield the records of the files in the directory ``source`` that ``given`` names."""
    names = _Names(source, scope)
    before = None
    for order, name in sort_records(names.rows(given)):
        if order == before:
            continue
        before = order
        record = names.record(name, order)
        if record is not None:
            yield order, record


def split(stream: BinaryIO, *, null: bool) -> Iterator[bytes]:
    """Yield the names in ``stream`` that are not empty; the last may lack its end.

    A name longer than any path is cut to a length that is still too long, so that binary data fails
    as a name instead of exhausting memory.
    """
    end, carriage = (b"\0", b"") if null else (b"\n", b"\r")
    rest, chunk = b"", _read(stream)
    if not null:  # lists ended by NUL come from programs and are taken literally
        chunk = _without_mark(chunk)
    while chunk:
        *whole, rest = (rest + chunk).split(end)
        rest = rest[:LONGEST]
        yield from _without_empty(whole, carriage)
        chunk = _read(stream)
    yield from _without_empty([rest], carriage)


UTF16 = "looks like UTF-16: save it as UTF-8 (or use --null, if its names end in NUL)"


def is_utf16(beginning: bytes) -> bool:
    """Return whether a list is UTF-16, by its byte order mark or zero bytes; four bytes suffice."""
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    zeros = [byte == 0 for byte in beginning[:4]]
    return zeros in ([False, True] * 2, [True, False] * 2)


def _without_mark(chunk: bytes) -> bytes:
    """Return ``chunk``, the start of a list, without the byte order mark of Windows editors."""
    if is_utf16(chunk):
        raise FatalError(f"the list of --files-from {UTF16}")
    return chunk.removeprefix(codecs.BOM_UTF8)


def _read(stream: BinaryIO) -> bytes:
    try:
        return stream.read(CHUNK)
    except OSError as error:
        # The missing names are unknown, so the run cannot continue.
        raise FatalError(f"reading the list of --files-from: {error.strerror}") from error


def _without_empty(names: Iterable[bytes], carriage: bytes) -> Iterator[bytes]:
    for name in names:
        kept = name[:LONGEST].removesuffix(carriage)
        if kept:
            yield kept


class _Names:
    """The rules of the list, for one SOURCE."""

    def __init__(self, source: str, scope: Scope) -> None:
        self._scope = scope
        self._base = "" if source == "." else os.path.join(source, "")
        # Sorted names share directories: a small cache saves most of the lookups.
        self._behind_link = lru_cache(maxsize=256)(self._has_link)

    def rows(self, names: Iterable[bytes]) -> Iterator[tuple[bytes, str]]:
        """Yield the names that the globs choose, each with the bytes of its key."""
        filters = self._scope.filters
        for given in names:
            name = os.fsdecode(given)
            if not leads_out(name):
                name = normalize(name) or "."
            order = key_bytes(self._scope.prefix + name)
            if filters.is_elsewhere(order):
                continue
            if filters.name_refusal(name) is None:
                yield order, name
            else:
                filters.refused += 1

    def record(self, name: str, order: bytes) -> Record | None:
        """Return the record of one name; None if its size or age is not chosen."""
        path, key = self._base + name, self._scope.prefix + name
        if leads_out(name):
            return Failed(name, key, FailureKind.NAME, "outside the source")
        if "\0" in name:
            return Failed(path, key, FailureKind.NAME, "holds a NUL byte: a list for --null?")
        if self._is_left_out(name):
            return Skipped(path, key, 0, SkipReason.SYMLINK)
        return stat_entry(path, key, order, self._scope)

    def _is_left_out(self, name: str) -> bool:
        """Return whether ``name`` is a link, or lies behind one, that is not to be followed."""
        follow, above = self._scope.follow, name.rpartition("/")[0]
        if follow and self._scope.follow_directories:
            return False
        return (not follow and os.path.islink(self._base + name)) or self._behind_link(above)

    def _has_link(self, directory: str) -> bool:
        """Return whether a segment of ``directory``, relative to the source, is a link."""
        above = accumulate(directory.split("/"), "{}/{}".format)
        return any(os.path.islink(self._base + path) for path in above if path)
