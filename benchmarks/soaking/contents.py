"""What a cycle begins with: names and bytes, all from its random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

KIB, MIB = 1 << 10, 1 << 20
LARGE = (5 * MIB + 1, 6 * MIB, 11 * MIB)  # of parts of 5 MiB
_WORDS = ("a", "b c", "dé", "x%41", "q+r", "'s'", "long-" * 9, "Ω", "t&u", "v=w")


@dataclass
class Versions:
    """Every content that each name has had, the newest last; None: it was not there."""

    of: dict[str, list[bytes | None]] = field(default_factory=dict)

    def set(self, name: str, body: bytes | None) -> None:
        """Note what a name is about to have."""
        self.of.setdefault(name, []).append(body)

    def newest(self) -> dict[str, bytes]:
        """What is there now."""
        last = {name: bodies[-1] for name, bodies in self.of.items()}
        return {name: body for name, body in last.items() if body is not None}

    def ever(self, name: str, body: object) -> bool:
        """Whether the name had this content at some time."""
        return body in self.of.get(name, [])

    @property
    def moved(self) -> bool:
        """Whether anything has changed since the cycle began."""
        return any(len(bodies) > 1 for bodies in self.of.values())


def size(rnd: Random) -> int:
    """A size: mostly small, now and then streamed."""
    return rnd.choice([0, 1, rnd.randrange(5 * KIB), rnd.randrange(5 * KIB), 300 * KIB])


def name(rnd: Random, number: int) -> str:
    """A name, in one of some directories; no two are alike, and none is another's directory."""
    above = "".join(f"{rnd.choice(_WORDS)}/" for _ in range(rnd.randrange(3)))
    return f"{above}{number:03}-{rnd.choice(_WORDS)}"


def create(rnd: Random) -> dict[str, bytes]:
    """The contents of a source."""
    names = [name(rnd, number) for number in range(rnd.choice([1, 30, 100, 200, 400]))]
    found = {each: rnd.randbytes(size(rnd)) for each in names}
    if rnd.random() < 0.5:
        found["large"] = rnd.randbytes(rnd.choice(LARGE))
    return found


def held(rnd: Random, source: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the destination has before: some of it alike, some other, and some of its own."""
    found: dict[str, bytes] = {}
    for each, body in source.items():
        chance = rnd.random()
        if chance < 0.15:
            found[each] = body
        elif chance < 0.3:
            found[each] = rnd.randbytes(rnd.choice([len(body), 7]))
    own = [f"old/{name(rnd, number)}" for number in range(rnd.choice([0, 3, 40]))]
    return found | {each: rnd.randbytes(9) for each in own}
