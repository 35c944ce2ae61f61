"""Copies that pass through this machine: whole, verified, with all that goes along."""

from __future__ import annotations

import asyncio
import os
import tempfile
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from s3pp.attributes import Objects
from s3pp.errors import FailureKind, FatalError
from s3pp.job import Job, Mode
from s3pp.limits import MAX_OBJECT, SMALL
from s3pp.places import Place, parse_origin
from s3pp.records import CopyTask, Done, Failed, Outcome, SendReason, Skipped, SkipReason
from s3pp.s3.exchange import Fault, WireError
from s3pp.s3.retry import NetworkError, StoreError
from s3pp.transfer.bodies import SpooledBody
from s3pp.transfer.conditional_write import SURE
from s3pp.transfer.copy.copier import Copier

from .buckets import (
    DENIED,
    EVERYTHING,
    FAILED,
    GONE,
    UNKNOWN,
    Scripted,
    answer,
    etag_of,
    kept,
    looked,
    resources,
)

BODY, LARGE = b"body", os.urandom(3 * SMALL + 7)
OTHER = "f" * 32
KMS = "x-amz-server-side-encryption: aws:kms"
# Over the limit of what is held without a sink, though the listing had it small.
GROWN = bytes(17 << 20)


def task(body: bytes = BODY, etag: str | None = None, storage_class: str = "") -> CopyTask:
    etag = etag_of(body) if etag is None else etag
    return CopyTask("src/key", "to/key", len(body), etag, storage_class, None)


def got(body: bytes = BODY, *lines: str, etag: str | None = None) -> Any:
    return answer(etag or etag_of(body), *lines, body=body)


def copy(
    source: Scripted,
    dest: Scripted,
    *tasks: CopyTask,
    notes: list[str] | None = None,
    **settings: Any,
) -> list[Outcome]:
    """Copy between two stores; whatever happened, the budget is whole and nothing stays open."""
    before = set(os.listdir("/proc/self/fd"))

    async def main() -> list[Outcome]:
        origin = parse_origin("s3://from/src")
        job = Job("copy", dest=Place("into", "to"), origins=(origin,), **settings)
        ours = resources()
        copier = Copier(job, source, dest, shared=False, resources=ours)  # type: ignore[arg-type]
        try:
            return [await copier.transfer(each) for each in tasks]
        finally:
            await asyncio.wait_for(ours.budget.take(EVERYTHING), 5)
            (notes if notes is not None else []).extend(copier.notes)

    try:
        return asyncio.run(main())
    finally:
        assert set(os.listdir("/proc/self/fd")) <= before


def done(body: bytes = BODY, reason: SendReason = SendReason.NEW) -> Done:
    return Done("src/key", "to/key", len(body), len(body), etag_of(body), reason)


def failure(outcome: Outcome) -> FailureKind:
    assert isinstance(outcome, Failed)
    assert outcome.message
    return outcome.kind


def b64(raw: bytes) -> str:
    return b64encode(raw).decode()


# Whole


