"""A lock that one run at a time holds, and who holds it.

The lock is the kernel's, see ``locks``: it ends with the process that took it, however that ends,
and other programs can take it with flock(1). The file stays where it is: if it were removed, a run
that waits for it and one that comes later would lock two different files.

What is in the file names the holder in messages, and decides nothing. It is written only to a file
that is empty, or has such a line, so that a lock on another program's file does not change it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, NamedTuple

from s3pp.errors import UsageError
from s3pp.escaping import one_line
from s3pp.localfs.locks import lock

MODE = 0o600
MOST_READ = 4096  # bytes of the line that names the holder
MOST_SHOWN = 300  # characters of its command
_BEGINNING = b'{"pid":'
_FAULTS = {
    errno.EISDIR: "is a directory: name a file",
    errno.ELOOP: "is a symbolic link, which others may have put there: name the file that is meant",
    errno.ENXIO: "is a socket: name a file",
}


class Holder(NamedTuple):
    """The process that holds a lock."""

    pid: int
    since: str  # RFC 3339, in UTC
    host: str
    command: str  # its verb and places

    def __str__(self) -> str:
        where = "" if self.host == os.uname().nodename else f" on {self.host}"
        return f"process {self.pid}{where} ({self.command}) since {self.since}"


class RunLock:
    """The lock on ``path``, which is created where it is missing; not taken yet.

    ``argument`` names it in messages. As a context manager it is released at the end. A child that
    is forked does not hold it. Raises ``UsageError`` for a file that cannot be locked.
    """

    def __init__(self, path: str, argument: str) -> None:
        self._path = path
        self._argument = argument
        self._fd = self._open()
        # A lock belongs to all copies of its descriptor: a child that is left would keep it.
        os.register_at_fork(after_in_child=self.close)

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_ours():
            with suppress(OSError):
                os.ftruncate(self._fd, 0)  # no holder any more
        self.close()

    def take(self) -> bool:
        """Take the lock; returns false if another process holds it. Never waits."""
        while True:
            try:
                lock(self._fd)
            except BlockingIOError:
                return False
            except OSError as error:
                fault = f"cannot be locked: {error.strerror}; name a file on a local disk"
                raise UsageError(f"{self._argument} {fault}") from None
            if self._is_current():
                return True
            self.close()  # it has been removed or replaced: others lock the new one
            self._fd = self._open()

    def write_holder(self, command: str) -> None:
        """Write who holds the lock into its file, for the messages of other runs."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
        holder = Holder(os.getpid(), now, os.uname().nodename, command[:MOST_SHOWN])
        line = json.dumps(holder._asdict(), separators=(",", ":")).encode() + b"\n"
        if self._is_ours():
            with suppress(OSError):  # a full disk, or a file of which only reading is allowed
                os.ftruncate(self._fd, 0)
                os.pwrite(self._fd, line, 0)

    def holder(self) -> Holder | None:
        """Return who holds the lock, if that is known."""
        with suppress(OSError, ValueError):
            found = _read_holder(json.loads(os.pread(self._fd, MOST_READ, 0)))
            if found is not None and _may_live(found):
                return found
        return None

    def close(self) -> None:
        """Close the file, which releases the lock in the process that has taken it."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            fd = self._open_as(flags)
        except OSError as error:
            reason = f"cannot be opened: {error.strerror}; name another file"
            fault = _FAULTS.get(error.errno or 0, reason)
            raise UsageError(f"{self._argument} {fault}") from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise UsageError(f"{self._argument} is not a regular file: name another")
        return fd

    def _open_as(self, flags: int) -> int:
        try:
            return os.open(self._path, flags, MODE)
        except PermissionError:
            if not os.access(self._path, os.R_OK):
                raise
            # Reading suffices to lock a file, but not on NFS.
            return os.open(self._path, flags & ~(os.O_RDWR | os.O_CREAT) | os.O_RDONLY)

    def _is_current(self) -> bool:
        with suppress(OSError):
            return os.path.samestat(os.fstat(self._fd), os.lstat(self._path))
        return False

    def _is_ours(self) -> bool:
        """Whether the file is there for locks only, and belongs to this user."""
        with suppress(OSError):
            beginning = os.pread(self._fd, len(_BEGINNING), 0)
            owned = os.fstat(self._fd).st_uid == os.geteuid()
            return owned and beginning in (b"", _BEGINNING)
        return False


def _read_holder(record: Any) -> Holder | None:
    """Return the holder that a record describes; it may be of any origin."""
    match record:
        case {"pid": int(pid), "since": str(since), "host": str(host), "command": str(command)}:
            texts = (one_line(each[:MOST_SHOWN]) for each in (since, host, command))
            return Holder(pid, *texts)
    return None


def _may_live(holder: Holder) -> bool:
    """Whether the process exists, as far as that is known: another run may have been killed."""
    if holder.host != os.uname().nodename:
        return True
    try:
        os.kill(holder.pid, 0)
    except PermissionError:  # of another user
        return True
    except (OSError, OverflowError):
        return False
    return holder.pid > 0
