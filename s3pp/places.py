"""Sources, buckets and prefixes: where a run reads, and where it writes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

from s3pp.errors import UsageError


@dataclass(frozen=True)
class Place:
    """``s3://bucket/prefix``, without a trailing slash on the prefix."""

    bucket: str
    prefix: str = ""
    # It was given without a slash at its end: of a single file or object it is the whole key.
    may_be_key: bool = field(default=False, compare=False)

    def key(self, relative: str) -> str:
        """The key of ``relative`` below this place, joined by exactly one slash."""
        return f"{self.prefix}/{relative}" if self.prefix else relative

    def split(self) -> tuple[Place, str]:
        """Return a place and the name in it of the key that is the prefix."""
        above, _, name = self.prefix.rpartition("/")
        return (Place(self.bucket, above), name) if above else (Place(self.bucket), self.prefix)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


NOWHERE = Place("")


@dataclass(frozen=True)
class Source:
    """A file, directory or archive to upload.

    ``name`` is what it is called below the destination: the key of a file, or the directory that
    the contents of a directory or an archive land in. None: a file keeps its base name, and
    contents land at the destination itself.
    """

    path: str
    name: str | None = None

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class Origin:
    """What of a bucket a job reads, as ``parse_origin`` understood it."""

    bucket: str
    prefix: str = ""  # what every key begins with: "", "p/" or, of ``logs-2026*``, "logs-2026"
    cut: int = 0  # characters of every key that its relative name leaves out
    single: str | None = None  # the one object meant where nothing lies below ``prefix``: "p"
    # What a single object is called at the destination, or the directory that all others land in.
    name: str | None = None
    is_empty: bool = False  # it is known that no object is found there
    # It was given without a slash at its end: it may be the name of an object.
    may_be_key: bool = field(default=False, compare=False)

    def relative(self, key: str) -> str:
        """The name by which filters choose ``key``; at the destination it may have another."""
        return key[self.cut :]

    @property
    def renaming(self) -> tuple[str, int]:
        """How a key becomes the name at the destination: what goes before it, and what is cut."""
        if self.name is None:
            return "", self.cut
        return (self.name, len(self.prefix)) if self.is_single else (f"{self.name}/", self.cut)

    @property
    def is_single(self) -> bool:
        """Whether it is known to mean the one object."""
        return self.prefix == self.single

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
class Side:
    """A bucket of a run, which must be opened: the destination, or one of those that are read."""

    end: str
    number: int = 0  # of a bucket that is read, in the order in which they are named

    SOURCE: ClassVar[Side]
    DEST: ClassVar[Side]
    LISTING: ClassVar[Side]  # the destination again, where other credentials list it
    INVENTORY: ClassVar[Side]  # the data files of --manifest


class Stores(NamedTuple):
    """The hosts of a run's stores, as ``Endpoint.service`` has them; empty: not known, or none."""

    source: str = ""
    dest: str = ""


UNKNOWN_STORES = Stores()

Side.SOURCE, Side.DEST, Side.LISTING = Side("source"), Side("dest"), Side("listing")
Side.INVENTORY = Side("inventory")


_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}\Z")

# S3 user guide, "Referencing access points": they hold the slash that would end a bucket's name.
_POINT = r"accesspoint[/:](?P<name>[A-Za-z0-9.-]{1,63})"
_ARN = (
    r"(?a)arn:aws[a-z-]*:s3(?:-object-lambda|-outposts)?:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):"
    rf"(?:outpost[/:][A-Za-z0-9-]{{1,63}}[/:])?{_POINT}(?=/|\Z)"
)


def single_slashes(path: str) -> str:
    """Return ``path`` without repeated slashes, and without any at its ends."""
    return "/".join(filter(None, path.split("/")))


def access_point(bucket: str) -> str:
    """The host name's first part for a bucket that is the ARN of an access point, else empty."""
    found = re.fullmatch(_ARN, bucket) if bucket.startswith("arn:") else None
    return f"{found['name']}-{found['account']}" if found else ""


def is_alias(bucket: str) -> bool:
    """Return whether a name is that of an access point, whose bucket may have another name too.

    Suffixes: S3 user guide, "Access point aliases" and "Object Lambda access point aliases".
    """
    return bucket.startswith("arn:") or bucket.endswith(("-s3alias", "--ol-s3"))


def parse_place(text: str, argument: str = "destination") -> Place:
    """Read ``s3://BUCKET[/PREFIX]``; BUCKET may be the ARN of an access point.

    One trailing slash of the prefix is dropped: as directories ``s3://b/p`` and ``s3://b/p/`` are
    the same; only the first may be a key. Raises ``UsageError`` naming ``argument`` for anything
    else.
    """
    bucket, prefix = _parts(text, argument)
    return Place(bucket, prefix.removesuffix("/"), prefix != "" and not prefix.endswith("/"))


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
    if not prefix:
        return Origin(bucket)
    named = not prefix.endswith("/")
    return Origin(bucket, f"{name}/", len(name) + 1, name or None, may_be_key=named)


def _parts(text: str, argument: str) -> tuple[str, str]:
    scheme, _, rest = text.partition("://")
    if scheme != "s3" or not rest:
        raise UsageError(f"{argument} {text!r} is not of the form s3://BUCKET[/PREFIX]")
    arn = re.match(_ARN, rest) if rest.startswith("arn:") else None
    bucket, _, prefix = (arn[0], "", rest[arn.end() + 1 :]) if arn else rest.partition("/")
    if arn and not arn["region"]:
        raise UsageError(
            f"{argument} {text!r}: access points of several regions need signature version 4A,"
            " which s3pp does not support: name one of a single region"
        )
    if not arn and not _BUCKET.match(bucket):
        raise UsageError(
            f"{argument} {text!r}: {bucket!r} is neither a bucket name (3 to 63 of a-z, 0-9, . and"
            " -) nor the ARN of an access point"
        )
    return bucket, prefix
