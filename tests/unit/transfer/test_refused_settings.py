"""Settings that a store refuses, told apart from a store that cannot copy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.answers import Answer
from s3pp.s3.client import Call
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.retry import StoreError
from s3pp.s3.wire import Response
from s3pp.transfer.upload_support import SettingsCheck, named, settings_of

ACL, SSE = ("x-amz-acl", "private"), ("x-amz-server-side-encryption", "AES256")
CREATED = Answer(Response(200, [], b"<UploadId>1</UploadId>"), 1)
UNKNOWN, DENIED = StoreError(501, "NotImplemented", ""), StoreError(403, "AccessDenied", "")
BUSY = StoreError(503, "SlowDown", "")


class Dest:
    """Answers the creation of an upload ``with_settings`` and ``without``."""

    endpoint = Endpoint("http", "h", "/b", "r", "b")

    def __init__(self, with_settings: Any, without: Any) -> None:
        self._answers = (without, with_settings)
        self.calls: list[str] = []

    async def call(self, call: Call) -> Answer:
        self.calls.append(call.method)
        answer = self._answers[bool(call.headers)] if call.method == "POST" else CREATED
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("with_settings", "without", "kind", "calls"),
    [
        (CREATED, CREATED, None, ["POST", "DELETE"]),
        (UNKNOWN, CREATED, FailureKind.REJECTED, ["POST", "POST", "DELETE"]),
        (DENIED, CREATED, FailureKind.ACCESS, ["POST", "POST", "DELETE"]),
        (UNKNOWN, UNKNOWN, None, ["POST", "POST"]),
        (DENIED, DENIED, None, ["POST", "POST"]),
        (BUSY, CREATED, None, ["POST"]),  # that it is busy says nothing of the settings
    ],
)
def test_the_verdict_is_reached_once(
    with_settings: Any, without: Any, kind: FailureKind | None, calls: list[str]
) -> None:
    dest = Dest(with_settings, without)
    asked = SettingsCheck([("cache-control", "x"), ACL, SSE], dest)  # type: ignore[arg-type]

    async def main() -> list[Any]:
        return await asyncio.gather(*map(asked.check, "abc"), return_exceptions=True)

    for found in asyncio.run(main()):
        assert (found.kind if isinstance(found, ObjectError) else found) == kind
        assert kind is None or str(found).startswith("the store refuses --acl and --sse: ")
    assert dest.calls == calls


def test_who_asks_for_nothing_needs_no_answer() -> None:
    dest = Dest(UNKNOWN, CREATED)
    headers = [("cache-control", "x"), ("x-amz-meta-a", "b")]
    asyncio.run(SettingsCheck(headers, dest).check("a"))  # type: ignore[arg-type]
    assert dest.calls == []


def test_settings_are_called_as_the_user_did() -> None:
    grant = ("x-amz-grant-read", "id=1")
    assert settings_of([ACL, ("expires", "x"), grant]) == [ACL, grant]
    assert named([ACL]) == "--acl"
    assert named([ACL, SSE, grant]) == "--acl, --sse and --header x-amz-grant-read"