@pytest.mark.parametrize("body", [b"", BODY, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("checksum", ["md5", "crc32", "sha256"])
def test_an_object_arrives_whole_and_with_a_checksum(body: bytes, checksum: str) -> None:
    source, dest = Scripted(gets=[got(body)]), Scripted(puts=[kept])
    notes: list[str] = []
    objects = Objects(checksum=checksum)
    assert copy(source, dest, task(body), notes=notes, objects=objects) == [done(body)]
    (sent,) = dest.sent
    assert sent.body == body
    name = "content-md5" if checksum == "md5" else f"x-amz-checksum-{checksum}"
    if checksum == "crc32":
        assert sent.headers[name] == b64(crc32(body).to_bytes(4, "big"))
    assert name in sent.headers
    assert ("x-amz-checksum-mode", "ENABLED") in source.got[0]
    assert len([note for note in notes if "two stores" in note]) == 1


def test_what_has_grown_beyond_memory_is_spilled() -> None:
    source, dest = Scripted(gets=[got(GROWN)]), Scripted(puts=[kept])
    assert copy(source, dest, task(BODY)) == [done(GROWN)]
    assert len(source.got) == 2


def test_what_was_replaced_since_is_taken_whole() -> None:
    source, dest = Scripted(gets=[got(b"another")]), Scripted(puts=[kept])
    assert copy(source, dest, task()) == [done(b"another")]
    assert dest.sent[0].body == b"another"


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
def test_a_body_that_is_not_the_objects_is_fetched_again(body: bytes) -> None:
    etag = etag_of(body)
    torn, cut = got(body[:-1] + b"?", etag=etag), got(body[:-1], etag=etag)
    source, dest = Scripted(gets=[torn, cut, got(body)]), Scripted(puts=[kept])
    assert copy(source, dest, task(body)) == [done(body)]
    assert len(source.got) == 3
    assert len(dest.sent) == 1


@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("etag", [None, f"{OTHER}-3"], ids=["MD5", "in parts"])
def test_a_shorter_body_under_the_same_etag_never_passes(body: bytes, etag: str | None) -> None:
    """Its length is declared, so that only the listing knows better."""
    listed = task(body, etag)
    source = Scripted(gets=[got(body[:-1], etag=listed.etag)])
    dest = Scripted(puts=[kept])
    (outcome,) = copy(source, dest, listed)
    assert failure(outcome) is FailureKind.INTEGRITY
    assert 2 <= len(source.got) <= 5
    assert dest.sent == []


@pytest.mark.parametrize(
    ("line", "good"),
    [
        (f"x-amz-checksum-sha256: {b64(sha256(BODY).digest())}", True),
        (f"x-amz-checksum-sha256: {b64(sha256(b'BODY').digest())}", False),
        (f"x-amz-checksum-crc32: {b64(crc32(b'BODY').to_bytes(4, 'big'))}", False),
    ],
)
def test_where_the_etag_is_no_md5_the_stored_checksum_decides(line: str, good: bool) -> None:
    source = Scripted(gets=[got(BODY, line, etag=f"{OTHER}-2")])
    (outcome,) = copy(source, dest := Scripted(puts=[kept]), task(BODY, f"{OTHER}-2"))
    assert outcome == done() if good else failure(outcome) is FailureKind.INTEGRITY
    assert len(dest.sent) == good


# The PUT


def test_other_bytes_at_the_destination_are_sent_again() -> None:
    source, dest = Scripted(gets=[got()]), Scripted(puts=[answer(OTHER), kept])
    assert copy(source, dest, task(), mode=Mode.ADD) == [done()]
    assert [sent.conditional for sent in dest.sent] == [True, False]


@pytest.mark.parametrize("put", [answer(OTHER), StoreError(400, "BadDigest", "")])
def test_a_destination_that_always_gets_other_bytes_fails_the_object(put: Any) -> None:
    dest = Scripted(puts=[put])
    (outcome,) = copy(Scripted(gets=[got()]), dest, task())
    assert failure(outcome) is FailureKind.INTEGRITY
    assert 2 <= len(dest.sent) <= 5


@pytest.mark.parametrize("put", [answer(OTHER, KMS), answer(f"{OTHER}-1")])
def test_an_etag_that_is_no_md5_is_no_false_alarm(put: Any) -> None:
    (outcome,) = copy(Scripted(gets=[got()]), Scripted(puts=[put]), task())
    assert outcome == done()._replace(etag=put.etag)


@pytest.mark.parametrize(
    ("head", "outcome"),
    [
        (looked(etag_of(BODY), 4), done()),
        (looked(OTHER, 4), Skipped("src/key", "to/key", 4, SkipReason.EXISTS)),
        (looked(OTHER, 5), Skipped("src/key", "to/key", 4, SkipReason.OTHER_SIZE, dest_size=5)),
        (DENIED, Skipped("src/key", "to/key", 4, SkipReason.EXISTS)),
    ],
)
def test_a_target_found_taken_is_looked_at(head: Any, outcome: Outcome) -> None:
    dest = Scripted(puts=[FAILED], looks=[head])
    assert copy(Scripted(gets=[got()]), dest, task(), mode=Mode.ADD) == [outcome]


def test_a_target_of_ours_has_the_md5_whatever_the_etag_of_the_source() -> None:
    parts = f"{OTHER}-2"
    dest = Scripted(puts=[FAILED], looks=[looked(etag_of(BODY), 4)])
    assert copy(Scripted(gets=[got(etag=parts)]), dest, task(etag=parts), mode=Mode.ADD) == [done()]


def test_a_412_without_a_target_is_a_failure() -> None:
    (outcome,) = copy(
        Scripted(gets=[got()]), Scripted(puts=[FAILED], looks=[None]), task(), mode=Mode.ADD
    )
    assert failure(outcome) is FailureKind.REJECTED


def test_a_store_that_refuses_the_condition_is_asked_instead() -> None:
    dest, notes = Scripted(puts=[UNKNOWN, kept] * SURE, looks=[None]), list[str]()
    tasks = [task()] * (SURE + 1)
    outcomes = copy(Scripted(gets=[got()]), dest, *tasks, mode=Mode.ADD, notes=notes)
    assert outcomes == [done()] * (SURE + 1)
    assert [sent.conditional for sent in dest.sent] == [True, False] * SURE + [False]
    assert len([note for note in notes if "If-None-Match" in note]) == 1


# What goes along


def test_what_describes_the_object_goes_along() -> None:
    lines = (
        "Content-Type: text/x-odd",
        "Cache-Control: max-age=1",
        "x-amz-meta-Colour: blue",
        "x-amz-tagging-count: 1",
        "x-amz-storage-class: STANDARD_IA",
    )
    source = Scripted(gets=[got(BODY, *lines)], taggings=[[("a b", "c&d")]])
    dest = Scripted(puts=[kept])
    assert copy(source, dest, task()) == [done()]
    headers = dest.sent[0].headers
    assert headers["content-type"] == "text/x-odd"
    assert headers["cache-control"] == "max-age=1"
    assert headers["x-amz-meta-colour"] == "blue"
    assert headers["x-amz-storage-class"] == "STANDARD_IA"
    assert headers["x-amz-tagging"] == "a%20b=c%26d"


@pytest.mark.parametrize("refusal", [DENIED, UNKNOWN, StoreError(405, "MethodNotAllowed", "")])
def test_tags_that_cannot_be_read_are_said_to_stay(refusal: StoreError) -> None:
    source = Scripted(gets=[got(BODY, "x-amz-tagging-count: 1")], taggings=[refusal])
    dest, notes = Scripted(puts=[kept]), list[str]()
    assert copy(source, dest, task(), task(), notes=notes) == [done(), done()]
    assert "x-amz-tagging" not in dest.sent[0].headers
    assert len([note for note in notes if "tags" in note]) == 1


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (StoreError(503, "SlowDown", ""), FailureKind.STORE),
        (NetworkError(WireError(Fault.CUT, "")), FailureKind.NETWORK),
        (GONE, FailureKind.NOT_FOUND),
    ],
)
def test_tags_that_may_be_read_another_time_are_not_lost(
    trouble: Exception, kind: FailureKind
) -> None:
    source = Scripted(gets=[got(BODY, "x-amz-tagging-count: 1")], taggings=[trouble])
    dest = Scripted(puts=[kept])
    (outcome,) = copy(source, dest, task())
    assert failure(outcome) is kind
    assert dest.sent == []


