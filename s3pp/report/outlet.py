"""A text stream that may go away: ``s3pp … | head -1`` must not stop the transfer."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import NamedTuple, TextIO


class Outlet:
    """Writes to ``stream`` for as long as that works, and drops everything after that.

    ``stream`` may be None, as Python sets ``sys.stdout`` where there is none. What the stream's
    encoding lacks is written as backslash escapes.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.trouble: str | None = None  # what lost text that somebody still wanted: a full disk

    @property
    def terminal(self) -> bool:
        """Whether a terminal reads this."""
        try:
            return self._stream is not None and self._stream.isatty()
        except ValueError:  # closed
            return False

    @property
    def encoding(self) -> str:
        """What the stream encodes its text in."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def gone(self) -> bool:
        """Whether nothing that is written arrives any more."""
        return self._stream is None

    def flush(self) -> None:
        """Nothing is ever held back."""

    def write(self, text: str) -> None:
        """Write and flush ``text``; never raises for what is wrong with the stream."""
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

    def lines(self, lines: list[str]) -> None:
        """Write ``lines``, which come without line ends, in one go."""
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
        # What is still buffered would fail again, loudly, when the interpreter ends.
        with suppress(OSError, ValueError, AttributeError):
            assert stream is not None
            descriptor = stream.fileno()
            void = os.open(os.devnull, os.O_WRONLY)
            os.dup2(void, descriptor)
            os.close(void)


class Streams(NamedTuple):
    """Where results go, and where everything for users goes."""

    stdout: Outlet
    stderr: Outlet

    @classmethod
    def of(cls, stdout: TextIO | None, stderr: TextIO | None) -> Streams:
        """Both, made to outlive their readers."""
        return cls(Outlet(stdout), Outlet(stderr))
