"""Times as stores write them: ISO 8601 in listings, RFC 9110 in headers."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

# Python 3.10 reads fractions of 3 or 6 digits only, and no version more than 6.
_FRACTION = re.compile(r"\.([0-9]+)")


def moment(text: str) -> datetime:
    """``text`` as a time of UTC; so is one that names no zone, whatever zone this machine is in.

    Raises ``ValueError`` where it is none.
    """
    try:
        found = datetime.fromisoformat(_FRACTION.sub(_six_digits, text).replace("Z", "+00:00"))
    except ValueError:
        found = _of_a_header(text)
    if not found.tzinfo:
        return found.replace(tzinfo=timezone.utc)
    try:
        return found.astimezone(timezone.utc)
    except OverflowError:  # its zone makes it one of before the year 1, or after 9999
        raise _no_time(text) from None


def seconds(text: str | None) -> float | None:
    """``text`` in seconds since the epoch; None where it is no time."""
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
