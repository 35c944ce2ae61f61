"""The record beside a partial file: what it is of, and which of its ranges have come.

::

    <claim> ["<etag>", <size>, <size of a range>, "<digest>"]      the claim is of fixed length
    <number> <size> <digest of these bytes, in hex>                appended when the range is there

Nothing in it is trusted: a range that it names is read again, and held against its digest. So a
line that was torn when the machine went down does no harm, and none is brought to the disk.
"""

from __future__ import annotations

import json
import os
import re
from typing import NamedTuple

CLAIM = 16  # characters
_LINE = re.compile(r"(\d{1,9}) (\d{1,20}) ([0-9a-f]{8,32})")


class Layout(NamedTuple):
    """What a partial file is of, and how its ranges lie."""

    etag: str
    size: int  # bytes
    part_size: int  # bytes of each range but the last
    digest: str  # of each range


class Noted(NamedTuple):
    """What a record says."""

    layout: Layout
    ranges: dict[int, tuple[int, str]]  # size in bytes and digest, by number


def write(fd: int, claim: str, layout: Layout) -> None:
    """Begin a record anew."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{claim} {json.dumps(layout)}\n".encode(), 0)


def read(fd: int) -> Noted | None:
    """What a record says; None where it is none."""
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
    """Write who leads from now on; ``fd`` must not append."""
    os.pwrite(fd, claim.encode(), 0)


def claimed(fd: int) -> str:
    """Who leads."""
    return os.pread(fd, CLAIM, 0).decode("utf-8", "replace")


def note(fd: int, number: int, size: int, digest: str) -> None:
    """Append that a range has come; ``fd`` must append."""
    os.write(fd, f"{number} {size} {digest}\n".encode())
