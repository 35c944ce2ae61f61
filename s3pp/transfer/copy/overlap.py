"""Source and destination of a copy in one bucket: what is refused, and what is made safe.

Every key read begins with ``origin.prefix``; every target begins with the destination's name and a
slash, so that either lies inside the other or they have nothing in common::

    s3://b/p         s3://b/p        every object onto itself          refused
    s3://b/p         s3://b/p/old    the destination is in the source  keys below p/old/ left out
    s3://b/p/q       s3://b/p        the source is in the destination  p/q/q/x, to p/q/x, fails
    s3://b/p         s3://b/pp       nothing in common

What has been written is then never read: no copy of a copy, whatever the order and the timing.
"""

from __future__ import annotations

from typing import NamedTuple

from s3pp.places import Origin, Place


class Overlap(NamedTuple):
    """What source and destination have in common, and what follows."""

    refusal: str | None = None  # why nothing can be copied at all, and what to do
    note: str | None = None  # what users should know once
    left_out: tuple[str, ...] = ()  # beginnings of keys that are not part of the source
    kept_free: tuple[str, ...] = ()  # beginnings that no target may have

    @classmethod
    def of(cls, origin: Origin, dest: Place, *, same: bool) -> Overlap:
        """Compare the two; ``same``: both are in the same bucket of the same store."""
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
        """Whether ``key`` of the source lies below the destination."""
        return key.startswith(self.left_out)

    def fault(self, target: str) -> str | None:
        """Why nothing can be copied to ``target``; None where something can."""
        if not target.startswith(self.kept_free):
            return None
        return f"its copy, {target}, would lie inside the source: choose another destination"


def _doubled(origin: Origin, dest: Place) -> str | None:
    """What to say where who copies one object may have meant its name, and gets it twice."""
    name = origin.relative(origin.prefix)
    if dest.prefix.rpartition("/")[2] != name:
        return None
    return f"the destination is a directory: {origin} becomes s3://{dest.bucket}/{dest.key(name)}"
