"""What each store lacks of what the tests ask for, and how that shows: the one place that knows.

``Store.features`` is for tests that assert less where something is missing. ``DIFFERENCES`` names
the tests that cannot hold on a store, and why: they are expected to fail there, so that a store
that has learned something is noticed. docs/stores.rst says the same to users.
"""

from __future__ import annotations

from dataclasses import dataclass

FEATURES = {
    "tagging": "keeps tags",
    "sse": "server-side encryption",
    "storage_class": "more storage classes than STANDARD",
    "acl": "keeps canned ACLs",
    "checksums": "gives checksums back",
}

MISSING = {
    "moto": frozenset(),
    "swift": frozenset(FEATURES),
    "rgw": frozenset({"sse", "storage_class", "checksums"}),
    "seaweedfs": frozenset({"sse", "acl"}),
}


@dataclass(frozen=True)
class Difference:
    """Tests that fail on ``store``; each ``name``, or ``name[text]`` of cases with this text."""

    store: str
    reason: str
    tests: tuple[str, ...]

    def covers(self, store: str | None, test: str, case: str) -> bool:
        """Whether it is about this case of a test."""
        return store == self.store and any(_matches(each, test, case) for each in self.tests)


def _matches(pattern: str, test: str, case: str) -> bool:
    name, _, text = pattern.partition("[")
    return name == test and text.removesuffix("]") in case


DIFFERENCES: tuple[Difference, ...] = ()


def features_of(store: str) -> frozenset[str]:
    """What the store has."""
    return frozenset(FEATURES) - MISSING[store]
