"""Glob patterns of ``--include`` and ``--exclude``.

A pattern is matched against the path relative to SOURCE, as in a ``.gitignore``:

====================  ==============================================================
``*``  ``?``          any characters, any one character, but never ``/``
``[abc]`` ``[!a-z]``  one of them, none of them; never ``/``
``**``                any characters, ``/`` too; ``**/x`` matches ``x`` at the top as well
``a/**``              everything below ``a``
``name``              without a slash: the base name, at any depth
``a/b``  ``/name``    with a slash at the front or inside: from SOURCE down
``name/``             with a slash at the end: directories only
``\\*``                a backslash takes the next character as it is
====================  ==============================================================

A pattern that matches a directory matches everything in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from s3pp.errors import UsageError

ACROSS = "**"


@dataclass(frozen=True)
class Glob:
    """One pattern, compiled."""

    whole: re.Pattern[str]
    heads: tuple[re.Pattern[str], ...]  # one per leading segment, up to the first ``**``

    def matches(self, path: str) -> bool:
        """Return whether the pattern matches the file at ``path`` (relative, no leading slash)."""
        return self.whole.fullmatch(path) is not None

    def covers(self, directory: str) -> bool:
        """Return true only if the pattern matches every path below ``directory``."""
        return self.whole.fullmatch(directory + "/") is not None

    def reaches(self, directory: str) -> bool:
        """Return false only if the pattern can match no path below ``directory``."""
        names = directory.split("/")
        return all(head.fullmatch(name) for head, name in zip(self.heads, names, strict=False))


def parse(pattern: str) -> Glob:
    """Compile ``pattern``; raises ``UsageError`` when no path could match it."""
    segments = [segment for segment in pattern.split("/") if segment not in ("", ".")]
    if not segments or ".." in segments:
        raise UsageError(f"glob {pattern!r} can match nothing: paths are relative to SOURCE")
    directories = pattern.endswith("/")
    if "/" not in pattern.rstrip("/"):
        segments.insert(0, ACROSS)
    segments, directories = _tidied(segments, directories)
    tail = "/.*" if directories else "(?:/.*)?"
    return Glob(re.compile(_body(segments) + tail, re.DOTALL), _heads(segments))


def _tidied(segments: list[str], directories: bool) -> tuple[list[str], bool]:
    """Fold repeated ``**``, and turn a closing one into a directory: ``a/**`` is ``/a/``."""
    folded = [
        segment
        for before, segment in zip([None, *segments], segments, strict=False)
        if not before == segment == ACROSS
    ]
    if folded[-1] == ACROSS and directories:
        return [*folded, "*"], True
    if folded[-1] == ACROSS and len(folded) > 1:
        return folded[:-1], True
    return folded, directories


def _body(segments: list[str]) -> str:
    *leading, last = segments
    parts = ["(?:.*/)?" if segment == ACROSS else _segment(segment) + "/" for segment in leading]
    return "".join(parts) + _segment(last)


def _heads(segments: list[str]) -> tuple[re.Pattern[str], ...]:
    heads = []
    for segment in segments:
        if ACROSS in segment:
            break
        heads.append(re.compile(_segment(segment), re.DOTALL))
    return tuple(heads)


_TOKEN = re.compile(
    r"(?P<across>\*\*+)|(?P<star>\*)|(?P<one>\?)"
    r"|\[(?P<none>[!^]?)(?P<set>\]?[^\]]+|\])\]"
    r"|\\(?P<escaped>.)|(?P<plain>.)",
    re.DOTALL,
)


def _segment(segment: str) -> str:
    """Return the regular expression for one segment."""
    return "".join(_token(token) for token in _TOKEN.finditer(segment))


def _token(token: re.Match[str]) -> str:
    found = token.groupdict()
    if found["set"] is not None:
        return _set(found["set"], none=bool(found["none"]))
    fixed = {"across": ".*", "star": "[^/]*", "one": "[^/]"}
    if token.lastgroup in fixed:
        return fixed[token.lastgroup]
    return re.escape(found["escaped"] or found["plain"])


def _set(members: str, *, none: bool) -> str:
    """Return the regular expression of a bracket expression; reversed ranges match nothing."""
    parts = []
    for low, high, single in re.findall(r"(.)-(.)|(.)", members, re.DOTALL):
        if single:
            parts.append(re.escape(single))
        elif low <= high:
            parts.append(f"{re.escape(low)}-{re.escape(high)}")
    if none:
        return f"[^/{''.join(parts)}]"
    return f"(?!/)[{''.join(parts)}]" if parts else "(?!)"
