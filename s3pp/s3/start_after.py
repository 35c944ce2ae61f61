"""Test of whether a store lists all keys after ``start-after``.

SeaweedFS treats it as the path of a file: after the name of a directory, it omits everything in the
directory. A listing split at such a name would silently lose those keys, so the first directory
seen is used for a test.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from s3pp.errors import ObjectError
from s3pp.s3.listing import Listed, Lister, parse_page

LOSES_KEYS = "the store leaves out keys behind start-after"


class Witness(NamedTuple):
    """A directory's name ``after`` and the first key after it, for the test."""

    after: str
    first: str


def witness_in(objects: Sequence[Listed], prefix: str, *, first: bool) -> Witness | None:
    """The first directory that begins in a page; ``first``: no keys precede the page."""
    before = "" if first else None
    for key in (each.key for each in objects):
        directory = key[: max(0, key.rfind("/"))]
        begins = before is not None and before < directory
        if begins and len(directory) > len(prefix) and directory.isprintable():
            return Witness(directory, key)
        before = key
    return None


async def obeys(lister: Lister, prefix: str, witness: Witness) -> bool:
    """Whether the store lists ``witness.first`` as the first key after ``witness.after``.

    A refusal of ``start-after`` is handled elsewhere. Raises ``ListingError``.
    """
    asked = {"prefix": prefix, "start-after": witness.after, "max-keys": "1"}
    try:
        page = await lister.list_page(asked)
    except ObjectError:
        return True
    found = parse_page(page).objects
    return bool(found) and found[0].key == witness.first
