"""The granter: which outcomes it touches, and what becomes of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from s3pp.access import Grant
from s3pp.errors import FailureKind, FatalError, Kept, ObjectError, RunEnding
from s3pp.records import (
    Done,
    Entry,
    Failed,
    Foreseen,
    Outcome,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
)
from s3pp.s3.answers import Answer
from s3pp.s3.client import Call
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Response
from s3pp.s3.retry import StoreError
from s3pp.transfer.granter import Granter

TASK = PutTask(Entry("key", "/file", 5, 0), None)
DONE = Done("/file", "key", 5, 5, "etag", SendReason.NEW)
ACL = b"<AccessControlPolicy><AccessControlList></AccessControlList></AccessControlPolicy>"
ENDPOINT = Endpoint("https", "store", "/bucket", "us-east-1", "bucket")
READ = Grant("READ", "b" * 64)


class Writer:
    """A role whose tasks all end as ``outcome``."""

    def __init__(self, outcome: Outcome) -> None:
        self.notes = ["noted"]
        self.skip_unchanged = None
        self._outcome = outcome

    async def transfer(self, task: Any) -> Outcome:
        return self._outcome

    async def part(self, part: Any) -> Any:
        return part


@dataclass
class Bucket:
    """A bucket whose requests fail as ``errors`` has it, by method."""

    errors: dict[str, Exception] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    endpoint: Endpoint = ENDPOINT

    async def call(self, call: Call) -> Answer:
        self.calls.append(f"{call.method} {call.path}?{call.query}")
        if error := self.errors.get(call.method):
            raise error
        return Answer(Response(200, b"", ACL), 1)


def transfer(outcome: Outcome, bucket: Bucket, *, dry_run: bool = False) -> tuple[Outcome, Granter]:
    granter = Granter(Writer(outcome), bucket, [READ], dry_run=dry_run)  # type: ignore[arg-type]
    return asyncio.run(granter.transfer(TASK)), granter


def test_what_was_written_is_granted() -> None:
    bucket = Bucket()
    outcome, granter = transfer(DONE, bucket)
    assert (outcome, granter.notes) == (DONE, ["noted"])
    assert bucket.calls == ["GET /bucket/key?acl=", "PUT /bucket/key?acl="]


@pytest.mark.parametrize(
    "outcome",
    [
        Skipped("/file", "key", 5, SkipReason.SAME_ETAG),
        Failed("/file", "key", FailureKind.ACCESS, "denied"),
    ],
)
def test_what_was_not_written_is_left_alone(outcome: Outcome) -> None:
    bucket = Bucket()
    assert transfer(outcome, bucket)[0] == outcome
    assert bucket.calls == []


def test_a_dry_run_counts_the_requests() -> None:
    bucket = Bucket()
    written = DONE._replace(foreseen=Foreseen((("PutObject", 1),), TASK))
    outcome, _ = transfer(written, bucket, dry_run=True)
    calls = (("PutObject", 1), ("GetObjectAcl", 1), ("PutObjectAcl", 1))
    assert (outcome, bucket.calls) == (DONE._replace(foreseen=Foreseen(calls, TASK)), [])


DENIED = StoreError(403, "AccessDenied", "no")


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    ("error", "kind", "code", "said"),
    [
        (DENIED, FailureKind.ACCESS, "AccessDenied", "its ACL cannot be changed: AccessDenied: no"),
        (StoreError(404, "NoSuchKey", ""), FailureKind.NOT_FOUND, "NoSuchKey", "its ACL cannot "),
        (StoreError(500, "InternalError", ""), FailureKind.STORE, "InternalError", "its ACL cann"),
        (StoreError(400, "BadDigest", ""), FailureKind.INTEGRITY, "BadDigest", "its ACL cannot b"),
        (ObjectError(FailureKind.NETWORK, "gone"), FailureKind.NETWORK, "", "its ACL cannot be"),
        (RunEnding(), FailureKind.STORE, "", "the run ended before its ACL was changed"),
        (ValueError("x"), FailureKind.INTERNAL, "ValueError", "internal error: ValueError: x"),
    ],
)
def test_a_failure_fails_the_object_and_says_that_it_is_stored(
    method: str, error: Exception, kind: FailureKind, code: str, said: str
) -> None:
    outcome, _ = transfer(DONE, Bucket({method: error}))
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.code, outcome.kept) == (kind, code, Kept.UNGRANTED)
    assert outcome.message.startswith(said)


@pytest.mark.parametrize("error", [FatalError("expired"), StoreError(405, "MethodNotAllowed", "")])
def test_what_ends_the_run_is_raised(error: Exception) -> None:
    with pytest.raises(FatalError):
        transfer(DONE, Bucket({"PUT": error}))
