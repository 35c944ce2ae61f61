"""Preparation of bodies: opening, content type, compression, digests.

::

    Entry ──open──▶ Slice ──small──▶ bytes ──type, gzip──▶ bytes ──digest──▶ Prepared
                      └────large───▶ type, gzip (temporary file), digest on a thread ──▶ Prepared

If the store holds an object of the same size that was sent in parts, the body is first compared
with that; a large body that is equal needs no digest. The digests of a body sent in parts are
computed by the senders of the parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksum_choice import DestinationTraits, with_whole_checksum
from s3pp.integrity.checksums import Digester, Digests
from s3pp.integrity.compare import Body, compare
from s3pp.integrity.etag import is_md5, likely_sizes, matches_in_parts
from s3pp.integrity.stored_object import StoredObject
from s3pp.job import Job, Mode
from s3pp.records import Dest, Entry, PartDone, SendReason, SkipReason
from s3pp.s3.client import Bucket, Headers
from s3pp.s3.multipart import size_fault
from s3pp.transfer.bodies import Slice, open_entry, unreadable
from s3pp.transfer.modes import Local, decide
from s3pp.transfer.object_headers import static_headers
from s3pp.transfer.put import content
from s3pp.transfer.resources import Reader

_GZIP = "gzip"
_GZIP_HEADER = (("content-encoding", _GZIP),)


@dataclass
class Prepared:
    """A body and the data for its PUT. Close it once sent."""

    body: bytes | Slice
    size: int  # bytes of the source
    sent: int  # bytes of the body
    digests: Digests | None  # None: computed when it is sent, or for each part
    headers: Headers  # of the object, with lower-case names
    source: Slice | None = None  # open while the body is streamed
    parts_etag: str = ""  # the stored multipart ETag, if the body has the same one
    encoding: str = ""  # "gzip" if the body was compressed here

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

    def __init__(self, job: Job, bucket: Bucket, reader: Reader) -> None:
        objects = with_whole_checksum(job.objects, bucket.endpoint)
        self.checksum = objects.checksum  # of objects that are sent whole
        self._etags_are_md5s = DestinationTraits.of(objects, bucket.endpoint).etags_are_md5s
        self._digester = Digester(
            self.checksum,
            md5=job.mode is not Mode.STUPID,  # the other modes compare it with an ETag
            signed=job.access.sign and not bucket.endpoint.unsigned_bodies,
        )
        self._parts = job.parts
        self._bucket = bucket
        self._reader = reader
        self._headers = tuple(static_headers(objects))
        self._gzip_types = objects.gzip_types
        named = next((v for k, v in objects.headers if k.lower() == "content-type"), None)
        self._fixed = named or (
            objects.content_type if objects.content_type not in ("guess", "magic") else None
        )
        self._magic = objects.content_type == "magic"
        self._looks_inside = self._magic or bool(objects.gzip_types)
        self._headers_by_suffix = lru_cache(maxsize=1024)(self._headers_of)

    def describe(self, entry: Entry, head: bytes) -> tuple[Headers, bool]:
        """Return the headers of a body that begins with ``head``, and whether to compress it.

        May take as long as libmagic: not on an event loop.
        """
        kind, packed = self._type_by_name(entry)
        if kind is None and self._magic:
            kind = content.by_content(head[: content.MAGIC_BYTES])
        gzip = not packed and self._wants_gzip(kind, head)
        return self._add_type(kind, gzip=gzip), gzip

    async def prepare(self, entry: Entry, there: Dest | None = None) -> Prepared:
        """Read an entry. Raises ``ObjectError`` if it cannot be read, or changes meanwhile.

        ``there`` is the stored object, if the body is to be compared with it.
        """
        try:
            if (reader := self._reader).threaded:
                opened = await reader.run(open_entry, entry)
            else:
                opened = reader.here(open_entry, entry)
            if isinstance(opened, Slice):
                return await self._large(entry, opened, there)
            if there is not None or self._looks_inside:
                return await self._small(entry, opened, there)
            stem, _, suffix = (entry.name or entry.path).rpartition("/")[2].rpartition(".")
            headers = self._headers_by_suffix(suffix if stem else "")
            digests = self._digester.of_body(opened)
            return Prepared(opened, len(opened), len(opened), digests, headers)
        except OSError as error:
            raise unreadable(entry.source, error) from None

    def local(self, prepared: Prepared) -> Local:
        """Return the facts of a body that ``modes.decide`` compares."""
        ours = prepared.digests.md5 if prepared.digests else ""
        if not ours and not prepared.parts_etag and isinstance(prepared.body, bytes):
            ours = md5(prepared.body, usedforsecurity=False).hexdigest()
        return Local(prepared.sent, ours, prepared.parts_etag)

    async def compare(self, key: str, prepared: Prepared, dest: Dest) -> SkipReason | SendReason:
        """Return whether to replace the object ``dest`` by a body, and why."""
        reason = decide(self.local(prepared), dest)
        if reason is SendReason.UNKNOWN or (reason is SendReason.ETAG and not self._etags_are_md5s):
            stored = StoredObject(self._bucket, key, dest)
            body = self._compared(prepared, dest)
            reason = await compare(stored, body, conclusive=False)  # else it is sent anyway
            prepared.check()
        return reason

    def digest(self, prepared: Prepared) -> Digests:
        """Return the digests for the PUT of a body."""
        if prepared.digests is None:
            assert isinstance(prepared.body, bytes)
            prepared.digests = self._digester.of_body(prepared.body)
        return prepared.digests

    def note_parts(self, prepared: Prepared, parts: Sequence[PartDone], checksum: str) -> None:
        """Do nothing: a body was sent in ``parts``, with this checksum; see ``noting``."""

    def _compared(self, prepared: Prepared, dest: Dest) -> Body:
        return Body(prepared.pieces, self._reader, self._likely(dest))

    async def _small(self, entry: Entry, body: bytes, there: Dest | None) -> Prepared:
        kind, packed = self._type_by_name(entry)
        if kind is None and self._magic:
            kind = await self._reader.away(lambda: content.by_content(body))
        size = len(body)
        gzip = not packed and self._wants_gzip(kind, body)
        if gzip:
            body = content.compress(body)
        parts_etag = self._find_parts_etag((body,), len(body), there)
        headers = self._add_type(kind, gzip=gzip)
        encoding = _GZIP * gzip
        return Prepared(
            body, size, len(body), None, headers, parts_etag=parts_etag, encoding=encoding
        )

    async def _large(self, entry: Entry, source: Slice, there: Dest | None) -> Prepared:
        try:
            if fault := size_fault(source.size):
                raise ObjectError(FailureKind.TOO_LARGE, fault)
            return await self._reader.whole(lambda: self._stream(entry, source, there))
        except BaseException:
            source.close()
            raise

    def _stream(self, entry: Entry, source: Slice, there: Dest | None) -> Prepared:
        headers, gzip = self.describe(entry, source.head(content.MAGIC_BYTES))
        body = content.compress_to_file(source.pieces(), entry.source) if gzip else source
        parts_etag = self._find_parts_etag(body.pieces(), body.size, there)
        needed = body.size <= self._parts.threshold or _md5_decides(body.size, there)
        digests = self._digester.of(body.pieces()) if needed and not parts_etag else None
        source.check()
        prepared = Prepared(body, source.size, body.size, digests, headers, source, parts_etag)
        prepared.encoding = _GZIP * gzip
        return prepared

    def _likely(self, there: Dest) -> list[int]:
        return likely_sizes(there, self._parts.size)

    def _find_parts_etag(self, pieces: Iterable[bytes], size: int, there: Dest | None) -> str:
        if there is None or there.size != size:
            return ""
        return there.etag if matches_in_parts(pieces, there, self._likely(there)) else ""

    def _headers_of(self, suffix: str) -> Headers:
        return self._add_type(self._fixed or content.by_name(f"x.{suffix}").type, gzip=False)

    def _add_type(self, kind: str | None, *, gzip: bool) -> Headers:
        """Return the headers of this run, with the type and the encoding of a body."""
        found = ((("content-type", kind),) if kind else ()) + _GZIP_HEADER * gzip
        return (*self._headers, *found)

    def _type_by_name(self, entry: Entry) -> tuple[str | None, bool]:
        name = content.by_name(self._named(entry))
        return self._fixed or name.type, name.compressed

    def _named(self, entry: Entry) -> str:
        """Return the name that the type is guessed from."""
        return entry.source

    def _wants_gzip(self, kind: str | None, head: bytes) -> bool:
        wanted = content.should_compress(kind, self._gzip_types)
        return wanted and bool(head) and not content.looks_compressed(head)


def _md5_decides(size: int, there: Dest | None) -> bool:
    """Return whether the MD5 of a body of ``size`` bytes decides if it equals the stored object."""
    return there is not None and there.size == size and is_md5(there.etag)
