"""Where the source and the destination of a copy overlap in one bucket.

Every key read begins with ``origin.prefix``, every target with the destination's name and a slash,
so that one is inside the other or they have nothing in common::

    s3://b/p      s3://b/p        every object onto itself          refused
    s3://b/p      s3://b/p/old    the destination is in the source  keys below p/old/ left out
    s3://b/p/q    s3://b/p        the source is in the destination  p/q/q/x, to p/q/x, fails
    s3://b/p      s3://b/pp       nothing in common

Objects written by the run are then never read: there are no copies of copies, in any order.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from s3pp.errors import UsageError
from s3pp.places import Origin, Place, is_alias


class Overlap(NamedTuple):
    """The overlap of source and destination, and its consequences."""

    refusal: str | None = None  # why nothing can be copied at all, and what to do
    note: str | None = None  # a notice for users
    left_out: tuple[str, ...] = ()  # prefixes of keys that are not part of the source
    kept_free: tuple[str, ...] = ()  # prefixes that no target may have

    @classmethod
    def of(cls, origin: Origin, dest: Place, *, same: bool) -> Overlap:
        """Compare source and destination; ``same``: both are in one bucket of one store."""
        below = target_prefix(origin, dest)
        if same and below == origin.prefix:
            what = "the object" if origin.is_single else "every object"
            there = dest if origin.name is None else f"s3://{dest.bucket}/{below}"
            why = f"{origin} to {there} would copy {what} onto itself"
            return cls(refusal=f"{why}: name another destination")
        if origin.is_single or not same:  # one object goes elsewhere
            return cls()
        if below.startswith(origin.prefix):
            what = f"keys that begin with {below!r} are not copied"
            return cls(note=f"{dest} lies inside {origin}: {what}", left_out=(below,))
        return cls(kept_free=(origin.prefix,) if origin.prefix.startswith(below) else ())

    @property
    def any(self) -> bool:
        """Whether source and destination overlap."""
        return bool(self.left_out or self.kept_free)

    def excluded(self, key: str) -> bool:
        """Return whether ``key`` of the source is below the destination."""
        return key.startswith(self.left_out)

    def fault(self, target: str) -> str | None:
        """Return why nothing can be copied to ``target``; None if it can."""
        if not target.startswith(self.kept_free):
            return None
        return f"its copy, {target}, would lie inside the source: choose another destination"


def check_mirrored(origin: Origin, dest: Place) -> None:
    """Raise ``UsageError`` where ``--delete`` at ``dest`` could delete the source itself.

    A store may have several hosts, and a bucket several names: those that may be one count as one.
    """
    if origin.is_single:
        raise UsageError(f"{origin} is a single object: --delete needs a prefix; leave it out")
    same = origin.bucket == dest.bucket or is_alias(origin.bucket) or is_alias(dest.bucket)
    if Overlap.of(origin, dest, same=same).kept_free:
        inside = f"{origin} lies inside {dest}, or may, where --delete would delete it"
        raise UsageError(f"{inside}: name another destination")


def check_moved(origin: Origin, dest: Place) -> None:
    """Raise ``UsageError`` where a move to another place could turn out to be one within a place.

    A bucket that is named by an alias may be any other, and one of the same name at another host
    the same. There, each object onto itself is left to ``move.proofs``, which sees the objects:
    buckets of one name at two stores are usual.
    """
    alias = is_alias(origin.bucket) or is_alias(dest.bucket)
    overlap = Overlap.of(origin, dest, same=alias or origin.bucket == dest.bucket)
    if overlap.any or (alias and overlap.refusal):
        remedy = "name the bucket itself" if alias else "name another prefix"
        raise UsageError(f"{origin} and {dest} may overlap, by other names of one bucket: {remedy}")


def target_prefix(origin: Origin, dest: Place) -> str:
    """Return what the key of every copy begins with; of a single object, the key."""
    start, cut = origin.renaming
    return dest.key(start) + origin.prefix[cut:]


class Overlaps(Protocol):
    """What of an origin is not copied, as source and destination overlap."""

    @property
    def any(self) -> bool:
        """Whether there may be anything."""

    def excluded(self, key: str) -> bool:
        """Return whether ``key`` is left out."""

    def fault(self, target: str) -> str | None:
        """Return why nothing can be copied to ``target``; None if it can."""
