"""Parser for times as stores write them: ISO 8601 in listings, RFC 9110 in headers."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

# Python 3.10 parses only fractions of 3 or 6 digits, and no version more than 6.
_FRACTION = re.compile(r"\.([0-9]+)")


def moment(text: str) -> datetime:
    """Parse ``text`` into a time in UTC, which is assumed if it names no zone.

    Raises ``ValueError`` if it is not a time.
    """
    try:
        found = datetime.fromisoformat(_FRACTION.sub(_six_digits, text).replace("Z", "+00:00"))
    except ValueError:
        found = _of_a_header(text)
    if not found.tzinfo:
        return found.replace(tzinfo=timezone.utc)
    try:
        return found.astimezone(timezone.utc)
    except OverflowError:  # in UTC it is before the year 1 or after 9999
        raise _no_time(text) from None


def seconds(text: str | None) -> float | None:
    """Parse ``text`` into seconds since the epoch; None if it is not a time."""
    try:
        return moment(text or "").timestamp()
    except ValueError:
        return None


def _six_digits(fraction: re.Match[str]) -> str:
    return f".{fraction[1][:6]:0<6}"


def _of_a_header(text: str) -> datetime:
    try:
        return parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        raise _no_time(text) from None


def _no_time(text: str) -> ValueError:
    return ValueError(f"{text!r} is no time")
