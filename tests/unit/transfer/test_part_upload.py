"""One part: read, digested, compared with what is there, sent, verified; again where that helps."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from s3pp.errors import FailureKind, FatalError
from s3pp.integrity.checksums import Digester, Digests
from s3pp.job import Job, Mode
from s3pp.places import Place, Source
from s3pp.records import PartDone, PartFailed, PartOutcome, PutPart, Span
from s3pp.s3.answers import Answer
from s3pp.s3.retry import StoreError
from s3pp.transfer.bodies import Slice
from s3pp.transfer.part_upload import PartSender
from s3pp.transfer.resources import Reader

from .buckets import answer, endpoint, etag_of, read

BODY = b"0123456789abcdef"
PART = BODY[4:10]
MD5 = etag_of(PART)
JOB = Job("put", (Source("/src"),), Place("bkt"), mode=Mode.UPDATE)
READINGS = 3


class Scripted:
    """A bucket that answers as told; ``answers`` go on for ever with the last."""

    def __init__(self, *answers: Any) -> None:
        self.endpoint = endpoint("bkt")
        self.answers = list(answers) or [lambda body: answer(etag_of(body))]
        self.sent: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def call(self, call: Any) -> Answer:
        assert call.method == "PUT"
        assert call.query == "partNumber=2&uploadId=id"
        self.sent.append(read(call.body))
        self.headers.append(dict(call.headers))
        step = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        found = step(self.sent[-1]) if callable(step) else step
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]


@pytest.fixture
def part(tmp_path: Path) -> PutPart:
    path = tmp_path / "file"
    path.write_bytes(BODY)
    with path.open("rb") as file:
        stamp = Slice(file.fileno(), "file").stamp
    return PutPart("/src/file", str(path), 1, stamp, Span(2, 3, len(PART)), "key", "id")


def send(store: Scripted, part: PutPart, checksum: str = "md5") -> PartOutcome:
    """Send a part; nothing stays open."""
    part = part._replace(checksum=checksum)

    async def main() -> PartOutcome:
        reader = Reader(ThreadPoolExecutor(1))
        sender = PartSender(JOB, store, reader)  # type: ignore[arg-type]
        await reader.away(lambda: None)
        before = len(os.listdir("/dev/fd"))
        try:
            return await sender.part(part)
        finally:
            assert len(os.listdir("/dev/fd")) == before

    return asyncio.run(main())


def test_its_bytes_go_to_its_slot(part: PutPart) -> None:
    store = Scripted()
    assert send(store, part) == PartDone(2, len(PART), MD5, MD5)
    assert store.sent == [PART]
    assert "content-md5" in store.headers[0]


def of_part(checksum: str) -> str:
    return Digester(checksum, md5=False, signed=False).of_body(PART).header[1]


@pytest.mark.parametrize("checksum", ["crc32", "sha256"])
def test_its_checksum_goes_along(part: PutPart, checksum: str) -> None:
    """A store that tells it again has verified it: no MD5 is computed."""
    value = of_part(checksum)
    store = Scripted(answer(MD5, f"x-amz-checksum-{checksum}: {value}"))
    assert send(store, part, checksum) == PartDone(2, len(PART), MD5, "", value)
    assert store.headers == [{f"x-amz-checksum-{checksum}": value}]


@pytest.mark.parametrize("checksum", ["crc32", "sha256"])
def test_where_it_is_not_told_again_the_etag_is_compared(part: PutPart, checksum: str) -> None:
    store = Scripted(answer("0" * 32), answer(MD5))
    assert send(store, part, checksum) == PartDone(2, len(PART), MD5, MD5, of_part(checksum))
    assert store.sent == [PART] * 2


def test_an_etag_that_proves_nothing_is_not_compared(part: PutPart) -> None:
    for told in (answer("opaque"), answer("0" * 32, "x-amz-server-side-encryption: aws:kms")):
        store = Scripted(told)
        assert send(store, part, "crc32") == PartDone(2, 6, told.etag, "", of_part("crc32"))
        assert store.sent == [PART]


def test_an_md5_that_is_needed_once_is_computed_at_once_from_then_on(part: PutPart) -> None:
    readings: list[bool] = []  # each with the MD5 or without
    of = Digester.of

    def counted(self: Digester, pieces: Iterable[bytes]) -> Digests:
        digests = of(self, pieces)
        readings.append(bool(digests.md5))
        return digests

    async def main() -> None:
        sender = PartSender(JOB, Scripted(), Reader(ThreadPoolExecutor(1)))  # type: ignore[arg-type]
        for _ in range(3):
            assert isinstance(await sender.part(part._replace(checksum="crc32")), PartDone)

    with patch.object(Digester, "of", counted):
        asyncio.run(main())
    assert readings == [False, True, True, True]


def test_a_file_that_changes_before_its_md5_is_read_has_changed(part: PutPart) -> None:
    def meanwhile(body: bytes) -> Answer:
        rewrite(Path(part.path))
        return answer(etag_of(body))

    outcome = send(Scripted(meanwhile), part, "crc32")
    assert isinstance(outcome, PartFailed)
    assert outcome.kind is FailureKind.CHANGED


def test_what_is_there_is_not_sent(part: PutPart) -> None:
    store = Scripted()
    outcome = send(store, part._replace(known=MD5))
    assert outcome == PartDone(2, len(PART), MD5, MD5, moved=False)
    assert store.sent == []


@pytest.mark.parametrize("known", ["0" * 32, "opaque"])
def test_what_is_there_otherwise_is_sent(part: PutPart, known: str) -> None:
    store = Scripted()
    assert send(store, part._replace(known=known)) == PartDone(2, len(PART), MD5, MD5)
    assert store.sent == [PART]


@pytest.mark.parametrize("same", [True, False])
def test_a_checksum_that_is_there_tells_too(part: PutPart, same: bool) -> None:
    store = Scripted()
    value = Digester("sha256", md5=False, signed=False).of_body(PART).header[1]
    there = part._replace(known="opaque", known_checksum=value if same else "other")
    outcome = send(store, there, "sha256")
    assert isinstance(outcome, PartDone)
    assert (outcome.moved, outcome.checksum, len(store.sent)) == (not same, value, not same)


def test_of_a_short_checksum_the_etag_tells(part: PutPart) -> None:
    outcome = send(Scripted(), part._replace(known=MD5), "crc32")
    assert isinstance(outcome, PartDone)
    assert (outcome.moved, outcome.md5, bool(outcome.checksum)) == (False, MD5, True)


def test_another_checksum_told_is_other_bytes(part: PutPart) -> None:
    store = Scripted(answer("opaque", "x-amz-checksum-crc32: AAAAAA=="))
    outcome = send(store, part, "crc32")
    assert isinstance(outcome, PartFailed)
    assert outcome.kind is FailureKind.INTEGRITY
    assert "AAAAAA==" in outcome.message
    assert of_part("crc32") in outcome.message
    assert len(store.sent) == READINGS


BAD = [
    answer("0" * 32),
    answer(""),
    StoreError(400, "BadDigest", "other bytes"),
    StoreError(400, "XAmzContentSHA256Mismatch", "other bytes"),
]


@pytest.mark.parametrize("bad", BAD, ids=["wrong", "missing", "digest", "sha256"])
def test_other_bytes_there_are_read_and_sent_again(part: PutPart, bad: Any) -> None:
    store = Scripted(bad, bad, answer(MD5))
    assert send(store, part) == PartDone(2, len(PART), MD5, MD5)
    assert store.sent == [PART] * READINGS


@pytest.mark.parametrize("bad", BAD, ids=["wrong", "missing", "digest", "sha256"])
def test_other_bytes_for_ever_fail_it(part: PutPart, bad: Any) -> None:
    store = Scripted(bad)
    outcome = send(store, part)
    assert isinstance(outcome, PartFailed)
    assert (outcome.number, outcome.kind) == (2, FailureKind.INTEGRITY)
    assert len(store.sent) == READINGS


@pytest.mark.parametrize("etag", ["opaque", f"{MD5}-1"])
def test_an_etag_that_is_no_md5_is_no_alarm(part: PutPart, etag: str) -> None:
    assert send(Scripted(answer(etag)), part) == PartDone(2, len(PART), etag, MD5)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (StoreError(404, "NoSuchUpload", "x"), FailureKind.NOT_FOUND, "NoSuchUpload"),
        (StoreError(403, "AccessDenied", "x"), FailureKind.ACCESS, "AccessDenied"),
        (RuntimeError("x"), FailureKind.INTERNAL, ""),
        (MemoryError(), FailureKind.UNREADABLE, ""),
    ],
)
def test_what_is_refused_has_failed(
    part: PutPart, error: Exception, kind: FailureKind, code: str
) -> None:
    store = Scripted(error)
    outcome = send(store, part)
    assert isinstance(outcome, PartFailed)
    assert (outcome.number, outcome.kind, outcome.code) == (2, kind, code)
    assert len(store.sent) == 1


def test_what_ends_the_run_is_passed_on(part: PutPart) -> None:
    with pytest.raises(FatalError, match="expired"):
        send(Scripted(FatalError("the keys have expired")), part)


def rewrite(path: Path) -> None:
    path.write_bytes(BODY[::-1])


def truncate(path: Path) -> None:
    os.truncate(path, 3)


def backdate(path: Path) -> None:
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [rewrite, truncate, backdate, fifo])
def test_of_a_file_that_is_not_what_the_lead_opened_nothing_is_sent(
    part: PutPart, change: Callable[[Path], None]
) -> None:
    change(Path(part.path))
    store = Scripted()
    outcome = send(store, part)
    assert isinstance(outcome, PartFailed)
    assert (outcome.kind, store.sent) == (FailureKind.CHANGED, [])


@pytest.mark.parametrize("change", [rewrite, backdate])
def test_a_file_that_changes_while_it_is_sent_has_changed(
    part: PutPart, change: Callable[[Path], None]
) -> None:
    def meanwhile(body: bytes) -> Answer:
        change(Path(part.path))
        return answer(etag_of(body))

    outcome = send(Scripted(meanwhile), part)
    assert isinstance(outcome, PartFailed)
    assert outcome.kind is FailureKind.CHANGED


def test_a_file_that_vanished_is_named(part: PutPart) -> None:
    Path(part.path).unlink()
    outcome = send(Scripted(), part)
    assert isinstance(outcome, PartFailed)
    assert outcome.kind is FailureKind.NOT_FOUND
    assert "/src/file" in outcome.message
