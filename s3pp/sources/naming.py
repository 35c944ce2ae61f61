"""Names: their conversion to keys, and their order.

* A key is the destination's prefix and the name relative to its source, joined by one slash.
* Keys sort by their UTF-8 bytes, as S3 lists them. A name that is not UTF-8 sorts by its own bytes.
* Only UTF-8 of at most 1,024 bytes can be a key; other names fail with advice on what to do.
* Outcomes carry such a name as Python has it, with surrogates; ``report`` escapes its output.
"""

from __future__ import annotations

from s3pp.limits import MAX_KEY_BYTES


def raw(text: str) -> bytes:
    """Return the bytes that a name or key sorts by; surrogate-escaped text is accepted."""
    return text.encode("utf-8", "surrogateescape")


def key_fault(order: bytes) -> str | None:
    """Return why these bytes cannot be a key, and what to do; None if they can."""
    if len(order) > MAX_KEY_BYTES:
        return f"the key has {len(order)} bytes and S3 allows {MAX_KEY_BYTES}: shorten the name"
    if order.isascii():
        return None
    try:
        order.decode("utf-8")
    except UnicodeDecodeError:
        return "the name is not UTF-8: rename it"
    return None


def normal(name: str) -> str:
    """Return ``name`` without empty and ``.`` segments: ``a/b`` for ``./a//b``, empty for ``/``."""
    return "/".join(segment for segment in name.split("/") if segment not in ("", "."))


def climbs(name: str) -> bool:
    """Return whether ``name`` is absolute or has a ``..`` segment.

    ``a/../b`` counts too: if ``a`` is a link, only the kernel can resolve it.
    """
    return name.startswith("/") or ".." in name.split("/")
