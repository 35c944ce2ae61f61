"""The frozen ``Job``: every setting of a run, validated once.

The argparse Namespace ends in ``cli/``; a program can build one as well.
Constants that are facts of S3, and defaults that are tuning, live here and nowhere else.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from enum import Enum

from s3pp.errors import UsageError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# S3's limits: S3 user guide, "Uploading objects" and "Object key naming".
MAX_SINGLE_PUT = 5 * GIB
# Of a multipart upload: S3 user guide, "Multipart upload limits"; of an object: API reference,
# "CopyObject", which counts in decimal TB (10,000 of the largest parts would be 53.7).
MIN_PART = 5 * MIB  # but for the last one
MAX_PART = 5 * GIB
MAX_PARTS = 10_000
MAX_OBJECT = 50 * 10**12
MAX_KEY_BYTES = 1024
MAX_METADATA_BYTES = 2 * KIB
MAX_TAGS = 10

# Tuning. Requests in flight and not bandwidth bound many small objects at real latencies.
DEFAULT_CONCURRENCY = 512
DEFAULT_LISTERS = 4
# S3 user guide, "Performance design patterns": requests of 8 to 16 MB. 16 MiB make half as many of
# them as 8 MiB, and reach 156 GiB before parts have to grow.
DEFAULT_PART_SIZE = 16 * MIB
# Up to here the ETag stays an MD5, which every tool can compare, and one request does what six
# would (begin, four parts, complete); a failure costs 64 MiB at most.
DEFAULT_MULTIPART_THRESHOLD = 64 * MIB
# Requests for parts in flight, of one process: S3 user guide, "Performance design patterns": one
# request for each 85 to 90 MB/s of what the network does.
PLACES = 8
DEFAULT_MAX_ATTEMPTS = 8
DEFAULT_MAX_THROTTLED = 600.0  # seconds of throttling without a single success
DEFAULT_CONNECT_TIMEOUT = 10.0  # seconds
DEFAULT_READ_TIMEOUT = 60.0  # seconds without a byte in either direction
DEFAULT_WORKER_TIMEOUT = 60.0  # seconds after which a worker that has not responded is replaced
DEFAULT_ABORT_AGE = 86400.0  # seconds; what was begun since may be under way: nobody can tell
ABORTS_AT_ONCE = 16  # uploads that are looked at and aborted side by side

# The types s3-parallel-put compressed by default, and their successors' names.
DEFAULT_GZIP_TYPES = frozenset(
    {
        "application/javascript",
        "application/json",
        "application/x-javascript",
        "application/xml",
        "image/svg+xml",
        "text/css",
        "text/csv",
        "text/html",
        "text/javascript",
        "text/plain",
        "text/xml",
    }
)
ACLS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
)
CHECKSUMS = ("md5", "crc32", "crc32c", "crc64nvme", "sha256")


class Mode(str, Enum):
    """When an object is sent; the rules themselves are in ``transfer/modes.py``."""

    ADD = "add"
    STUPID = "stupid"
    UPDATE = "update"


class Side(str, Enum):
    """The two ends of a run; those of them that are a bucket have to be opened."""

    SOURCE = "source"
    DEST = "dest"


@dataclass(frozen=True)
class Place:
    """``s3://bucket/prefix``, without a trailing slash on the prefix."""

    bucket: str
    prefix: str = ""

    def key(self, relative: str) -> str:
        """The key of ``relative`` below this place, joined by exactly one slash."""
        return f"{self.prefix}/{relative}" if self.prefix else relative

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


NOWHERE = Place("")


@dataclass(frozen=True)
class Origin:
    """What of a bucket a job reads, as ``parse_origin`` understood it."""

    bucket: str
    prefix: str = ""  # what every key begins with: "", "p/" or, of ``logs-2026*``, "logs-2026"
    cut: int = 0  # characters of every key that its relative name leaves out
    single: str | None = None  # the one object meant where nothing lies below ``prefix``: "p"

    def relative(self, key: str) -> str:
        """The name of ``key`` at the destination."""
        return key[self.cut :]

    @property
    def alone(self) -> Origin:
        """The one object of the origin's name, which keeps its base name."""
        name = self.single or ""
        return replace(self, prefix=name, cut=name.rfind("/") + 1)

    def __str__(self) -> str:
        if self.single is None:
            return f"s3://{self.bucket}/{self.prefix}{'*' if self.prefix else ''}"
        # What ends in one of these would be read as something else.
        closing = "/" if self.single.endswith(("/", "*")) else ""
        return f"s3://{self.bucket}/{self.single}{closing}"


