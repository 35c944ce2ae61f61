"""A stream that is uploaded: read ahead, and compressed if that is wanted.

Its size is not known, and it can be read only once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from s3pp.limits import PIECE
from s3pp.transfer.put.content import Packer, begin_compression
from s3pp.transfer.resources import Reader

# Returns the next bytes, in pieces of up to ``PIECE``: as many as are asked for, fewer at the end.
ReadPieces = Callable[[int], Awaitable[list[bytes]]]


class InputStream:
    """A stream that is read ahead, and compressed if that is wanted."""

    def __init__(self, read: ReadPieces, reader: Reader) -> None:
        self.size = 0  # bytes read so far, before compression
        self._read = read
        self._reader = reader
        self._ahead: list[bytes] = []  # pieces, none of them empty
        self._packer: Packer | None = None
        self._at_end = False

    async def peek(self, count: int) -> list[bytes]:
        """Return at least ``count`` bytes, or all if there are fewer, that are still to be taken.

        Raises ``ObjectError`` if the stream cannot be read, and ``RunEnding``.
        """
        while (missing := count - sum(map(len, self._ahead))) > 0 and not self._at_end:
            self._ahead += await self._fetch(max(missing, PIECE))
        return self._ahead

    async def compress(self) -> None:
        """Compress what is still to be taken."""
        self._packer = begin_compression()
        self._ahead = await self._pack(self._ahead)

    async def take(self, count: int) -> list[bytes]:
        """Return the next ``count`` bytes, or all if there are fewer. Raises as ``peek`` does."""
        await self.peek(count)
        taken: list[bytes] = []
        while count and self._ahead:
            piece = self._ahead.pop(0)
            if len(piece) > count:
                self._ahead.insert(0, piece[count:])
                piece = piece[:count]
            taken.append(piece)
            count -= len(piece)
        return taken

    async def _fetch(self, count: int) -> list[bytes]:
        pieces = await self._read(count)
        size = sum(map(len, pieces))
        self.size += size
        self._at_end = size < count
        return await self._pack(pieces)

    async def _pack(self, pieces: list[bytes]) -> list[bytes]:
        packer, at_end = self._packer, self._at_end
        if packer is None:
            return pieces

        def pack() -> list[bytes]:
            packed = [packer.compress(piece) for piece in pieces]
            return [each for each in (*packed, packer.flush() if at_end else b"") if each]

        return await self._reader.away(pack)
