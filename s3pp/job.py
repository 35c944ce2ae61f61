"""The frozen ``Job``: every setting of a run, and how each is spelt on a command line.

A program can build one as well as ``args/`` does. An option is declared on the field that it sets,
and its default is the field's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum

from s3pp.access import Access
from s3pp.attributes import Objects
from s3pp.body_options import DownloadOptions, Parts
from s3pp.cluster import Cluster
from s3pp.deletion import Deletion
from s3pp.listing_options import ListingOptions
from s3pp.locking import Locking
from s3pp.option import FILE, MOMENT, SIZE, N, Option, Value, choice, option, options
from s3pp.output import Output
from s3pp.places import NOWHERE, UNKNOWN_STORES, Origin, Place, Side, Source, Stores
from s3pp.shard import Shard
from s3pp.speed import Speed
from s3pp.verification import Verification


class Mode(str, Enum):
    """The condition for sending an object; the rules are in ``transfer/modes.py``."""

    ADD = "add"
    STUPID = "stupid"
    UPDATE = "update"


class Compare(str, Enum):
    """What mode ``update`` compares; the rules are in ``transfer/modes.py``."""

    ETAG = "etag"
    MTIME = "mtime"
    SIZE = "size"


STREAM = "-"  # as source: standard input; as directory: standard output


@dataclass(frozen=True)
class Choosing:
    """Filters and order of the entries of a source."""

    # ("include" | "exclude", glob) in command line order: the last match wins.
    rules: tuple[tuple[str, str], ...] = options(
        (),
        Option(
            ("--include",),
            "select matching names; of --include and --exclude the last match wins; ** matches /",
            Value("GLOB", "include"),
        ),
        Option(
            ("--exclude",),
            "exclude matching names",
            Value("GLOB", "exclude"),
            verbs={"put": "exclude matching names; excluded directories are not entered"},
        ),
    )
    matching: str = "glob"  # how ``rules`` are: "glob", or "fnmatch", as in s3-parallel-put
    # Seconds since the epoch: keep what was modified after, and before.
    newer_than: float | None = option(
        None,
        "--newer-than",
        MOMENT,
        help="modified after: an age such as 7d, or an ISO date or time",
    )
    older_than: float | None = option(
        None,
        "--older-than",
        MOMENT,
        help="modified before",
        clean="started before: an age such as 7d, or an ISO date (default: 1d; 0s: all)",
    )
    min_size: int | None = option(  # bytes, inclusive
        None,
        "--min-size",
        SIZE,
        help="at least this size: bytes, or 10k, 16MiB, 1.5G (powers of 1024)",
    )
    max_size: int | None = option(  # bytes, inclusive
        None, "--max-size", SIZE, help="at most this size"
    )
    limit: int | None = option(  # entries, after every other rule
        None, "--limit", N, help="only the first N, in key order", clean="at most N of them"
    )
    files_from: str | None = option(  # path of the list; "-" is stdin
        None,
        "--files-from",
        FILE,
        help="read the names from FILE (-: stdin), relative to PREFIX",
        put="read the names from FILE (-: stdin), relative to SOURCE",
    )
    names: tuple[str, ...] | None = None  # such a list in memory
    manifest: str | None = option(  # path or s3://BUCKET/KEY
        None,
        "--manifest",
        FILE,
        help="read the objects from an S3 Inventory: FILE or s3://BUCKET/…/manifest.json",
    )
    null: bool = option(False, "--null", help="names in FILE end with NUL")  # not in a newline
    shard: Shard | None = option(
        None,
        "--shard",
        Value("K/N|auto", "shard", once=True),
        help="only the K-th of N shards of all keys, of which each run does one; auto: as the"
        " scheduler of an array of jobs numbers its tasks; auto/N: and there are N",
    )
    retry_from: tuple[str, ...] = option(  # paths; see ``sources/earlier_runs.py``
        (),
        "--retry-from",
        Value("JOURNAL"),
        help="only what JOURNAL says failed, or lacks; may be repeated",
    )
    resume_logs: tuple[str, ...] = ()  # paths of logs of s3-parallel-put, likewise
    # None: what links lead to is sent, and nothing is written through them.
    follow_symlinks: bool | None = options(
        None,
        Option(
            ("--follow-symlinks",),
            "follow symbolic links (default)",
            verbs={"get": "write through symbolic links to directories inside DIRECTORY"},
        ),
        Option(
            ("--no-follow-symlinks",),
            "skip symbolic links",
            sets=False,
            verbs={"get": "do not write through symbolic links (default)"},
        ),
    )
    linked_directories: bool = True  # those that links lead to are followed; old tools did not
    order: str = option(  # in which tasks go out
        "key",
        "--order",
        choice("ORDER", "key", "size"),
        help="key (default), or size: the smallest first, once all are listed",
    )

    fail_if_empty: bool = option(
        False,
        "--fail-if-empty",
        help="exit 1 if nothing is found, or nothing that the filters select",
        clean="exit 1 if no upload is found that these options select",
    )
    # Of the old tools: a prefix without objects is wrong usage, and nothing else is said of it.
    must_exist: bool = False

    @property
    def names_earlier_runs(self) -> bool:
        """Whether what earlier runs have done is to be left out."""
        return bool(self.retry_from or self.resume_logs)


@dataclass(frozen=True)
class Job:
    """One run of a verb.

    =====  =================================  ===========
    verb   reads                              writes
    =====  =================================  ===========
    put    ``sources``, local files           ``dest``
    get    ``origins``                        ``directory``
    copy   ``origins``                        ``dest``
    list   ``origin``
    du     ``origin``
    clean  ``origin``, unfinished uploads     ends those
    remove ``origin``                         deletes it
    verify ``origins``, local files           nothing
    =====  =================================  ===========

    ``access`` configures access to the bucket; for a copy, to the destination, while the source has
    ``source_access``, or the same if that is None. Where ``listing_access`` is given, the
    destination is listed with that.
    """

    verb: str
    sources: tuple[Source, ...] = ()
    dest: Place = NOWHERE
    origins: tuple[Origin, ...] = ()
    directory: str = ""
    mode: Mode = option(
        Mode.UPDATE,
        "--mode",
        "--put",
        Value("MODE", "mode"),
        help="update: missing and different objects (default); add: missing ones; stupid: all",
    )
    compare: Compare = option(
        Compare.ETAG,
        "--compare",
        Value("WHAT", "compare"),
        help="what update compares: etag (default); size; mtime: size and time, as aws s3 sync",
        get="what update compares: etag (default); size; mtime: size, and that times are equal",
        verify="what of SOURCE and DEST is compared: etag (default); size; mtime: size and time",
    )
    walk: str = option(
        "filesystem",
        "--walk",
        choice("KIND", "filesystem", "tar"),
        help="filesystem (default), or tar: SOURCE is an archive, whose members are read",
    )
    dry_run: bool = option(
        False,
        "-n",
        "--dry-run",
        help="show what would be transferred and why; change nothing",
        clean="show what would be aborted; change nothing",
        remove="show what would be deleted; change nothing",
    )
    plan: str | None = option(  # path of the plan that is written
        None,
        "--plan",
        FILE,
        help="write what would be transferred to FILE, for s3pp apply; transfer nothing",
        remove="write what would be deleted to FILE, for s3pp apply; delete nothing",
    )
    applies: str | None = None  # path of the plan that is applied
    exit_code: bool = option(
        False,
        "--exit-code",
        help="exit 1 if --dry-run would transfer anything, or --mode add leaves another size",
        remove="exit 1 if --dry-run would delete anything",
    )
    sandbox: bool = option(
        False,
        "--sandbox",
        help="use a new S3 server in memory, with the bucket created",
        copy="use a new S3 server in memory, with the buckets created",
    )
    choosing: Choosing = Choosing()
    deletion: Deletion = Deletion()
    verification: Verification = Verification()
    objects: Objects = Objects()
    download: DownloadOptions = DownloadOptions()
    parts: Parts = Parts()
    access: Access = Access()
    source_access: Access | None = None
    listing_access: Access | None = None
    speed: Speed = field(default_factory=Speed)
    cluster: Cluster = Cluster()
    output: Output = Output()
    locking: Locking = Locking()
    listing: ListingOptions = ListingOptions()
    inventory: str = ""  # the bucket of the manifest's data files; set when that has been read
    moves: bool = False  # what was transferred and verified is deleted where it came from
    verifies: bool = False  # the ends are compared, and nothing is transferred
    verified: str | None = None  # path of the journal that is verified, of the verb ``verify``
    stores: Stores = UNKNOWN_STORES  # set when the buckets have been found
    accounts: Stores = UNKNOWN_STORES  # likewise, as ``Opened.account`` has them

    @property
    def lists_decisions(self) -> bool:
        """Whether each decision is printed: of a dry run that does not write them to a plan."""
        return self.dry_run and self.plan is None

    @property
    def is_stream(self) -> bool:
        """Whether standard input is the source, or standard output the destination."""
        return self.reads_stdin or self.directory == STREAM

    @property
    def reads_stdin(self) -> bool:
        """Whether standard input is the source."""
        return self.sources == (Source(STREAM),)

    @property
    def origin(self) -> Origin:
        """The origin of a job that reads only one."""
        (origin,) = self.origins
        return origin

    @property
    def deletes(self) -> bool:
        """Whether objects or files may be deleted."""
        return self.verb == "remove" or self.moves or self.deletion.extraneous

    @property
    def deletes_last(self) -> bool:
        """Whether deletions wait until it is known how many there are."""
        bounded = self.verb == "remove" and self.deletion.most is not None
        return bounded or self.deletion.extraneous

    @property
    def title(self) -> str:
        """The verb that the user has given."""
        if self.moves:
            return "move"
        return "verify" if self.verifies else self.verb

    @property
    def is_read_only(self) -> bool:
        """Whether nothing is changed at any end."""
        return self.dry_run or self.verifies

    @property
    def buckets(self) -> tuple[str, ...]:
        """The buckets that are read, each once."""
        return tuple(dict.fromkeys(origin.bucket for origin in self.origins))

    @property
    def reads(self) -> tuple[str, ...]:
        """The sources, as named by the user."""
        if self.verified is not None:
            return (self.verified,)
        return tuple(map(str, self.origins or self.sources))

    @property
    def by_name(self) -> bool:
        """Whether the names of what is read come from a list."""
        return (self.choosing.files_from, self.choosing.names) != (None, None)

    @property
    def unlisted(self) -> bool:
        """Whether what is read is known without its listing: by names, or by an inventory."""
        return self.by_name or self.choosing.manifest is not None

    @property
    def reads_nothing(self) -> bool:
        """Whether it is known that no object is found in any of the origins."""
        return bool(self.origins) and all(origin.is_empty for origin in self.origins)

    def requires(self, origin: Origin) -> bool:
        """Whether ``origin`` is wrong usage if it has no objects, as a name that does not exist.

        What is to be deleted may be gone already, and of a mirror's source the guards decide.
        """
        deletes = self.verb == "remove" or self.moves or self.deletion.extraneous
        return self.choosing.must_exist or (origin.may_be_key and not deletes)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides that are buckets, those that are read first."""
        found = {
            Side.DEST: self.dest != NOWHERE,
            Side.LISTING: self.listing_access is not None,
            Side.INVENTORY: self.inventory != "",
        }
        sources = (Side("source", number) for number in range(len(self.buckets)))
        return (*sources, *(side for side, there in found.items() if there))

    def side_of(self, origin: Origin) -> Side:
        """The side of an origin: its bucket."""
        return Side("source", self.buckets.index(origin.bucket))

    def bucket_of(self, side: Side) -> str:
        """The bucket of a side."""
        if side.end == "source":
            return self.buckets[side.number]
        return self.inventory if side == Side.INVENTORY else self.dest.bucket

    def access_to(self, side: Side) -> Access:
        """The access settings of a side."""
        source, listing = self.source_access, self.listing_access
        own = {"source": source, "inventory": source, "listing": listing}
        return own.get(side.end) or self.access

    @property
    def writes(self) -> str:
        """The destination, as named by the user."""
        if self.dest == NOWHERE:
            return self.directory
        return str(replace(self.dest, prefix=self._key) if self._key else self.dest)

    @property
    def key_prefix(self) -> str:
        """What every key begins with that is written to ``dest``."""
        return self._key or self.dest.key("")

    @property
    def _key(self) -> str:
        """The key of a single source that has a name; empty: there is none."""
        read: tuple[Source | Origin, ...] = (*self.sources, *self.origins)
        name = read[0].name if len(read) == 1 else None
        return self.dest.key(name) if name else ""
