"""The framing of answers in HTTP/1.1: where one ends, and whether another can follow it.

The rules are those of RFC 9112, section 6. What they call an unrecoverable error is one here.
"""

from __future__ import annotations

import re
from enum import Enum

from s3pp.s3.exchange import Fault, WireError

HEAD_END = b"\r\n\r\n"
MOST_HEAD = 256 * 1024  # bytes of the head of an answer, or its trailers
MOST_INTERIM = 16 * 1024  # bytes of the interim answers before it
UNTIL_CLOSED, CHUNKED = -1, -2  # in place of the length of a body

_MOST_LINE = 4096  # bytes of a line between chunks
_BEGINNING = b"HTTP/1."
_USUAL = b"HTTP/1.1 200 "
_STATUS = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?=[ \r])").match
_BODILESS = frozenset({204, 304})
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n").fullmatch
_LENGTH_DIGITS = 18
_BEYOND = 10**_LENGTH_DIGITS  # for all that are longer: no object is
# A line that begins with white space continues the one before: RFC 9112, section 5.2.
_FOLDED = (b"\r\n ", b"\r\n\t")
_FOLD = re.compile(rb"\r\n[ \t]+")


def unreadable(why: str = "the answer is not HTTP/1") -> WireError:
    """The error for an answer that is not framed as it should be."""
    return WireError(Fault.UNREADABLE, why)


def check_beginning(received: bytearray, checked: int) -> None:
    """Raise ``WireError`` unless ``received`` can be the beginning of a head.

    Up to ``checked`` it was found to be one before.
    """
    if len(received) > MOST_HEAD or received.find(b"\n\n", checked) >= 0:
        raise unreadable()
    if not received.startswith(_BEGINNING[: len(received)]):
        raise unreadable()


def parse_head(head: bytes, *, bodiless: bool) -> tuple[int, int, bool]:
    """Return the status, the length of the body, and whether the connection may be kept.

    ``bodiless``: the answer has no body, whatever its head says. The length, in bytes, may be
    ``CHUNKED`` or ``UNTIL_CLOSED``. Raises ``WireError``.
    """
    if head.startswith(_USUAL):  # nearly always
        status, kept = 200, True
    else:
        match = _STATUS(head)
        if match is None:
            raise unreadable()
        status, kept = int(match[2]), match[1] != b"0"
    lower = head.lower()
    if b"\nconnection:" in lower:
        kept = _is_kept(lower, kept)
    if bodiless or status in _BODILESS:
        _plain_length(lower)  # only to check it: the caller may need it
        return status, 0, kept
    if b"\ntransfer-encoding:" in lower:
        # One with a length too is in doubt: RFC 9112, section 6.1.
        return status, _coded_length(lower), kept and b"\ncontent-length:" not in lower
    length = _plain_length(lower)
    return status, length, kept and length >= 0


def _is_kept(lower: bytes, kept: bool) -> bool:
    options = _listed(lower, b"connection")
    return b"close" not in options and (kept or b"keep-alive" in options)


def _coded_length(lower: bytes) -> int:
    if _values(lower, b"transfer-encoding") != [b"chunked"]:
        raise unreadable("the answer has an unknown Transfer-Encoding")
    return CHUNKED


def _plain_length(lower: bytes) -> int:
    at = lower.find(b"\ncontent-length:")
    if at < 0:
        return UNTIL_CLOSED
    end = lower.find(b"\r", at)
    text = lower[at + 16 : end].strip()
    if (
        not text.isdigit()
        or lower.startswith(_FOLDED, end)
        or lower.find(b"\ncontent-length:", end) > 0
    ):
        text = _only_length(lower)
    return int(text) if len(text) <= _LENGTH_DIGITS else _BEYOND


def _only_length(lower: bytes) -> bytes:
    """The length that is named several times: RFC 9110, section 8.6, allows it to be taken."""
    lengths = _listed(lower, b"content-length")
    if len(lengths) != 1 or not (length := lengths.pop()).isdigit():
        raise unreadable("the answer has no valid Content-Length")
    return length


def _listed(lower: bytes, name: bytes) -> set[bytes]:
    """The elements of the lists that all headers ``name`` of a head hold."""
    return {each.strip() for value in _values(lower, name) for each in value.split(b",")}


def _values(lower: bytes, name: bytes) -> list[bytes]:
    """The values of all headers ``name`` of a head in lower case."""
    lines = _FOLD.sub(b" ", lower).split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return [value.strip() for each, _, value in pairs if each == name]


class _Line(Enum):
    """What the next line between chunks is."""

    SIZE = "the length of a chunk"
    AFTER = "the empty end of a chunk"
    TRAILER = "a header after the last chunk, or the end"


class ChunkedBody:
    """Decodes a chunked body as it is received, each byte once."""

    __slots__ = ("_left", "_line", "_next", "_trailers", "content", "excess")

    def __init__(self) -> None:
        self.content = bytearray()
        self.excess = False  # more was received than the body
        self._left = 0  # bytes of the chunk that are still to come
        self._line = b""  # the beginning of one
        self._next = _Line.SIZE
        self._trailers = 0  # bytes

    @property
    def size(self) -> int:
        """The bytes of the content as far as it has been announced."""
        return len(self.content) + self._left

    def feed(self, piece: bytes) -> bool:
        """Decode what was received next; return whether the body is whole. Raises ``WireError``."""
        at, size = 0, len(piece)
        while at < size:
            if self._left:
                end = min(size, at + self._left)
                self.content += piece[at:end]
                self._left -= end - at
                at = end
                continue
            end = piece.find(b"\n", at) + 1
            line = self._line + (piece[at:end] if end else piece[at:])
            if len(line) > _MOST_LINE:
                raise unreadable("a line between the chunks of the answer is too long")
            if not end:
                self._line = line
                return False
            self._line, at = b"", end
            if self._take(line):
                self.excess = at < size
                return True
        return False

    def _take(self, line: bytes) -> bool:
        """Process a line; return whether it ends the body."""
        if self._next is _Line.TRAILER:
            self._trailers += len(line)
            if self._trailers > MOST_HEAD:
                raise WireError(Fault.OVERSIZED, "its answer has trailers without end")
            if not line.endswith(b"\r\n"):
                raise unreadable("the answer has invalid trailers")
            return line == b"\r\n"
        if self._next is _Line.AFTER:
            if line != b"\r\n":
                raise unreadable("a chunk of the answer has another length")
            self._next = _Line.SIZE
            return False
        self._left = _chunk_size(line)
        self._next = _Line.AFTER if self._left else _Line.TRAILER
        return False


def _chunk_size(line: bytes) -> int:
    match = _CHUNK_SIZE(line)
    if match is None:
        raise unreadable("a chunk of the answer has no length")
    return int(match[1], 16)
