"""The error tree, ordered by what the program does about it.

::

    S3ppError
    ├── UsageError      nothing was sent; exit code 2; names the argument and what to do
    │   └── Misuse      of a command line
    ├── ObjectError     this object failed, the run goes on; ends as ``Failed``, exit code 1
    ├── RunEnding       the run ends before this object did, which is left as it is
    └── FatalError      the run stops; exit code 3; what was acknowledged stays reported as done

Exceptions never travel between processes: a worker turns an ``ObjectError`` into a
``records.Failed``, and a ``FatalError`` into a message to the supervisor.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Collection, Iterable, Sequence
from enum import Enum, IntEnum

from s3pp.escaping import one_line

_SHORT_WORD = r"-?[0-9]{1,7}|[A-Z_]{1,7}|[a-z_-]{1,7}"  # no store has such secrets


class ExitStatus(IntEnum):
    """The exit codes of the command, as the contract in docs/cli.rst lists them."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    ABORTED = 3
    LOCKED = 75  # EX_TEMPFAIL of sysexits.h: another run has the lock, and nothing was done
    HANGUP = 129  # 128 + SIGHUP, the shell's convention
    INTERRUPTED = 130  # 128 + SIGINT
    READER_GONE = 141  # 128 + SIGPIPE: standard output was closed before the object was complete
    TERMINATED = 143  # 128 + SIGTERM


class FailureKind(str, Enum):
    """Why an object failed; a closed set, so that scripts can rely on the journal's ``kind``."""

    NAME = "name"  # it cannot be a key (not UTF-8, too long), or no file name
    CONFLICT = "conflict"  # another source gives this key, or something else stands there
    NOT_FOUND = "not-found"  # vanished, never existed, or a broken link
    UNREADABLE = "unreadable"  # the file system refused or broke
    CHANGED = "changed"  # it kept changing while it was read
    OUTDATED = "outdated"  # it has changed since the plan was made, or its destination has
    TOO_LARGE = "too-large"  # beyond what one request can carry, or the file system
    ACCESS = "access"  # the store refused this key
    REJECTED = "rejected"  # the store refused the request, for good
    INTEGRITY = "integrity"  # what arrived is not what was sent
    STORE = "store"  # 5xx, attempts used up; or throttling without end
    NETWORK = "network"  # no answer, attempts used up
    MISSING = "missing"  # verify: it does not exist at the destination
    DIFFERS = "differs"  # verify: the destination has another
    EXTRA = "extra"  # verify: it exists at the destination alone
    UNDECIDED = "undecided"  # verify: what was looked at proves nothing
    CRASHED = "crashed"  # several workers died that had nothing else
    INTERNAL = "internal"  # a defect in s3pp itself


class Kept(str, Enum):
    """What remains of an object that was not completed, for the next run; the value is for users.

    A failure carries it as a field, so that only output puts it into words.
    """

    NOTHING = ""
    PARTS = "its parts stay in the store for the next run (s3pp clean removes them)"
    STUCK_PARTS = "its parts stay in the store (s3pp clean removes them)"  # could not be aborted
    UNGRANTED = "its data is stored; --mode stupid sends it again, with its grants"
    FILE = "the partial file is kept; the next run resumes it"


class S3ppError(Exception):
    """Base class of all errors that s3pp raises; ``str()`` is one line for users."""


class UsageError(S3ppError):
    """The command cannot start: a bad argument, or one that names something missing."""


class Misuse(UsageError):
    """Invalid arguments; ``str()`` is the whole line, including the program's name."""


class ObjectError(S3ppError):
    """One object failed; ``kind`` says why, the message names the cause and what to do."""

    code = ""  # the store's error code, if the store reported it
    kept = Kept.NOTHING  # what remains of the object
    attempt = 0  # of the request that failed, counted from 1; 0: none has

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def outdated(what: str, how: str = "has changed") -> ObjectError:
    """The failure of an object of a plan: ``what`` is not as it was when the plan was made."""
    why = f"{what} {how} since the plan was made: plan it again"
    return ObjectError(FailureKind.OUTDATED, why)


