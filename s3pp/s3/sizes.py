"""Sizes of objects, as stores write them: in listings, and in ``Content-Length``."""

from __future__ import annotations

import re

# Bytes in decimal, less than a petabyte: S3 knows objects of up to 50 TB, and sums must stay sums.
DIGITS = "[0-9]{1,15}"
_SIZE = re.compile(DIGITS)


def size(text: str) -> int:
    """``text`` in bytes. Raises ``ValueError`` where that can be no size."""
    if not _SIZE.fullmatch(text):
        raise ValueError(f"{text!r} is no size")
    return int(text)


def declared_size(text: str | None) -> int | None:
    """The bytes that a ``Content-Length`` declares; None where it declares nothing.

    One that came several times, in whatever lines, may be a list (RFC 9110, 8.6).
    """
    told = {each.strip() for each in (text or "").split(",")}
    try:
        return size(told.pop()) if len(told) == 1 else None
    except ValueError:
        return None
