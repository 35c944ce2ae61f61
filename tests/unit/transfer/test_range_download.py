"""Objects in ranges: led and fetched against a store of one object, and proved in every way."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import pytest

from s3pp.body_options import Parts
from s3pp.errors import FailureKind, FatalError, Kept, RunEnding
from s3pp.integrity import verifiers
from s3pp.integrity.stored_object import StoredObject
from s3pp.job import Job, Mode
from s3pp.limits import MIB
from s3pp.localfs.tree import Tree
from s3pp.places import Origin
from s3pp.records import (
    Dest,
    Done,
    Failed,
    GetTask,
    Outcome,
    PartOutcome,
    PartTask,
    SendReason,
    Skipped,
    SkipReason,
)
from s3pp.s3.answers import Answer
from s3pp.s3.client import Call
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Response, Sink
from s3pp.s3.retry import StoreError
from s3pp.transfer.get.getter import Getter
from s3pp.transfer.resources import Budget, Reader, WorkerResources
from s3pp.transfer.resume import OwnUploads
from trees import content

from .buckets import Workers, endpoint

SIZE = 11 * MIB + 7
BODY = content(SIZE)
MODIFIED = "2026-01-02T03:04:05.000Z"
Pairs = Sequence[tuple[str, str]]


def compound(*parts: bytes) -> str:
    md5s = b"".join(hashlib.md5(part).digest() for part in parts)
    return f"{hashlib.md5(md5s).hexdigest()}-{len(parts)}"


def cut(*sizes: int) -> list[bytes]:
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return [BODY[end - size : end] for end, size in zip(ends, sizes, strict=True)]


EVEN, UNEVEN = [6 * MIB, 5 * MIB + 7], [5 * MIB, 6 * MIB, 7]


@dataclass
class Store:
    """One object; ``harm`` sees each range's body, and may change it or raise."""

    etag: str = hashlib.md5(BODY).hexdigest()
    headers: tuple[str, ...] = ()
    parts: list[int] = field(default_factory=list)  # their sizes; empty: not told
    harm: Callable[[str, bytes], bytes] = lambda asked, body: body
    endpoint: Endpoint = field(default_factory=lambda: endpoint("bucket"))
    asked: list[str] = field(default_factory=list)

    def _answer(self, status: int, size: int, *more: str) -> Answer:
        lines = (f'ETag: "{self.etag}"', f"Content-Length: {size}", *self.headers, *more)
        return Answer(
            Response(status, b"".join([f"{line}\r\n".encode() for line in ("", *lines)]), b""), 1
        )

    async def look(self, key: str, *, headers: Pairs = ()) -> Answer | None:
        self.asked.append("HEAD")
        return self._answer(200, SIZE)

    async def call(self, call: Call) -> Answer:
        self.asked.append(call.query)
        number = int(call.query.removeprefix("partNumber="))
        if not self.parts:
            raise StoreError(400, "HTTP400", "")
        return self._answer(206, self.parts[number - 1])

    async def get(
        self,
        key: str,
        *,
        headers: Pairs = (),
        sink: Sink | None = None,
        coding: str = "",
        size: int = 0,
    ) -> Answer:
        named = dict(headers)
        asked = named.get("range", "")
        self.asked.append(asked)
        if not asked:
            return self._pour(BODY, sink, self._answer(200, SIZE))
        assert named.get("if-match") in (f'"{self.etag}"', None)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        body = self.harm(asked, BODY[int(first) : int(last) + 1])
        told = f"Content-Range: bytes {first}-{last}/{SIZE}"
        return self._pour(body, sink, self._answer(206, len(body), told))

    def _pour(self, body: bytes, sink: Sink | None, answer: Answer) -> Answer:
        assert sink is not None
        sink.restart()
        for at in range(0, len(body), 1 << 18):
            sink.write(body[at : at + (1 << 18)])
        return answer

    def task(self) -> GetTask:
        return GetTask("p/f", "d/f", SIZE, self.etag, MODIFIED)


