"""The escaping of names and messages, so that each is one printable line on any terminal."""

from __future__ import annotations

import os
import re

_ESCAPES = r"\\(\\|[tnr]|x[0-9a-f]{2}|u[0-9a-f]{4}|U00(?:0[0-9a-f]|10)[0-9a-f]{4})"
_SHORT = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\"}


def printable(name: str) -> str:
    r"""Return ``name`` with backslash escapes for non-printable characters and the backslash.

    Control characters, line ends, invisible and reordering characters become ``\n``, ``\x1b``,
    ``\u202e``; a byte that is not UTF-8 (a surrogate in Python) becomes ``\xff``. Different names
    give different text.
    """
    if name.isprintable() and "\\" not in name:
        return name
    return one_line(name.replace("\\", "\\\\"))


def name_of(text: str) -> str:
    """Return the name that ``printable`` gives ``text`` for.

    Raises ``ValueError`` if there is none that a file can have.
    """
    if text.isprintable() and "\\" not in text:
        return text
    name = re.sub(_ESCAPES, _unescape, text)
    # Bytes that together are UTF-8 after all, or what is printable, are never escaped.
    if printable(os.fsdecode(os.fsencode(name))) != text:
        raise ValueError(f"{text!r} is no escaped name")
    return name


def one_line(text: str) -> str:
    """Return ``text`` escaped as by ``printable``, but with backslashes unchanged: for messages."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's stand-in for the byte code - 0xDC00
        return f"\\x{code - 0xDC00:02x}"
    if 0x7F <= code <= 0xFF:  # not \x..: that denotes a byte
        return f"\\u{code:04x}"
    return character.encode("ascii", "backslashreplace").decode() if code > 0x7F else _short(code)


def _short(code: int) -> str:
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code, f"\\x{code:02x}")


def _unescape(escape: re.Match[str]) -> str:
    text = escape[1]
    if text in _SHORT:
        return _SHORT[text]
    code = int(text[1:], 16)
    is_byte = text[0] == "x" and code >= 0x80
    return chr(code + 0xDC00) if is_byte else chr(code)
