"""Choice of where to split a range of keys, estimated from what was listed so far. Pure.

An estimate may be any string: the listings on its two sides are correct in any case, and only their
balance depends on it.

The remainder of a range is estimated from the density of keys in its pages so far, or else from the
density of all listings: the number of pages from ``d1`` to ``d2`` predicts the number from there to
``d9``. A density is trusted only for the group of keys it comes from and for adjacent groups: if a
page covers keys that begin with ``a/17``, for all that begin with ``a/1``. What follows is explored
by probes: ranges that begin just after ``a/1``, ``a/`` and so on (``a/1~``). Each finds the next
group at once, or is empty. Only if nothing else can be split, densities are trusted further.

Keys are mapped to numbers and back, to find a key between two others. Each position in a key has
its own alphabet: the characters seen there and, until the listing has covered all that occur,
others of their kind: a ``7`` implies all digits, a ``c`` beside digits the hexadecimal ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from typing import NamedTuple

from s3pp.limits import MAX_KEY_BYTES
from s3pp.s3.listing import UNSENDABLE, Listed

CHUNK = 16.0  # pages: the largest distance of a split from a range's current position
LEAST = 1.25  # estimated pages left that a range needs to be split
_SAMPLES = 8  # keys sampled from a page
_BELIEF = 16.0  # an estimate is trusted up to this multiple of the pages listed so far


class KeySpan(NamedTuple):
    """Consecutive pages of one range."""

    first: str  # key
    last: str  # key
    pages: float


@dataclass(eq=False)
class Stretch:
    """The part of a range still to list, and what is known about it."""

    low: str  # lower bound of the remaining keys
    high: str | None  # upper bound; None: the end of the prefix
    span: KeySpan | None = None  # the pages that the density comes from
    trust: str = ""  # the density is trusted for keys that begin with this
    left: float = 1.0  # estimated pages
    most: float = 0.0  # pages up to which an estimate is trusted

    def holds(self, at: str) -> bool:
        """Whether ``at`` lies inside, so that it can be split there."""
        return self.low < at and (self.high is None or at < self.high)


class PageStep(NamedTuple):
    """The step from a page's first key to that of the next page, or to the key after a range."""

    start: str
    end: str
    pages: float  # 1, or less where a range ended within the page


class Split(NamedTuple):
    """The two halves of a split; ``right`` begins where ``left`` now ends."""

    left: Stretch
    right: Stretch


