"""A pytest plugin: an S3 server in memory for tests. ``pytest_plugins = ["s3pp.testing"]``.

``s3pp_bucket`` is a new bucket for each test, with the variables set that lead s3pp, boto3 and all
other AWS clients there; ``s3pp_sandbox`` is the server behind it, one for each process of a run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from s3pp.sandbox import UNSET, Sandbox

__all__ = ["Sandbox", "SandboxBucket", "s3pp_bucket", "s3pp_sandbox"]


class SandboxBucket(NamedTuple):
    """An empty bucket on a server in memory."""

    name: str
    endpoint_url: str

    @property
    def url(self) -> str:
        """``s3://NAME``, the form that s3pp takes."""
        return f"s3://{self.name}"


@pytest.fixture(scope="session")
def s3pp_sandbox() -> Iterator[Sandbox]:
    """A server in memory, until the end of the session.

    It has ``url``, ``create_bucket(name)`` and ``environment()``, the variables for clients.
    """
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def s3pp_bucket(s3pp_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> SandboxBucket:
    """An empty bucket, to which all AWS clients are directed until the end of the test."""
    bucket = SandboxBucket(f"test-{uuid.uuid4()}", s3pp_sandbox.url)
    s3pp_sandbox.create_bucket(bucket.name)
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    for name, value in s3pp_sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return bucket
