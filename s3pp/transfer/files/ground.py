"""Check and creation of DIRECTORY, before the first request to the store.

Missing directories on the path to it are created too. The same faults, if they arise during the
run, are reported by ``Tree`` for each file.
"""

from __future__ import annotations

import errno
import os

from s3pp.errors import UsageError
from s3pp.sources.naming import shown


def check_ground(directory: str) -> None:
    """Raise ``UsageError`` if ``directory`` cannot be created or entered. Creates nothing.

    An existing directory need not be writable: directories in it may be.
    """
    path = os.path.abspath(directory)
    nearest = _nearest(directory, path)
    if not os.path.isdir(nearest):
        raise _unfit(directory, f"'{shown(nearest)}' is no directory")
    if nearest == path:
        if not os.access(path, os.R_OK | os.X_OK):
            raise _unfit(directory, f"it cannot be opened: {os.strerror(errno.EACCES)}")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        cause = os.strerror(errno.EROFS if _read_only(nearest) else errno.EACCES)
        raise _unfit(directory, f"nothing can be written in '{shown(nearest)}': {cause}")


def make_ground(directory: str) -> None:
    """Create ``directory`` if it is missing; raises ``UsageError`` if that fails."""
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise _unfit(directory, f"it cannot be made: {error.strerror}") from None


def _nearest(directory: str, path: str) -> str:
    """Return ``path``, or the nearest directory above it that exists."""
    while True:
        try:
            os.lstat(path)
            return path
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)
        except OSError as error:
            raise _unfit(directory, f"'{shown(path)}' cannot be opened: {error.strerror}") from None


def _read_only(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _unfit(directory: str, cause: str) -> UsageError:
    return UsageError(f"DIRECTORY '{shown(directory)}': {cause}: name another")
