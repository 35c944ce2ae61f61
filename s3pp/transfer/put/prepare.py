"""From an entry to a body ready to send: opened, typed, compressed, hashed.

::

    Entry ──open──▶ Slice ──small──▶ bytes ──type, gzip──▶ bytes ──digest──▶ Prepared
                      └────large───▶ type, gzip (temporary file), digest on a thread ──▶ Prepared

Where the store holds an object of the same size that was sent in parts, the body is first compared
with that; a large one that is the same needs no digest. One that goes in parts is digested by
whoever sends them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.digests import Digester, Digests
from s3pp.integrity.etag import is_md5
from s3pp.integrity.multipart_etag import likely_sizes, same_in_parts
from s3pp.job import Objects, Parts
from s3pp.records import Dest, Entry
from s3pp.s3.part_plan import size_fault
from s3pp.transfer.bodies import Slice, open_entry, unreadable
from s3pp.transfer.modes import Local
from s3pp.transfer.put import compress, content
from s3pp.transfer.reading import Budget, Reader


@dataclass
class Prepared:
    """A body and all that its PUT has to say of it. Close it once sent."""

    body: bytes | Slice
    size: int  # bytes of the source
    sent: int  # bytes of the body
    digests: Digests | None  # None: to be computed if it is sent, or by its parts
    labels: tuple[tuple[str, str], ...]  # Content-Type and Content-Encoding, lower-case names
    source: Slice | None = None  # open as long as a stream needs it
    parted: str = ""  # the ETag in parts that the store has, if the body gives it too

    def pieces(self) -> Iterable[bytes]:
        """The body, from its first byte; one that is streamed is read: not on an event loop."""
        return (self.body,) if isinstance(self.body, bytes) else self.body.pieces()

    def check(self) -> None:
        """Raise ``Changed`` if the source of a stream changed since it was opened."""
        if self.source:
            self.source.check()

    def close(self) -> None:
        """Close whatever is open."""
        if self.source:
            self.source.close()
        if isinstance(self.body, Slice) and self.body is not self.source:
            self.body.close()


class Preparer:
    """Prepares bodies by the rules of one run."""

    def __init__(
        self,
        objects: Objects,
        digester: Digester,
        parts: Parts,
        *,
        reader: Reader,
        budget: Budget,
    ) -> None:
        self._digester = digester
        self._parts = parts
        self.reader = reader
        self.budget = budget
        self._gzip_types = objects.gzip_types
        named = next((v for k, v in objects.headers if k.lower() == "content-type"), None)
        self._fixed = named or (
            objects.content_type if objects.content_type not in ("guess", "magic") else None
        )
        self._magic = objects.content_type == "magic"
        self._looks_inside = self._magic or bool(objects.gzip_types)
        self._labels_by_suffix = lru_cache(maxsize=1024)(self._labels_of)

    async def prepare(self, entry: Entry, there: Dest | None = None) -> Prepared:
        """Read an entry. Raises ``ObjectError`` where it cannot be read, or keeps changing.

        ``there`` is what the store holds, if the body is to be compared with it.
        """
        try:
            reader = self.reader
            if reader.threaded:
                opened = await reader.run(open_entry, entry)
            else:
                opened = reader.here(open_entry, entry)
            if isinstance(opened, Slice):
                return await self._large(entry, opened, there)
            if there is not None or self._looks_inside:
                return await self._small(entry, opened, there)
            stem, _, suffix = (entry.name or entry.path).rpartition("/")[2].rpartition(".")
            labels = self._labels_by_suffix(suffix if stem else "")
            return Prepared(opened, len(opened), len(opened), None, labels)
        except OSError as error:
            raise unreadable(entry.source, error) from None

    def local(self, prepared: Prepared) -> Local:
        """What ``modes.decide`` compares."""
        if prepared.digests:
            return Local(prepared.sent, prepared.digests.md5)
        if prepared.parted or not isinstance(prepared.body, bytes):
            return Local(prepared.sent, "", prepared.parted)
        return Local(prepared.sent, md5(prepared.body, usedforsecurity=False).hexdigest())

    def digests(self, prepared: Prepared) -> Digests:
        """What the PUT of a body says of it."""
        if prepared.digests is None:
            assert isinstance(prepared.body, bytes)
            prepared.digests = self._digester.of_body(prepared.body)
        return prepared.digests

    async def _small(self, entry: Entry, body: bytes, there: Dest | None) -> Prepared:
        kind, packed = self._named(entry)
        if kind is None and self._magic:
            kind = await self.reader.away(lambda: content.by_content(body))
        size = len(body)
        gzip = not packed and self._wants_gzip(kind, body)
        if gzip:
            body = compress.compressed(body)
        parted = self._parted((body,), len(body), there)
        return Prepared(body, size, len(body), None, _labels(kind, gzip=gzip), parted=parted)

    async def _large(self, entry: Entry, source: Slice, there: Dest | None) -> Prepared:
        try:
            if fault := size_fault(source.size):
                raise ObjectError(FailureKind.TOO_LARGE, fault)
            return await self.reader.whole(lambda: self._stream(entry, source, there))
        except BaseException:
            source.close()
            raise

    def _stream(self, entry: Entry, source: Slice, there: Dest | None) -> Prepared:
        kind, packed = self._named(entry)
        head = source.head(content.MAGIC_BYTES)
        if kind is None and self._magic:
            kind = content.by_content(head)
        gzip = not packed and self._wants_gzip(kind, head)
        body = compress.compressed_file(source.pieces(), entry.source) if gzip else source
        parted = self._parted(body.pieces(), body.size, there)
        needed = body.size <= self._parts.threshold or _tells(body.size, there)
        digests = self._digester.of(body.pieces()) if needed and not parted else None
        source.check()
        labels = _labels(kind, gzip=gzip)
        return Prepared(body, source.size, body.size, digests, labels, source, parted)

    def tried(self, there: Dest) -> list[int]:
        """The part sizes by which a body is compared with what is there."""
        return likely_sizes(there, self._parts.size)

    def _parted(self, pieces: Iterable[bytes], size: int, there: Dest | None) -> str:
        if there is None or there.size != size:
            return ""
        return there.etag if same_in_parts(pieces, there, self.tried(there)) else ""

    def _labels_of(self, suffix: str) -> tuple[tuple[str, str], ...]:
        return _labels(self._fixed or content.by_name(f"x.{suffix}").type, gzip=False)

    def _named(self, entry: Entry) -> tuple[str | None, bool]:
        name = content.by_name(entry.source)
        return self._fixed or name.type, name.compressed

    def _wants_gzip(self, kind: str | None, head: bytes) -> bool:
        wanted = content.should_compress(kind, self._gzip_types)
        return wanted and bool(head) and not content.looks_compressed(head)


def _tells(size: int, there: Dest | None) -> bool:
    """Whether the MD5 of a body of ``size`` bytes would tell if it is what is there."""
    return there is not None and there.size == size and is_md5(there.etag)


def _labels(kind: str | None, *, gzip: bool) -> tuple[tuple[str, str], ...]:
    labels = (("content-type", kind),) if kind else ()
    return (*labels, ("content-encoding", "gzip")) if gzip else labels