@dataclass(frozen=True)
class Choosing:
    """Which of the entries a source holds belong to the job."""

    # ("include" | "exclude", glob) in command line order: the last match wins.
    rules: tuple[tuple[str, str], ...] = ()
    newer_than: float | None = None  # seconds since the epoch: keep what was modified after
    older_than: float | None = None  # seconds since the epoch: keep what was modified before
    min_size: int | None = None  # bytes, inclusive
    max_size: int | None = None  # bytes, inclusive
    limit: int | None = None  # entries, after every other rule
    files_from: str | None = None  # path of the list; "-" is stdin
    null: bool = False  # names in the list end in NUL, not newline
    follow_symlinks: bool = True
    order: str = "key"  # in which tasks go out: "key", or "size": the smallest first


@dataclass(frozen=True)
class Landing:
    """How a getter writes files."""

    fsync: bool = False  # bring each file to the disk before it gets its name
    gunzip: bool = False  # write what is stored with Content-Encoding gzip uncompressed


@dataclass(frozen=True)
class Objects:
    """What every object sent is given."""

    content_type: str = "guess"  # "guess", "magic", or a literal type
    gzip_types: frozenset[str] = frozenset()  # empty: no compression; {"all"}: everything
    headers: tuple[tuple[str, str], ...] = ()  # as given, e.g. ("Cache-Control", "max-age=60")
    metadata: tuple[tuple[str, str], ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    acl: str | None = None
    storage_class: str | None = None
    sse: str | None = None  # "AES256" or "aws:kms"
    sse_kms_key_id: str | None = None
    checksum: str = "md5"
    directive: str = "copy"  # of a copy: "copy" keeps what the source has, "replace" what is here


@dataclass(frozen=True)
class Parts:
    """How large objects are moved: in parts, by all workers at once."""

    size: int = DEFAULT_PART_SIZE  # bytes; grows where ``MAX_PARTS`` of them would not do
    threshold: int = DEFAULT_MULTIPART_THRESHOLD  # bytes: what is larger goes in parts
    resume: bool = True  # go on with what an earlier run left unfinished


@dataclass(frozen=True)
class Access:
    """How to reach the store."""

    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    sign: bool = True
    request_payer: bool = False
    addressing: str | None = None  # "auto", "path" or "virtual"; None: as the profile has it
    ca_bundle: str | None = None
    verify_ssl: bool = True
    secure: bool = True  # scheme where the endpoint URL does not name one
    # The endpoint and the region of the profile go before those of the environment.
    own_settings: bool = False
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    max_throttled: float = DEFAULT_MAX_THROTTLED  # seconds in which nothing succeeds
    connect_timeout: float = DEFAULT_CONNECT_TIMEOUT  # seconds
    read_timeout: float = DEFAULT_READ_TIMEOUT  # seconds


@dataclass(frozen=True)
class Speed:
    """How many at a time."""

    processes: int = field(default_factory=lambda: max(2, os.cpu_count() or 2))
    concurrency: int = DEFAULT_CONCURRENCY  # requests in flight over all processes
    listers: int = DEFAULT_LISTERS  # requests in flight of one listing
    start_method: str = "auto"  # "fork", "spawn", or "auto": fork on Linux
    worker_timeout: float = DEFAULT_WORKER_TIMEOUT  # seconds

    @property
    def places(self) -> int:
        """How many parts of large objects one process moves at a time."""
        return max(1, min(PLACES, self.concurrency // self.processes))

    @property
    def parts_at_once(self) -> int:
        """How many parts of one object are offered: what all processes take, and some to spare."""
        return self.processes * self.places + self.processes


@dataclass(frozen=True)
class Output:
    """What is told, and where."""

    verbosity: int = 0  # -q counts down, -v counts up
    json: bool = False
    progress: bool | None = None  # None: when stderr is a terminal
    journal: str | None = None
    log_file: str | None = None


@dataclass(frozen=True)
class Job:
    """One run of a verb.

    =====  =================================  ===========
    verb   reads                              writes
    =====  =================================  ===========
    put    ``sources``, local paths           ``dest``
    get    ``origin``                         ``directory``
    copy   ``origin``                         ``dest``
    list   ``origin``
    clean  ``origin``, unfinished uploads     ends those
    =====  =================================  ===========

    ``access`` is how the one bucket is reached; of a copy, the destination's, and the source's is
    ``source_access``, or the same where that is None.
    """

    verb: str
    sources: tuple[str, ...] = ()
    dest: Place = NOWHERE
    origin: Origin | None = None
    directory: str = ""
    mode: Mode = Mode.UPDATE
    walk: str = "filesystem"  # or "tar"
    dry_run: bool = False
    choosing: Choosing = Choosing()
    objects: Objects = Objects()
    landing: Landing = Landing()
    parts: Parts = Parts()
    access: Access = Access()
    source_access: Access | None = None
    speed: Speed = field(default_factory=Speed)
    output: Output = Output()

    @property
    def reads(self) -> tuple[str, ...]:
        """The sources, as people call them."""
        return self.sources if self.origin is None else (str(self.origin),)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that are a bucket."""
        found = {Side.SOURCE: self.origin is not None, Side.DEST: self.dest != NOWHERE}
        return tuple(side for side, there in found.items() if there)

    def access_to(self, side: Side) -> Access:
        """How a side is reached."""
        return (side is Side.SOURCE and self.source_access) or self.access

    @property
    def writes(self) -> str:
        """The destination, as people call it."""
        return self.directory if self.dest == NOWHERE else str(self.dest)


_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}\Z")

# S3 user guide, "Referencing access points": they hold the slash that would end a bucket's name.
_POINT = r"accesspoint[/:](?P<name>[A-Za-z0-9.-]{1,63})"
_ARN = re.compile(
    r"arn:aws[a-z-]*:s3(?:-object-lambda|-outposts)?:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):"
    rf"(?:outpost[/:][A-Za-z0-9-]{{1,63}}[/:])?{_POINT}(?=/|\Z)",
    re.ASCII,
)


def access_point(bucket: str) -> str:
    """The host name's first part for a bucket that is the ARN of an access point, else empty."""
    found = _ARN.fullmatch(bucket)
    return f"{found['name']}-{found['account']}" if found else ""


def parse_place(text: str, argument: str = "destination") -> Place:
    """Read ``s3://BUCKET[/PREFIX]``; BUCKET may be the ARN of an access point.

    One trailing slash of the prefix is dropped: ``s3://b/p`` and ``s3://b/p/`` mean the same.
    Raises ``UsageError`` naming ``argument`` for anything else.
    """
    bucket, prefix = _parts(text, argument)
    return Place(bucket, prefix.removesuffix("/"))


def parse_origin(text: str, argument: str = "source") -> Origin:
    """Read ``s3://BUCKET[/PREFIX[*]]`` as a source.

    PREFIX means the keys below ``PREFIX/``, or the one object of that very name; with a ``*`` at
    its end every key that begins so, named from the last slash before the ``*`` on. Raises
    ``UsageError`` naming ``argument`` for anything else.
    """
    bucket, prefix = _parts(text, argument)
    if prefix.endswith("*"):
        prefix = prefix[:-1]
        return Origin(bucket, prefix, prefix.rfind("/") + 1)
    name = prefix.removesuffix("/")
    return Origin(bucket, f"{name}/", len(name) + 1, name or None) if prefix else Origin(bucket)


def _parts(text: str, argument: str) -> tuple[str, str]:
    scheme, _, rest = text.partition("://")
    if scheme != "s3" or not rest:
        raise UsageError(f"{argument} {text!r} is not of the form s3://BUCKET[/PREFIX]")
    arn = _ARN.match(rest)
    bucket, _, prefix = (arn[0], "", rest[arn.end() + 1 :]) if arn else rest.partition("/")
    if arn and not arn["region"]:
        raise UsageError(
            f"{argument} {text!r}: access points of several regions want signature version 4A,"
            " which s3pp does not make: name one of a region"
        )
    if not arn and not _BUCKET.match(bucket):
        raise UsageError(
            f"{argument} {text!r}: {bucket!r} is neither a bucket name (3 to 63 of a-z, 0-9, . and"
            " -) nor the ARN of an access point"
        )
    return bucket, prefix
