"""Content codings: what an object is packed in, as its Content-Encoding lists it (RFC 9110, 8.4).

The header is a list, in the order of packing, and may come in several lines. ``aws-chunked`` in it
says how a body was once sent, which some stores keep; of what is stored it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from s3pp.s3.wire import Response

_NAME = b"content-encoding"
_GZIP = frozenset({"gzip", "x-gzip"})


def codings(response: Response) -> list[str]:
    """What an object is packed in, as its store spells it; first what was applied first."""
    listed = (each.strip() for value in _values(response) for each in value.split(","))
    return [each for each in listed if each.lower() not in ("", "aws-chunked")]


def is_gzip(response: Response) -> bool:
    """Whether gzip is among the codings."""
    return not _GZIP.isdisjoint(map(str.lower, codings(response)))


def gzip_layers(response: Response) -> int | None:
    """How many times an object is packed with gzip, and with nothing else; 0: it is not.

    None: with gzip among others, so that undoing gzip alone would give neither one nor the other.
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
