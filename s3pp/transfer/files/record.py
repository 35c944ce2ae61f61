"""The record beside a partial file: the identity of its object, and its completed ranges.

::

    <claim> ["<etag>", <size>, <size of a range>, "<digest>"]      the claim is of fixed length
    <number> <size> <digest of these bytes, in hex>                appended when the range is there

Nothing in it is trusted: a range that it lists is read again, and compared with its digest. So a
line left incomplete by a crash of the machine does no harm, and lines are not flushed to the disk.
"""

from __future__ import annotations

import json
import os
import re
from typing import NamedTuple

CLAIM = 16  # characters
_LINE = re.compile(r"(\d{1,9}) (\d{1,20}) ([0-9a-f]{8,32})")


class Layout(NamedTuple):
    """The identity of a partial file's object, and the layout of its ranges."""

    etag: str
    size: int  # bytes
    part_size: int  # bytes of each range but the last
    digest: str  # of each range


class Noted(NamedTuple):
    """The content of a record."""

    layout: Layout
    ranges: dict[int, tuple[int, str]]  # size in bytes and digest, by number


def write(fd: int, claim: str, layout: Layout) -> None:
    """Start a new record."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{claim} {json.dumps(layout)}\n".encode(), 0)


def read(fd: int) -> Noted | None:
    """Return the content of a record; None if it is invalid."""
    first, *rest = _text(fd).split("\n")
    try:
        etag, size, part_size, digest = json.loads(first[CLAIM + 1 :])
        layout = Layout(str(etag), int(size), int(part_size), str(digest))
    except (ValueError, TypeError):
        return None
    found = (match for line in rest if (match := _LINE.fullmatch(line)))
    return Noted(layout, {int(each[1]): (int(each[2]), each[3]) for each in found})


def _text(fd: int) -> str:
    return os.pread(fd, os.fstat(fd).st_size, 0).decode("utf-8", "replace")


def claim(fd: int, claim: str) -> None:
    """Write the claim of a new lead; ``fd`` must not append."""
    os.pwrite(fd, claim.encode(), 0)


def claimed(fd: int) -> str:
    """Return the claim of the current lead."""
    return os.pread(fd, CLAIM, 0).decode("utf-8", "replace")


def note(fd: int, number: int, size: int, digest: str) -> None:
    """Append a completed range; ``fd`` must append."""
    os.write(fd, f"{number} {size} {digest}\n".encode())
