"""Names that cannot stand beside each other in a directory tree, found while they stream by.

A bucket may hold ``a``, ``a/`` and ``a/b``; a file system cannot: ``a`` is a file or a directory.
The file wins, and what would lie below it fails. It comes first in key order as well, but not
always right before the others (``a-b`` sorts between ``a`` and ``a/b``), so the files whose names
begin the current name are kept on a stack: every name that begins with a given string stands in
one stretch of the order, so nothing else needs to be remembered.

Where a file system takes ``A`` for ``a``, or both spellings of ``é`` for one, names are compared as
it would: sorted by their folded form first, then by the same walk. Of files that fold to one name
the first in key order wins.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from s3pp.sources.sorting import Room, ordered
from s3pp.transfer.files.paths import is_marker, temporary_name

T = TypeVar("T")
Name = Callable[[T], "str | None"]

_LOOKED_AT = 1000  # names of a directory that are looked at for one that folds

# Unicode's Default_Ignorable_Code_Point, DerivedCoreProperties.txt: file systems that fold drop
# these as well.
_IGNORED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


class Clashes:
    """Finds clashes among names that come in UTF-8 byte order, each once, in constant memory."""

    def __init__(self) -> None:
        self._files: list[tuple[str, str]] = []  # folded and as given; each begins the next

    def fault(self, path: str, *, fold: Callable[[str], str] | None = None) -> str | None:
        """Why ``path`` cannot be written beside what came before, and what to do; None if it can.

        With ``fold`` names come in the order of their folded form.
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


def apart(records: Iterable[T], name: Name[T]) -> Iterator[tuple[T, str | None]]:
    """``(record, fault)`` for records in the UTF-8 byte order of their names.

    A name that comes twice in a row is one object listed twice, and is dropped. What has no name
    (None) will not be written, and passes through.
    """
    yield from _apart(records, name, None)


def apart_folded(
    records: Iterable[T], name: Name[T], *, room: Room | None = None
) -> Iterator[tuple[T, str | None]]:
    """``apart`` for a file system that folds names: the pairs come in the folded order.

    ``records`` come as for ``apart``, and must pickle. Raises ``FatalError`` as ``ordered`` does.
    """

    def folded_name(record: T) -> str:
        return folded(name(record) or "")

    yield from _apart(ordered(records, key=folded_name, room=room), name, folded)


def _apart(
    records: Iterable[T], name: Name[T], fold: Callable[[str], str] | None
) -> Iterator[tuple[T, str | None]]:
    clashes = Clashes()
    last: str | None = None
    for record in records:
        path = name(record)
        if path is None:
            yield record, None
        elif path != last:
            last = path
            yield record, clashes.fault(path, fold=fold)


def folded(name: str) -> str:
    """What names have in common that file systems may take for the same.

    Caseless matching as Unicode defines it (D145), less the characters one cannot see.
    """
    if name.isascii():
        return name.lower()
    split = unicodedata.normalize("NFD", _IGNORED.sub("", name))
    return unicodedata.normalize("NFC", split.casefold())


def folds(directory: str, *, write: bool = True) -> bool:
    """Whether the file system of an existing directory takes different names for the same.

    Two empty files are made in it and removed again. Without ``write`` (in a dry run), or where
    nothing can be made, the names that are there already have to tell; if none can, the answer
    is False.
    """
    if write:
        try:
            return _probed(directory)
        except OSError:
            pass
    return _seen_to_fold(directory)


def _probed(directory: str) -> bool:
    before = os.stat(directory)
    try:
        return any(_probe(directory, *pair) for pair in (("S", "s"), ("\u00e9", "e\u0301")))
    finally:  # a run that has nothing to do should leave no trace
        os.utime(directory, ns=(before.st_atime_ns, before.st_mtime_ns))


def _probe(directory: str, made: str, sought: str) -> bool:
    name = temporary_name("probe")  # swept by the next run, should this one be killed right here
    path = os.path.join(directory, made + name)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    try:
        return os.path.lexists(os.path.join(directory, sought + name))
    finally:
        os.unlink(path)


def _seen_to_fold(directory: str) -> bool:
    try:
        with os.scandir(directory) as entries:
            names = {entry.name for entry in islice(entries, _LOOKED_AT)}
    except OSError:
        return False
    other = ((name, name.swapcase()) for name in names if name.swapcase() not in names)
    return any(_same(os.path.join(directory, a), os.path.join(directory, b)) for a, b in other)


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.lstat(other))
    except OSError:
        return False
