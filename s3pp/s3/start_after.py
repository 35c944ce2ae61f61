"""Whether a store lists what lies behind ``start-after``.

SeaweedFS takes it for the path of a file: behind the name of a directory it leaves out all that the
directory holds. A listing that is cut at such a name would lose those keys without a word, so that
the first directory seen is used to find out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from s3pp.errors import ObjectError
from s3pp.s3.listing import Listed, Lister, parse_page

LOSES_KEYS = "the store leaves out keys behind start-after"


class Witness(NamedTuple):
    """``first`` is the first key behind the directory's name ``after``."""

    after: str
    first: str


def witness_in(objects: Sequence[Listed], prefix: str, *, first: bool) -> Witness | None:
    """The first directory that begins in a page; ``first``: no keys come before the page."""
    before = "" if first else None
    for key in (each.key for each in objects):
        directory = key[: max(0, key.rfind("/"))]
        begins = before is not None and before < directory
        if begins and len(directory) > len(prefix) and directory.isprintable():
            return Witness(directory, key)
        before = key
    return None


async def obeys(lister: Lister, prefix: str, witness: Witness) -> bool:
    """Whether the store lists the first key behind ``witness.after`` when it is asked for it.

    One that refuses ``start-after`` shows so elsewhere. Raises ``ListingError``.
    """
    asked = {"prefix": prefix, "start-after": witness.after, "max-keys": "1"}
    try:
        page = await lister.list_page(asked)
    except ObjectError:
        return True
    found = parse_page(page).objects
    return bool(found) and found[0].key == witness.first
