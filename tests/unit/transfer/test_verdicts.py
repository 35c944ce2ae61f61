"""Verdicts: a table, and that no verdict is better than its proof."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5, sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind, ObjectError
from s3pp.job import Compare, Job, Mode
from s3pp.recorded import MatchReason, Recorded
from s3pp.records import (
    CopyTask,
    Dest,
    Done,
    Entry,
    Failed,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
)
from s3pp.transfer.verify.digest_match import digest_fault, wanted_of
from s3pp.transfer.verify.reading import digests_of
from s3pp.transfer.verify.verdicts import EndsRule, Seen, match_of, match_recorded

ONE, OTHER = md5(b"1").hexdigest(), md5(b"2").hexdigest()
MISSING, DIFFERS, UNDECIDED = FailureKind.MISSING, FailureKind.DIFFERS, FailureKind.UNDECIDED
SHA = ("sha256", "AAAA")

Verdict = MatchReason | FailureKind


def verdict(recorded: Recorded, seen: Seen) -> Verdict:
    try:
        return match_recorded(recorded, seen)
    except ObjectError as error:
        return error.kind


@pytest.mark.parametrize(
    ("recorded", "seen", "expected"),
    [
        (Recorded(1, ONE), Seen(1, ONE), MatchReason.ETAG),
        (Recorded(1, f"{ONE}-2"), Seen(1, f"{ONE}-2"), MatchReason.ETAG),
        (Recorded(None, ONE), Seen(1, ONE), MatchReason.ETAG_ALONE),
        (Recorded(2, ONE), Seen(1, ONE), DIFFERS),
        (Recorded(1, ONE), Seen(1, OTHER, is_digest=True), DIFFERS),
        (Recorded(1, ONE), Seen(1, OTHER), UNDECIDED),
        (Recorded(1, f"{ONE}-2"), Seen(1, OTHER, is_digest=True), UNDECIDED),
        (Recorded(1, ONE), Seen(1, f"{OTHER}-2"), UNDECIDED),
        (Recorded(1, ONE), Seen(1, ""), UNDECIDED),
        (Recorded(1, ONE, SHA), Seen(1, OTHER, checksums=dict([SHA])), MatchReason.CHECKSUM),
        (Recorded(1, ONE, SHA), Seen(1, OTHER, checksums={"sha256": "B"}), DIFFERS),
        (Recorded(1, ONE, ("crc32", "A")), Seen(1, OTHER, checksums={"crc32": "A"}), UNDECIDED),
        (Recorded(1, ONE, ("crc32", "A")), Seen(1, OTHER, checksums={"crc32": "B"}), DIFFERS),
        (Recorded(1, "", SHA), Seen(1, ONE, is_digest=True), UNDECIDED),
        (Recorded(1), Seen(1, ONE), MatchReason.SIZE),
        (Recorded(0, ONE), Seen(0, OTHER), MatchReason.SIZE),
        (Recorded(None), Seen(1, ONE), UNDECIDED),
    ],
)
def test_a_journal_and_what_is_there(recorded: Recorded, seen: Seen, expected: Verdict) -> None:
    assert verdict(recorded, seen) is expected


BODIES = st.sampled_from([b"", b"1", b"2", b"11"])


def etag_of(body: bytes, form: str) -> str:
    made = md5(body + form.encode() * (form != "md5")).hexdigest()
    return f"{made}-3" if form == "parts" else made


@given(BODIES, BODIES, *[st.sampled_from(["md5", "kms", "parts"])] * 2, st.booleans())
def test_no_verdict_is_wrong(
    before: bytes, now: bytes, form: str, other: str, with_checksum: bool
) -> None:
    """Of KMS an ETag looks like an MD5; what a HEAD shows says that it is none."""

    def sha(body: bytes) -> str:
        return b64encode(sha256(body).digest()).decode()

    checksum = ("sha256", sha(before)) if with_checksum else None
    recorded = Recorded(len(before), etag_of(before, form), checksum)
    there = {"sha256": sha(now)} if with_checksum else {}
    seen = Seen(len(now), etag_of(now, other), other == "md5", there)
    found = verdict(recorded, seen)
    if isinstance(found, MatchReason):
        assert before == now
    elif found is DIFFERS and form != "kms":
        assert before != now
    if with_checksum:
        assert isinstance(found, MatchReason) == (before == now)


@pytest.mark.parametrize("reason", [*SendReason])
@pytest.mark.parametrize("compare", [*Compare])
def test_what_would_be_sent_is_not_verified(reason: SendReason, compare: Compare) -> None:
    if reason is SendReason.ALWAYS:  # no update has it
        return
    with pytest.raises(ObjectError) as raised:
        match_of(reason, compare)
    certain = {SendReason.NEW: MISSING, SendReason.SIZE: DIFFERS, SendReason.UNKNOWN: UNDECIDED}
    assert raised.value.kind is certain.get(reason, raised.value.kind)


def put_task(size: int, dest: Dest | None, **facts: Any) -> PutTask:
    return PutTask(Entry("k", "f", size, 5), dest, **facts)


def copy_task(etag: str, dest: Dest | None) -> CopyTask:
    return CopyTask("s", "k", 1, etag, "", dest)


PUT, COPY = Job("put", mode=Mode.UPDATE), Job("copy", mode=Mode.UPDATE)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (Skipped("f", "k", 1, SkipReason.SAME_ETAG), MatchReason.ETAG),
        (Skipped("f", "k", 1, SkipReason.SYMLINK), None),
        (put_task(1, None), MISSING),
        (put_task(1, Dest(2, ONE)), DIFFERS),
        (put_task(1, Dest(1, ONE)), None),
        (put_task(1, None, ask=True), None),
        (copy_task(ONE, None), MISSING),
        (copy_task(ONE, Dest(1, OTHER)), None),  # MD5s, or what looks like them
        (copy_task(ONE, Dest(1, f"{ONE}-2")), None),
        (copy_task(ONE, Dest(2, ONE)), DIFFERS),
    ],
)
def test_what_listings_decide(step: Any, expected: Verdict | None) -> None:
    settled = EndsRule(COPY if isinstance(step, CopyTask) else PUT).settle(step)
    if expected is None:
        assert settled is step
    elif isinstance(expected, MatchReason):
        assert isinstance(settled, Done)
        assert settled.reason is expected
    else:
        assert isinstance(settled, Failed)
        assert settled.kind is expected


@given(st.binary(max_size=40), st.binary(max_size=40), st.sampled_from(["md5", "parts", "sha256"]))
def test_bytes_that_were_read(before: bytes, now: bytes, form: str) -> None:
    checksum = None
    etag = etag_of(before, "md5")
    if form == "sha256":
        checksum, etag = ("sha256", b64encode(sha256(before).digest()).decode()), "opaque"
    elif form == "parts":
        etag = f"{md5(md5(before).digest()).hexdigest()}-1"
    recorded = Recorded(len(before), etag, checksum)
    wanted = wanted_of(recorded, 8 << 20, [max(len(now), 1)] if form == "parts" else [])
    fault = digest_fault(recorded, digests_of([now], wanted))
    assert (fault is None) == (before == now)


def test_what_bytes_cannot_be_compared_with() -> None:
    for recorded in (Recorded(1), Recorded(1, "opaque"), Recorded(None, f"{ONE}-2")):
        with pytest.raises(ObjectError, match="no digest of its bytes") as raised:
            wanted_of(recorded, 1 << 23)
        assert raised.value.kind is UNDECIDED
