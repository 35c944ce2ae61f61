"""Verdicts: pure functions that return by what an object is verified, or raise why it is not.

Two ends, compared as an update compares them::

    skip: same etag, same checksum, same size, same time, not newer    verified by that
    send: new                                                          missing
    send: size, etag, checksum, time (--compare mtime) differ, newer   differs
    send: etag unknown, time unknown, time differs (else)              undecided

A journal and what is there::

    the size is another                                   differs
    the ETag is the recorded one                          size and etag
    a checksum of the whole is the recorded one           size and checksum
    … or another                                          differs
    both ETags are MD5s, and not equal                    differs
    nothing but a size is recorded, or no byte            size
    none of these                                         undecided

The ETag of an object changes with its bytes, whatever it is computed from: an object that has the
recorded one was not replaced. That another ETag means other bytes is certain of MD5s alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from s3pp.errors import FailureKind, ObjectError
from s3pp.integrity.checksums import ALGORITHMS
from s3pp.integrity.etag import is_md5
from s3pp.job import Compare, Job
from s3pp.recorded import MatchReason, Recorded
from s3pp.records import (
    CopyTask,
    Dest,
    Done,
    Failed,
    Outcome,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
    Task,
)
from s3pp.transfer.errors import failed
from s3pp.transfer.modes import SendRule, decide_copy, decide_unread

ABSENT = "it does not exist"
_UNSHOWN = "nothing shows whether its bytes are the same, neither ETag nor checksum"
_READ = "--deep reads them"

Reason = SkipReason | SendReason

_MATCHES: Mapping[SkipReason, MatchReason] = MappingProxyType(
    {
        SkipReason.SAME_ETAG: MatchReason.ETAG,
        SkipReason.SAME_CHECKSUM: MatchReason.CHECKSUM,
        SkipReason.SAME_TIME: MatchReason.TIME,
        SkipReason.NOT_NEWER: MatchReason.TIME,
        SkipReason.SAME_SIZE: MatchReason.SIZE,
        SkipReason.EXISTS: MatchReason.SIZE,  # a directory, which has no content
    }
)
_FAULTS: Mapping[SendReason, tuple[FailureKind, str]] = MappingProxyType(
    {
        SendReason.NEW: (FailureKind.MISSING, f"{ABSENT} at the destination"),
        SendReason.SIZE: (FailureKind.DIFFERS, "its size is another at the destination"),
        SendReason.ETAG: (FailureKind.DIFFERS, "its bytes are others at the destination, by ETag"),
        SendReason.CHECKSUM: (
            FailureKind.DIFFERS,
            "its bytes are others at the destination, by checksum",
        ),
        SendReason.NEWER: (FailureKind.DIFFERS, "the source is newer than the destination"),
        SendReason.UNKNOWN_TIME: (FailureKind.UNDECIDED, "the store reports no time of it"),
        SendReason.UNKNOWN: (FailureKind.UNDECIDED, f"{_UNSHOWN}: {_READ}"),
    }
)


class Seen(NamedTuple):
    """What is known of an object as it is now."""

    size: int  # bytes
    etag: str
    is_digest: bool = False  # the ETag is known to be an MD5 of its bytes
    checksums: Mapping[str, str] = MappingProxyType({})  # of the whole, by name, in base64


# Two ends


def match_of(reason: Reason, compare: Compare) -> MatchReason:
    """Return by what an object is the same at both ends, given what an update decides.

    Raises ``ObjectError`` with the verdict if it is not, or if that is not known.
    """
    if isinstance(reason, SkipReason):
        return _MATCHES[reason]
    if reason is SendReason.TIME:
        if compare is Compare.MTIME:
            raise ObjectError(FailureKind.DIFFERS, "its time is another at the destination")
        raise ObjectError(FailureKind.UNDECIDED, f"{_UNSHOWN}, and the times differ: {_READ}")
    raise ObjectError(*_FAULTS[reason])


def verified(task: Task, reason: MatchReason, *, read: int = 0) -> Done:
    """Return the outcome of what is verified; ``read``: bytes that were received for it."""
    return Done(task.source, task.target, task.size, read, "", reason)


class EndsRule:
    """Decides, from two listings, what no worker has to look at."""

    def __init__(self, job: Job) -> None:
        self._rule = SendRule.of(job)
        self._packs = bool(job.objects.gzip_types)  # so that sizes differ in any case
        self._deep = job.verification.deep

    def settle(self, step: Task | Outcome) -> Task | Outcome:
        """Return the outcome of a step of an update, or its task, where more must be known."""
        if isinstance(step, Skipped) and step.reason in _MATCHES:
            source, target, size = step[:3]
            return Done(source, target, size, 0, step.etag, _MATCHES[step.reason])
        if isinstance(step, PutTask | CopyTask) and not step.ask:
            return self.settle_seen(step)
        return step

    def settle_seen(self, task: PutTask | CopyTask) -> Task | Outcome:
        """Return the same for a task whose ``dest`` is known."""
        reason = self._decide(task)
        if not isinstance(reason, SendReason) or reason in (SendReason.ETAG, SendReason.UNKNOWN):
            return task
        try:
            match_of(reason, self._rule.compare)
        except ObjectError as error:
            return failed(task, _with_sizes(error, task) if reason is SendReason.SIZE else error)
        return task

    def _decide(self, task: PutTask | CopyTask) -> Reason | None:
        if isinstance(task, CopyTask):
            source = Dest(task.size, task.etag)
            return decide_copy(self._rule, source, task.dest, modified_ns=task.modified_ns)
        entry, dest = task.entry, task.dest
        if dest is not None and entry.size != dest.size and not self._packs:
            return SendReason.SIZE
        return decide_unread(self._rule, dest, size=entry.size, modified_ns=entry.mtime_ns)


def _with_sizes(error: ObjectError, task: PutTask | CopyTask) -> ObjectError:
    assert task.dest is not None
    return ObjectError(error.kind, f"{error}: {task.dest.size} bytes, not {task.size}")


def as_verdict(outcome: Failed) -> Failed:
    """Return a failure; where something else stands in the place of a file, that differs."""
    if outcome.kind is FailureKind.CONFLICT:
        return outcome._replace(kind=FailureKind.DIFFERS)
    return outcome


# A journal, and what is there


def match_recorded(recorded: Recorded, seen: Seen) -> MatchReason:
    """Return by what an object is the recorded one. Raises ``ObjectError`` with another verdict."""
    size, etag, checksum, _, _ = recorded
    if size is not None and size != seen.size:
        raise differs(f"it has {seen.size} bytes, and {size} are recorded")
    if etag and etag == seen.etag:
        return MatchReason.ETAG if size is not None else MatchReason.ETAG_ALONE
    if checksum is not None and (value := seen.checksums.get(checksum[0])):
        if value != checksum[1]:
            what = f"its {checksum[0]} is {value}, and {checksum[1]} is recorded"
            raise differs(what)
        if size is not None and ALGORITHMS[checksum[0]].is_strong:
            return MatchReason.CHECKSUM
    if size == 0 or (size is not None and not etag and checksum is None):
        return MatchReason.SIZE
    if is_md5(etag) and seen.is_digest:
        raise differs(f"its ETag is {seen.etag}, and {etag} is recorded")
    raise ObjectError(FailureKind.UNDECIDED, _undecided(etag, seen.etag))


def _undecided(recorded: str, now: str) -> str:
    if not recorded:
        return f"the journal has nothing that its bytes could be compared with: {_UNSHOWN}"
    if not now:
        return f"the store reports no ETag of it, and {recorded} is recorded: {_READ}"
    replaced = f"it was replaced: its ETag is {now}, and {recorded} is recorded"
    return f"{replaced}; {_UNSHOWN}: {_READ}"


def differs(why: str) -> ObjectError:
    """Return the verdict that an object is another."""
    return ObjectError(FailureKind.DIFFERS, why)


def same_strong_checksum(one: Iterable[tuple[str, str]], other: Mapping[str, str]) -> bool | None:
    """Return whether two objects have a strong checksum in common; None: of none both have one."""
    found = [
        value == other[name] for name, value in one if name in other and ALGORITHMS[name].is_strong
    ]
    return any(found) if found else None
