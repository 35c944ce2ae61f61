"""Parsers for sizes of objects, in listings and in ``Content-Length``."""

from __future__ import annotations

import re

# Bytes in decimal, below a petabyte: S3 objects have at most 50 TB, and sums must not overflow.
DIGITS = "[0-9]{1,15}"
_SIZE = re.compile(DIGITS)


def size(text: str) -> int:
    """Parse ``text`` into bytes. Raises ``ValueError`` if it is not a valid size."""
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{text!r} is no size")
    return int(text)


def declared_size(text: str | None) -> int | None:
    """Parse a ``Content-Length`` into bytes; None if absent or invalid.

    A repeated header may be a list of equal values (RFC 9110, 8.6).
    """
    told = {each.strip() for each in (text or "").split(",")}
    try:
        return size(told.pop()) if len(told) == 1 else None
    except ValueError:
        return None
