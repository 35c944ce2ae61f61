"""The lines of a display that is redrawn in place at the end of a terminal's output.

After each drawing the cursor is at the beginning of the first line. So whoever writes next, and be
it another process, erases the display by clearing to the end of the screen, and a terminal that is
made narrower, and wraps the lines, does not move that place.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from s3pp.report.outlet import Outlet

ERASE = "\r\x1b[J"  # clears from the beginning of the line to the end of the screen
_STYLES = {"bar": "36", "rest": "2", "object": "2", "trouble": "33"}  # cyan, faint, yellow
_TOP = "\x1b[{}A"  # that many lines up


class Styled(NamedTuple):
    """Text in one style."""

    text: str
    style: str = ""  # a name that ``Screen`` knows


Row = Sequence[Styled]  # a line


def colored(environ: Mapping[str, str]) -> bool:
    """Return whether colors are welcome: see https://no-color.org."""
    return not environ.get("NO_COLOR")


def columns(text: str) -> int:
    """Return the number of columns that printable ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def shorten(text: str, width: int, mark: str = "…") -> str:
    """Return ``text`` in at most ``width`` columns, without its middle where it is longer."""
    if columns(text) <= width:
        return text
    room = max(0, width - len(mark))
    head = _cut(text, room - room // 2)
    tail = _cut(text[::-1], room // 2)[::-1]
    return _cut(head + mark + tail, width)


def _cut(text: str, width: int) -> str:
    """Return as much of ``text`` as ``width`` columns have room for."""
    taken = 0
    for at, character in enumerate(text):
        taken += _columns_of(character)
        if taken > width:
            return text[:at]
    return text


class Screen:
    """The last lines of a terminal."""

    def __init__(self, outlet: Outlet, *, color: bool) -> None:
        self._outlet = outlet
        self._color = color
        self._shown = ""  # what was drawn; empty: nothing is
        try:
            "━─…".encode(outlet.encoding)
            self._marks = ("━", "─", "…")
        except (UnicodeEncodeError, LookupError):
            self._marks = ("#", "-", "~")

    @property
    def width(self) -> int:
        """The columns that a line may take: the last one would wrap on some terminals."""
        return max(1, self._outlet.size[0] - 1)

    def bar(self, percent: int, width: int) -> list[Styled]:
        """Return a bar of ``width`` columns."""
        full, empty, _ = self._marks
        done = min(width, percent * width // 100)
        return [Styled(full * done, "bar"), Styled(empty * (width - done), "rest")]

    def shorten(self, text: str, width: int) -> str:
        """As the function, with a mark that the terminal can show."""
        return shorten(text, width, self._marks[2])

    def draw(self, rows: Sequence[Row], *, again: bool = False) -> None:
        """Show ``rows``, as many as there is room for; ``again``: even if they are shown already.

        None of them may be wider than ``width``.
        """
        rows = rows[: max(1, self._outlet.size[1] - 1)]
        lines = ["".join(map(self._styled, row)) + "\x1b[K" for row in rows]
        back = _TOP.format(len(lines) - 1) if len(lines) > 1 else ""
        text = "\r" + "\n".join(lines) + "\x1b[J\r" + back
        if again or text != self._shown:
            self._outlet.write(text)
        self._shown = text

    def erase(self) -> None:
        """Erase what is shown."""
        if self._shown:
            self._outlet.write(ERASE)
        self._shown = ""

    def _styled(self, span: Styled) -> str:
        code = _STYLES.get(span.style)
        if not self._color or not code or not span.text:
            return span.text
        return f"\x1b[{code}m{span.text}\x1b[0m"
