"""The bytes of objects, read to compare them, and nothing kept of them.

::

    up to the threshold   one GET          ─┐
    larger                ranges, in order ─┴─▶ DigestSink ─▶ BodyDigests

What was read once and differs may have been damaged on its way. It is read again: bytes that arrive
otherwise each time are a fault of the transfer, and only those that arrive alike are the object's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import begin_checksum
from s3pp.integrity.etag import RollingETags
from s3pp.integrity.verifiers import Corrupt
from s3pp.job import Job
from s3pp.limits import MIB
from s3pp.s3.client import ASK_CHECKSUM, Bucket, Coding
from s3pp.transfer.errors import ObjectReplaced, object_vanished
from s3pp.transfer.get.stream_ranges import NoRanges, StreamRanges
from s3pp.transfer.resources import WorkerResources

RANGE = 4 * MIB  # bytes of a range: a worker holds some of them, of each object that it reads
_READINGS = 3


DIGEST = "sha256"  # of two bodies that are compared with each other


class DigestKinds(NamedTuple):
    """What is computed of a body."""

    checksums: tuple[str, ...] = ()  # by their names
    part_sizes: tuple[int, ...] = ()  # bytes: of ETags of parts


BOTH = DigestKinds((DIGEST,))


class BodyDigests(NamedTuple):
    """A body that was read to its end."""

    size: int  # bytes
    checksums: Mapping[str, bytes] = MappingProxyType({})  # by name
    etags: frozenset[str] = frozenset()  # of parts, in each size


class DigestSink:
    """A ``Sink`` that keeps digests only."""

    def __init__(self, wanted: DigestKinds) -> None:
        self._wanted = wanted
        self.restart()

    def restart(self) -> None:
        """Start a body."""
        self._size = 0
        self._states = {name: begin_checksum(name) for name in self._wanted.checksums}
        self._rolling = RollingETags(self._wanted.part_sizes)

    def write(self, piece: bytes | memoryview) -> None:
        """Add the next piece."""
        self._size += len(piece)
        for state in self._states.values():
            state.update(piece)
        self._rolling.feed(piece)

    def write_all(self, pieces: Iterable[bytes]) -> None:
        """Add pieces; takes long: not on an event loop, unless they are small."""
        for piece in pieces:
            self.write(piece)

    def digests(self) -> BodyDigests:
        """Return the digests of the body so far."""
        found = {name: state.digest() for name, state in self._states.items()}
        return BodyDigests(self._size, found, frozenset(self._rolling.etags().values()))


def digests_of(pieces: Iterable[bytes], wanted: DigestKinds) -> BodyDigests:
    """Return the digests of a body; takes long: not on an event loop, unless it is small."""
    sink = DigestSink(wanted)
    sink.write_all(pieces)
    return sink.digests()


class ObjectReader:
    """Reads objects of one bucket."""

    def __init__(self, job: Job, bucket: Bucket, resources: WorkerResources) -> None:
        self._job = replace(job, parts=replace(job.parts, size=min(job.parts.size, RANGE)))
        self._threshold = job.parts.threshold
        self._bucket = bucket
        self._resources = resources

    async def read(
        self, key: str, size: int, wanted: DigestKinds, coding: Coding = Coding.GZIP
    ) -> BodyDigests:
        """Read an object of about ``size`` bytes. Raises as ``Bucket`` does, and ``RunEnding``."""
        sink = DigestSink(wanted)
        if size <= self._threshold or not await self._read_ranges(key, sink):
            sink.restart()
            await self._bucket.get(key, sink=sink, coding=coding)
        return sink.digests()

    async def _read_ranges(self, key: str, sink: DigestSink) -> bool:
        """Read an object by ranges; returns False where the store returns none."""
        answer = await self._bucket.look(key, headers=(ASK_CHECKSUM,))
        if answer is None:
            raise object_vanished()

        async def write(pieces: Iterable[bytes]) -> None:
            self._resources.parts.check()  # the run may be ending
            await self._resources.reader.away(lambda: sink.write_all(pieces))

        try:
            await StreamRanges(self._job, self._bucket, self._resources, write).fetch(key, answer)
        except NoRanges:
            return False
        except Corrupt:  # what has arrived is compared all the same, and read again
            return True
        return True


async def settle_bytes(
    read: Callable[[Coding], Awaitable[BodyDigests]], fault: Callable[[BodyDigests], str | None]
) -> BodyDigests:
    """Read bytes until they are those meant, as ``fault`` says, or known not to be.

    Raises ``ObjectError``: differs, if they arrive alike twice, integrity, if they never do; and
    the errors of ``read``.
    """
    earlier: set[tuple[object, ...]] = set()
    for number in range(_READINGS):
        try:
            found = await read(Coding.IDENTITY if number else Coding.GZIP)
        except ObjectReplaced:
            if number + 1 == _READINGS:
                raise
            continue
        why = fault(found)
        if why is None:
            return found
        state = (found.size, *sorted(found.checksums.items()), found.etags)
        if state in earlier:
            raise ObjectError(FailureKind.DIFFERS, f"its bytes are others: {why}")
        earlier.add(state)
    often = f"its bytes arrived otherwise each of {_READINGS} times: check the network and proxies"
    raise ObjectError(FailureKind.INTEGRITY, often)


async def same_bytes(ours: BodyDigests, read: Callable[..., Awaitable[BodyDigests]]) -> int:
    """Read an object, which must have the digests ``ours``; return the bytes received.

    Raises as ``settle_bytes`` does.
    """
    return (await settle_bytes(lambda coding: read(coding=coding), partial(difference, ours))).size


def difference(ours: BodyDigests, theirs: BodyDigests) -> str | None:
    if theirs == ours:
        return None
    if theirs.size != ours.size:
        return f"{theirs.size} bytes, not {ours.size}"
    one, other = (each.checksums[DIGEST].hex()[:16] for each in (ours, theirs))
    return f"their {DIGEST} begins with {other}, that of the other end with {one}"
