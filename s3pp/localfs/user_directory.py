"""A directory for files that the runs of one user on this machine share.

It is the same for a shell and for cron, unlike $XDG_RUNTIME_DIR and $TMPDIR: the first is removed
when the user's last session ends, even while a job still runs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress

from s3pp.errors import UsageError

BASES = ("/run/lock", "/tmp")  # the first where a directory can be created


def user_directory(argument: str, bases: Sequence[str] = BASES) -> str:
    """Return the directory, which only this user may enter; a missing one is created.

    ``argument`` is what needs it. Raises ``UsageError`` where there is none that can be trusted.
    """
    name = f"s3pp-{os.geteuid()}"
    for path in (os.path.join(base, name) for base in bases if _is_safe(base)):
        with suppress(OSError):  # it exists, or none can be created here
            os.mkdir(path, 0o700)
        if os.path.lexists(path):
            _check_owned(path, argument)
            return path
    raise UsageError(f"{argument}: nothing can be written in {' or '.join(bases)}: name a file")


def _is_safe(base: str) -> bool:
    """Whether no other user can replace what is in ``base``."""
    try:
        found = os.stat(base)
    except OSError:
        return False
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
    return found.st_uid in (0, os.geteuid()) and not shared


def _check_owned(path: str, argument: str) -> None:
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise UsageError(
            f"{argument}: {path!r} is not a directory of this user: remove it, or name a file"
        )
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        os.chmod(path, 0o700)
