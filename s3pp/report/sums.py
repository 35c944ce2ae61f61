"""Sums of the sizes of objects, by what their keys begin with.

The keys come in order, so that a prefix is complete as soon as a key does not begin with it: memory
does not grow with the keys, nor with the prefixes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from s3pp.s3.listing import Listed


class PrefixSum(NamedTuple):
    """The objects whose keys begin with a prefix."""

    prefix: str
    objects: int
    bytes: int


class _Open:
    """The sum of a prefix whose keys are being listed; those of prefixes below are added last."""

    __slots__ = ("bytes", "objects", "prefix")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.objects = self.bytes = 0


class PrefixSums:
    """Adds up the objects of a listing, down to ``depth`` levels below ``top``.

    Where keys are not in order a prefix is summed up several times, each with other objects.
    """

    def __init__(self, top: str = "", delimiter: str = "/", depth: int = 0) -> None:
        self._delimiter = delimiter
        self._depth = depth
        self._open = [_Open(top)]  # each begins with the one before; that of all keys stays

    def add(self, page: Iterable[Listed]) -> list[PrefixSum]:
        """Add objects; returns the sums of the prefixes that these complete, the deepest first."""
        if not self._depth:
            return []
        found: list[PrefixSum] = []
        deepest = self._open[-1]
        for listed in page:
            key = listed.key
            if not key.startswith(deepest.prefix) or len(self._open) <= self._depth:
                deepest = self._enter(key, found)
            deepest.objects += 1
            deepest.bytes += listed.size
        return found

    def end(self) -> list[PrefixSum]:
        """Return the sums of the prefixes that are complete now that all keys are listed."""
        found: list[PrefixSum] = []
        while len(self._open) > 1:
            found.append(self._close())
        return found

    def _enter(self, key: str, found: list[PrefixSum]) -> _Open:
        """Return the deepest prefix that a key is counted in, after closing those it is not in."""
        levels = self._open
        while len(levels) > 1 and not key.startswith(levels[-1].prefix):
            found.append(self._close())
        while len(levels) <= self._depth:
            at = key.find(self._delimiter, len(levels[-1].prefix))
            if at < 0:
                break
            levels.append(_Open(key[: at + len(self._delimiter)]))
        return levels[-1]

    def _close(self) -> PrefixSum:
        last = self._open.pop()
        above = self._open[-1]
        above.objects += last.objects
        above.bytes += last.bytes
        return PrefixSum(last.prefix, last.objects, last.bytes)
