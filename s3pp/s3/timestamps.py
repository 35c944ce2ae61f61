"""The times that a store writes: ISO 8601 in listings, RFC 9110 in headers."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import lru_cache

# Python 3.10 parses only fractions of 3 or 6 digits, and no version more than 6.
_FRACTION = re.compile(r"\.([0-9]+)")


def parse_time(text: str) -> datetime:
    """Parse ``text`` into a time in UTC, which is assumed if it names no zone.

    Raises ``ValueError`` if it is not a time.
    """
    try:
        found = datetime.fromisoformat(_FRACTION.sub(_six_digits, text).replace("Z", "+00:00"))
    except ValueError:
        found = _parse_header_time(text)
    if not found.tzinfo:
        return found.replace(tzinfo=timezone.utc)
    try:
        return found.astimezone(timezone.utc)
    except OverflowError:  # in UTC it is before the year 1 or after 9999
        raise _no_time(text) from None


def epoch_seconds(text: str | None) -> float | None:
    """Parse ``text`` into seconds since the epoch; None if it is not a time."""
    try:
        return parse_time(text or "").timestamp()
    except ValueError:
        return None


@lru_cache(maxsize=1024)  # neighbours in a listing were often written in the same second
def epoch_nanoseconds(text: str) -> int | None:
    """Parse ``text`` into nanoseconds since the epoch; None if it is not a time."""
    try:
        return round(parse_time(text).timestamp() * 1_000_000) * 1000
    except ValueError:
        return None


def _six_digits(fraction: re.Match[str]) -> str:
    return f".{fraction[1][:6]:0<6}"


def _parse_header_time(text: str) -> datetime:
    from email.utils import parsedate_to_datetime  # costs milliseconds, and few runs need it

    try:
        return parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        raise _no_time(text) from None


def _no_time(text: str) -> ValueError:
    return ValueError(f"{text!r} is not a time")
