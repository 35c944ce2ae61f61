"""With an ETag cache: what workers note of files, and what a stored checksum decides unread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import md5, sha256
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from s3pp.integrity.checksums import checksum_text
from s3pp.integrity.etag import etag_of_md5s
from s3pp.job import Job, Mode
from s3pp.localfs import file_state
from s3pp.localfs.etag_cache import DigestReader, DigestWriter, prepare
from s3pp.localfs.file_state import FileDigest, FileState
from s3pp.pipeline import roles
from s3pp.places import Origin, Place, Side, Source
from s3pp.records import Dest, Entry, GetTask, Outcome, PutTask, Skipped, SkipReason
from s3pp.s3.answers import Answer
from s3pp.s3.retry import StoreError
from s3pp.speed import Speed

from .buckets import endpoint, looked

BODY = b"the body of a file"
MD5, SHA256 = md5(BODY).hexdigest(), checksum_text(sha256(BODY).digest())
OPAQUE = Dest(len(BODY), "opaque")
PARTS = Dest(len(BODY), etag_of_md5s([md5(b"in parts").digest()] * 2))
FULL = ("x-amz-checksum-type: FULL_OBJECT", f"x-amz-checksum-sha256: {SHA256}")
OTHER = (FULL[0], f"x-amz-checksum-sha256: {checksum_text(sha256(b'other').digest())}")


@dataclass
class Bucket:
    """What it answers to a HEAD; nothing else is asked in a dry run."""

    answer: Answer | None = None
    asked: list[str] = field(default_factory=list)
    endpoint: Any = field(default_factory=lambda: endpoint("bucket"))

    async def look(self, key: str, *, headers: Any = ()) -> Answer | None:
        self.asked.append(key)
        if self.answer is None:
            raise StoreError(403, "AccessDenied", "Access Denied")
        return self.answer

    async def call(self, _: Any) -> Answer:
        raise StoreError(501, "NotImplemented", "no part numbers")

    async def head(self, _: str) -> Dest | None:
        return None


@pytest.fixture(autouse=True)
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a test are as old as the test."""
    monkeypatch.setattr(file_state, "SETTLED", -(10**12))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "src" / "f"
    made.parent.mkdir()
    made.write_bytes(BODY)
    return made


def job_of(verb: str, path: Path, *, dry_run: bool) -> Job:
    speed = Speed(etag_cache=str(path.parent.parent / "cache"))
    if verb == "get":
        there = str(path.parent)
        return Job("get", origins=(Origin("b"),), directory=there, speed=speed, dry_run=dry_run)
    sources = (Source(str(path.parent)),)
    return Job("put", sources, Place("b"), mode=Mode.UPDATE, speed=speed, dry_run=dry_run)


def task_of(verb: str, path: Path, there: Dest) -> Any:
    if verb == "get":
        return GetTask("f", "f", there.size, there.etag, "2001-01-01T00:00:00Z")
    return PutTask(Entry("f", str(path), len(BODY), path.stat().st_mtime_ns), there)


def run(job: Job, bucket: Bucket, task: Any, *, screened: bool) -> tuple[Outcome | None, Any]:
    """The outcome of a task, of the screen or of the role; and what was noted."""

    async def main() -> tuple[Outcome | None, Any]:
        prepare(job.speed.etag_cache or "", write=True)
        resources = roles.worker_resources(Mock())
        buckets: Any = dict.fromkeys((Side.SOURCE, Side.DEST), bucket)
        role = roles.role(job, buckets, resources)
        if screened:
            assert role.skip_unchanged is not None
            outcome: Outcome | None = role.skip_unchanged(task)
        else:
            outcome = await role.transfer(task)
        assert resources.digests is not None
        return outcome, resources.digests.take()

    return asyncio.run(main())


def store(job: Job, path: Path, **digests: str) -> None:
    prepare(job.speed.etag_cache or "", write=True)
    state = FileState.of(path.stat())
    with closing(DigestWriter(job.speed.etag_cache or "")) as writer:
        writer.store([FileDigest(state, kind, value) for kind, value in digests.items()])


