"""Mapping between keys and numbers, to find a key that lies between two others.

Each position in a key has its own alphabet: the characters seen there and, until the listing has
covered all that occur, others of their kind: a ``7`` implies all digits, a ``c`` beside digits the
hexadecimal ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

TOP = "~"  # sorts after nearly everything in use: ``a/~`` is just after the keys in ``a/``
_PLACES = 64  # positions of a key, after the prefix, whose characters are recorded
_DEPTH = 12  # characters that make up a key's number

DIGITS = frozenset("0123456789")
_HEX = frozenset("abcdef")
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def shared(one: str, other: str) -> str:
    """Return the longest common prefix."""
    for place, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return one[:place]
    return min(one, other, key=len)


class Alphabets:
    """The characters to expect at each position of the keys below ``prefix``."""

    def __init__(self, prefix: str) -> None:
        self._start = len(prefix)
        self._seen: list[set[str]] = [set() for _ in range(_PLACES)]
        self._anywhere: set[str] = set()
        self._closed = _PLACES  # from this place on, all characters that occur were seen
        self._known: dict[int, str] = {}

    def learn(self, keys: Sequence[str]) -> None:
        """Record some keys of a page, ascending, including its first and last."""
        for key in keys:
            tail = key[self._start : self._start + _PLACES]
            for seen, character in zip(self._seen, tail, strict=False):
                seen.add(character)
            self._anywhere.update(tail)
        self._close(keys[0], keys[-1])
        self._known.clear()

    def _close(self, low: str, high: str) -> None:
        """Record that all keys from ``low`` to ``high`` were listed."""
        self._closed = min(self._closed, len(shared(low, high)) + 1 - self._start)

    def at(self, place: int) -> str:
        """The characters expected at position ``place`` of a key, ascending."""
        if place not in self._known:
            self._known[place] = "".join(sorted(self._expected(place - self._start)))
        return self._known[place]

    def distance(self, low: str, high: str, place: int) -> int:
        """The distance in characters between two keys that first differ at ``place``."""
        alphabet = self.at(place)
        before = bisect_left(alphabet, low[place]) if place < len(low) else -1
        return bisect_left(alphabet, high[place]) - before if place < len(high) else 0

    def _expected(self, place: int) -> set[str]:
        seen = self._seen[place] if place < _PLACES else self._anywhere
        return seen if place >= self._closed else seen | self._kinds(seen)

    def _kinds(self, seen: set[str]) -> set[str]:
        """All characters of the kinds in ``seen``; a single letter is not enough evidence."""
        kinds: set[str] = set()
        lower = _HEX if self._anywhere.isdisjoint(_LOWER - _HEX) else _LOWER
        has_digits = not seen.isdisjoint(DIGITS)
        if has_digits:
            kinds |= DIGITS
        if len(seen & _LOWER) > 1 or (
            has_digits and (lower & self._anywhere if lower is _HEX else seen & _LOWER)
        ):
            kinds |= lower
        if len(seen & _UPPER) > 1:
            kinds |= _UPPER
        if any(character > TOP for character in seen):
            kinds.update(character for character in self._anywhere if character > TOP)
        return kinds


class Scale:
    """Converts keys that begin with ``base`` to numbers and back, by the characters after it."""

    def __init__(self, alphabets: Alphabets, base: str) -> None:
        self._base = base
        self._alphabets = [alphabets.at(len(base) + place) for place in range(_DEPTH)]
        # One more digit on either side: the end of a key, and what sorts after the alphabet.
        radices = [len(alphabet) + 2 for alphabet in self._alphabets]
        self._units = [1] * _DEPTH
        for place in range(_DEPTH - 1, 0, -1):
            self._units[place - 1] = self._units[place] * radices[place]
        self.unit = self._units[0]  # of the first character
        self._end = self.unit * radices[0]

    def number(self, key: str | None) -> int:
        """The number of ``key``; None means the end of all keys that begin with the base."""
        if key is None or not key.startswith(self._base):
            return 0 if key is not None and key < self._base else self._end
        total = 0
        tail = key[len(self._base) :]
        for character, unit, alphabet in zip(tail, self._units, self._alphabets, strict=False):
            digit = bisect_left(alphabet, character)
            total += unit * (digit + 1)
            if alphabet[digit : digit + 1] != character:
                break
        return total

    def key(self, number: int, near: int) -> str:
        """A short key whose number is ``number``, or less than ``near`` below it."""
        key = self._base
        for unit, alphabet in zip(self._units, self._alphabets, strict=True):
            digit, number = divmod(number, unit)
            if digit == 0:
                break
            key += alphabet[digit - 1] if digit <= len(alphabet) else max(TOP, alphabet[-1:])
            if number < near:
                break
        return key
