"""Parser for entity tags as stores write them (RFC 9110, 8.8.3).

::

    "9e10…"    9e10…    W/"9e10…"    "9E10…"      all name the same object: 9e10…

A proxy that changes a body in transit marks the tag as weak (``W/``), and some stores mark all of
theirs: such a tag still names the object that a listing names without the mark. It matters
only where a tag is sent back in a condition, see ``pin_of``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# An MD5 in hex, or one of MD5s and their count. In other tags, case is significant.
_HEX = re.compile(r"[0-9a-fA-F]{32}(-[0-9]+)?\Z")
_QUOTES = ' \t"'


class EntityTag(NamedTuple):
    """A parsed tag; case is kept."""

    text: str  # without quotes; empty: there is none
    weak: bool


def read_tag(written: str | None) -> EntityTag:
    """Parse the value of an ETag header or element; pass None where there is none."""
    text = (written or "").strip()
    weak = text[:3] in ('W/"', 'w/"')
    return EntityTag((text[2:] if weak else text).strip(_QUOTES), weak)


def etag_of(written: str | None) -> str:
    """The ETag in its form for comparison: without quotes, MD5s in lower case; may be empty."""
    plain = (written or "").strip('"')
    if plain.isalnum() and plain.islower():
        return plain  # nearly all
    text = read_tag(written).text
    return text.lower() if _HEX.match(text) else text


def pin_of(written: str | None) -> str:
    """The value of If-Match that matches exactly this tag; empty: no value can.

    If-Match compares strongly, so a weak tag matches nothing, not even itself (RFC 9110,
    13.1.1). Where there is no pin, the tag of each response must be compared instead.
    """
    text, weak = read_tag(written)
    return f'"{text}"' if text and not weak else ""
