"""Times of objects as stores write them: ISO 8601 in listings, RFC 9110 in headers."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache


@lru_cache(maxsize=1024)  # neighbours in a listing were often written in the same second
def nanoseconds(text: str) -> int | None:
    """``text`` in nanoseconds since the epoch; None where it is no time."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return round(moment.timestamp() * 1_000_000) * 1000
