"""The error tree, ordered by what the program does about it.

::

    S3ppError
    ├── UsageError      nothing was sent; exit code 2; names the argument and what to do
    ├── ObjectError     this object failed, the run goes on; ends as ``Failed``, exit code 1
    ├── Unfinished      the run ends before this object did, which is left as it is
    └── FatalError      the run stops; exit code 3; what was acknowledged stays reported as done

Exceptions never travel between processes: a worker turns an ``ObjectError`` into a
``records.Failed``, and a ``FatalError`` into a message to the supervisor.
"""

from __future__ import annotations

import errno
from enum import Enum, IntEnum


class ExitStatus(IntEnum):
    """The exit codes of the command, as the contract in docs/cli.rst lists them."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    ABORTED = 3
    HANGUP = 129  # 128 + SIGHUP, the shell's convention
    INTERRUPTED = 130  # 128 + SIGINT
    TERMINATED = 143  # 128 + SIGTERM


class FailureKind(str, Enum):
    """Why one object failed; closed, so that scripts can rely on the journal's ``kind``."""

    NAME = "name"  # it cannot be a key (not UTF-8, too long), or no file name
    CONFLICT = "conflict"  # another source gives this key, or something else stands there
    NOT_FOUND = "not-found"  # vanished, never existed, or a broken link
    UNREADABLE = "unreadable"  # the file system refused or broke
    CHANGED = "changed"  # it kept changing while it was read
    TOO_LARGE = "too-large"  # beyond what one request can carry, or the file system
    ACCESS = "access"  # the store refused this key
    REJECTED = "rejected"  # the store refused the request, for good
    INTEGRITY = "integrity"  # what arrived is not what was sent
    STORE = "store"  # 5xx, attempts used up; or throttling without end
    NETWORK = "network"  # no answer, attempts used up
    CRASHED = "crashed"  # several workers died that had nothing else
    INTERNAL = "internal"  # a defect in s3pp itself


class S3ppError(Exception):
    """Root of everything s3pp raises on purpose; ``str()`` is one line for users."""


class UsageError(S3ppError):
    """The command cannot start: a bad argument, or something it names is not there."""


class ObjectError(S3ppError):
    """One object failed; ``kind`` says why, the message names the cause and what to do."""

    code = ""  # what the store calls the cause, where it is the store's

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class FatalError(S3ppError):
    """The run cannot go on: refused credentials, a full disk, a lost process.

    ``kind`` is what the object fails by at which this was noticed.
    """

    def __init__(self, message: str, kind: FailureKind = FailureKind.ACCESS) -> None:
        super().__init__(message)
        self.kind = kind


class Unfinished(S3ppError):
    """The run ends before this object did: it is neither done nor failed, and can be resumed."""

    def __init__(self) -> None:
        super().__init__("the run is ending")


def no_thread() -> FatalError:
    """The end of a run in which no thread can be started: ``ulimit -u``, or no room for its stack.

    That, and nothing else, is what ``RuntimeError`` means where a thread is started.
    """
    return FatalError(
        "no more threads can be started: raise ulimit -u (or ulimit -v), or lower --processes"
    )


def unstarted(error: OSError) -> str:
    """Why no process could be started, and which limit stands in the way."""
    if error.errno == errno.EAGAIN:
        return "no more processes are allowed: raise ulimit -u, or lower --processes"
    return system_fault(error) or str(error)


# What only a mistake of the program's own can be answered with.
_OWN_ERRORS = frozenset({errno.EBADF, errno.EFAULT, errno.EINVAL, errno.ENOTSOCK})


def system_fault(error: BaseException) -> str | None:
    """What this machine had no room for or refused, in one line; None for a defect of s3pp's.

    For errors that nobody expected where they came: the system is to be blamed for those that
    only it can raise, and the limit is named where there is one.
    """
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return "memory ran out: raise ulimit -v, or lower --processes and --concurrency"
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many open files: raise ulimit -n, or lower --concurrency"
    if not isinstance(error, OSError) or not error.strerror or number in _OWN_ERRORS:
        return None
    return f"{error.strerror}: {error.filename!r}" if error.filename else error.strerror


def unexpected(error: BaseException, where: str = "") -> str:
    """The line for an error that nobody expected; ``where`` says who met it."""
    told = system_fault(error)
    if told is not None:
        return f"{where}: {told}" if where else told
    return f"internal error{f' in {where}' if where else ''}: {error!r}"


def unexpected_kind(error: BaseException) -> FailureKind:
    """What an object fails by that met such an error."""
    return FailureKind.INTERNAL if system_fault(error) is None else FailureKind.UNREADABLE
