"""Shards: which of N independent runs does what is under a key."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

MOST_SHARDS = 100_000  # what an array of Kubernetes may have; AWS Batch has 10,000


def shard_of(key: bytes, count: int) -> int:
    """Return the shard of a key, from 1 to ``count``: the same in every version, on every machine.

    The first four bytes of the SHA-256 of the key's UTF-8, as a number, most significant byte
    first, modulo ``count``; plus 1. ``docs/shards.rst`` promises it: journals and other programs
    depend on it.
    """
    return int.from_bytes(sha256(key).digest()[:4], "big") % count + 1


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of all keys."""

    number: int  # from 1
    count: int

    def has(self, key: bytes) -> bool:
        """Return whether it has ``key``: its UTF-8, or the bytes of a name that is none."""
        return shard_of(key, self.count) == self.number

    def __str__(self) -> str:
        """Return ``2/4``."""
        return f"{self.number}/{self.count}"
