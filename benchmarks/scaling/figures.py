"""What came of a simulation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from scaling.store import SLICE, Store

ALMOST, LITTLE = 0.85, 1.25  # of the limit: what is enough, and what is not too much


class Figures(NamedTuple):
    """Of the whole, and of the time in which it was steady."""

    goodput: float  # share of the limit that was accepted, while steady
    offered: float  # share of the limit that was sent, while steady
    refused: float  # share of the requests, while steady
    refused_first: float  # share of the requests before that
    peak: float  # the most that was sent in a second, as a multiple of the limit
    converged: float  # seconds; infinite: never
    fairness: float  # Jain's index of what each had, while steady: 1 for equal shares
    starved: float  # share of those that had less than a tenth of an equal share


def figures_of(store: Store, limit: float, *, workers: int, steady: tuple[int, int]) -> Figures:
    """Evaluate; ``steady`` are seconds, from and until; ``limit`` in requests a second."""
    start, end = steady
    sent, taken = _seconds(store.sent, end), _seconds(store.taken, end)
    asked, had = sum(sent[start:]), sum(taken[start:])
    shares = [
        sum(store.taken_of[worker, second] for second in range(start, end))
        for worker in range(workers)
    ]
    before = sum(sent[:start])
    return Figures(
        goodput=had / limit / (end - start),
        offered=asked / limit / (end - start),
        refused=1.0 - had / asked,
        refused_first=1.0 - sum(taken[:start]) / before,
        peak=max(_windows(store.sent, end)) / limit,
        converged=_converged(store, limit, end),
        fairness=jain(shares),
        starved=sum(each < 0.1 * had / workers for each in shares) / workers,
    )


def jain(shares: Iterable[float]) -> float:
    """Jain's fairness index: 1 for equal shares, 1/n where one of n has everything."""
    parts = list(shares)
    squares = sum(each * each for each in parts)
    return sum(parts) ** 2 / (len(parts) * squares) if squares else 0.0


def _seconds(counts: Counter[int], end: int) -> list[int]:
    each = round(1.0 / SLICE)
    return [sum(counts.get(n, 0) for n in range(s * each, (s + 1) * each)) for s in range(end)]


def _windows(counts: Counter[int], end: int) -> list[int]:
    """What happened in each second that begins with a slice."""
    each = round(1.0 / SLICE)
    return [
        sum(counts.get(n, 0) for n in range(first, first + each))
        for first in range(end * each - each + 1)
    ]


def _converged(store: Store, limit: float, end: int) -> float:
    """When the first second began in which the store was asked for what it takes."""
    pairs = zip(_windows(store.sent, end), _windows(store.taken, end), strict=True)
    for number, (sent, taken) in enumerate(pairs):
        if taken >= ALMOST * limit and sent <= LITTLE * limit:
            return number * SLICE
    return float("inf")


def regained(store: Store, limit: float) -> list[float]:
    """Seconds after each split of the only prefix until ``ALMOST`` the new rate was accepted."""
    found = []
    (prefix,) = store.prefixes.values()
    for number, split in enumerate(prefix.splits):
        wanted = ALMOST * limit * 2.0 ** (number + 1)
        taken = _windows(store.taken, max(store.taken) // round(1.0 / SLICE))
        after = (n for n, each in enumerate(taken) if each >= wanted and n * SLICE >= split)
        found.append(next((n * SLICE - split for n in after), float("inf")))
    return found
