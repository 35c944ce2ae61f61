"""Detection of names that cannot coexist in a directory tree, in a stream of names.

A bucket may hold ``a``, ``a/`` and ``a/b``; a file system cannot: ``a`` is a file or a directory.
The file wins, and names below it fail. It also comes first in key order, but not always right
before the others (``a-b`` sorts between ``a`` and ``a/b``), so the files whose names are prefixes
of the current name are kept on a stack: all names with a given prefix are contiguous in the
order, so nothing else needs to be kept.

On a file system that does not distinguish ``A`` from ``a``, or the two spellings of ``é``, names
are compared in folded form: sorted by it first, then checked in the same way. Of files that fold
to one name the first in key order wins.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from s3pp.localfs.external_sort import SortMemory, sort_records
from s3pp.localfs.paths import is_marker, temporary_name

T = TypeVar("T")
Name = Callable[[T], "str | None"]
Place = Callable[[T], str]

_EXAMINED = 1000  # names of a directory that are examined to detect folding

# Unicode's Default_Ignorable_Code_Point, DerivedCoreProperties.txt: file systems that fold names
# drop these as well.
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


class NameConflicts:
    """A detector of conflicts among unique names in UTF-8 byte order, in constant memory."""

    def __init__(self) -> None:
        self._files: list[tuple[str, str]] = []  # folded and as given; each is a prefix of the next

    def fault(self, path: str, *, fold: Callable[[str], str] | None = None) -> str | None:
        """Return why ``path`` conflicts with an earlier name, and what to do; None if it does not.

        With ``fold`` names must come in the order of their folded form.
        """
        name = fold(path) if fold else path
        files = self._files
        while files and not name.startswith(files[-1][0]):
            files.pop()
        for folded, file in files:
            if len(name) == len(folded):
                return f"{file!r} is the same name here, and came first: rename one of them"
            if name[len(folded)] == "/":
                return f"{file!r} is a file here, so nothing can go below it: rename one of them"
        if not is_marker(path):
            files.append((name, path))
        return None


def mark_conflicts(records: Iterable[T], name: Name[T]) -> Iterator[tuple[T, str | None]]:
    """Yield ``(record, fault)`` for records in the UTF-8 byte order of their names.

    A name repeated in a row is one object listed twice, and is dropped. A record without a name
    (None) will not be written, and passes unchecked.
    """
    yield from _mark_conflicts(records, name, None)


def mark_conflicts_folded(
    records: Iterable[T],
    name: Name[T],
    *,
    place: Place[T] | None = None,
    memory: SortMemory | None = None,
) -> Iterator[tuple[T, str | None]]:
    """Yield as ``mark_conflicts``, in folded order, for a file system that folds names.

    ``place``: the name by which a record is sorted, also one that will not be written. ``records``
    have to be picklable. Raises ``FatalError`` as ``sort_records`` does.
    """

    def key(record: T) -> str:
        return fold_name((place(record) if place else name(record)) or "")

    in_order = sort_records(records, key=key, memory=memory)
    yield from _mark_conflicts(in_order, name, fold_name)


def _mark_conflicts(
    records: Iterable[T], name: Name[T], fold: Callable[[str], str] | None
) -> Iterator[tuple[T, str | None]]:
    conflicts = NameConflicts()
    last: str | None = None
    for record in records:
        path = name(record)
        if path is None:
            yield record, None
        elif path != last:
            last = path
            yield record, conflicts.fault(path, fold=fold)


def fold_name(name: str) -> str:
    """Return the folded form of a name, equal for names that file systems may treat as the same.

    Caseless matching as defined by Unicode (D145), without ignorable characters.
    """
    if name.isascii():
        return name.lower()
    split = unicodedata.normalize("NFD", _IGNORED.sub("", name))
    return unicodedata.normalize("NFC", split.casefold())


def folds_names(directory: str, *, write: bool = True) -> bool:
    """Return whether the file system of an existing directory folds names.

    Up to two empty files are created in it and removed. Without ``write`` (in a dry run), or if
    no file can be created, existing names are examined; if they show nothing, the answer is
    False.
    """
    if write:
        try:
            return _probe_folding(directory)
        except OSError:
            pass
    return _infer_folding(directory)


def _probe_folding(directory: str) -> bool:
    before = os.stat(directory)
    try:
        return any(_probe(directory, *pair) for pair in (("S", "s"), ("\u00e9", "e\u0301")))
    finally:  # a run that writes no files should leave no trace
        os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))


def _probe(directory: str, made: str, sought: str) -> bool:
    name = temporary_name("probe")  # removed by the next run if this one is killed here
    path = os.path.join(directory, made + name)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    try:
        return os.path.lexists(os.path.join(directory, sought + name))
    finally:
        os.unlink(path)


def _infer_folding(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            names = {entry.name for entry in islice(entries, _EXAMINED)}
    except OSError:
        return False
    other = ((name, name.swapcase()) for name in names if name.swapcase() not in names)
    return any(_same(os.path.join(directory, a), os.path.join(directory, b)) for a, b in other)


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.lstat(other))
    except OSError:
        return False