class FatalError(S3ppError):
    """The run cannot go on: refused credentials, a full disk, a lost process.

    ``kind`` is that of the object being transferred when this was detected.
    """

    def __init__(self, message: str, kind: FailureKind = FailureKind.ACCESS) -> None:
        super().__init__(message)
        self.kind = kind


class RunEnding(S3ppError):
    """The run ends before this object did: it is neither done nor failed, and can be resumed."""

    def __init__(self) -> None:
        super().__init__("the run is ending")


def exit_status(error: S3ppError) -> ExitStatus:
    """The exit code of a command that ends with ``error``."""
    return ExitStatus.USAGE if isinstance(error, UsageError) else ExitStatus.ABORTED


class HelpRequested(Exception):
    """``--help`` or ``--version`` was given; ``str()`` is the text to print."""


def no_thread() -> FatalError:
    """The error for a thread that cannot be started: ``ulimit -u``, or no room for its stack.

    This is the only meaning of ``RuntimeError`` when starting a thread.
    """
    return FatalError(
        "no more threads can be started: raise ulimit -u (or ulimit -v), or lower --processes"
    )


def start_failure(error: OSError) -> str:
    """Why a process could not be started, and which limit to raise."""
    if error.errno == errno.EAGAIN:
        return "no more processes are allowed: raise ulimit -u, or lower --processes"
    return system_fault(error) or str(error)


# Errors that only a defect of the program can cause.
_OWN_ERRORS = frozenset({errno.EBADF, errno.EFAULT, errno.EINVAL, errno.ENOTSOCK})


def system_fault(error: BaseException) -> str | None:
    """Describe an error of the system in one line; None for a defect in s3pp.

    For errors that were unexpected where they occurred: those that only the system can raise are
    attributed to it, and the limit to raise is named where there is one.
    """
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or number == errno.ENOMEM:
        return "out of memory: raise ulimit -v, or lower --processes and --concurrency"
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many open files: raise ulimit -n, or lower --concurrency"
    if not isinstance(error, OSError) or not error.strerror or number in _OWN_ERRORS:
        return None
    return f"{error.strerror}: {error.filename!r}" if error.filename else error.strerror


def unexpected(error: BaseException, where: str = "") -> str:
    """The message for an unexpected error; ``where`` names the process it occurred in."""
    fault = system_fault(error)
    if fault is not None:
        return one_line(f"{where}: {fault}" if where else fault)
    # Not its ``repr``: that of a UnicodeError has the whole text, which may be a secret.
    text = one_line(" ".join(str(error).split()))
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"internal error{f' in {where}' if where else ''}: {what}"


def where_raised(error: BaseException) -> list[str]:
    """The lines of code that led to ``error`` and to its causes, the first cause first.

    Unlike a traceback they hold no values: a message may quote a secret.
    """
    import traceback  # rarely needed, and slow to import

    earlier = error.__cause__ or error.__context__
    causes = where_raised(earlier) if earlier is not None else []
    return [*causes, f"{type(error).__name__} at:\n", *traceback.format_tb(error.__traceback__)]


def hide(text: str, words: Iterable[str]) -> str:
    """Return ``text`` with an ellipsis for each of ``words``, as they stand or quoted by repr."""
    spellings = {form for word in words if word for form in (word, repr(word)[1:-1])}
    for form in sorted(spellings, key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])", "…", text)
    return text


def hide_arguments(text: str, argv: Sequence[str], shown: Collection[str] = ()) -> str:
    """Return ``text`` with an ellipsis for each value of a command line that may be a key.

    Options are shown, and so are ``shown``, short numbers, and short words of one case.
    """
    values = (value for value in map(_value, argv) if value not in shown)
    return hide(text, (value for value in values if not re.fullmatch(_SHORT_WORD, value)))


def _value(word: str) -> str:
    """The value in a word of a command line: what follows ``=``, or all but the name of an option.

    A secret may begin with a hyphen, but is longer than a name, or has other characters.
    """
    flag, _, value = word.partition("=")
    return value if re.fullmatch("-[A-Za-z]|--[a-z][a-z_-]{,30}", flag) else word


def unexpected_kind(error: BaseException) -> FailureKind:
    """The kind of failure of an object for which such an error was raised."""
    return FailureKind.INTERNAL if system_fault(error) is None else FailureKind.UNREADABLE
