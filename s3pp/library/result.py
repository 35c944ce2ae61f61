"""What callers of the library get: typed, frozen, and free of the engine's own records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from s3pp.errors import ExitStatus, FailureKind, S3ppError

MOST_KEPT = 1000  # failures of a run, and notices, that its result names


@dataclass(frozen=True)
class Failure:
    """An object that failed."""

    source: str  # as the command names it: a file, or ``s3://bucket/key``
    bucket: str  # empty: a file that was to be deleted
    key: str  # likewise
    kind: FailureKind
    message: str  # one line: the cause, and what to do
    code: str = ""  # the store's error code, if the store reported it

    def __str__(self) -> str:
        return f"{self.source}: {self.message}"

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Failure:
        """Return the failure that a record of ``on_event`` describes."""
        bucket, key = record.get("bucket", ""), record.get("key", "")
        place = record.get("path") or f"s3://{bucket}/{key}"  # of a deletion, which has no source
        return cls(
            record.get("source", place),
            bucket,
            key,
            FailureKind(record["kind"]),
            record["message"],
            record.get("code", ""),
        )


class ReasonCount(NamedTuple):
    """The objects of a dry run that have an action and a reason in common."""

    action: str  # what would become of them: the verb, "skip" or "fail"
    reason: str  # of a failure: the value of its kind
    objects: int
    bytes: int  # 0 of failures, whose sizes are not known
    requests: int  # to transfer them


@dataclass(frozen=True)
class RunResult:
    """What came of a run. Each object listed is done, skipped, failed, deleted or not attempted."""

    verb: str
    status: ExitStatus  # the exit code of the same command
    listed: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    not_attempted: int = 0  # of a run that was ended: listed, but not started
    bytes: int = 0  # of the objects that are done
    sent: int = 0  # bytes transferred for them: fewer if compressed or resumed; 0 in a dry run
    requests: int = 0  # to the store; in a dry run, those that would be made
    seconds: float = 0.0
    listing_complete: bool = False  # False: there may be objects that nothing counts
    dry_run: bool = False
    reasons: tuple[ReasonCount, ...] = ()  # of a dry run: what would be done, and why
    error: str | None = None  # why the run was aborted, one line
    failures: tuple[Failure, ...] = ()  # the first ``MOST_KEPT``
    notices: tuple[str, ...] = ()  # that concern the run and no single object; as many
    deleted: int = 0  # objects, or files
    deleted_bytes: int = 0  # of them
    not_deleted: str | None = None  # why nothing was deleted, where that was refused, one line
    verified: Mapping[str, int] = field(
        default_factory=dict
    )  # of a verify, of what is ``done``: by
    # what, such as "size and etag"
    missing: int = 0  # of a verify, as the following ones, which are all among ``failed``
    differs: int = 0
    extra: int = 0  # at the destination only
    undecided: int = 0  # nothing shows whether they differ

    @property
    def ok(self) -> bool:
        """Whether nothing failed, and nothing is missing."""
        return self.status is ExitStatus.OK

    def check(self) -> RunResult:
        """Return the result itself if it is ``ok``. Raises ``RunFailed`` otherwise."""
        if not self.ok:
            raise RunFailed(self)
        return self


class RunFailed(S3ppError):
    """A run that began was aborted, or objects failed; ``result`` says which."""

    def __init__(self, result: RunResult) -> None:
        super().__init__(_fault(result))
        self.result = result

    def __reduce__(self) -> tuple[type[RunFailed], tuple[RunResult]]:
        return type(self), (self.result,)


def _fault(result: RunResult) -> str:
    if result.error is not None:
        return f"{result.verb}: {result.error}"
    if not result.failed:
        return f"{result.verb}: stopped (exit code {result.status.value})"
    first = f", the first: {result.failures[0]}" if result.failures else ""
    return f"{result.verb}: {result.failed} of {result.listed} objects failed{first}"


class S3Object(NamedTuple):
    """An object in a bucket, as the store lists it."""

    bucket: str
    key: str
    size: int  # bytes
    etag: str  # without quotes
    modified: datetime | None  # in UTC; None: the store does not say
    storage_class: str = ""  # empty: the store's default
    is_prefix: bool = False  # True: what several keys begin with, of a list with ``delimiter``

    @property
    def url(self) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}"


class PrefixUsage(NamedTuple):
    """The objects whose keys begin with a prefix."""

    prefix: str
    objects: int
    bytes: int


class Usage(NamedTuple):
    """The objects of a place, added up."""

    objects: int
    bytes: int
    # Down to ``depth``, in the order of the command: each after those that begin with it.
    prefixes: tuple[PrefixUsage, ...] = ()