@pytest.mark.parametrize("refusal", [DENIED, UNKNOWN])
def test_tags_the_destination_refuses_are_said_to_stay(refusal: StoreError) -> None:
    source = Scripted(gets=[got(BODY, "x-amz-tagging-count: 1")], taggings=[[("a", "b")]])
    dest, notes = Scripted(puts=[refusal, kept]), list[str]()
    assert copy(source, dest, task(), notes=notes, mode=Mode.ADD) == [done()]
    assert ["x-amz-tagging" in sent.headers for sent in dest.sent] == [True, False]
    assert all(sent.conditional for sent in dest.sent)
    assert [note for note in notes if "tags" in note]


def test_tags_asked_for_are_not_left_out() -> None:
    source, dest = Scripted(gets=[got(BODY, "x-amz-tagging-count: 1")]), Scripted(puts=[DENIED])
    (outcome,) = copy(source, dest, task(), objects=Objects(tags=(("a", "b"),)))
    assert failure(outcome) is FailureKind.ACCESS
    assert [sent.headers["x-amz-tagging"] for sent in dest.sent] == ["a=b"]


def test_metadata_the_source_keeps_back_is_said_to_stay() -> None:
    notes: list[str] = []
    source = Scripted(gets=[got(BODY, "x-amz-missing-meta: 1")])
    assert copy(source, Scripted(puts=[kept]), task(), notes=notes) == [done()]
    assert [note for note in notes if "metadata" in note]


