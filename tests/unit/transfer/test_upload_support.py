"""Refused creations: by a store without multipart uploads, or without what was asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3pp.errors import FailureKind, ObjectError
from s3pp.limits import MAX_SINGLE_PUT
from s3pp.s3.answers import Answer
from s3pp.s3.client import Call
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Fault, Response, WireError
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.transfer.errors import NO_EMAIL
from s3pp.transfer.upload_support import MultipartSupport, SettingsCheck, named, settings_of

CREATED = Answer(Response(200, b"", b"<UploadId>1</UploadId>"), 1)
UNKNOWN, NOT_ALLOWED = StoreError(501, "NotImplemented", "x"), StoreError(405, "HTTP405", "")
DENIED, LOST = (
    StoreError(403, "AccessDenied", ""),
    NetworkError(WireError(Fault.CONNECTION, "refused")),
)


class Store:
    """Answers creations without headers, one after the other; the last answer again and again."""

    endpoint = Endpoint("http", "h:1", "/b", "r", "b")

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers = list(answers)
        self.calls: list[str] = []

    async def call(self, call: Call) -> Answer:
        assert not call.headers
        self.calls.append(call.method)
        await asyncio.sleep(0)
        if call.method != "POST":
            raise UNKNOWN  # not even the abort has to be known
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def explained(store: Store, refusal: StoreError, size: int = 1, *, times: int = 1) -> ObjectError:
    support = MultipartSupport(store)  # type: ignore[arg-type]

    async def main() -> list[ObjectError]:
        return await asyncio.gather(*(support.explain("k", size, refusal) for _ in range(times)))

    first, *others = asyncio.run(main())
    assert {str(each) for each in others} <= {str(first)}
    return first


@pytest.mark.parametrize("refusal", [UNKNOWN, NOT_ALLOWED])
@pytest.mark.parametrize("bare", [UNKNOWN, NOT_ALLOWED])
def test_what_is_refused_without_headers_is_not_there(
    refusal: StoreError, bare: StoreError
) -> None:
    store = Store(bare)
    found = explained(store, refusal, times=3)
    assert str(found) == (
        f"http://h:1 does not support multipart uploads ({refusal.code}): raise "
        "--multipart-threshold above the object's size (one PUT holds up to 5 GiB)"
    )
    assert (found.kind, found.code) == (refusal.kind, refusal.code)
    assert store.calls == ["POST"]


@pytest.mark.parametrize(
    ("refusal", "bare", "calls"),
    [
        (UNKNOWN, CREATED, ["POST", "DELETE"]),  # it is about a header
        (UNKNOWN, DENIED, ["POST"]),  # nothing is known
        (UNKNOWN, LOST, ["POST"]),
        (DENIED, UNKNOWN, []),  # says what it means
    ],
)
def test_everything_else_means_what_the_store_says(
    refusal: StoreError, bare: Any, calls: list[str]
) -> None:
    store = Store(bare)
    assert explained(store, refusal, times=3) is refusal
    assert store.calls == calls


def test_what_could_not_be_found_out_is_asked_again() -> None:
    support = MultipartSupport(Store(LOST, UNKNOWN))  # type: ignore[arg-type]

    async def main() -> list[ObjectError]:
        return [await support.explain("k", 1, UNKNOWN) for _ in range(2)]

    first, second = asyncio.run(main())
    assert first is UNKNOWN
    assert "does not support multipart uploads" in str(second)


def test_beyond_one_request_no_option_helps() -> None:
    size = MAX_SINGLE_PUT + 1
    found = explained(Store(UNKNOWN), UNKNOWN, size)
    assert found.kind is FailureKind.STORE
    assert str(found).endswith(f"one request holds up to 5 GiB, and the object has {size} bytes")


# The settings of copies

ACL, SSE = ("x-amz-acl", "private"), ("x-amz-server-side-encryption", "AES256")
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


@pytest.mark.parametrize(
    ("setting", "refusal", "told"),
    [
        (("x-amz-grant-read", 'emailAddress="a@b.org"'), NOT_ALLOWED, True),
        (("x-amz-grant-read", 'emailAddress="a@b.org"'), UNKNOWN, False),
        (("x-amz-grant-read", "id=1"), NOT_ALLOWED, False),
        (SSE, NOT_ALLOWED, False),
    ],
)
def test_s3_refuses_email_addresses(
    setting: tuple[str, str], refusal: StoreError, told: bool
) -> None:
    check = SettingsCheck([setting], Dest(refusal, CREATED))  # type: ignore[arg-type]
    with pytest.raises(ObjectError) as caught:
        asyncio.run(check.check("a"))
    assert str(caught.value).endswith(NO_EMAIL) == told
