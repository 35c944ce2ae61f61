"""Content codings: how an object is compressed, from its Content-Encoding (RFC 9110, 8.4).

The header is a list, in order of application, possibly over several lines. ``aws-chunked``
describes how a body was sent, not how it is stored, but some stores keep it.
"""

from __future__ import annotations

from collections.abc import Iterator

from s3pp.s3.wire import Response

_NAME = b"content-encoding"
_GZIP = frozenset({"gzip", "x-gzip"})


def codings(response: Response) -> list[str]:
    """The codings of an object, spelled as the store does, in order of application."""
    listed = (each.strip() for value in _values(response) for each in value.split(","))
    return [each for each in listed if each.lower() not in ("", "aws-chunked")]


def is_gzip(response: Response) -> bool:
    """Whether gzip is among the codings."""
    return not _GZIP.isdisjoint(map(str.lower, codings(response)))


def gzip_layers(response: Response) -> int | None:
    """How many times an object is compressed with gzip, and with nothing else; 0: not at all.

    None: gzip is mixed with other codings, so that undoing gzip alone would be wrong.
    """
    applied = [each.lower() for each in codings(response) if each.lower() != "identity"]
    if _GZIP.issuperset(applied):
        return len(applied)
    return 0 if _GZIP.isdisjoint(applied) else None


def _values(response: Response) -> Iterator[str]:
    for line in response.lines:
        name, _, value = line.partition(b":")
        if name.strip().lower() == _NAME:
            yield value.decode("latin-1")
