"""Preparation of bodies: opening, content type, compression, digests.

::

    Entry ──open──▶ Slice ──small──▶ bytes ──type, gzip──▶ bytes ──digest──▶ Prepared
                      └────large───▶ type, gzip (temporary file), digest on a thread ──▶ Prepared

If the store holds an object of the same size that was sent in parts, the body is first compared
with that; a large body that is equal needs no digest. The digests of a body sent in parts are
computed by the senders of the parts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import Digester, Digests
from s3pp.integrity.etag import is_md5
from s3pp.integrity.multipart_etag import likely_sizes, matches_in_parts
from s3pp.job import Objects, Parts
from s3pp.records import Dest, Entry
from s3pp.s3.multipart import size_fault
from s3pp.transfer.bodies import Slice, open_entry, unreadable
from s3pp.transfer.modes import Local
from s3pp.transfer.put import compress, content
from s3pp.transfer.reading import Budget, Reader


@dataclass
class Prepared:
    """A body and the data for its PUT. Close it once sent."""

    body: bytes | Slice
    size: int  # bytes of the source
    sent: int  # bytes of the body
    digests: Digests | None  # None: computed when it is sent, or for each part
    labels: tuple[tuple[str, str], ...]  # Content-Type and Content-Encoding, lower-case names
    source: Slice | None = None  # open while the body is streamed
    parted: str = ""  # the stored multipart ETag, if the body has the same one

    def pieces(self) -> Iterable[bytes]:
        """Return the pieces of the body; a streamed one blocks on reads: not on an event loop."""
        return (self.body,) if isinstance(self.body, bytes) else self.body.pieces()

    def check(self) -> None:
        """Raise ``Changed`` if the source of a stream changed since it was opened."""
        if self.source:
            self.source.check()

    def close(self) -> None:
        """Close the open files."""
        if self.source:
            self.source.close()
        if isinstance(self.body, Slice) and self.body is not self.source:
            self.body.close()


class Preparer:
    """A factory of bodies by the rules of one run."""

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
        """Read an entry. Raises ``ObjectError`` if it cannot be read, or changes meanwhile.

        ``there`` is the stored object, if the body is to be compared with it.
        """
        try:
            opened = await self.reader.run(open_entry, entry)
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
        """Return the facts of a body that ``modes.decide`` compares."""
        if prepared.digests:
            return Local(prepared.sent, prepared.digests.md5)
        if prepared.parted or not isinstance(prepared.body, bytes):
            return Local(prepared.sent, "", prepared.parted)
        return Local(prepared.sent, md5(prepared.body, usedforsecurity=False).hexdigest())

    def digests(self, prepared: Prepared) -> Digests:
        """Return the digests for the PUT of a body."""
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
        """Return the part sizes to try when a body is compared with a stored object."""
        return likely_sizes(there, self._parts.size)

    def _parted(self, pieces: Iterable[bytes], size: int, there: Dest | None) -> str:
        if there is None or there.size != size:
            return ""
        return there.etag if matches_in_parts(pieces, there, self.tried(there)) else ""

    def _labels_of(self, suffix: str) -> tuple[tuple[str, str], ...]:
        return _labels(self._fixed or content.by_name(f"x.{suffix}").type, gzip=False)

    def _named(self, entry: Entry) -> tuple[str | None, bool]:
        name = content.by_name(entry.source)
        return self._fixed or name.type, name.compressed

    def _wants_gzip(self, kind: str | None, head: bytes) -> bool:
        wanted = content.should_compress(kind, self._gzip_types)
        return wanted and bool(head) and not content.looks_compressed(head)


def _tells(size: int, there: Dest | None) -> bool:
    """Return whether the MD5 of a body of ``size`` bytes decides if it equals the stored object."""
    return there is not None and there.size == size and is_md5(there.etag)


def _labels(kind: str | None, *, gzip: bool) -> tuple[tuple[str, str], ...]:
    labels = (("content-type", kind),) if kind else ()
    return (*labels, ("content-encoding", "gzip")) if gzip else labels