# What fails


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (GONE, FailureKind.NOT_FOUND, "vanished"),
        (StoreError(403, "InvalidObjectState", "archived"), FailureKind.REJECTED, "restore"),
        (DENIED, FailureKind.ACCESS, "the source cannot be read"),
        (StoreError(503, "SlowDown", ""), FailureKind.STORE, "SlowDown"),
        (NetworkError(WireError(Fault.PARTIAL, "cut")), FailureKind.NETWORK, "cut"),
    ],
)
@pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
def test_a_source_that_cannot_be_read(
    error: Exception, kind: FailureKind, said: str, body: bytes
) -> None:
    dest = Scripted(puts=[kept])
    (outcome,) = copy(Scripted(gets=[error]), dest, task(body))
    assert failure(outcome) is kind
    assert isinstance(outcome, Failed)
    assert said in outcome.message
    assert dest.sent == []


def test_a_full_disk_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, piece: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(FatalError, match="TMPDIR"):
        copy(Scripted(gets=[got(LARGE)]), Scripted(puts=[kept]), task(LARGE))


def test_what_an_attempt_brought_is_forgotten_by_the_next() -> None:
    spilled = SpooledBody("key")
    for pieces in ([b"longer than", b" the next"], [b"the ", b"object"]):
        spilled.restart()
        for piece in pieces:
            spilled.write(piece)
    whole = spilled.whole()
    assert (whole.size, b"".join(whole.pieces())) == (10, b"the object")
    whole.close()


def test_temporary_files_have_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[list[Path]] = []

    def put(body: bytes) -> Any:
        seen.append(list(tmp_path.iterdir()))
        return kept(body)

    assert copy(Scripted(gets=[got(LARGE)]), Scripted(puts=[put]), task(LARGE)) == [done(LARGE)]
    assert seen == [[]]


def test_no_more_is_held_at_once_than_the_budget_has() -> None:
    """Each of eight objects takes a MiB for its passage, and the budget has one."""
    at_once, most = 0, 0

    class Slow(Scripted):
        async def put(self, key: str, body: Any, **more: Any) -> Any:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.001)
            at_once -= 1
            return await super().put(key, body, **more)

    async def main() -> list[Outcome]:
        job = Job("copy", dest=Place("into"), origins=(parse_origin("s3://from"),))
        source, dest = Scripted(gets=[got(LARGE)]), Slow(puts=[kept])
        copier = Copier(job, source, dest, shared=False, resources=resources())  # type: ignore[arg-type]
        return await asyncio.gather(*(copier.transfer(task(LARGE)) for _ in range(8)))

    assert asyncio.run(main()) == [done(LARGE)] * 8
    assert most == 1


def test_a_size_that_no_object_has_is_not_fetched() -> None:
    source = Scripted(gets=[got()])
    (outcome,) = copy(source, Scripted(puts=[kept]), task()._replace(size=MAX_OBJECT + 1))
    assert failure(outcome) is FailureKind.TOO_LARGE
    assert source.got == []