class _Estimate(NamedTuple):
    """The part of a stretch in which a density is trusted."""

    scale: Scale
    low: int
    high: int
    per_page: float  # numbers of the scale

    @property
    def pages(self) -> float:
        return (self.high - self.low) / self.per_page

    def at(self, pages: float) -> str:
        """A key this many pages from the low end, or in the middle if that is nearer."""
        step = int(min((self.high - self.low) // 2, self.per_page * pages))
        return self.scale.key(self.low + step, max(1, step // 8))


class _KeyDensity:
    """How far listings advance per page, at each position of a key."""

    def __init__(self) -> None:
        self._pages: dict[int, float] = defaultdict(float)  # listed within one group there
        self._steps: dict[int, int] = defaultdict(int)  # from group to group, in characters

    def note(self, step: PageStep, alphabets: Alphabets) -> None:
        """Add one step."""
        place = len(common_prefix(step.start, step.end))
        for above in range(place + 1):
            self._pages[above] += step.pages
        self._steps[place] += max(1, alphabets.distance(step.start, step.end, place))

    def at(self, place: int) -> float | None:
        """Characters by which a page advances at ``place``; None: none has advanced there."""
        steps = self._steps.get(place)
        return steps / self._pages[place] if steps and self._pages[place] else None


class Splitter:
    """Learns the distribution of keys, and splits stretches."""

    def __init__(self, prefix: str, credit: int) -> None:
        """``credit``: empty ranges allowed in addition to one for each page that had keys."""
        self._prefix = prefix
        self._alphabets = Alphabets(prefix)
        self._density = _KeyDensity()
        self._probes: list[str] = []  # descending
        self._credit = credit
        self._fruitful = 1  # pages

    def begin(self, first: str, last: str) -> None:
        """Record the first and last key of the very first page, and prepare probes.

        For consecutive positions without digits one probe suffices: keys after ``ab`` are after
        ``abc`` too.
        """
        group = common_prefix(first, last)
        ends = range(len(self._prefix) + 1, len(group) + 1)
        self._probes = [
            _sendable(group[:end] + TOP)
            for end in ends
            if end == len(group) or not DIGITS.isdisjoint(group[end - 1 : end + 1])
        ]

    def learn(self, stretch: Stretch, objects: Sequence[Listed], after: str) -> None:
        """Learn from a page of the range after ``after``; ``stretch.span`` already includes it."""
        some = objects[:: max(1, len(objects) // _SAMPLES)]
        self._alphabets.learn([*(listed.key for listed in some), objects[-1].key])
        if stretch.span:
            stretch.trust = self._trusted_prefix(stretch.span, after)
        stretch.most = _BELIEF * self._fruitful
        self.measure(stretch)

    def record_step(self, step: PageStep) -> None:
        """Record how far a page advanced."""
        self._density.note(step, self._alphabets)

    def record_page(self, *, fruitful: bool) -> None:
        """Record that a page had keys of its range, or that a range turned out to be empty."""
        self._credit += 1 if fruitful else -1
        self._fruitful += fruitful

    def measure(self, stretch: Stretch) -> None:
        """Update the estimate of what is left of a stretch that has changed."""
        estimate = self._estimate(stretch)
        stretch.left = max(1.0, min(estimate.pages, stretch.most)) if estimate else 1.0

    def split(self, near: Sequence[Stretch], far: Sequence[Stretch]) -> Split | None:
        """Split one of the stretches, preferring those in ``near``; None: split none."""
        if self._credit < 0:
            return None
        for stretch, at in self._places(near, far):
            if stretch.holds(at) and len(at.encode()) <= MAX_KEY_BYTES:
                return self._divide(stretch, at)
        return None

    def _places(
        self, near: Sequence[Stretch], far: Sequence[Stretch]
    ) -> Iterator[tuple[Stretch, str]]:
        """Yield the candidates for a split, best first."""
        while self._probes:
            at = self._probes.pop()
            yield from ((stretch, at) for stretch in (*near, *far))
        for stretches in (near, far):
            for stretch in sorted(stretches, key=attrgetter("left"), reverse=True):
                estimate = self._estimate(stretch) if stretch.left >= LEAST else None
                if estimate:
                    believed = estimate.pages <= stretch.most
                    yield stretch, _sendable(estimate.at(CHUNK if believed else estimate.pages))
        yield from self._bold_places(near)

    def _bold_places(self, stretches: Sequence[Stretch]) -> Iterator[tuple[Stretch, str]]:
        """Yield the middles of stretches, assuming the known density everywhere."""
        estimatees = [(self._estimate(each, bold=True), each) for each in stretches]
        large = [(estimate.pages, estimate, each) for estimate, each in estimatees if estimate]
        for pages, estimate, stretch in sorted(large, key=itemgetter(0), reverse=True):
            if pages >= LEAST:
                yield stretch, _sendable(estimate.at(pages))

    def _divide(self, left: Stretch, at: str) -> Split:
        left.most /= 2
        right = replace(left, low=at)
        left.high = at
        self.measure(left)
        self.measure(right)
        return Split(left, right)

    def _trusted_prefix(self, span: KeySpan, after: str) -> str:
        """The prefix of the keys for which the density of ``span`` is trusted."""
        group = common_prefix(span.first, span.last)[:-1]
        if after.endswith(TOP) and span.first.startswith(after[:-2]):
            # The range began after a group of keys, and the next group followed at once.
            group = min(group, after[:-2], key=len)
        return max(group, self._prefix, key=len)

    def _estimate(self, stretch: Stretch, *, bold: bool = False) -> _Estimate | None:
        span, low, high = stretch.span, stretch.low, stretch.high
        if span is None:
            return None
        base = self._base(stretch, high)
        per_page = self._density.at(len(base))
        if per_page is not None and len(common_prefix(span.first, span.last)) > len(base):
            scale = Scale(self._alphabets, base)
            return _Estimate(scale, scale.number(low), scale.number(high), scale.unit * per_page)
        if not bold:
            if not low.startswith(stretch.trust):
                return None
            end = stretch.trust + TOP if stretch.trust != self._prefix else None
            high = min((bound for bound in (high, end) if bound is not None), default=None)
        scale = Scale(self._alphabets, self._base(stretch, high))
        seen = max(1, scale.number(span.last) - scale.number(span.first))
        return _Estimate(scale, scale.number(low), scale.number(high), seen / span.pages)

    def _base(self, stretch: Stretch, high: str | None) -> str:
        """The common prefix of all that is left."""
        if high is None or stretch.span is None:
            return self._prefix
        return common_prefix(min(stretch.span.first, stretch.low), high)


def _sendable(key: str) -> str:
    """Cut ``key`` before its first character that XML cannot contain, since stores echo it."""
    odd = UNSENDABLE.search(key)
    return key[: odd.start()] if odd else key


TOP = "~"  # sorts after nearly everything in use: ``a/~`` is just after the keys in ``a/``
_PLACES = 64  # positions of a key, after the prefix, whose characters are recorded
_DEPTH = 12  # characters that make up a key's number

DIGITS = frozenset("0123456789")
_HEX = frozenset("abcdef")
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_UPPER = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def common_prefix(one: str, other: str) -> str:
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
        self._closed = min(self._closed, len(common_prefix(low, high)) + 1 - self._start)

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
