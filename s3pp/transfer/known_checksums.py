"""Files that need not be read where the store keeps a checksum that the ETag cache has.

::

    task ─ the object's ETag is an MD5 ───────────────────────▶ the role decides
         └ any other ─▶ cache ─ has checksums ─▶ HEAD ─ has one of them ─▶ Skipped
                          └─ has none ─────────────└─ none, or another ──▶ the role decides

ETags that the cache has were recognised by the walker, see ``known_files``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from s3pp.errors import ObjectError
from s3pp.integrity.stored_object import StoredObject, or_unknown, whole_checksums
from s3pp.localfs.etag_cache import DigestReader, UnusableCacheError
from s3pp.localfs.file_state import FileState
from s3pp.records import Dest, Outcome, PartOutcome, Skipped, SkipReason
from s3pp.s3.client import Bucket
from s3pp.transfer.file_digests import strong_checksums
from s3pp.transfer.granter import ObjectWriter
from s3pp.transfer.unchanged import Screen


class Compared(NamedTuple):
    """What a task compares."""

    key: str
    listed: Dest
    state: FileState | None  # of the file; None: nothing can be known of it
    kinds: str  # what precedes the kinds of digests, see ``file_digests``


class KnownChecksums:
    """Finds out by a HEAD whether a file in the ETag cache is an object of another kind of ETag."""

    def __init__(self, bucket: Bucket, path: str, *, read_only: bool) -> None:
        """``bucket`` has the objects; ``path`` is the cache's."""
        self._bucket = bucket
        self._reader: DigestReader | None
        try:
            self._reader = DigestReader(path, read_only=read_only)
        except UnusableCacheError:  # the walker tells users
            self._reader = None

    async def are_those_of(self, compared: Compared) -> bool:
        """Return whether a file is known to have a checksum that the store has of the object."""
        ours = self._look_up(compared)
        if not ours:
            return False
        stored = StoredObject(self._bucket, compared.key, compared.listed)
        try:
            found = await or_unknown(stored.head())
        except ObjectError:  # the role meets it again, and reports it
            return False
        return found is not None and not ours.isdisjoint(whole_checksums(found.response))

    def _look_up(self, compared: Compared) -> set[tuple[str, str]]:
        if self._reader is None or compared.state is None:
            return set()
        try:
            (digests,) = self._reader.look_up([compared.state])
        except UnusableCacheError:
            self._reader = None
            return set()
        return strong_checksums(digests, compared.kinds)


class ChecksumScreen:
    """A role that skips tasks by ``KnownChecksums``, and has another one execute the rest."""

    def __init__(
        self,
        role: ObjectWriter,
        known: KnownChecksums,
        describe: Callable[[Any], Compared | None],
    ) -> None:
        """``describe`` returns what a task compares; None: nothing, or it does not apply."""
        self.notes = role.notes
        self._role = role
        self._known = known
        self._describe = describe

    @property
    def skip_unchanged(self) -> Screen | None:
        """What the other role recognises."""
        return self._role.skip_unchanged

    async def part(self, part: Any) -> PartOutcome:
        """Transfer a part, as the other role does."""
        return await self._role.part(part)

    async def transfer(self, task: Any) -> Outcome:
        """Execute a task. Raises only ``FatalError`` and ``RunEnding``."""
        compared = self._describe(task)
        if compared is not None and await self._known.are_those_of(compared):
            return Skipped(task.source, task.target, task.size, SkipReason.SAME_CHECKSUM)
        return await self._role.transfer(task)
