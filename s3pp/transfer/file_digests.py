"""Digests of local files that the ETag cache keeps: their kinds, and what they show.

==================  =========================================================
kind                value
==================  =========================================================
``md5``             the MD5 of the body, in hex
``parts-N``         its ETag in ``N`` parts
``crc64nvme`` …     its checksum by that algorithm, in base64
==================  =========================================================

The body is the file itself. Where a run compresses some files, a kind is preceded by a name of all
settings that decide whether and how it does, see ``BodyKinds``: with others, the same file makes
another body.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

from s3pp.attributes import Objects
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.integrity.etag import is_md5, part_count
from s3pp.localfs.file_state import FileState, doubt
from s3pp.records import SkipReason
from s3pp.transfer.modes import by_emptiness
from s3pp.transfer.resources import DigestNotes

PLAIN = ""  # what precedes the kinds of the file itself
MD5 = "md5"
_SAME_ETAG = SkipReason.SAME_ETAG  # evaluated once, see ``modes``


def etag_kind(etag: str) -> str | None:
    """Return the kind of an ETag; None if nothing computes it from the content."""
    if is_md5(etag):
        return MD5
    count = part_count(etag)
    return None if count is None else f"parts-{count}"


def same_etag(
    digests: Mapping[str, str], body: str, etag: str, *, empty: bool
) -> SkipReason | None:
    """Return the reason to skip an object with this ETag; None: ``digests`` show no equality.

    ``body`` precedes the kinds; ``empty``: neither the file nor the object has any bytes.
    """
    ours = digests.get(body + MD5)
    if ours is not None:  # first, as most objects have an MD5
        if ours == etag:
            return _SAME_ETAG
        if empty:
            return by_emptiness(ours, etag)
    kind = etag_kind(etag)
    return _SAME_ETAG if kind is not None and digests.get(body + kind) == etag else None


def strong_checksums(digests: Mapping[str, str], body: str) -> set[tuple[str, str]]:
    """Return the checksums among ``digests`` that prove equality, other than the MD5."""
    strong = (name for name, each in ALGORITHMS.items() if each.is_strong and name != MD5)
    return {(name, digests[body + name]) for name in strong if body + name in digests}


class BodyKinds:
    """What precedes the kinds of digests, under the settings of a run."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._by_type = lru_cache(maxsize=1024)(self._name_settings)

    @property
    def varies(self) -> bool:
        """Whether the body of a file may have another size than the file."""
        return bool(self._objects.gzip_types)

    def of(self, name: str) -> str:
        """Return what precedes the kinds of the body of a file called ``name``."""
        if not self._objects.gzip_types:
            return PLAIN
        from s3pp.transfer.put import content

        return self._by_type(content.by_name(name))

    def _name_settings(self, by_name: tuple[str | None, bool]) -> str:
        from s3pp.transfer.put import content

        types = sorted(self._objects.gzip_types)
        named = [value for name, value in self._objects.headers if name.lower() == "content-type"]
        fixed = (named, self._objects.content_type)
        settings = (content.compression(), fixed, by_name, types)
        return f"gzip-{sha256(repr(settings).encode()).hexdigest()[:16]}-"


# What workers note


@dataclass(slots=True)
class Reading:
    """A file about to be read, by the state before that."""

    before: FileState | None  # None: it could not be looked at
    began: int = field(default_factory=time.time_ns)  # nanoseconds since the epoch

    def settle(self, after: FileState | None) -> FileState | None:
        """Return the state that identifies what was read; None if none does.

        ``after`` is the state once it was read: a file that another has replaced meanwhile, or
        that has changed, has a different one.
        """
        if self.before is None or self.before != after or doubt(self.before, self.began):
            return None
        return self.before


@dataclass(slots=True)
class BodyNotes:
    """What a body was found to have, of a file in a state that identifies its content."""

    state: FileState
    kinds: str  # what precedes the kinds
    notes: DigestNotes
    found: list[tuple[str, str]] = field(default_factory=list)  # kinds and values, see ``find``

    def find(self, kind: str, value: str) -> None:
        """Keep a digest until the source has been looked at again: see ``add_found``."""
        self.found.append((kind, value))

    def add_found(self) -> None:
        """Note the digests that were found."""
        for kind, value in self.found:
            if kind != MD5:  # which is kept as an ETag, in hex
                self.add(kind, value)
        self.found.clear()

    def add(self, kind: str, value: str) -> None:
        """Note a digest; an empty value is one that was not computed."""
        if value:
            self.notes.add(self.state, self.kinds + kind, value)

    def add_etag(self, etag: str) -> None:
        """Note an ETag that was computed from the body."""
        kind = etag_kind(etag)
        if kind is not None:
            self.add(kind, etag)