@pytest.mark.parametrize("verb", ["put", "get"])
@pytest.mark.parametrize("screened", [True, False])
def test_the_md5_of_a_file_that_is_stored_is_noted(verb: str, screened: bool, path: Path) -> None:
    task = task_of(verb, path, Dest(len(BODY), MD5))
    outcome, noted = run(job_of(verb, path, dry_run=False), Bucket(), task, screened=screened)
    assert isinstance(outcome, Skipped)
    assert outcome.reason is SkipReason.SAME_ETAG
    assert {*noted} == {(FileState.of(path.stat()), "md5", MD5)}
    dry, noted = run(job_of(verb, path, dry_run=True), Bucket(), task, screened=screened)
    assert (dry, noted) == (outcome, [])


@pytest.mark.parametrize("verb", ["put", "get"])
def test_a_checksum_that_was_computed_decides_unread_from_then_on(
    verb: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, task = job_of(verb, path, dry_run=False), task_of(verb, path, PARTS)
    bucket = Bucket(looked(PARTS.etag, PARTS.size, *FULL))
    outcome, noted = run(job, bucket, task, screened=False)
    assert isinstance(outcome, Skipped)
    assert outcome.reason is SkipReason.SAME_CHECKSUM
    assert (FileState.of(path.stat()), "sha256", SHA256) in noted
    store(job, path, sha256=SHA256)
    monkeypatch.setattr("os.open", refuse_to_open(path.name))
    bucket.asked.clear()
    for dry_run in (False, True):
        again, _ = run(job_of(verb, path, dry_run=dry_run), bucket, task, screened=False)
        assert again == outcome
    assert bucket.asked == ["f", "f"]


def refuse_to_open(name: str) -> Callable[..., int]:
    import os

    real = os.open

    def opened(path: Any, *arguments: Any, **settings: Any) -> int:
        assert not str(path).endswith(f"/{name}"), "the file is opened"
        assert path != name, "the file is opened"
        return real(path, *arguments, **settings)

    return opened


def test_a_checksum_that_is_not_the_stored_one_decides_nothing(path: Path) -> None:
    job, task = job_of("put", path, dry_run=True), task_of("put", path, OPAQUE)
    store(job, path, sha256=SHA256, crc32="AAAAAA==")
    crc = (FULL[0], "x-amz-checksum-crc32: AAAAAA==")  # it misses one change in four billion
    for shown in (looked("opaque", OPAQUE.size, *OTHER), looked("opaque", OPAQUE.size, *crc)):
        outcome, _ = run(job, Bucket(shown), task, screened=False)
        assert not isinstance(outcome, Skipped)
    for replaced in (looked("new", OPAQUE.size, *FULL), looked("opaque", 5, *FULL), None):
        outcome, _ = run(job, Bucket(replaced), task, screened=False)
        assert not isinstance(outcome, Skipped)


def test_a_file_that_changes_while_it_is_read_is_not_noted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, task = job_of("put", path, dry_run=False), task_of("put", path, Dest(len(BODY), MD5))
    states = iter(FileState.of(path.stat())._replace(ctime_ns=number) for number in range(1, 99))
    monkeypatch.setattr("s3pp.transfer.put.noting._state", lambda _: next(states))
    for screened in (True, False):
        outcome, noted = run(job, Bucket(), task, screened=screened)
        assert isinstance(outcome, Skipped)
        assert noted == []


def test_a_reader_that_cannot_read_leaves_it_to_the_role(path: Path) -> None:
    job, task = job_of("get", path, dry_run=False), task_of("get", path, PARTS)
    store(job, path, sha256=SHA256)
    Path(job.speed.etag_cache or "").write_bytes(b"x" * 5000)
    with pytest.raises(Exception, match="damaged"):
        DigestReader(job.speed.etag_cache or "", read_only=True).look_up(
            [FileState.of(path.stat())]
        )
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patched:
        patched.setattr(f"{__name__}.prepare", lambda *_, **__: True)
        outcome, _ = run(job, Bucket(looked(PARTS.etag, PARTS.size, *FULL)), task, screened=False)
    assert isinstance(outcome, Skipped)
