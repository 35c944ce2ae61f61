"""Text streams that may be closed early, and the escaping of text for terminals.

``s3pp … | head -1`` must not stop the transfer.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, TextIO


class Outlet:
    """A writer to ``stream`` that drops all output once writing has failed.

    ``stream`` may be None, as ``sys.stdout`` is in a process without one. Characters that the
    stream's encoding lacks are written as backslash escapes.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.closed_at_start = stream is None
        self.trouble: str | None = None  # an error that lost output: a full disk, not EPIPE

    @property
    def terminal(self) -> bool:
        """Whether the stream is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    @property
    def encoding(self) -> str:
        """The encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def gone(self) -> bool:
        """Whether all further output is dropped."""
        return self._stream is None

    def flush(self) -> None:
        """Do nothing: output is never buffered here."""

    def write(self, text: str) -> None:
        """Write and flush ``text``; never raises for an error of the stream."""
        if self._stream is None or not text:
            return
        try:
            self._stream.write(self._encodable(text))
            self._stream.flush()
        except OSError as error:
            if error.errno != errno.EPIPE:
                self.trouble = error.strerror
            self._give_up()
        except ValueError:  # closed
            self._give_up()

    def lines(self, lines: Sequence[str]) -> None:
        """Write ``lines``, given without line ends, in one call."""
        if lines:
            self.write("\n".join(lines) + "\n")

    def _encodable(self, text: str) -> str:
        try:
            text.encode(self.encoding, getattr(self._stream, "errors", None) or "strict")
        except UnicodeEncodeError:
            return text.encode(self.encoding, "backslashreplace").decode(self.encoding)
        return text

    def _give_up(self) -> None:
        stream, self._stream = self._stream, None
        # Buffered text would fail again, with a traceback, when the interpreter exits.
        with suppress(OSError, ValueError, AttributeError):
            assert stream is not None
            descriptor = stream.fileno()
            void = os.open(os.devnull, os.O_WRONLY)
            os.dup2(void, descriptor)
            os.close(void)


class Streams(NamedTuple):
    """The streams for results and for messages to users."""

    stdout: Outlet
    stderr: Outlet

    @classmethod
    def of(cls, stdout: TextIO | None, stderr: TextIO | None) -> Streams:
        """Wrap both streams in outlets."""
        return cls(Outlet(stdout), Outlet(stderr))


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


def message(program: str, text: str) -> str:
    """Return ``text`` as a line on stderr, which begins with the program's name."""
    return f"{program}: {one_line(text)}"


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # os.fsdecode's stand-in for the byte code - 0xDC00
        return f"\\x{code - 0xDC00:02x}"
    if 0x7F <= code <= 0xFF:  # not \x..: that denotes a byte
        return f"\\u{code:04x}"
    return character.encode("ascii", "backslashreplace").decode() if code > 0x7F else _short(code)


def _short(code: int) -> str:
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code, f"\\x{code:02x}")
