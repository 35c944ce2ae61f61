"""Conversion of objects' times, as stores write them, to nanoseconds."""

from __future__ import annotations

from functools import lru_cache

from s3pp.s3.answers import parse_time


@lru_cache(maxsize=1024)  # neighbours in a listing were often written in the same second
def nanoseconds(text: str) -> int | None:
    """Return ``text`` in nanoseconds since the epoch; None if it is no valid time."""
    try:
        return round(parse_time(text).timestamp() * 1_000_000) * 1000
    except ValueError:
        return None