class Place:
    """DIRECTORY, and a getter that fetches the ranges it leads."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.notes: list[str] = []
        self.refuse: Exception | None = None  # what offers raise, once one has been moved

    def run(self, store: Store, *, resume: bool = True, mode: Mode = Mode.STUPID) -> Outcome:
        async def main() -> Outcome:
            parts = Parts(5 * MIB, 5 * MIB, resume)
            job = Job("get", origins=(Origin("bucket"),), directory=str(self.top), mode=mode)
            object.__setattr__(job, "parts", parts)
            moved = 0

            async def offer(part: PartTask) -> PartOutcome:
                nonlocal moved
                moved += 1
                if self.refuse is not None and moved > 1:
                    raise self.refuse
                return await getter.part(part)  # type: ignore[arg-type]

            resources = WorkerResources(
                Reader(ThreadPoolExecutor(2)), Budget(MIB), Workers(offer), OwnUploads()
            )
            getter = Getter(job, store, Tree(str(self.top)), resources)  # type: ignore[arg-type]
            try:
                return await getter.transfer(store.task())
            finally:
                self.notes = getter.notes

        return asyncio.run(main())

    @property
    def files(self) -> dict[str, int]:
        found = (path for path in self.top.rglob("*") if path.is_file())
        return {path.name: path.stat().st_size for path in found}

    @property
    def is_right(self) -> bool:
        return self.files == {"f": SIZE} and (self.top / "d/f").read_bytes() == BODY


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "top")


CRC = f"x-amz-checksum-crc32: {b64encode(crc32(BODY).to_bytes(4, 'big')).decode()}"
SHA = f"x-amz-checksum-sha256: {b64encode(hashlib.sha256(BODY).digest()).decode()}"
KMS = "x-amz-server-side-encryption: aws:kms"
OPAQUE = "0" * 32
STORES: dict[str, Callable[[], Store]] = {
    "md5": Store,
    "parts": lambda: Store(compound(*cut(*EVEN)), parts=EVEN),
    "one part": lambda: Store(compound(BODY)),
    "crc": lambda: Store(OPAQUE, (CRC,)),
    "crc before parts": lambda: Store(compound(*cut(*EVEN)), (CRC,), parts=EVEN),
    "sha256, the ETag being of a key's": lambda: Store(OPAQUE, (KMS, SHA)),
}
UNPROVED = {
    "uneven parts": lambda: Store(compound(*cut(*UNEVEN)), parts=UNEVEN),
    "a key's parts": lambda: Store(f"{OPAQUE}-2", (KMS,), parts=EVEN),
    "a key's": lambda: Store(OPAQUE, (KMS,)),
    "nobody tells": lambda: Store(compound(*cut(*UNEVEN))),
    "some word": lambda: Store("word"),
    "made up": lambda: Store(f"{OPAQUE}-1", ("Server: MinIO",)),
}
FIRST = f"bytes=0-{5 * MIB - 1}"


def flipping(asked: str, body: bytes) -> bytes:
    """One bit of whatever begins the object."""
    return bytes([body[0] ^ 1]) + body[1:] if asked.startswith("bytes=0-") else body


@pytest.mark.parametrize("how", [*STORES, *UNPROVED])
def test_it_arrives_whole(place: Place, how: str) -> None:
    store = (STORES | UNPROVED)[how]()
    outcome = place.run(store)
    assert isinstance(outcome, Done), outcome
    assert (outcome.size, outcome.sent, outcome.etag) == (SIZE, SIZE, store.etag)
    assert place.is_right
    assert len([each for each in store.asked if each.startswith("bytes=")]) in (2, 3)


@pytest.mark.parametrize("how", STORES)
@pytest.mark.parametrize("longest", [1 << 30, MIB], ids=["short parts", "long parts"])
def test_one_bit_is_seen(
    place: Place, how: str, longest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3pp.transfer.get.range_download.LONGEST", longest)
    store = STORES[how]()
    store.harm = flipping
    outcome = place.run(store)
    assert isinstance(outcome, Failed), outcome
    assert outcome.kind is FailureKind.INTEGRITY
    assert place.files == {}
    assert store.asked.count("HEAD") == 3


def test_long_parts_are_followed_in_order(place: Place) -> None:
    """Where the parts are longer than ranges may be."""
    store = STORES["parts"]()
    first_part = verifiers.LONGEST
    assert first_part > 6 * MIB  # so that this has to be asked for
    answer = asyncio.run(_looked(store))
    stored = StoredObject(store, "k", Dest(answer.size, answer.etag))  # type: ignore[arg-type]
    found = asyncio.run(verifiers.choose_verifier(stored, answer, longest=MIB))
    assert found.feed is not None
    assert found.part_size is None
    found.feed(BODY)
    assert asyncio.run(found.find_fault([])) is None


async def _looked(store: Store) -> Answer:
    answer = await store.look("k")
    assert answer is not None
    return answer


@pytest.mark.parametrize("error", [RunEnding(), FatalError("the run is over")], ids=repr)
def test_what_came_stays_when_the_run_ends(place: Place, error: Exception) -> None:
    place.refuse = error
    store = Store()
    with pytest.raises(type(error)):
        place.run(store)
    assert len(place.files) == 2
    place.refuse = None
    before = len(store.asked)
    outcome = place.run(store)
    assert isinstance(outcome, Done)
    assert 0 < outcome.sent < SIZE
    assert FIRST not in store.asked[before:]
    assert place.is_right
    assert "1 of 3 ranges exist already" in place.notes[0]


def test_without_resume_nothing_stays(place: Place) -> None:
    place.refuse = RunEnding()
    with pytest.raises(RunEnding):
        place.run(Store(), resume=False)
    assert place.files == {}


def refusing(status: int, code: str) -> Callable[[str, bytes], bytes]:
    def harm(asked: str, body: bytes) -> bytes:
        if asked == FIRST:
            raise StoreError(status, code, "no")
        return body

    return harm


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", FailureKind.NOT_FOUND),
        (412, "PreconditionFailed", FailureKind.CHANGED),
        (416, "InvalidRange", FailureKind.CHANGED),
        (403, "InvalidObjectState", FailureKind.REJECTED),
        (403, "AccessDenied", FailureKind.ACCESS),
        (503, "SlowDown", FailureKind.STORE),
    ],
)
def test_a_refused_range_fails_the_object(
    place: Place, status: int, code: str, kind: FailureKind
) -> None:
    outcome = place.run(Store(harm=refusing(status, code)))
    assert isinstance(outcome, Failed)
    assert outcome.kind is kind
    assert "f" not in place.files
    kept = status in (403, 503) and len(place.files) == 2
    assert kept == (outcome.kept is Kept.FILE)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(503, "HTTP503", FailureKind.STORE), (412, "HTTP412", FailureKind.CHANGED)],
)
def test_what_is_refused_before_the_ranges_fails_as_what_it_is(
    place: Place, status: int, code: str, kind: FailureKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(store: Store, call: Call) -> Answer:
        raise StoreError(status, code, "no")

    monkeypatch.setattr(Store, "call", refused)
    outcome = place.run(STORES["parts"]())
    assert isinstance(outcome, Failed)
    assert outcome.kind is kind
    assert place.files == {}


def test_a_store_without_conditions_is_asked_for_the_whole(place: Place) -> None:
    store = Store(harm=refusing(501, "NotImplemented"))
    assert isinstance(place.run(store), Done)
    assert store.asked[-1] == ""
    assert place.is_right


def test_what_no_etag_pins_comes_in_one(place: Place) -> None:
    store = Store(etag="")
    assert isinstance(place.run(store), Done)
    assert store.asked == ["HEAD", ""]


# Known again


def test_a_checksum_tells_where_no_part_size_does(place: Place) -> None:
    sha = Store(compound(*cut(*UNEVEN)), (SHA,))
    (place.top / "d").mkdir(parents=True)
    (place.top / "d/f").write_bytes(BODY)
    same = Skipped("p/f", "d/f", SIZE, SkipReason.SAME_CHECKSUM)
    assert place.run(sha, mode=Mode.UPDATE) == same
    (place.top / "d/f").write_bytes(BODY[:-1] + b"!")
    outcome = place.run(sha, mode=Mode.UPDATE)
    assert isinstance(outcome, Done)
    assert outcome.reason is SendReason.CHECKSUM
    assert place.is_right


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("parts", SkipReason.SAME_ETAG),
        ("one part", SkipReason.SAME_ETAG),
        ("uneven parts", SkipReason.SAME_TIME),
        ("a key's parts", SkipReason.SAME_TIME),
    ],
)
def test_a_file_of_the_same_bytes_stays(place: Place, how: str, reason: SkipReason) -> None:
    store = (STORES | UNPROVED)[how]()
    assert isinstance(place.run(store), Done)
    assert place.run(store, mode=Mode.UPDATE) == Skipped("p/f", "d/f", SIZE, reason)
