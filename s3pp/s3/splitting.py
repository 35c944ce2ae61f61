"""Where to cut a range of keys in two, guessed from what was listed so far. Pure; asks nobody.

A guess may be any string: what is listed on its two sides is right whatever it is, and only the
balance between them depends on it.

How much is left of a range is told by how densely keys lie in it, by its pages so far, or else by
the pace of listings anywhere: how many pages it took to get from ``d1`` to ``d2`` tells what it may
take from there to ``d9``. Densities are believed only for the group of keys they come from and for
those beside it: where a page holds what begins with ``a/17``, for all that begins with ``a/1``.
What follows is found out by probes: ranges that begin just behind ``a/1``, ``a/`` and so on
(``a/1~``). Each is at once at the next group, or barren. Only where nothing else can be cut, more
is believed.
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

CHUNK = 16.0  # pages: a range is not cut further than that from where it is
LEAST = 1.25  # pages that have to be left of a range for it to be cut
_SAMPLES = 8  # keys of a page that are looked at
_BELIEF = 16.0  # a guess is believed up to so many times the pages listed so far


class KeySpan(NamedTuple):
    """Pages of one range that followed each other."""

    first: str  # key
    last: str  # key
    pages: float


@dataclass(eq=False)
class Stretch:
    """What is left to list of a range, and what is known of it."""

    low: str  # no key that is left is less
    high: str | None  # or greater; None: the end of the prefix
    span: KeySpan | None = None  # where the density is known from
    trust: str = ""  # the density is believed for what begins so
    left: float = 1.0  # pages, as far as they can be guessed
    most: float = 0.0  # pages up to which a guess is believed

    def holds(self, at: str) -> bool:
        """Whether ``at`` cuts this in two."""
        return self.low < at and (self.high is None or at < self.high)


class PageStep(NamedTuple):
    """From a page's first key to that of the next one, or to what follows a range."""

    start: str
    end: str
    pages: float  # 1, or less where a range ended in the page


class Split(NamedTuple):
    """``right`` begins where ``left`` now ends."""

    left: Stretch
    right: Stretch


class _Guess(NamedTuple):
    """The part of a stretch in which a density is believed."""

    scale: Scale
    low: int
    high: int
    per_page: float  # numbers of the scale

    @property
    def pages(self) -> float:
        return (self.high - self.low) / self.per_page

    def at(self, pages: float) -> str:
        """A key this many pages from the low end, or in the middle where that is nearer."""
        step = int(min((self.high - self.low) // 2, self.per_page * pages))
        return self.scale.key(self.low + step, max(1, step // 8))


class _KeyDensity:
    """How far listings get with a page, at each place of a key."""

    def __init__(self) -> None:
        self._pages: dict[int, float] = defaultdict(float)  # listed within one group of that place
        self._steps: dict[int, int] = defaultdict(int)  # from group to group, in characters

    def note(self, step: PageStep, alphabets: Alphabets) -> None:
        """Add one step."""
        place = len(shared(step.start, step.end))
        for above in range(place + 1):
            self._pages[above] += step.pages
        self._steps[place] += max(1, alphabets.distance(step.start, step.end, place))

    def at(self, place: int) -> float | None:
        """Characters that a page gets further at ``place``; None: nobody got to the next one."""
        steps = self._steps.get(place)
        return steps / self._pages[place] if steps and self._pages[place] else None


class Splitter:
    """Learns what keys look like, and cuts."""

    def __init__(self, prefix: str, credit: int) -> None:
        """``credit``: barren ranges there may be beyond one for each fruitful page."""
        self._prefix = prefix
        self._alphabets = Alphabets(prefix)
        self._pace = _KeyDensity()
        self._probes: list[str] = []  # descending
        self._credit = credit
        self._fruitful = 1  # pages

    def begin(self, first: str, last: str) -> None:
        """Take in where the first page of all begins and ends.

        Of places in a row without digits one probe will do: what is behind ``ab`` is behind
        ``abc``.
        """
        group = shared(first, last)
        ends = range(len(self._prefix) + 1, len(group) + 1)
        self._probes = [
            _sendable(group[:end] + TOP)
            for end in ends
            if end == len(group) or not DIGITS.isdisjoint(group[end - 1 : end + 1])
        ]

    def learn(self, stretch: Stretch, objects: Sequence[Listed], after: str) -> None:
        """Take in a page of the range behind ``after``; ``stretch.span`` has it already."""
        some = objects[:: max(1, len(objects) // _SAMPLES)]
        self._alphabets.learn([*(listed.key for listed in some), objects[-1].key])
        if stretch.span:
            stretch.trust = self._trusted(stretch.span, after)
        stretch.most = _BELIEF * self._fruitful
        self.measure(stretch)

    def pass_on(self, step: PageStep) -> None:
        """Take in how far a page got."""
        self._pace.note(step, self._alphabets)

    def harvest(self, *, fruitful: bool) -> None:
        """Take in that a page had keys of its range, or that a range turned out to have none."""
        self._credit += 1 if fruitful else -1
        self._fruitful += fruitful

    def measure(self, stretch: Stretch) -> None:
        """Guess anew what is left of a stretch that has changed."""
        guess = self._guess(stretch)
        stretch.left = max(1.0, min(guess.pages, stretch.most)) if guess else 1.0

    def cut(self, near: Sequence[Stretch], far: Sequence[Stretch]) -> Split | None:
        """Split one of the stretches, one of ``far`` only if none of ``near``; None: leave them."""
        if self._credit < 0:
            return None
        for stretch, at in self._places(near, far):
            if stretch.holds(at) and len(at.encode()) <= MAX_KEY_BYTES:
                return self._divide(stretch, at)
        return None

    def _places(
        self, near: Sequence[Stretch], far: Sequence[Stretch]
    ) -> Iterator[tuple[Stretch, str]]:
        """Where one might cut, the best first."""
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
        """In the middle, as if keys lay everywhere as densely as where that is known."""
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
        """What all begins with in which the density of ``span`` is to be believed."""
        group = shared(span.first, span.last)[:-1]
        if after.endswith(TOP) and span.first.startswith(after[:-2]):
            # The range began behind a group of keys, and at once there was the next one.
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
        """What all that is left begins with."""
        if high is None or stretch.span is None:
            return self._prefix
        return shared(min(stretch.span.first, stretch.low), high)


def _sendable(key: str) -> str:
    """``key`` up to its first character that XML cannot carry: stores send it back."""
    odd = UNSENDABLE.search(key)
    return key[: odd.start()] if odd else key
