"""The records that flow through the pipeline: what is to be done, and how it ended.

::

    source ──Entry──▶ walker ──PutTask──▶ putter ──Done | Skipped | Failed──▶ statter

All are NamedTuples: frozen, typed, and the cheapest thing to pickle. Every task ends in exactly
one outcome; sources also yield outcomes themselves, for what can be named but never be a task
(a FIFO, a broken link, a name that is not UTF-8).
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from s3pp.errors import FailureKind


class SkipReason(str, Enum):
    """Why an object was not sent; the value is what people and scripts read."""

    EXISTS = "exists"  # mode add: the key is taken
    SAME_ETAG = "same etag"  # mode update: same size, same content
    SPECIAL = "not a regular file"  # FIFO, socket, device
    SYMLINK = "symbolic link"  # with --no-follow-symlinks
    LOOP = "symbolic link loop"  # a link to a directory that contains it
    LINK_MEMBER = "link in archive"  # a tar member that is not a regular file


class SendReason(str, Enum):
    """Why an object was, or would be, sent."""

    NEW = "new"  # the key is absent
    ALWAYS = "always"  # mode stupid
    SIZE = "size differs"
    ETAG = "etag differs"
    UNKNOWN = "etag unknown"  # the ETag is no MD5: equality cannot be shown


class Dest(NamedTuple):
    """What the store holds under a key, as a listing or a HEAD tells it."""

    size: int  # bytes
    etag: str  # without the quotes


class Entry(NamedTuple):
    """A source and the key it goes to. Producer: sources; consumer: the walker."""

    key: str  # destination key, whole
    path: str  # local file to open (surrogateescape), the archive for a tar member
    size: int  # bytes, as the walk saw it
    mtime_ns: int
    offset: int | None = None  # first byte within ``path``; None: the whole file
    name: str | None = None  # what people call it where ``path`` does not say (``a.tar:b/c``)
    spool: bool = False  # True: unreadable in place, ``sources.spool`` has to copy it out first
    archive_ns: int | None = None  # mtime of the archive at ``path`` as walked, if read in place

    @property
    def source(self) -> str:
        """The source as outcomes name it."""
        return self.name or self.path


class PutTask(NamedTuple):
    """One object to put. Producer: walker; consumer: putter."""

    entry: Entry
    dest: Dest | None  # None: the key is absent, or the mode does not care
    ask: bool = False  # True: the listing could not tell, HEAD the key


class Done(NamedTuple):
    """The store acknowledged the object (or would have been asked to, in a dry run)."""

    source: str
    key: str
    size: int  # bytes of the source
    sent: int  # bytes of the body on the wire (less than size with gzip)
    etag: str  # as the store returned it; the expected one in a dry run
    reason: SendReason
    attempts: int = 1


class Skipped(NamedTuple):
    """Deliberately not sent."""

    source: str
    key: str
    size: int
    reason: SkipReason


class Failed(NamedTuple):
    """Not in the store as it should be; named on stderr and in the journal."""

    source: str
    key: str
    kind: FailureKind
    message: str  # one line


Outcome = Done | Skipped | Failed
