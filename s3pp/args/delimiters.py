"""Parser of what ends a level of keys, of ``--delimiter``."""

from __future__ import annotations


def delimiter(text: str) -> str:
    """What ends a level of keys."""
    if not text or not text.isprintable():  # nor is text that is not UTF-8
        raise ValueError(f"{text!r} ends no level: name a printable text, such as /")
    return text
