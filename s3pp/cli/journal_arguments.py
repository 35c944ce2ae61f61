"""The arguments JOURNAL of the commands that read several."""

from __future__ import annotations

import os
from collections.abc import Iterable
from errno import ENOENT
from stat import S_ISREG

from s3pp.errors import UsageError
from s3pp.localfs.paths import shown
from s3pp.sources.journal_beginning import read_beginning, why_no_journal


def check_journals(command: str, paths: Iterable[str]) -> None:
    """Raise ``UsageError`` for what is no journal, cannot be read, or is named twice."""
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        found = _stat(command, path)
        if fault := why_no_journal(read_beginning(path, command)):
            raise UsageError(f"{command} '{shown(path)}' {fault}")
        other = seen.setdefault((found.st_dev, found.st_ino), path)
        if other != path:
            names = f"'{shown(path)}' and '{shown(other)}'"
            raise UsageError(f"{command}: {names} are one file: name it once")


def _stat(command: str, path: str) -> os.stat_result:
    try:
        found = os.stat(path)
    except OSError as error:
        why = "file not found" if error.errno == ENOENT else error.strerror
    else:
        if S_ISREG(found.st_mode):
            return found
        why = "it is not a regular file"
    raise UsageError(f"{command} '{shown(path)}': {why}: name a file of --journal")
