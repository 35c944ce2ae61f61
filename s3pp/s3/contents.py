"""The entries of a listing page by one regular expression, where they are as stores write them.

::

    <ListBucketResult>…<Contents>…</Contents><Contents>…</Contents>…</ListBucketResult>
                       └ an entry ─────────┘ └ an entry ─────────┘
    └ the rest, with the first entry ──────┘                       └ the rest ────────┘

The expression costs 1.2 µs an entry, expat 5.5. It knows one spelling of an entry, in the orders
of elements that AWS, Ceph, MinIO, moto and Swift use, and has to find nothing else between the
first and the last. The rest is a document of its own, for expat: it holds the first entry, so that
both have read it, and must agree. They do not where the entries stand in a comment or in another
element than the root, or where the document is broken, cut, or not in UTF-8.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from s3pp.s3.sizes import DIGITS

_OPEN, _CLOSE = b"<Contents>", b"</Contents>"
_TEXT = r"[^<>&\x00-\x1f\ufffe\uffff]*"  # what expat would give back as it is, and only that
_QUOTE = '(?:"|&quot;|&#34;)'
_OWNER = f"(?:<Owner>(?:<ID>{_TEXT}</ID>)?(?:<DisplayName>{_TEXT}</DisplayName>)?</Owner>)?"
_HEAD = (
    f"<Contents><Key>({_TEXT})</Key><LastModified>({_TEXT})</LastModified>"
    rf'<ETag>(?:[Ww]/(?=["&]))?{_QUOTE}?([^"<>&\x00-\x1f\ufffe\uffff]*){_QUOTE}?</ETag>'
)
_ENTRY = re.compile(
    f"{_HEAD}(?:<ChecksumAlgorithm>{_TEXT}</ChecksumAlgorithm>)*"
    f"(?:<ChecksumType>{_TEXT}</ChecksumType>)?"
    f"<Size>({DIGITS})</Size>{_OWNER}(?:<StorageClass>({_TEXT})</StorageClass>)?{_OWNER}"
    f"(?:<Type>{_TEXT}</Type>)?</Contents>"
)
# What most stores write, most of the time: a fifth quicker for having no choices.
_COMMON = re.compile(
    f"{_HEAD}<Size>({DIGITS})</Size><StorageClass>({_TEXT})</StorageClass></Contents>"
)
_STRIDE = 1 + _ENTRY.groups  # of what ``split`` gives: what stood between, and the groups
_ENCODING = re.compile(rb"\s*<\?xml[^>]*\sencoding\s*=\s*[\"']([^\"']*)")


class Entries(NamedTuple):
    """All entries of a page, by column, and the page without all but the first."""

    rest: bytes
    keys: list[str]  # as they are written, be they URL-encoded or not
    sizes: list[int]
    etags: list[str]
    modified: list[str]
    storage_classes: list[str]  # empty where there is none


def read_entries(body: bytes) -> Entries | None:
    """Read the entries of ``body``, or None where they may mean something else than they seem."""
    start, end = body.find(_OPEN), body.rfind(_CLOSE) + len(_CLOSE)
    first_end = body.find(_CLOSE, start) + len(_CLOSE)
    if start < 0 or end < first_end or not _is_utf8(body):
        return None
    try:
        parts = _split(body[start:end].decode())
    except UnicodeDecodeError:
        return None
    if parts is None:
        return None
    keys, modified, etags, sizes, classes = (parts[at::_STRIDE] for at in range(1, _STRIDE))
    return Entries(
        body[:first_end] + body[end:],
        keys,
        [int(size) for size in sizes],
        etags,
        modified,
        [name or "" for name in classes] if None in classes else classes,
    )


def _split(text: str) -> list[str] | None:
    """The groups of each entry, with what stands before, between and behind them: nothing."""
    for expression in (_COMMON, _ENTRY):
        if expression.match(text):
            parts = expression.split(text)
            if not "".join(parts[::_STRIDE]):
                return parts
    return None


def _is_utf8(body: bytes) -> bool:
    declared = _ENCODING.match(body)
    return declared is None or declared[1].lower() == b"utf-8"
