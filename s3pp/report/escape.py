"""Escaping of names and messages to one printable line, safe for terminals."""

from __future__ import annotations


def printable(name: str) -> str:
    r"""Return ``name`` with backslash escapes for non-printable characters and the backslash.

    Control characters, line ends, invisible and reordering characters become ``\n``, ``\x1b``,
    ``\u202e``; a byte that is not UTF-8 (a surrogate in Python) becomes ``\xff``. Different names
    give different text.
    """
    if name.isprintable() and "\\" not in name:
        return name
    return one_line(name.replace("\\", "\\\\"))


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
