"""Times of objects, as stores write them, in the unit of files."""

from __future__ import annotations

from functools import lru_cache

from s3pp.s3.moments import moment


@lru_cache(maxsize=1024)  # neighbours in a listing were often written in the same second
def nanoseconds(text: str) -> int | None:
    """``text`` in nanoseconds since the epoch; None where it is no time."""
    try:
        return round(moment(text).timestamp() * 1_000_000) * 1000
    except ValueError:
        return None
