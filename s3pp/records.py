"""The records that flow through the pipeline: tasks, parts and outcomes.

::

    source ──Entry──▶ walker ──PutTask──▶ putter ─┐
    bucket ─Listed──▶ walker ──GetTask──▶ getter ─┼─Done | Skipped | Failed──▶ statter
                             ──CopyTask─▶ copier ─┘

     incomplete uploads ──▶ aborter ──Done | Skipped | Failed──▶ recorder

     what is to go ─▶ walker ──DeleteTask─▶ deleter ──Deleted | Skipped | Failed──▶ statter

     of a large one: role ──PutPart | …──▶ any worker ──PartDone | PartFailed──▶ role

All are NamedTuples: immutable, typed, and cheapest to pickle. Every task ends in exactly one
outcome; sources also yield outcomes themselves, for entries that cannot become tasks (a FIFO).

``source`` and ``target`` name origin and destination: a key, or a path, of a getter relative.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from s3pp.errors import FailureKind, Kept
from s3pp.facts import Facts as Facts  # noqa: PLC0414  # exported
from s3pp.facts import with_times as with_times  # noqa: PLC0414  # exported
from s3pp.planned import Planned as Planned  # noqa: PLC0414  # exported
from s3pp.recorded import MatchReason
from s3pp.recorded import VerifyTask as VerifyTask  # noqa: PLC0414  # exported
from s3pp.uploads import OpenUpload as OpenUpload  # noqa: PLC0414  # exported
from s3pp.uploads import UploadFacts as UploadFacts  # noqa: PLC0414  # exported


class SkipReason(str, Enum):
    """Why an object was not sent; the value is what users and scripts read."""

    EXISTS = "exists"  # mode add: the key is taken
    OTHER_SIZE = "exists with another size"  # mode add: the key is taken by another object
    SAME_ETAG = "same etag"  # mode update: same size, same content
    SAME_CHECKSUM = "same checksum"  # mode update: ETag not comparable; checksum equal, or 0 bytes
    SAME_TIME = "same time"  # of a get: the file has the object's time, and it is what decides
    APPLIED = "already applied"  # of a plan: the destination holds what the plan would put there
    DONE_EARLIER = "done in an earlier run"  # by its journal, see ``sources/earlier_runs.py``
    SAME_SIZE = "same size"  # --compare size
    NOT_NEWER = "not newer"  # --compare mtime: same size, and the source is not the newer one
    SPECIAL = "not a regular file"  # FIFO, socket, device
    SYMLINK = "symbolic link"  # with --no-follow-symlinks
    LOOP = "symbolic link loop"  # a link to a directory that contains it
    LINK_MEMBER = "link in archive"  # a tar member that is not a regular file
    TEMPORARY = "unfinished download"  # a file of a get that was killed, or is under way
    YOUNG = "begun less than a day ago"  # clean: an upload that may be under way
    IN_SOURCE = "in the source by now"  # --delete: it was not there when the source was read
    DELETED = "deleted later"  # verify: by a later line of the journal
    GONE = "gone already"  # clean: an upload that ended meanwhile; of a deletion: its target

    __hash__ = str.__hash__  # that of enums is a Python call, for each object that is skipped


# Skips of what is no file that can be sent; their size is 0.
LEFT_OUT = frozenset(
    {SkipReason.SPECIAL, SkipReason.LOOP, SkipReason.LINK_MEMBER, SkipReason.TEMPORARY}
)


class SendReason(str, Enum):
    """Why an object was, or would be, sent."""

    NEW = "new"  # the key is absent
    ALWAYS = "always"  # mode stupid; clean
    SIZE = "size differs"
    ETAG = "etag differs"
    CHECKSUM = "checksum differs"  # ETag not comparable, and checksums differ
    TIME = "time differs"  # of a get: the time decides, as the ETag cannot, or is not to
    NEWER = "newer"  # --compare mtime: the source is newer
    UNKNOWN_TIME = "time unknown"  # --compare mtime: the store reports no time
    UNKNOWN = "etag unknown"  # neither ETag nor checksum can show equality


class DeleteReason(str, Enum):
    """Why an object or a file was, or would be, deleted."""

    NOT_IN_SOURCE = "not in source"  # --delete
    EXCLUDED = "excluded"  # --delete-excluded: a filter leaves it out
    SELECTED = "selected"  # remove
    MOVED = "moved"  # move: it stands at the destination

    __hash__ = str.__hash__


class Dest(NamedTuple):
    """The object at a key, as a listing or a HEAD describes it."""

    size: int  # bytes
    etag: str  # as ``s3.answers`` reads it: without quotes, MD5s in lower case
    modified_ns: int | None = None  # set only for --compare mtime; None: the store reports none


class Entry(NamedTuple):
    """A source and the key it goes to. Producer: sources; consumer: the walker."""

    key: str  # destination key, whole
    path: str  # local file to open (surrogateescape), the archive for a tar member
    size: int  # bytes, as the walk saw it
    mtime_ns: int
    offset: int | None = None  # first byte within ``path``; None: the whole file
    name: str | None = None  # what users call it where ``path`` does not say (``a.tar:b/c``)
    spool: bool = False  # True: unreadable in place, ``sources.spool`` must extract it first
    pinned_ns: int | None = None  # mtime that the file at ``path`` must have when it is opened

    @property
    def source(self) -> str:
        """The source, as named in outcomes."""
        return self.name or self.path

    @property
    def target(self) -> str:
        """The key, under its name in outcomes."""
        return self.key


class PutTask(NamedTuple):
    """One object to put. Producer: walker; consumer: putter."""

    entry: Entry
    dest: Dest | None  # None: the key is absent, or the mode does not compare
    ask: bool = False  # True: the listing is inconclusive, HEAD the key
    planned: Planned | None = None  # of an apply

    @property
    def source(self) -> str:
        """The source: a file, or a member of an archive."""
        return self.entry.source

    @property
    def target(self) -> str:
        """The destination key."""
        return self.entry.key

    @property
    def size(self) -> int:
        """The size in bytes, as found by the walk."""
        return self.entry.size


class GetTask(NamedTuple):
    """One object to get. Producer: walker; consumer: getter."""

    source: str  # its key
    target: str  # the path it goes to, relative to the directory; ends in / for a directory
    size: int  # bytes, as the listing has it
    etag: str
    modified: str  # as the store writes it, ISO 8601
    pack: bool = False  # True: the file is the object compressed with gzip
    planned: Planned | None = None  # of an apply


class CopyTask(NamedTuple):
    """One object to copy. Producer: walker; consumer: copier."""

    source: str  # its key
    target: str  # the key it goes to
    size: int  # bytes, as the listing has it
    etag: str
    storage_class: str  # empty: the store's default, or not known
    dest: Dest | None  # what the target is now; None: absent, or the mode does not care
    ask: bool = False  # True: the listing is inconclusive, HEAD the target
    modified_ns: int | None = None  # of the source, as in ``Dest``
    planned: Planned | None = None  # of an apply


Stamp = tuple[int, int, int]  # of a file: size, mtime and ctime in nanoseconds


class DeleteTask(NamedTuple):
    """One object or file to delete. Producer: walker; consumer: deleter.

    What was seen of it is the condition: what has changed since is not deleted.
    """

    target: str  # its key, or the path of a file relative to the directory
    size: int  # bytes
    etag: str  # of an object, as ``s3.answers`` reads it; empty: not known, and no condition
    modified: str  # of an object, as the store writes it, ISO 8601; empty: not known
    reason: DeleteReason
    stamp: Stamp | None = None  # of a file
    links: int = 1  # names that the file had: as one of them is deleted, its ctime changes

    @property
    def source(self) -> str:
        """The target, which outcomes name twice."""
        return self.target


Task = PutTask | GetTask | CopyTask | DeleteTask | VerifyTask


class Span(NamedTuple):
    """The position of one part in its object."""

    number: int  # from 1, as S3 counts
    offset: int  # bytes before it
    size: int  # bytes


class PutPart(NamedTuple):
    """One part of a body to send. Producer: the putter that leads the upload; consumer: any."""

    name: str  # the source, as users call it
    path: str  # file to open
    start: int  # where in it the body begins, in bytes
    stamp: Stamp  # of the file when the upload was begun
    span: Span
    key: str
    upload_id: str
    known: str = ""  # the ETag of what the store has already; the part is sent if it differs
    known_checksum: str = ""  # its checksum, by the algorithm ``checksum``, in base64
    checksum: str = "md5"  # the algorithm that the part is sent with


class GetPart(NamedTuple):
    """One range of an object to fetch. Producer: the getter that leads it; consumer: any."""

    source: str  # its key
    etag: str  # of the object that is meant
    span: Span
    path: str  # the file it is written to, at the span's offset; relative to the directory
    digest: str  # what is computed of the range: "md5", or a CRC by the name S3 has for it
    claim: str = (
        ""  # of the lead on that file, if others may lay claim to it; see localfs/partial_file
    )
    known: str = ""  # what of the range is there already, by its digest; fetched if it differs
    inode: tuple[int, int] = (0, 0)  # of that file, device and number: no other is written to
    pin: str = ""  # value of If-Match; empty: compare the ETag of the answer


class CopyPart(NamedTuple):
    """One range of an object to copy. Producer: the copier that leads it; consumer: any."""

    source: str  # its key
    etag: str  # of the object that is meant
    size: int  # bytes of the whole object
    span: Span
    key: str  # the target
    upload_id: str
    stored: str = ""  # the checksum that the source keeps of the whole, wanted of the part too
    pin: str = ""  # as in ``GetPart``


PartTask = PutPart | GetPart | CopyPart


class PartDone(NamedTuple):
    """A part at its destination. Producer: a worker; consumer: the one that leads."""

    number: int
    size: int  # bytes
    etag: str  # without quotes, else as the store wrote it: a completion names the part so
    md5: str = ""  # in hex; empty where not requested
    checksum: str = ""  # in base64, by that of the upload; empty for md5. Of a range: in hex
    moved: bool = True  # False: it was there already
    stored: str = ""  # in base64, by the checksum that the source of a copy keeps


class PartFault(Enum):
    """What the failure of a part shows of the whole object."""

    NONE = "nothing: the failure is the part's own"
    REPLACED = "the source is another object by now"
    REMOVED = "the source no longer exists"
    NO_RANGES = "the store does not return ranges"
    FILE_REMOVED = "the file that the range was to be written to is gone"


class PartFailed(NamedTuple):
    """A part that failed. Producer: a worker; consumer: the one that leads."""

    number: int
    kind: FailureKind
    message: str
    code: str = ""  # of the store's refusal, if that is what it was
    fault: PartFault = PartFault.NONE


PartOutcome = PartDone | PartFailed


Calls = tuple[tuple[str, int], ...]  # requests by S3 operation, such as (("PutObject", 1),)


class Foreseen(NamedTuple):
    """What a dry run knows of an object that it would transfer."""

    calls: Calls  # those of the transfer, where nothing goes wrong
    task: Task | None = None  # set where a plan is written
    dest: Dest | None = None  # what is at the destination, as in ``Planned``

    @property
    def requests(self) -> int:
        """The number of ``calls``."""
        return sum(count for _, count in self.calls)


class Done(NamedTuple):
    """The store acknowledged the object (or would have been asked to, in a dry run)."""

    source: str
    target: str
    size: int  # bytes of the source
    sent: int  # bytes of the body on the wire (less than size with gzip)
    etag: str  # as the store returned it; the expected one in a dry run
    reason: SendReason | MatchReason  # by what a verify has decided
    attempts: int = 1
    upload: UploadFacts | None = None  # of a clean, whose sources and targets are keys
    encoding: str = ""  # that the body was given, such as gzip
    checksum: str = ""  # the algorithm that the body, or each part, was sent with; only of a put
    foreseen: Foreseen | None = None  # of a dry run
    facts: Facts | None = None  # of a run with a journal


class Skipped(NamedTuple):
    """Deliberately not sent."""

    source: str
    target: str
    size: int
    reason: SkipReason
    upload: UploadFacts | None = None  # likewise
    dest_size: int | None = None  # bytes of what the destination holds, if known and not ``size``
    etag: str = ""  # of the source of a copy that has one already
    deleting: bool = False  # True: it was to be deleted, and nothing was to be sent
    facts: Facts | None = None  # of a run with a journal


def other_size(size: int, dest: Dest | None) -> int | None:
    """Return the size of ``dest`` if there is one, of another size."""
    return None if dest is None or dest.size == size else dest.size


class Failed(NamedTuple):
    """Not transferred; shown on stderr and in the journal."""

    source: str
    target: str
    kind: FailureKind
    message: str  # one line
    code: str = ""  # the store's error code; for a defect, the exception's type
    upload: UploadFacts | None = None  # likewise
    kept: Kept = Kept.NOTHING  # what remains of it for the next run
    deleting: bool = False  # True: it was to be deleted
    facts: Facts | None = None  # of a run with a journal
    attempts: int = 0  # of the request that failed; 0: none has, or it is not known


class Deleted(NamedTuple):
    """The store, or the file system, deleted it (or would have been asked to, in a dry run)."""

    target: str
    size: int  # bytes
    reason: DeleteReason
    etag: str = ""  # that was deleted, as far as known
    version: str = ""  # id of the delete marker that a bucket with versions has instead
    attempts: int = 1
    foreseen: Foreseen | None = None  # of a dry run: the first of a batch has those of all
    facts: Facts | None = None  # of a run with a journal

    @property
    def source(self) -> str:
        """The target: nothing else is involved."""
        return self.target


Outcome = Done | Skipped | Failed | Deleted
