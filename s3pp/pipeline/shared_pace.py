"""What runs of one user on this machine share of a store that throttles.

::

    FlowControl ──RunRecord──▶ its file ─┐
                                         ├─ a directory of the user, one for each endpoint
    FlowControl ◀──SharedLimit── files ──┘  of the other runs

Each run writes its own file alone, and whole, so that no lock is needed and a run may be killed at
any time. The limit that was learnt last is everybody's, and each run has a part of it. What cannot
be read or written costs the sharing, and nothing else.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from contextlib import suppress
from typing import NamedTuple

from s3pp.errors import UsageError
from s3pp.localfs.user_directory import user_directory
from s3pp.s3.congestion import NO_LIMIT, RateLimit

PERIOD = 1.0  # seconds between two exchanges
STALE = 3.5  # seconds after which the record of a run is that of none
FORGOTTEN = 60.0  # seconds after which it is removed
IDLE = 0.1  # weight of a run that has nothing waiting, beside one that has
MOST_READ = 4096  # bytes of a record
MOST_RATE = 1e9


class RunRecord(NamedTuple):
    """What one run tells the others; times in seconds of the system's monotonic clock."""

    written: float
    weight: float
    limit: RateLimit  # of all runs together

    def encode(self) -> bytes:
        """The content of the run's file."""
        return b"%a %a %d %a %a %a %a" % (self.written, self.weight, *self.limit)


class SharedLimit(NamedTuple):
    """What a run takes from the others."""

    part: float  # its own part of a limit of all
    limit: RateLimit  # of all, as another run has learnt it last; ``NO_LIMIT`` where none has
    others: int  # runs


ALONE = SharedLimit(1.0, NO_LIMIT, 0)


def read_record(content: bytes, now: float) -> RunRecord | None:
    """Return what a file holds; None if that is no record of a run at this time."""
    try:
        written, weight, epoch, ceiling, since, doubling, start = map(float, content.split())
    except ValueError:
        return None
    limit = RateLimit(int(epoch) if math.isfinite(epoch) else 0, ceiling, since, doubling, start)
    sane = (
        now - STALE <= written <= now
        and IDLE <= weight <= 1.0
        and 0.0 <= ceiling <= MOST_RATE
        and since <= now
        and 0.01 <= doubling <= 60.0
        and 0.0 < start <= MOST_RATE
    )
    return RunRecord(written, weight, limit) if sane else None


def combine(weight: float, others: list[RunRecord], now: float) -> SharedLimit:
    """Return what a run of ``weight`` takes from the records of ``others``."""
    part = weight / (weight + sum(each.weight for each in others))
    limits = [each.limit for each in others if each.limit.active(now)]
    return SharedLimit(part, max(limits, key=_since, default=NO_LIMIT), len(others))


def _since(limit: RateLimit) -> float:
    return limit.since


class SharedPace:
    """The directory of one endpoint, and this run's file in it."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._own = os.urandom(8).hex()
        self._written = False
        self.trouble = ""  # why it could not be used, if so

    @classmethod
    def of(cls, endpoint: str) -> tuple[SharedPace | None, str]:
        """The one that runs towards ``endpoint`` share; or None, and why there is none."""
        name = hashlib.sha256(os.fsencode(endpoint)).hexdigest()[:16]
        try:
            return cls(os.path.join(user_directory("the shared rate"), f"rate-{name}")), ""
        except (OSError, UsageError) as error:
            return None, str(error)

    def exchange(self, own: RunRecord) -> SharedLimit:
        """Write this run's record, if anybody needs it; return what the others say."""
        now = own.written
        try:
            others = self._read_others(now)
            if others or own.limit.active(now):
                self._write(own)
        except OSError as error:
            self.trouble = f"{self.directory}: {error.strerror}"
            return ALONE
        return combine(own.weight, others, now)

    def close(self) -> None:
        """Remove this run's record, and the directory where it was the last."""
        if self._written:
            with suppress(OSError):
                os.unlink(os.path.join(self.directory, self._own))
                os.rmdir(self.directory)

    def _read_others(self, now: float) -> list[RunRecord]:
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:  # no run is limited
            return []
        names = [name for name in names if name != self._own and not name.startswith(".")]
        found = (self._read(name, now) for name in names)
        return [record for record in found if record is not None]

    def _read(self, name: str, now: float) -> RunRecord | None:
        path = os.path.join(self.directory, name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            record = read_record(os.read(fd, MOST_READ), now)
            if record is None and _age(fd) > FORGOTTEN:
                os.unlink(path)
            return record
        except OSError:  # it is a directory, or of a run that has just ended
            return None
        finally:
            os.close(fd)

    def _write(self, record: RunRecord) -> None:
        """Replace this run's file, so that others read the old one or the new one whole."""
        with suppress(FileExistsError):
            os.mkdir(self.directory, 0o700)
        new = os.path.join(self.directory, f".{self._own}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(new, flags, 0o600)
        try:
            os.write(fd, record.encode())
        finally:
            os.close(fd)
        os.replace(new, os.path.join(self.directory, self._own))
        self._written = True


def _age(fd: int) -> float:
    return time.time() - os.fstat(fd).st_mtime
