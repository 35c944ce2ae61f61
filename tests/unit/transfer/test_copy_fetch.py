"""Objects on their way through this machine: whole and verified, and nothing held afterwards."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.integrity.checksums import Digester
from s3pp.integrity.verifiers import Corrupt
from s3pp.limits import SMALL
from s3pp.records import Dest
from s3pp.s3.answers import Answer
from s3pp.s3.client import ASK_CHECKSUM
from s3pp.s3.retry import StoreError
from s3pp.transfer.bodies import Slice
from s3pp.transfer.copy.through import FetchedObject, ObjectFetcher

from .buckets import DENIED, EVERYTHING, GONE, Scripted, answer, etag_of, resources

BODY, LARGE = b"body", os.urandom(2 * SMALL + 7)
HUGE = bytes(17 << 20)  # beyond what a bucket gives without a sink
both_sizes = pytest.mark.parametrize("body", [BODY, LARGE], ids=["held", "spilled"])
DIGESTER = Digester("md5", md5=True, signed=True)


class Taken:
    """What was fetched, read while it was there."""

    def __init__(self, fetched: FetchedObject) -> None:
        self.fetched = fetched
        body = fetched.body
        self.spilled = isinstance(body, Slice)
        self.body = b"".join(body.pieces()) if isinstance(body, Slice) else body


def fetch(source: Scripted, listed: Dest, during: Any = None) -> Taken:
    """Fetch one object; whatever happens, the budget is whole and no file stays open."""
    before = set(os.listdir("/proc/self/fd"))

    async def main() -> Taken:
        ours = resources()
        fetcher = ObjectFetcher(source, DIGESTER, ours)  # type: ignore[arg-type]
        try:
            async with fetcher.fetch("key", listed) as fetched:
                if during is not None:
                    raise during
                return Taken(fetched)
        finally:
            await asyncio.wait_for(ours.budget.take(EVERYTHING), 5)

    try:
        return asyncio.run(main())
    finally:
        assert set(os.listdir("/proc/self/fd")) <= before


def listed(body: bytes, etag: str | None = None) -> Dest:
    return Dest(len(body), etag_of(body) if etag is None else etag)


def got(body: bytes, *lines: str, etag: str | None = None) -> Answer:
    return answer(etag_of(body) if etag is None else etag, *lines, body=body)


@pytest.mark.parametrize(
    ("body", "spilled"),
    [(b"", False), (BODY, False), (LARGE, True)],
    ids=["empty", "held", "spilled"],
)
def test_an_object_comes_whole_with_its_digests(body: bytes, spilled: bool) -> None:
    source = Scripted(gets=[got(body, "Content-Type: text/plain")])
    taken = fetch(source, listed(body))
    assert (taken.body, taken.spilled) == (body, spilled)
    assert taken.fetched.size == len(body)
    assert taken.fetched.digests == DIGESTER.of_body(body)
    assert taken.fetched.answer.response.header(b"content-type") == "text/plain"
    assert [list(headers) for headers in source.got] == [[ASK_CHECKSUM]]


def test_one_that_has_grown_beyond_what_is_held_is_spilled() -> None:
    source = Scripted(gets=[got(HUGE)])
    taken = fetch(source, listed(BODY))
    assert (taken.body == HUGE, taken.spilled) == (True, True)
    assert len(source.got) == 2


def test_one_that_has_grown_a_little_is_held() -> None:
    taken = fetch(Scripted(gets=[got(LARGE)]), listed(BODY))
    assert (taken.body, taken.spilled) == (LARGE, False)


@pytest.mark.parametrize(
    ("body", "came"),
    [(BODY, got(b"BODY", etag=etag_of(BODY))), (LARGE, got(bytes(9), etag=etag_of(LARGE)))],
    ids=["held", "spilled"],
)
def test_what_is_not_the_object_is_not_handed_on(body: bytes, came: Answer) -> None:
    with pytest.raises(Corrupt):
        fetch(Scripted(gets=[came]), listed(body))


def test_the_checksum_tells_where_the_etag_does_not() -> None:
    wrong = got(LARGE, "x-amz-checksum-crc32: AAAAAA==", etag="parts-2")
    with pytest.raises(Corrupt, match="crc32"):
        fetch(Scripted(gets=[wrong]), listed(LARGE, "parts-2"))


@both_sizes
@pytest.mark.parametrize(
    ("error", "kind", "word"),
    [
        (GONE, FailureKind.NOT_FOUND, "vanished"),
        (DENIED, FailureKind.ACCESS, "the source cannot be read"),
        (StoreError(500, "InternalError", "no"), FailureKind.STORE, "the source cannot be read"),
    ],
)
def test_a_refusal_is_the_sources(
    body: bytes, error: Exception, kind: FailureKind, word: str
) -> None:
    with pytest.raises(ObjectError, match=word) as raised:
        fetch(Scripted(gets=[error]), listed(body))
    assert raised.value.kind is kind


@both_sizes
def test_what_fails_while_it_is_sent_on_leaves_nothing_either(body: bytes) -> None:
    with pytest.raises(ZeroDivisionError):
        fetch(Scripted(gets=[got(body)]), listed(body), during=ZeroDivisionError())


def test_a_full_disk_is_everybodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(FatalError, match="TMPDIR"):
        fetch(Scripted(gets=[got(LARGE)]), listed(LARGE))
