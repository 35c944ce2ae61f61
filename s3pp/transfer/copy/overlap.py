"""Overlap of source and destination in one bucket: what is refused, and what is excluded.

Every key read begins with ``origin.prefix``; every target begins with the destination's name and a
slash, so that one is inside the other or they have nothing in common::

    s3://b/p         s3://b/p        every object onto itself          refused
    s3://b/p         s3://b/p/old    the destination is in the source  keys below p/old/ left out
    s3://b/p/q       s3://b/p        the source is in the destination  p/q/q/x, to p/q/x, fails
    s3://b/p         s3://b/pp       nothing in common

Objects written by the run are then never read: there are no copies of copies, in any order.
"""

from __future__ import annotations

from typing import NamedTuple

from s3pp.places import Origin, Place


class Overlap(NamedTuple):
    """The overlap of source and destination, and its consequences."""

    refusal: str | None = None  # why nothing can be copied at all, and what to do
    note: str | None = None  # a notice for users
    left_out: tuple[str, ...] = ()  # prefixes of keys that are not part of the source
    kept_free: tuple[str, ...] = ()  # prefixes that no target may have

    @classmethod
    def of(cls, origin: Origin, dest: Place, *, same: bool) -> Overlap:
        """Compare source and destination; ``same``: both are in one bucket of one store."""
        below = dest.key("")
        if same and below == origin.prefix[: origin.cut]:
            why = f"{origin} to {dest} would copy every object onto itself"
            return cls(refusal=f"{why}: name another destination")
        if origin.prefix == origin.single:  # one object, and it goes elsewhere
            return cls(note=_doubled(origin, dest))
        if not same:
            return cls()
        if below.startswith(origin.prefix):
            note = f"{dest} lies inside {origin}: what is below it already is not copied"
            return cls(note=note, left_out=(below,))
        return cls(kept_free=(origin.prefix,) if origin.prefix.startswith(below) else ())

    def excluded(self, key: str) -> bool:
        """Return whether ``key`` of the source is below the destination."""
        return key.startswith(self.left_out)

    def fault(self, target: str) -> str | None:
        """Return why nothing can be copied to ``target``; None if it can."""
        if not target.startswith(self.kept_free):
            return None
        return f"its copy, {target}, would lie inside the source: choose another destination"


def _doubled(origin: Origin, dest: Place) -> str | None:
    """Return a notice if the key of a single object repeats the last segment of ``dest``."""
    name = origin.relative(origin.prefix)
    if dest.prefix.rpartition("/")[2] != name:
        return None
    return f"the destination is a directory: {origin} becomes s3://{dest.bucket}/{dest.key(name)}"
