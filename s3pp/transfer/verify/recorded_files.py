"""Files that a journal says were fetched: what stands at their paths now."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import PIECE
from s3pp.recorded import MatchReason, Recorded
from s3pp.records import SkipReason
from s3pp.transfer.modes import by_time
from s3pp.transfer.verify.digest_match import digest_match, wanted_of
from s3pp.transfer.verify.reading import digests_of
from s3pp.transfer.verify.verdicts import ABSENT, differs

TOUCHED = "it was modified since it was fetched, and has the same size: --deep reads it"


def match_file(path: str, recorded: Recorded, *, deep: bool, part_size: int) -> MatchReason:
    """Return by what a file is the recorded one; ``part_size``: bytes of the likeliest parts.

    Raises ``ObjectError`` with another verdict. ``deep`` reads the file: not on an event loop.
    """
    status = _status(path.rstrip("/"))
    if path.endswith("/"):
        if not stat.S_ISDIR(status.st_mode):
            raise differs("it is not a directory")
        return MatchReason.SIZE
    if not stat.S_ISREG(status.st_mode):
        raise differs("what stands in its place is not a regular file")
    if recorded.size is not None and status.st_size != recorded.size:
        raise differs(f"it has {status.st_size} bytes, and {recorded.size} are recorded")
    if not deep:
        return _match_time(recorded.modified_ns, status.st_mtime_ns)
    wanted = wanted_of(recorded, part_size)
    digest_match(recorded, digests_of(_pieces(path), wanted))
    return MatchReason.BYTES


def _match_time(recorded_ns: int | None, now_ns: int) -> MatchReason:
    if recorded_ns is None:
        return MatchReason.SIZE
    if by_time(recorded_ns, now_ns) is SkipReason.SAME_TIME:
        return MatchReason.TIME
    raise ObjectError(FailureKind.UNDECIDED, TOUCHED)


def _status(path: str) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError as error:
        raise _refusal(error) from None


def _pieces(path: str) -> Iterator[bytes]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _refusal(error) from None
    try:
        while piece := os.read(fd, PIECE):
            yield piece
    except OSError as error:
        raise _refusal(error) from None
    finally:
        os.close(fd)


def _refusal(error: OSError) -> ObjectError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return ObjectError(FailureKind.MISSING, ABSENT)
    return ObjectError(FailureKind.UNREADABLE, f"it cannot be read: {error.strerror}")
