"""One page of a listing over keys in UTF-8 byte order, which for ``bytes`` is the natural order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Sequence
from typing import NamedTuple

# Sorts after every key that begins with a group's name: no UTF-8 text holds this byte.
PAST_GROUP = b"\xff"


class Query(NamedTuple):
    """What a page is asked for."""

    prefix: bytes = b""
    after: bytes = b""  # exclusive
    delimiter: bytes = b""
    limit: int = 1000  # keys and groups together


class Page(NamedTuple):
    """``more`` is the ``after`` of the next page, or None on the last one."""

    keys: list[bytes]
    groups: list[bytes]  # common prefixes, each ending in the delimiter
    more: bytes | None


def page(keys: Sequence[bytes], query: Query, gone: Container[bytes] = ()) -> Page:
    """The page of ``keys`` (ascending) that ``query`` asks for.

    Those that are ``gone`` are passed over, which with a delimiter there must not be.
    """
    start, end = _bounds(keys, query)
    if query.limit <= 0:
        return Page([], [], None)
    if query.delimiter:
        return _grouped(keys, query, start, end)
    found: list[bytes] = []
    while start < end and (room := query.limit - len(found)) > 0:
        following = min(end, start + room)
        found += (
            [key for key in keys[start:following] if key not in gone]
            if gone
            else keys[start:following]
        )
        start = following
    return Page(found, [], found[-1] if found and start < end else None)


def _bounds(keys: Sequence[bytes], query: Query) -> tuple[int, int]:
    start = bisect_left(keys, query.prefix)
    end = _end_of(keys, query.prefix, start)
    return max(start, bisect_right(keys, query.after) if query.after else 0), end


def _end_of(keys: Sequence[bytes], prefix: bytes, start: int) -> int:
    """The index after the last key beginning with ``prefix``."""
    # Sliced from a key, so that bytes after the prefix play no part in the comparison.
    return bisect_right(keys, prefix, lo=start, key=lambda key: key[: len(prefix)])


def _grouped(keys: Sequence[bytes], query: Query, start: int, end: int) -> Page:
    found: list[bytes] = []
    groups: list[bytes] = []
    last = b""
    while start < end and len(found) + len(groups) < query.limit:
        cut = keys[start].find(query.delimiter, len(query.prefix))
        if cut < 0:
            last = keys[start]
            found.append(last)
            start += 1
        else:
            groups.append(keys[start][: cut + len(query.delimiter)])
            last = groups[-1] + PAST_GROUP
            start = _end_of(keys, groups[-1], start)
    return Page(found, groups, last if start < end else None)
