"""The beginning of a file that is named as a journal: whether it is one, and its first run."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from s3pp.errors import UsageError
from s3pp.localfs.paths import shown
from s3pp.sources.journal_reader import EVENTS, LONGEST, BadJournalLine, parse_line

RETRIED = ("put", "get", "copy")  # commands of which ``s3pp retry`` does the rest
_AFTER = 1 << 16  # bytes after the first line that are looked at
_UNPACKING = {
    b"\x1f\x8b": "gunzip",
    b"BZh": "bunzip2",
    b"\xfd7zXZ\x00": "unxz",
    b"\x28\xb5\x2f\xfd": "unzstd",
}


def read_beginning(path: str, argument: str) -> bytes:
    """Return the start of a file; nothing of a pipe, which can be read only once.

    ``argument`` is named in messages. Raises ``UsageError`` if the file cannot be read.
    """
    try:
        if not stat.S_ISFIFO(os.stat(path).st_mode):
            with open(path, "rb") as file:
                return file.readline(LONGEST) + file.read(_AFTER)
    except OSError as error:
        raise UsageError(f"{argument} '{shown(path)}' cannot be read: {error.strerror}") from None
    return b""


def why_no_journal(beginning: bytes) -> str:
    """Return why a file that begins so is no journal, with the remedy; empty if it may be one.

    An empty one may be, and the first line of one that was rotated may be cut off.
    """
    for magic, program in _UNPACKING.items():
        if beginning.startswith(magic):
            return f"is compressed: unpack it with {program}, and name what that makes of it"
    is_torn = beginning.startswith(b'{"event":"start"')  # its only line
    if not beginning.strip() or is_torn or any(map(_is_event, beginning.split(b"\n"))):
        return ""
    return "is not a journal: name a file of --journal"


def first_start(path: str, argument: str) -> Mapping[str, Any]:
    """Return the line that begins the first run of a journal; an empty mapping if it has none.

    ``argument`` is named in messages. Raises ``UsageError`` for what cannot be read, or is none.
    """
    beginning = read_beginning(path, argument)
    if fault := why_no_journal(beginning):
        raise UsageError(f"{argument} '{shown(path)}' {fault}")
    for line in beginning.split(b"\n"):
        with suppress(BadJournalLine):
            event = parse_line(line)
            if event.get("event") == "start":
                return event
    return {}


def _is_event(line: bytes) -> bool:
    with suppress(BadJournalLine, TypeError):  # of an event that is no string
        return parse_line(line).get("event") in EVENTS
    return False
