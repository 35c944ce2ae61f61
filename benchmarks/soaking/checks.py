"""What must hold when a run of a soak has ended, however it ended.

Each rule yields what contradicts it, in words. All they know is what is at the destination before
and after, what the source has ever had, and what the run has said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from soaking.contents import Versions
from soaking.disturbances import Disturbance
from stores.fault_actions import crc64

Records = dict[str, dict[str, Any]]  # by name
INTERRUPTED = frozenset({130, 143})
COMPLETE = frozenset({0, 1})

REPLACED = (Disturbance.KILL_WORKERS, Disturbance.STOP_WORKERS)  # workers are

# The exit codes that each disturbance may have; 3: the run says why it ended.
CODES: dict[Disturbance, frozenset[int]] = {
    Disturbance.NONE: COMPLETE,
    Disturbance.KILL_WORKERS: COMPLETE | {3},
    Disturbance.STOP_WORKERS: COMPLETE,
    Disturbance.STOP_OTHERS: COMPLETE | {3},
    Disturbance.KILL_WALKER: COMPLETE | {3},
    Disturbance.KILL_STATTER: COMPLETE | {3},
    Disturbance.KILL_ALL: COMPLETE | {-9},
    Disturbance.SIGNAL: COMPLETE | INTERRUPTED,
    Disturbance.MOVE: COMPLETE,
    Disturbance.FULL: COMPLETE | {3},
}


@dataclass(frozen=True)
class Said:
    """What a run has said of each name, in its journal or on stdout."""

    done: Records
    skipped: Records
    failed: Records
    deleted: Records

    @property
    def not_transferred(self) -> set[str]:
        """What failed, deletions aside."""
        return {name for name, each in self.failed.items() if not each.get("deleting")}


@dataclass(frozen=True)
class Facts:
    """One run: what was there before and after, and what it said."""

    disturbance: Disturbance
    code: int
    mirror: bool
    versions: Versions  # of the source
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    said: Said

    @property
    def complete(self) -> bool:
        """Whether it came to its end, so that all that it did is said."""
        return self.code in COMPLETE

    @property
    def is_refused(self) -> bool:
        """Whether a mirror deletes nothing, as all of its source has been moved away."""
        return self.code == 3 and self.mirror and not self.versions.newest()


def violations(facts: Facts) -> Iterator[str]:
    """Yield what must not be."""
    if facts.code not in CODES[facts.disturbance] and not facts.is_refused:
        yield f"exit code {facts.code}"
    yield from _codes(facts)
    yield from _done(facts)
    yield from _skipped(facts)
    yield from _others(facts)
    yield from _coverage(facts)
    yield from _extraneous(facts)


def _codes(facts: Facts) -> Iterator[str]:
    if facts.complete and facts.code != (1 if facts.said.failed else 0):
        yield f"exit code {facts.code} with {len(facts.said.failed)} failures"


def _done(facts: Facts) -> Iterator[str]:
    for name, record in facts.said.done.items():
        body = facts.after.get(name)
        gone = body is None and facts.mirror and name in facts.said.deleted
        if not gone and (body is None or not facts.versions.ever(name, body)):
            yield f"{name!r} is done, and what is there is no content that it had"
        elif body is not None and record["size"] != len(body) and not facts.versions.moved:
            yield f"{name!r} is done with {record['size']} bytes, and has {len(body)}"
        elif body is not None and not _proves(str(record.get("checksum", "")), body):
            yield f"{name!r} is done with {record['checksum']}, which is not that of what is there"


def _proves(checksum: str, body: bytes) -> bool:
    """Return whether a checksum of the journal is that of ``body``, or none that can be held."""
    kind, _, value = checksum.partition(":")
    if kind == "md5" and value:
        return value == hashlib.md5(body, usedforsecurity=False).hexdigest()
    return kind != "crc64nvme" or not value or value == crc64(body)


def _skipped(facts: Facts) -> Iterator[str]:
    for name, record in facts.said.skipped.items():
        if record.get("deleting"):
            continue
        # What a worker had completed when it was killed the next one finds to be the same.
        may_change = facts.disturbance in REPLACED
        if facts.after.get(name) != facts.before.get(name) and not may_change:
            yield f"{name!r} was skipped, and has changed"
        elif not facts.versions.ever(name, facts.after.get(name)):
            yield f"{name!r} was skipped ({record['reason']}), and differs"


def _others(facts: Facts) -> Iterator[str]:
    """Names of the source of which nothing is claimed: the old content, or a whole new one."""
    for name in facts.versions.of.keys() - facts.said.done.keys() - facts.said.skipped.keys():
        body = facts.after.get(name)
        old = facts.before.get(name)
        if body == old or (facts.mirror and body is None and facts.versions.moved):
            continue
        if body is None or not facts.versions.ever(name, body):
            yield f"{name!r} has neither its old content nor one of its source"
        elif facts.complete and name not in facts.said.failed:
            yield f"{name!r} was transferred, and nothing says so"


def _coverage(facts: Facts) -> Iterator[str]:
    """A run that came to its end has named everything, and 0 means that all is there."""
    if not facts.complete or facts.versions.moved:
        return
    said = facts.said.done.keys() | facts.said.skipped.keys() | facts.said.failed.keys()
    missing = facts.versions.of.keys() - said
    if missing:
        yield f"{len(missing)} of the source in no outcome, such as {min(missing)!r}"
    twice = facts.said.done.keys() & facts.said.skipped.keys()
    twice |= facts.said.not_transferred & (facts.said.done.keys() | facts.said.skipped.keys())
    if twice:
        yield f"{min(twice)!r} has two outcomes"
    source = facts.versions.newest()
    wrong = [name for name, body in source.items() if facts.after.get(name) != body]
    if facts.code == 0 and wrong:
        yield f"exit code 0, and {min(wrong)!r} is not there as it should be"
    if facts.code == 0 and facts.mirror and facts.after.keys() != source.keys():
        yield f"exit code 0, and the mirror has {len(facts.after)} names of {len(source)}"


def _extraneous(facts: Facts) -> Iterator[str]:
    """What only the destination has is deleted by a mirror that succeeded, and by nothing else."""
    own = facts.before.keys() - facts.versions.of.keys()
    for name in sorted(facts.after.keys() - facts.before.keys() - facts.versions.of.keys()):
        yield f"{name!r} has appeared"
    for name in sorted(own):
        if facts.after.get(name, facts.before[name]) != facts.before[name]:
            yield f"{name!r} is not in the source, and was changed"
        again = facts.said.skipped.get(name, {})  # a worker that was killed had deleted it
        if name in facts.after or name in facts.said.deleted or again.get("deleting"):
            continue
        if not facts.mirror or facts.complete or facts.said.not_transferred:
            yield f"{name!r} was deleted, and nothing says so"
    kept = sorted(own & facts.said.deleted.keys() & facts.after.keys())
    if kept:
        yield f"{kept[0]!r} is deleted, and still there"
    if facts.said.not_transferred and facts.said.deleted:
        yield "there were failures, and it has deleted"
