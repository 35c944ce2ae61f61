"""The s3:// arguments."""

from __future__ import annotations

from s3pp.errors import UsageError
from s3pp.job import Origin, Place, parse_origin, parse_place


def dest(text: str) -> Place:
    """The destination. Raises ``UsageError`` where its prefix cannot be part of a key, or ends in
    a ``*``, which only a source may have.
    """
    place = parse_place(text)
    _check_utf8(text, place.prefix, "destination")
    if text.endswith("*"):
        raise UsageError(
            f"destination {text!r} ends in *, which means many keys, and only of a source:"
            f" drop the *, or write {text + '/'!r} if it belongs to the name"
        )
    return place


def origin(text: str) -> Origin:
    """The bucket to read from. Raises ``UsageError`` as ``dest`` does."""
    found = parse_origin(text)
    _check_utf8(text, found.prefix, "source")
    return found


def check_no_stream(text: str | None, argument: str, instead: str) -> None:
    """``UsageError`` for ``-``, where no standard stream can be meant; ``instead`` says what can.

    Everybody else's ``-`` is one: to take it for a name would surprise.
    """
    if text == "-":
        raise UsageError(
            f"{argument} '-' would be a standard stream, and {instead}: './-' is the name '-'"
        )


def _check_utf8(text: str, prefix: str, argument: str) -> None:
    try:
        prefix.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{argument} {text!r} is not UTF-8, as keys must be") from None
