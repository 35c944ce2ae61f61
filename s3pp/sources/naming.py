"""Names: how a local name becomes a key, how it sorts, and how it is shown.

* A key is the destination's prefix and the name relative to its source, joined by one slash.
* Keys sort by their UTF-8 bytes, as S3 lists them. A name that is not UTF-8 sorts by its own bytes.
* Only UTF-8 of at most 1,024 bytes can be a key; every other name fails, and says what to do.
* Outcomes carry such a name as Python has it, with surrogates; ``report`` escapes what it prints.
"""

from __future__ import annotations

import re

from s3pp.limits import MAX_KEY_BYTES

# What a get appends to the names of files that are on their way in, and of what it notes of them.
_UNFINISHED = re.compile(r"\.s3pp-[0-9a-f]{16}(\.part|\.ranges)?\Z")


def raw(text: str) -> bytes:
    """The bytes a name or key sorts by; any surrogate-escaped text will do."""
    return text.encode("utf-8", "surrogateescape")


def shown(text: str) -> str:
    """``text`` as it can be printed: the bytes that are not UTF-8 become ``\\xNN``."""
    if text.isascii():
        return text
    return raw(text).decode("utf-8", "backslashreplace")


def key_fault(order: bytes) -> str | None:
    """Why the key with these bytes cannot be one, and what to do; None when it can."""
    if len(order) > MAX_KEY_BYTES:
        return f"the key has {len(order)} bytes and S3 allows {MAX_KEY_BYTES}: shorten the name"
    if order.isascii():
        return None
    try:
        order.decode("utf-8")
    except UnicodeDecodeError:
        return "the name is not UTF-8: rename it"
    return None


def is_unfinished(name: str) -> bool:
    """Whether a file of that name is an unfinished download, or belongs to one."""
    return ".s3pp-" in name and _UNFINISHED.search(name) is not None


def normal(name: str) -> str:
    """``name`` without its empty and ``.`` segments: ``./a//b`` is ``a/b``, and ``/`` is empty."""
    return "/".join(segment for segment in name.split("/") if segment not in ("", "."))


def climbs(name: str) -> bool:
    """True when ``name`` is absolute or has a ``..`` segment.

    ``a/../b`` counts too: where ``a`` is a link, only the kernel knows what it means.
    """
    return name.startswith("/") or ".." in name.split("/")
