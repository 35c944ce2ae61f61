"""Text streams that may be closed early.

``s3pp … | head -1`` must not stop the transfer.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, TextIO

from s3pp.escaping import one_line


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
    def size(self) -> os.terminal_size:
        """The columns and lines of the terminal; those that the environment names otherwise."""
        try:
            found = os.get_terminal_size(self._stream.fileno() if self._stream else -1)
        except (OSError, ValueError):
            found = os.terminal_size((0, 0))
        if all(found):
            return found
        from shutil import get_terminal_size  # whose import takes 3 ms

        return get_terminal_size()

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


def message(program: str, text: str) -> str:
    """Return ``text`` as a line on stderr, which begins with the program's name."""
    return f"{program}: {one_line(text)}"
