"""One level of a bucket: its objects, and what the keys of others have in common.

::

    keys         a.txt   logs/1   logs/2   z.txt
    one level    a.txt   logs/             z.txt          with the delimiter "/"

The store groups the keys, so that a level with few names costs few requests, whatever is below it.
The pages of a level follow each other by tokens; each is merged into the order of the names.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import NamedTuple
from urllib.parse import unquote_plus
from xml.parsers import expat

from s3pp.s3.answers import parse_entries
from s3pp.s3.listing import (
    CommonPrefix,
    Listed,
    Lister,
    ListingError,
    PageLoopGuard,
    fetch_valid,
    parse_page,
)
from s3pp.s3.parallel_listing import DISORDER

_GREATEST = "\U0010ffff"  # the character after which no key goes on


Named = Listed | CommonPrefix


class LevelPage(NamedTuple):
    """One page of a level, in the order of the names."""

    entries: list[Named]
    following: dict[str, str] | None  # parameters of the request for the next page; None: the last


def level_request(prefix: str, delimiter: str) -> dict[str, str]:
    """Return the parameters of the request for the first page."""
    return {"prefix": prefix, "delimiter": delimiter}


def parse_level(body: bytes, prefix: str, delimiter: str) -> LevelPage:
    """Parse a page. Raises ``ListingError`` when it is invalid.

    Keys that a store has not grouped, as it does not know the delimiter, are grouped here.
    """
    page = parse_page(body)
    names = {each.key: each for each in page.objects}
    found: dict[str, Named] = {}
    for name in sorted([*names, *_prefixes(body)]):
        end = name.find(delimiter, len(prefix))
        is_object = end < 0 and name in names
        group = name if end < 0 else name[: end + len(delimiter)]
        found[group] = names[name] if is_object else CommonPrefix(group)
    entries = list(found.values())
    following = page.following
    if following is not None and page.by_marker and entries:
        following = {"marker": _end_of(entries[-1])}
    return LevelPage(entries, following)


def _end_of(entry: Named) -> str:
    """Return the marker of the page that follows: behind all keys of a group."""
    return f"{entry.name}{_GREATEST}" if isinstance(entry, CommonPrefix) else entry.key


def _prefixes(body: bytes) -> list[str]:
    try:
        _, top, entries = parse_entries(body, "CommonPrefixes")
        found = [fields["Prefix"] for fields in entries]
        if top.get("EncodingType") == "url":
            return [unquote_plus(each, errors="strict") for each in found]
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ListingError(f"the store's listing cannot be read: {error}") from None
    return found


async def list_level(
    lister: Lister, prefix: str, delimiter: str, notify: Callable[[str], None]
) -> AsyncGenerator[list[Named], None]:
    """Yield the pages of the level below ``prefix``, each name once.

    ``notify`` is called where the store does not list in order. Raises as ``Lister.list_page``.
    """
    request = level_request(prefix, delimiter)
    parse = partial(parse_level, prefix=prefix, delimiter=delimiter)
    parameters, guard, last = request, PageLoopGuard("listing"), ""
    while True:
        page = await fetch_valid(partial(lister.list_page, parameters), parse)
        entries = page.entries
        first = _name(entries[0]) if entries else ""
        if first == last:  # a group that went on over the end of the page before
            entries = entries[1:]
        elif first and first < last:
            notify(DISORDER)
        marker = "".join((page.following or {}).values())
        guard.follow(marker, _name(entries[0]) if entries else "")
        last = _name(entries[-1]) if entries else last
        if entries:
            yield entries
        if page.following is None:
            return
        parameters = {**request, **page.following}


def _name(entry: Named) -> str:
    return entry.name if isinstance(entry, CommonPrefix) else entry.key
