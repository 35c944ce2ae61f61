"""What a journal has of a run besides outcomes: facts of each object, and how the run was called.

Neither is collected in a run without a journal.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from s3pp.records import Dest, Outcome


class Facts(NamedTuple):
    """What is known of an object that was transferred, or skipped.

    Producer: the process that decides the outcome; consumer: the journal. Of the source there is
    either ``mtime_ns``, of a file, or ``source_etag``, of an object: by these ``--retry-from`` sees
    whether it is still what it was.
    """

    checksum: str = ""  # of what the destination holds, ``ALGORITHM:VALUE``; empty: not known
    version: str = ""  # the id that the store gave it
    size: int | None = None  # bytes at the destination; None: those of the source
    etag: str = ""  # at the destination, of what was skipped
    mtime_ns: int | None = None
    source_etag: str = ""
    began: float = 0.0  # seconds since the epoch
    ended: float = 0.0
    file_ns: int | None = None  # time of the file that a get has written, or found

    @classmethod
    def of_file(cls, mtime_ns: int, dest: Dest | None = None) -> Facts:
        """Return those of a file that the walker has decided about; ``dest``: what is there."""
        now = time.time()
        return cls("", "", None, dest.etag if dest else "", mtime_ns, "", now, now)

    @classmethod
    def of_object(cls, source_etag: str, etag: str = "") -> Facts:
        """Return those of an object that the walker has decided about."""
        now = time.time()
        return cls("", "", None, etag, None, source_etag, now, now)


def with_times(outcome: Outcome, began: float) -> Outcome:
    """Return an outcome that ends now; ``began``: seconds since the epoch."""
    facts = outcome.facts or Facts()
    return outcome._replace(facts=facts._replace(began=began, ended=time.time()))


class Invocation(NamedTuple):
    """How a run was called, without secrets. Producer: ``args/invocation.py``."""

    command: tuple[str, ...]  # a command line that means the same
    settings: dict[str, Any]  # every option of the verb by its long name, and its value
    withheld: tuple[str, ...] = ()  # what is not in them: the names of options
    directory: str = ""  # that relative names begin in; empty: the working directory as it is


def time_text(seconds: float) -> str:
    """Return a time, in seconds since the epoch, in UTC to the millisecond (RFC 3339)."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{_second(whole)}.{milliseconds:03d}Z"


def mtime_text(nanoseconds: int) -> str:
    """Return the time of a file in UTC, to the nanosecond: equal where the file is unchanged."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_second(seconds)}.{rest:09d}Z"


@lru_cache(64)
def _second(seconds: int) -> str:
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):  # a file system may hold anything
        return str(seconds)
