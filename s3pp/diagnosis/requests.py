"""The requests of the checks, within limits of time, and what a refusal of one means."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from hashlib import sha256
from typing import NamedTuple, TypeVar

from s3pp.access import Access
from s3pp.diagnosis.findings import Finding, failed, not_tried, ok, warning
from s3pp.errors import FailureKind, ObjectError
from s3pp.s3.answers import Answer
from s3pp.s3.client import Bucket, Call, Headers
from s3pp.s3.endpoint import query_string
from s3pp.s3.retry import NetworkError, StoreError

T = TypeVar("T")

PATIENCE = 25.0  # seconds for one request, with all its attempts
_CONNECT, _READ, _THROTTLED = 5.0, 10.0, 10.0  # seconds
_ATTEMPTS = 2
_UNSUPPORTED = frozenset({400, 405, 501})


def impatient(access: Access) -> Access:
    """The access settings of a doctor: those of a run, but with little patience."""
    return replace(
        access,
        connect_timeout=min(access.connect_timeout, _CONNECT),
        read_timeout=min(access.read_timeout, _READ),
        max_attempts=min(access.max_attempts, _ATTEMPTS),
        max_throttled=min(access.max_throttled, _THROTTLED),
    )


class NoAnswerError(ObjectError):
    """The store has not answered, so that all further requests would be in vain."""


class Need(NamedTuple):
    """A permission."""

    check: str  # the name of its check
    action: str  # of S3: "s3:PutObject"
    users: str  # the verbs that need it
    optional: bool = False  # only some options need it


async def ask(what: str, request: Awaitable[T]) -> T | ObjectError:
    """Return the answer to a request, or why the store refuses it; ``what`` names it.

    Raises ``NoAnswerError``, and ``FatalError`` where the credentials are refused.
    """
    try:
        return await asyncio.wait_for(request, PATIENCE)
    except NetworkError as lost:
        raise NoAnswerError(lost.kind, f"{what}: {lost}") from None
    except asyncio.TimeoutError:
        why = f"{what}: no answer in {PATIENCE:g} s"
        raise NoAnswerError(FailureKind.NETWORK, why) from None
    except ObjectError as refusal:
        return refusal


def is_denied(answer: object) -> bool:
    """Whether it is a refusal for lack of permission."""
    return isinstance(answer, StoreError) and answer.status in (401, 403)


def is_unsupported(answer: object) -> bool:
    """Whether the store may not know such a request."""
    return isinstance(answer, StoreError) and answer.status in _UNSUPPORTED


def permission(need: Need, answer: object, place: str) -> Finding:
    """What the answer to a request says of a permission for ``place``."""
    if not isinstance(answer, ObjectError):
        return ok(need.check, "allowed")
    if is_denied(answer):
        found, advice = f"access denied: {answer}", f"allow {need.action} on {place}"
    else:
        found, advice = f"refused: {answer}", "see docs/stores.rst, or ask who runs the store"
    result = warning if need.optional else failed
    return result(need.check, found, f"{advice}: needed by {need.users}")


def condition(check: str, answer: object, lack: str) -> Finding:
    """Whether a write that must not succeed was refused; ``lack`` is what follows if it was not."""
    if isinstance(answer, StoreError) and answer.status in (404, 409, 412):
        return ok(check, "yes")
    if is_denied(answer):
        return not_tried(check, f"access denied: {answer}")
    found = f"no: {answer}" if isinstance(answer, ObjectError) else "no: it is ignored"
    return warning(check, found, lack)


class ExaminedBucket(NamedTuple):
    """What is examined."""

    bucket: Bucket
    prefix: str  # what keys begin with: "", or with a slash at its end

    def place(self, key: str = "*") -> str:
        """``s3://bucket/prefix*``, for messages."""
        return f"s3://{self.bucket.endpoint.bucket}/{self.prefix}{key}"

    async def query(self, name: str, **more: str) -> Answer:
        """Fetch a subresource of the bucket. Raises as ``client``."""
        query = query_string({name: "", **{k.replace("_", "-"): v for k, v in more.items()}})
        return await self.bucket.call(Call("GET", self.bucket.endpoint.path(""), query))

    async def put(self, key: str, body: bytes, headers: Headers = ()) -> Answer:
        """PutObject. Raises as ``client``."""
        return await self.bucket.put(
            key, body, headers=headers, payload_hash=sha256(body).hexdigest()
        )
