"""The arguments JOURNAL of the commands that read several."""

from __future__ import annotations

import os
from collections.abc import Iterable
from stat import S_ISREG

from s3pp.errors import UsageError
from s3pp.localfs.paths import shown


def check_journals(command: str, paths: Iterable[str]) -> None:
    """Raise ``UsageError`` for what is no regular file, cannot be read, or is named twice."""
    seen: dict[tuple[int, int], str] = {}
    for path in paths:
        found = _stat(command, path)
        other = seen.setdefault((found.st_dev, found.st_ino), path)
        if other != path:
            names = f"'{shown(path)}' and '{shown(other)}'"
            raise UsageError(f"{command}: {names} are one file: name it once")


def _stat(command: str, path: str) -> os.stat_result:
    what = f"{command} '{shown(path)}'"
    try:
        if not S_ISREG(os.stat(path).st_mode):  # to open a pipe would block
            raise UsageError(f"{what}: it is not a regular file: name a file of --journal")
        with open(path, "rb") as file:
            return os.fstat(file.fileno())
    except FileNotFoundError:
        raise UsageError(f"{what}: file not found: name a file of --journal") from None
    except OSError as error:
        raise UsageError(f"{what} cannot be read: {error.strerror}") from None
