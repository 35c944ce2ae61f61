"""Files that a run writes as a whole: under a temporary name, which then takes the file's."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from s3pp.localfs.paths import temporary_name


@contextmanager
def replacing(path: str, mode: int, *, durable: bool = True) -> Iterator[IO[str]]:
    """Yield a file that has ``path`` as its name when the block ends without an error.

    Readers see what was there before, or all of the new. Of a link what it leads to is replaced.
    ``mode`` is that of the new file; ``durable``: it is flushed to the disk first. Raises
    ``OSError``, as the block may.
    """
    path = os.path.realpath(path)
    above, name = os.path.split(path)
    temporary = os.path.join(above, temporary_name(name))
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode)
    try:
        with open(
            descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
        ) as file:
            os.fchmod(descriptor, mode)  # whatever the umask is
            yield file
            file.flush()
            if durable:
                os.fsync(descriptor)
        os.rename(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def mode_of(path: str, default: int) -> int:
    """Return the permissions of the file at ``path``; ``default`` if there is none."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return default
