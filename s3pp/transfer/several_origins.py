"""Planning of a run that reads several places: one stream of tasks, in the order of their targets.

::

    origin 1 ──listing──┐
    origin 2 ──listing──┼─▶ merge, by target ──▶ its origin's planner ──▶ one task for each target
    origin 3 ──listing──┘

Where several origins give one target, the one named first gets it, and the others fail as
conflicts. Objects that the run writes are not read by another origin: there are no copies of
copies. If the origins are in several buckets, outcomes name ``bucket/key``.

Memory holds a page or so of each listing that is under way: one is requested only when the merge
comes to the names that it can give.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from s3pp.errors import FailureKind
from s3pp.places import Origin, Place
from s3pp.records import Failed, Skipped
from s3pp.s3.listing import Listed
from s3pp.sources.left_out import OfAnotherShard
from s3pp.transfer.overlap import Overlap, target_prefix
from s3pp.transfer.planners import Step

Found = Listed | Skipped | Failed
Numbered = tuple[int, Found]  # the number of the origin, and what was found in it


def merge_origins(
    origins: Sequence[Origin], listings: Sequence[Callable[[], Iterator[Found]]]
) -> Iterator[Numbered]:
    """Yield what is found in ``origins``, in the order of its names at the destination.

    Of equal names, the one of the origin named first comes first.
    """
    streams = [
        _stream(number, origin, listing)
        for number, (origin, listing) in enumerate(zip(origins, listings, strict=True))
    ]
    for _, number, found in heapq.merge(*streams, key=itemgetter(0)):
        if found is not None:
            yield number, found


def _stream(
    number: int, origin: Origin, listing: Callable[[], Iterator[Found]]
) -> Iterator[tuple[str, int, Found | None]]:
    start, cut = origin.renaming
    yield start + origin.prefix[cut:], number, None  # no name sorts before it
    for found in listing():
        name = found.key[cut:] if isinstance(found, Listed) else found.target
        yield start + name, number, found


def limit_found(found: Iterator[Numbered], limit: int | None) -> Iterator[Numbered]:
    """Yield ``found`` up to and including the object number ``limit``; None: all of them."""
    if limit is None:
        yield from found
        return
    left = limit
    while left > 0 and (each := next(found, None)) is not None:
        left -= isinstance(each[1], Listed)
        yield each


def plan_several(
    origins: Sequence[Origin],
    plans: Sequence[Callable[[Iterable[Found]], Iterator[Step]]],
    found: Iterable[Numbered],
) -> Iterator[Step]:
    """Yield a step for each object found, with one task for each target.

    Of ``plans`` each yields the step for an object of one origin.
    """
    apart = len({origin.bucket for origin in origins}) > 1
    taken: str | None = None
    owner = ""
    for number, each in found:
        bucket = origins[number].bucket
        step: Any  # it has a source, but of a deletion that is no field
        for step in plans[number]((each,)):
            name = f"{bucket}/{step.source}" if apart else step.source
            if not isinstance(step, Failed) and step.target == taken:
                if isinstance(step, OfAnotherShard):  # which reports it
                    continue
                why = f"name conflict: {owner!r} already has this name"
                yield Failed(name, step.target, FailureKind.CONFLICT, why)
                continue
            if not isinstance(step, Failed):
                taken, owner = step.target, f"s3://{bucket}/{step.source}"
            yield step._replace(source=name)


class Crossing(NamedTuple):
    """The overlap of one origin with what is read and written by the whole run.

    ``written`` is what the copies of others write in it, ``read`` what others read: keys, and
    prefixes of keys.
    """

    own: Overlap
    written: tuple[frozenset[str], tuple[str, ...]]
    read: tuple[frozenset[str], tuple[str, ...]]

    @classmethod
    def among(
        cls, number: int, origins: Sequence[Origin], dest: Place, *, same: Sequence[bool]
    ) -> Crossing:
        """Compare one of the origins of a copy with the others.

        ``same``: which of them are in the bucket that is written to.
        """
        here, target = origins[number], target_prefix(origins[number], dest)
        others = [other for other in range(len(origins)) if other != number]
        targets = [(origins[n], target_prefix(origins[n], dest)) for n in others if same[number]]
        sources = [(origins[n], origins[n].prefix) for n in others if same[n]]
        return cls(
            Overlap.of(here, dest, same=same[number]),
            written=_split((o, p) for o, p in targets if p != here.prefix and _meets(p, here)),
            read=_split((o, p) for o, p in sources if p.startswith(target)),
        )

    @property
    def any(self) -> bool:
        """Whether the origin overlaps with what is written, or what it writes with others."""
        return self.own.any or any(map(any, (self.written, self.read)))

    def excluded(self, key: str) -> bool:
        """Return whether ``key`` of the origin is what the run writes, and is not read."""
        keys, prefixes = self.written
        return self.own.excluded(key) or key in keys or key.startswith(prefixes)

    def fault(self, target: str) -> str | None:
        """Return why nothing can be copied to ``target``; None if it can."""
        keys, prefixes = self.read
        if target not in keys and not target.startswith(prefixes):
            return self.own.fault(target)
        return f"its copy, {target}, would lie inside another source: choose another destination"


def _meets(written: str, origin: Origin) -> bool:
    return written == origin.prefix if origin.is_single else written.startswith(origin.prefix)


def _split(found: Iterable[tuple[Origin, str]]) -> tuple[frozenset[str], tuple[str, ...]]:
    pairs = list(found)
    keys = frozenset(text for origin, text in pairs if origin.is_single)
    return keys, tuple(text for origin, text in pairs if not origin.is_single)
