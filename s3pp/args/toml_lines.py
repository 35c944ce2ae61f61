"""In which line of a document in TOML something is, for messages; the parser says that of no value.

A document is a sequence of statements, and its first statements alone are a document too. So the
statement that makes a value, or is at fault, is found by parsing: neither strings nor comments that
look like something else mislead it.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Path = tuple[str | int, ...]  # of a value in the document: its keys, and indices of arrays

# What decides where a statement ends.
_PIECES = re.compile(
    r'"""[^"\\]*(?:(?:\\.|"{1,2}(?!"))[^"\\]*)*"{3,5}'
    r"|'''[^']*(?:'{1,2}(?!')[^']*)*'{3,5}"
    r"|(?P<unclosed>\"\"\"|''')"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|(?P<opened>[\[{])|(?P<closed>[\]}])|(?P<end>\n)",
    re.DOTALL,
)


def parse(text: str) -> dict[str, Any]:
    """Parse a document. Raises ``ValueError``, which says why it is none."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("its arrays or tables are nested too deeply") from None


def line_of(text: str, path: Path) -> int:
    """Return the line of a document, from 1, in which the statement begins that makes a value."""
    ends = _ends(text)
    at = bisect_left(ends, True, key=lambda end: _has(text[:end], path))
    return _line(text, ends, at)


def line_of_fault(text: str) -> int:
    """Return the line in which the statement begins that makes ``text`` no document."""
    ends = _ends(text)
    return _line(text, ends, bisect_left(ends, True, key=lambda end: not _is_document(text[:end])))


def lines_of_tables(text: str, kind: str) -> list[int]:
    """Return the lines of the statements ``[[kind]]`` of a document."""
    found = []
    for (start, end), line in _statements(text):
        statement = text[start:end]
        if statement.lstrip().startswith("[[") and parse(statement) == {kind: [{}]}:
            found.append(line)
    return found


def _statements(text: str) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield where each statement lies, and its line; blank lines and comments are some, too."""
    line = 1
    for start, end in pairwise([0, *_ends(text)]):
        yield (start, end), line
        line += text.count("\n", start, end)


def _ends(text: str) -> list[int]:
    """Return the positions in ``text`` at which a statement ends, in order; the last is its end."""
    ends, depth = [], 0
    for piece in _PIECES.finditer(text):
        kind = piece.lastgroup
        if kind == "unclosed":
            break
        depth = max(0, depth + (kind == "opened") - (kind == "closed"))
        if kind == "end" and not depth:
            ends.append(piece.end())
    return ends if ends and ends[-1] == len(text) else [*ends, len(text)]


def _line(text: str, ends: list[int], at: int) -> int:
    """Return the line of statement ``at``, from 0."""
    start = 0 if at == 0 else ends[min(at, len(ends) - 1) - 1]
    return text.count("\n", 0, start) + 1


def _is_document(text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _has(text: str, path: Path) -> bool:
    try:
        value: Any = parse(text)
        for key in path:
            value = value[key]
    except (ValueError, LookupError):
        return False
    return True
