"""Choice of where to split a range of keys, estimated from what was listed so far. Pure.

An estimate may be any string: the listings on its two sides are correct in any case, and only their
balance depends on it.

The remainder of a range is estimated from the density of keys in its pages so far, or else from the
pace of all listings: the number of pages from ``d1`` to ``d2`` predicts the number from there to
``d9``. A density is trusted only for the group of keys it comes from and for adjacent groups: if a
page covers keys that begin with ``a/17``, for all that begin with ``a/1``. What follows is explored
by probes: ranges that begin just after ``a/1``, ``a/`` and so on (``a/1~``). Each finds the next
group at once, or is empty. Only if nothing else can be split, densities are trusted further.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from typing import NamedTuple

from s3pp.limits import MAX_KEY_BYTES
from s3pp.s3.keyspace import DIGITS, TOP, Alphabets, Scale, shared
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


class _Guess(NamedTuple):
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
        place = len(shared(step.start, step.end))
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
        self._pace = _KeyDensity()
        self._probes: list[str] = []  # descending
        self._credit = credit
        self._fruitful = 1  # pages

    def begin(self, first: str, last: str) -> None:
        """Record the first and last key of the very first page, and prepare probes.

        For consecutive positions without digits one probe suffices: keys after ``ab`` are after
        ``abc`` too.
        """
        group = shared(first, last)
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
            stretch.trust = self._trusted(stretch.span, after)
        stretch.most = _BELIEF * self._fruitful
        self.measure(stretch)

    def pass_on(self, step: PageStep) -> None:
        """Record how far a page advanced."""
        self._pace.note(step, self._alphabets)

    def harvest(self, *, fruitful: bool) -> None:
        """Record that a page had keys of its range, or that a range turned out to be empty."""
        self._credit += 1 if fruitful else -1
        self._fruitful += fruitful

    def measure(self, stretch: Stretch) -> None:
        """Update the estimate of what is left of a stretch that has changed."""
        guess = self._guess(stretch)
        stretch.left = max(1.0, min(guess.pages, stretch.most)) if guess else 1.0

    def cut(self, near: Sequence[Stretch], far: Sequence[Stretch]) -> Split | None:
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
                guess = self._guess(stretch) if stretch.left >= LEAST else None
                if guess:
                    believed = guess.pages <= stretch.most
                    yield stretch, _sendable(guess.at(CHUNK if believed else guess.pages))
        yield from self._bold_places(near)

    def _bold_places(self, stretches: Sequence[Stretch]) -> Iterator[tuple[Stretch, str]]:
        """Yield the middles of stretches, assuming the known density everywhere."""
        guesses = [(self._guess(each, bold=True), each) for each in stretches]
        large = [(guess.pages, guess, each) for guess, each in guesses if guess]
        for pages, guess, stretch in sorted(large, key=itemgetter(0), reverse=True):
            if pages >= LEAST:
                yield stretch, _sendable(guess.at(pages))

    def _divide(self, left: Stretch, at: str) -> Split:
        left.most /= 2
        right = replace(left, low=at)
        left.high = at
        self.measure(left)
        self.measure(right)
        return Split(left, right)

    def _trusted(self, span: KeySpan, after: str) -> str:
        """The prefix of the keys for which the density of ``span`` is trusted."""
        group = shared(span.first, span.last)[:-1]
        if after.endswith(TOP) and span.first.startswith(after[:-2]):
            # The range began after a group of keys, and the next group followed at once.
            group = min(group, after[:-2], key=len)
        return max(group, self._prefix, key=len)

    def _guess(self, stretch: Stretch, *, bold: bool = False) -> _Guess | None:
        span, low, high = stretch.span, stretch.low, stretch.high
        if span is None:
            return None
        base = self._base(stretch, high)
        pace = self._pace.at(len(base))
        if pace is not None and len(shared(span.first, span.last)) > len(base):
            scale = Scale(self._alphabets, base)
            return _Guess(scale, scale.number(low), scale.number(high), scale.unit * pace)
        if not bold:
            if not low.startswith(stretch.trust):
                return None
            end = stretch.trust + TOP if stretch.trust != self._prefix else None
            high = min((bound for bound in (high, end) if bound is not None), default=None)
        scale = Scale(self._alphabets, self._base(stretch, high))
        seen = max(1, scale.number(span.last) - scale.number(span.first))
        return _Guess(scale, scale.number(low), scale.number(high), seen / span.pages)

    def _base(self, stretch: Stretch, high: str | None) -> str:
        """The common prefix of all that is left."""
        if high is None or stretch.span is None:
            return self._prefix
        return shared(min(stretch.span.first, stretch.low), high)


def _sendable(key: str) -> str:
    """Cut ``key`` before its first character that XML cannot contain, since stores echo it."""
    odd = UNSENDABLE.search(key)
    return key[: odd.start()] if odd else key
