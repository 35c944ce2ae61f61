"""Copies in parts, by the store and through this machine, against a store that keeps account."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import md5
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs
from zlib import crc32

import pytest

from s3pp.attributes import Objects
from s3pp.body_options import Parts
from s3pp.errors import FailureKind, Kept, RunEnding
from s3pp.integrity.etag import etag_of_md5s
from s3pp.job import Job, Mode
from s3pp.limits import GIB, MAX_OBJECT, MIB
from s3pp.places import Place, parse_origin
from s3pp.records import (
    CopyPart,
    CopyTask,
    Done,
    Failed,
    Outcome,
    PartOutcome,
    PartTask,
    SendReason,
    Skipped,
)
from s3pp.s3.answers import Answer
from s3pp.s3.client import Call
from s3pp.s3.exchange import Sink
from s3pp.s3.retry import StoreError
from s3pp.transfer.copy.by_store import AT_ONCE
from s3pp.transfer.copy.copier import Copier
from s3pp.transfer.resources import Budget, Reader, WorkerResources
from s3pp.transfer.resume import OwnUploads

from .buckets import (
    DENIED,
    EVERYTHING,
    FAILED,
    KEYS,
    OTHER_KEYS,
    UNKNOWN,
    Scripted,
    Workers,
    answer,
    copied,
    etag_of,
    looked,
    pour,
    read,
    response,
)

EACH = 5 * MIB
BODY = bytes(range(256)) * (11 * MIB // 256) + b"end"
SMALL_PARTS = Parts(EACH, EACH)
KMS = "x-amz-server-side-encryption: aws:kms"
LOST = StoreError(404, "NoSuchUpload", "The specified upload does not exist")
HUGE = 5 * GIB + 1


def pieces(body: bytes, each: int = EACH) -> list[bytes]:
    return [body[at : at + each] for at in range(0, len(body), each)]


def etag_in_parts(body: bytes, each: int = EACH) -> str:
    return etag_of_md5s(md5(piece).digest() for piece in pieces(body, each))


@dataclass
class Store(Scripted):
    """A bucket that has one object, and takes one upload at a time; ``faults`` come first.

    ``faults``: by operation and number of the part, what is raised, each once.
    """

    body: bytes = BODY
    etag: str = ""
    size: int = 0  # what is told where the body is only imagined
    first: int = EACH  # how long its parts are, as HEAD tells
    sizes: tuple[int, ...] = ()  # likewise, of each of them
    lines: tuple[str, ...] = ()  # of the answer to HEAD
    said: tuple[str, ...] = ()  # of the answers to parts
    source: Store | None = None
    faults: dict[tuple[str, int], list[Exception]] = field(default_factory=dict)
    log: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    parts: dict[int, tuple[str, int]] = field(default_factory=dict)  # ETag and size
    object: Answer | None = None  # once it is completed
    cutting: Callable[[bytes], bytes] = bytes  # what becomes of a range on its way
    most: int = 0  # part copies at a time
    mark: str = ""  # behind the ETags of copied parts: they are no MD5s then
    earlier: bool = False  # the upload is an earlier run's, and unfinished

    def __post_init__(self) -> None:
        super().__post_init__()
        self._now = 0
        self.begun = "2026-01-01T00:00:00Z"

    def told(self, operation: str) -> list[dict[str, str]]:
        """The headers of all requests of one kind."""
        return [headers for name, _, headers in self.log if name == operation]

    def meet(self, operation: str, number: int, headers: Any) -> None:
        assert len(dict(headers)) == len(headers), "a header is given twice"
        self.log.append((operation, number, dict(headers)))
        for key in ((operation, number), (operation, 0)):
            if self.faults.get(key):
                raise self.faults[key].pop(0)

    async def look(self, key: str, *, headers: Any = (), asked: bool = False) -> Answer | None:
        self.meet("HEAD", 0, headers)
        if self.source is not None:  # we are the destination
            return self.object
        return looked(self.etag, self.size or len(self.body), *self.lines)

    async def get(
        self,
        key: str,
        *,
        headers: Any = (),
        sink: Sink | None = None,
        coding: str = "",
        size: int = 0,
    ) -> Answer:
        first, last = (int(n) for n in dict(headers)["range"].removeprefix("bytes=").split("-"))
        self.meet("GET", first // EACH + 1, headers)
        body = self.cutting(self.body[first : last + 1])
        told = f"Content-Range: bytes {first}-{last}/{len(self.body)}"
        return pour(answer(self.etag, told, body=body), sink)

    async def call(self, call: Call) -> Answer:
        query = parse_qs(call.query, keep_blank_values=True)
        number = int(query.get("partNumber", ["0"])[0])
        if call.method == "HEAD":
            self.meet("HEAD part", number, call.headers)
            rest = (self.size or len(self.body)) - (number - 1) * self.first
            return looked("part", self.sizes[number - 1] if self.sizes else min(self.first, rest))
        if "uploads" in query and call.method == "GET":
            self.meet("uploads", 0, call.headers)
            date = "Date: Sat, 03 Jan 2026 00:00:00 GMT"
            return Answer(response(date, body=self._unfinished()), 1)
        if "uploads" in query:
            self.earlier, self.parts = False, {}
            self.meet("create", 0, call.headers)
            return Answer(response(body=b"<UploadId>u1</UploadId>"), 1)
        assert query["uploadId"] == ["u1"]
        return await self._part(call, number)

    async def _part(self, call: Call, number: int) -> Answer:
        if call.method == "PUT":
            return (
                await self._copied(call, number)
                if call.late is not None
                else self._sent(call, number)
            )
        if call.method == "DELETE":
            self.meet("abort", 0, call.headers)
            return Answer(response(), 1)
        if call.method == "GET":
            self.meet("parts", 0, call.headers)
            return Answer(response(body=self._listed()), 1)
        self.meet("complete", 0, call.headers)
        return self._completed(call)

    async def _copied(self, call: Call, number: int) -> Answer:
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        self.meet("copy", number, call.headers)
        assert self.source is not None
        ranged = dict(call.headers).get("x-amz-copy-source-range")
        first, last = (
            ranged.removeprefix("bytes=").split("-") if ranged else ("0", str(self.source.size - 1))
        )
        etag = etag_of(self.source.body[int(first) : int(last) + 1])
        self.parts[number] = (etag, int(last) - int(first) + 1)
        told = f"<ETag>&quot;{etag}{self.mark}&quot;</ETag>"
        return Answer(response(*self.said, body=told.encode()), 1)

    def _sent(self, call: Call, number: int) -> Answer:
        self.meet("send", number, call.headers)
        assert call.body is not None
        body = read(call.body)
        self.parts[number] = (etag_of(body), len(body))
        return answer(etag_of(body), *self.said)

    def _completed(self, call: Call) -> Answer:
        assert isinstance(call.body, bytes)
        assert call.body.count(b"<PartNumber>") == len(self.parts)
        etag = etag_of_md5s(bytes.fromhex(etag) for etag, _ in self._in_order())
        self.object = looked(etag, sum(size for _, size in self._in_order()))
        return Answer(response(body=f"<ETag>&quot;{etag}&quot;</ETag>".encode()), 2)

    def _in_order(self) -> Iterator[tuple[str, int]]:
        return (self.parts[number] for number in sorted(self.parts))

    def _unfinished(self) -> bytes:
        upload = "<Upload><Key>to/key</Key><UploadId>u1</UploadId>" * self.earlier
        upload += f"<Initiated>{self.begun}</Initiated></Upload>" * self.earlier
        root = "ListMultipartUploadsResult"
        return f"<{root}>{upload}<IsTruncated>false</IsTruncated></{root}>".encode()

    def _listed(self) -> bytes:
        told = "".join(
            f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag><Size>{size}</Size></Part>"
            for n, (etag, size) in sorted(self.parts.items())
        )
        return f"<ListPartsResult>{told}<IsTruncated>false</IsTruncated></ListPartsResult>".encode()


class Pair:
    """A copier between two stores, that moves by itself what it offers."""

    def __init__(self, *, keys: Any = KEYS, ending: bool = False, **source: Any) -> None:
        self.source = Store("from", **({"etag": etag_in_parts(BODY)} | source))
        self.dest = Store("into", keys=keys, source=self.source)
        self.dest.copies = [copied("f" * 32)]
        self.offered: list[PartTask] = []
        self.workers = Workers(ending=ending)
        self.notes: list[str] = []

    def run(self, *, shared: bool = True, mode: Mode = Mode.UPDATE, **settings: Any) -> Outcome:
        job = Job(
            "copy",
            dest=Place("into", "to"),
            origins=(parse_origin("s3://from/src"),),
            mode=mode,
            **({"parts": SMALL_PARTS} | settings),
        )

        async def main() -> Outcome:
            async def offer(part: PartTask) -> PartOutcome:
                self.offered.append(part)
                self.workers.check()
                assert isinstance(part, CopyPart)
                return await copier.part(part)

            self.workers.runs = offer
            reader, budget = Reader(ThreadPoolExecutor(2)), Budget(EVERYTHING)
            resources = WorkerResources(reader, budget, self.workers, OwnUploads())
            copier = Copier(job, self.source, self.dest, shared=shared, resources=resources)  # type: ignore[arg-type]
            try:
                return await copier.transfer(self.task)
            finally:
                await asyncio.wait_for(resources.budget.take(EVERYTHING), 5)
                self.notes = copier.notes

        return asyncio.run(main())

    @property
    def task(self) -> CopyTask:
        size = self.source.size or len(self.source.body)
        return CopyTask("src/key", "to/key", size, self.source.etag, "", None)


THIRDS = [EACH, EACH, MIB + 3]
WAYS = pytest.mark.parametrize("shared", [True, False], ids=["by the store", "through"])


def done(pair: Pair, etag: str | None = None) -> Done:
    task = pair.task
    etag = pair.source.etag if etag is None else etag
    return Done("src/key", "to/key", task.size, task.size, etag, SendReason.NEW, 2)


def check_failed(pair: Pair, outcome: Outcome, kind: FailureKind) -> str:
    assert isinstance(outcome, Failed)
    assert outcome.kind is kind, outcome
    assert pair.dest.object is None
    if outcome.kept is not Kept.PARTS:
        assert len(pair.dest.told("abort")) == len(pair.dest.told("create"))
    return outcome.message


# What is cut, and where


@WAYS
@pytest.mark.parametrize("each", [5 * MIB, 6 * MIB, 10 * MIB])
def test_the_parts_lie_as_the_sources_do(shared: bool, each: int) -> None:
    pair = Pair(etag=etag_in_parts(BODY, each), first=each)
    assert pair.run(shared=shared) == done(pair)
    sizes = [len(piece) for piece in pieces(BODY, each)]
    assert [size for _, size in pair.dest.parts.values()] == sizes
    assert [len(pair.dest.told(op)) for op in ("create", "complete", "abort")] == [1, 1, 0]
    assert pair.dest.told("complete") == [{"x-amz-mp-object-size": str(len(BODY))}]


@WAYS
def test_every_part_is_pinned(shared: bool) -> None:
    pair = Pair()
    pair.run(shared=shared)
    etag, ranges = f'"{pair.source.etag}"', ["0-5242879", "5242880-10485759", "10485760-11534338"]
    if shared:
        told = pair.dest.told("copy")
        assert {each["x-amz-copy-source-if-match"] for each in told} == {etag}
        assert [each["x-amz-copy-source-range"] for each in told] == [f"bytes={r}" for r in ranges]
    else:
        told = pair.source.told("GET")
        assert {each["if-match"] for each in told} == {etag}
        assert [each["range"] for each in told] == [f"bytes={r}" for r in ranges]
        assert all("content-md5" in each for each in pair.dest.told("send"))
    assert pair.source.told("HEAD")[0]["if-match"] == etag


def test_a_single_part_has_no_range() -> None:
    pair = Pair(body=b"tiny", etag=etag_in_parts(b"tiny"), size=4)
    assert pair.run() == done(pair)
    assert pair.dest.told("copy") == [{
        "x-amz-copy-source": "from/src/key",
        "x-amz-copy-source-if-match": f'"{pair.source.etag}"',
    }]  # fmt: skip
    assert pair.source.told("HEAD part") == []


@pytest.mark.parametrize(
    ("source", "settings"),
    [
        ({"etag": etag_of(BODY)}, {}),
        ({"first": len(BODY)}, {}),
        ({"first": 4 * MIB}, {}),
        ({"first": 6 * MIB}, {}),
        ({"lines": (KMS,)}, {}),
        ({"body": b"x" * 9, "etag": f"{'f' * 32}-2"}, {}),
        ({}, {"objects": Objects(sse="aws:kms")}),
    ],
    ids=["whole", "unknown", "too small", "implausible", "kms", "tiny", "kms there"],
)
def test_what_has_no_parts_to_keep_stays_whole(source: Any, settings: Any) -> None:
    pair = Pair(**source)
    pair.dest.copies = [copied(etag_of(BODY))]
    assert isinstance(pair.run(**settings), Done)
    assert len(pair.dest.sent) == 1
    assert pair.dest.log == []


def test_what_one_request_does_not_copy_goes_in_parts_of_ours() -> None:
    pair = Pair(body=b"", etag="f" * 32, size=HUGE, lines=("Cache-Control: no-store",))
    outcome = pair.run(parts=Parts())
    assert isinstance(outcome, Done)
    assert outcome.etag.endswith("-321")
    assert [pair.dest.parts[n][1] for n in (1, 320, 321)] == [16 * MIB, 16 * MIB, 1]
    assert sum(size for _, size in pair.dest.parts.values()) == HUGE
    assert pair.dest.told("create")[0]["cache-control"] == "no-store"
    assert pair.dest.most <= AT_ONCE
    assert pair.dest.sent == []


def test_the_largest_object_has_parts_that_are_not_too_many() -> None:
    pair = Pair(body=b"", etag="f" * 32, size=MAX_OBJECT)
    would = pair.run(dry_run=True, parts=Parts())
    assert isinstance(would, Done)
    assert would.foreseen is not None
    assert would.foreseen.requests <= 10_003
    pair.source.size += 1
    check_failed(pair, pair.run(), FailureKind.TOO_LARGE)


def test_an_md5_of_the_whole_is_kept_by_streaming_the_whole() -> None:
    """The Scripted GET would want a range: that none is asked for shows."""
    pair = Pair(etag=etag_of(BODY))
    message = check_failed(pair, pair.run(shared=False), FailureKind.INTERNAL)
    assert "range" in message


@pytest.mark.parametrize("lines", [(KMS,), ()])
def test_without_parts_to_keep_a_streamed_copy_goes_in_parts_of_ours(lines: Any) -> None:
    etag = "f" * 32 if lines else "unheard-of"
    pair = Pair(etag=etag, lines=lines)
    assert pair.run(shared=False) == done(pair, etag_in_parts(BODY))
    assert len(pair.dest.parts) == 3


# Parts of which the store tells nothing


def untold(**source: Any) -> Pair:
    """Asked for the size of the first part the store tells that of the whole."""
    return Pair(**({"first": HUGE} | source))


@pytest.mark.parametrize(("each", "sent"), [(EACH, 3), (8 * MIB, 2), (6 * MIB, 4)])
def test_a_guess_is_put_right_by_the_etag(each: int, sent: int) -> None:
    """Of three parts ours is the likeliest size, of two that of a known tool."""
    pair = untold(etag=etag_in_parts(BODY, each))
    assert pair.run(shared=False) == done(pair)
    assert len(pair.dest.told("send")) == sent
    assert len(pair.dest.told("create")) == 1 + len(pair.dest.told("abort")) == 1 + (sent == 4)
    assert len([note for note in pair.notes if "sent twice" in note]) == (sent == 4)


@pytest.mark.parametrize("there", [(), (1, 2)], ids=["nothing", "two parts"])
def test_where_no_size_fits_the_bytes_prove_the_parts(there: tuple[int, ...]) -> None:
    pair = untold(etag=f"{'f' * 32}-3")
    pair.dest.earlier, pair.dest.parts = bool(there), {n: THERE[n] for n in there}
    kept = sum(THERE[n][1] for n in there)
    outcome = pair.run(shared=False)
    assert outcome == done(pair, etag_in_parts(BODY))._replace(sent=len(BODY) - kept)
    assert len(pair.dest.told("send")) == 3 - len(there)
    assert pair.dest.told("abort") == []
    assert [note for note in pair.notes if "none of the usual sizes" in note]


def test_a_source_that_is_replaced_before_its_bytes_tell() -> None:
    pair = untold(etag=f"{'f' * 32}-3")
    renewed = etag_in_parts(BODY[::-1])

    def cutting(body: bytes) -> bytes:
        if len(pair.source.told("GET")) == 5 and pair.source.etag != renewed:
            pair.source.body, pair.source.etag = BODY[::-1], renewed
            raise FAILED
        return body

    pair.source.cutting = cutting
    assert pair.run(shared=False) == done(pair, renewed)


def test_the_end_of_the_run_ends_the_second_reading() -> None:
    pair = untold(etag=f"{'f' * 32}-3")

    def cutting(body: bytes) -> bytes:
        pair.workers.ending = len(pair.source.told("GET")) >= 4
        return body

    pair.source.cutting = cutting
    with pytest.raises(RunEnding):
        pair.run(shared=False)
    assert len(pair.source.told("GET")) == 4
    assert pair.dest.object is None


def test_what_one_request_does_not_copy_goes_in_parts_as_guessed() -> None:
    """By the store nothing else tells whether that was right."""
    pair = untold(body=b"", etag=f"{'f' * 32}-641", size=HUGE)
    assert isinstance(pair.run(parts=Parts()), Done)
    assert [pair.dest.parts[n][1] for n in (1, 640, 641)] == [8 * MIB, 8 * MIB, 1]
    assert len(pair.dest.told("create")) == 1


@pytest.mark.parametrize(("shared", "spared"), [(True, 6), (False, 9)])
def test_a_dry_run_counts(shared: bool, spared: int) -> None:
    pair = Pair()
    outcome = pair.run(shared=shared, dry_run=True)
    assert isinstance(outcome, Done)
    assert outcome.foreseen is not None
    assert outcome._replace(foreseen=None) == done(pair)._replace(attempts=0)
    assert (outcome.foreseen.requests, pair.dest.log) == (spared, [])


def test_an_etag_that_only_a_head_tells_pins_the_parts() -> None:
    pair = Pair(body=b"", etag="e" * 32, size=HUGE)
    task = pair.task._replace(etag="")
    type(pair).task, kept = property(lambda self: task), type(pair).task  # type: ignore[method-assign,assignment]
    try:
        assert isinstance(pair.run(parts=Parts()), Done)
    finally:
        type(pair).task = kept  # type: ignore[method-assign]
    assert {each["x-amz-copy-source-if-match"] for each in pair.dest.told("copy")} == {
        f'"{"e" * 32}"'
    }


def test_parts_that_nobody_else_moves_are_told_of_all_the_same() -> None:
    pair = Pair()
    pair.run()
    assert sorted(pair.workers.reported) == sorted(map(len, pieces(BODY)))


# What goes along


@WAYS
def test_what_the_source_has_goes_along(shared: bool) -> None:
    lines = (
        "Content-Type: a/b",
        "x-amz-meta-one: 1",
        "x-amz-tagging-count: 1",
        "x-amz-storage-class: COLD",
    )
    pair = Pair(lines=lines)
    pair.source.taggings = [[("a b", "c")]]
    pair.run(shared=shared)
    assert pair.dest.told("create") == [{
        "content-type": "a/b",
        "x-amz-meta-one": "1",
        "x-amz-tagging": "a%20b=c",
        "x-amz-storage-class": "COLD",
    }]  # fmt: skip
    assert len([note for note in pair.notes if "ACLs" in note]) == 1


@pytest.mark.parametrize("error", [DENIED, UNKNOWN])
def test_tags_that_are_refused_are_left_behind(error: StoreError) -> None:
    pair = Pair(lines=("x-amz-tagging-count: 1",))
    pair.source.taggings = [[("a", "b")]]
    pair.dest.faults["create", 0] = [error]
    assert pair.run() == done(pair)
    assert ["x-amz-tagging" in each for each in pair.dest.told("create")] == [True, False]
    assert [note for note in pair.notes if "tags" in note]


@WAYS
@pytest.mark.parametrize("name", ["crc32", "sha256"])
def test_checksums_are_named_at_the_beginning(shared: bool, name: str) -> None:
    pair = Pair()
    assert pair.run(shared=shared, objects=Objects(checksum=name)) == done(pair)
    (begun,) = pair.dest.told("create")
    assert begun["x-amz-checksum-algorithm"] == name.upper()
    assert "x-amz-sdk-checksum-algorithm" not in begun
    (completed,) = pair.dest.told("complete")
    value = b64encode(crc32(BODY).to_bytes(4, "big")).decode()
    sent = completed.get("x-amz-checksum-crc32")
    assert sent == (value if name == "crc32" and not shared else None)


# What is proved


@WAYS
def test_parts_that_are_not_the_sources_are_not_completed(shared: bool) -> None:
    pair = Pair()
    pair.source.body = BODY[:-1] + b"?"
    message = check_failed(pair, pair.run(shared=shared), FailureKind.INTEGRITY)
    assert pair.source.etag in message
    assert etag_in_parts(pair.source.body) in message
    assert len(pair.dest.told("create")) == 4
    assert len(pair.source.told("HEAD part")) == 4 * 3


@WAYS
def test_parts_that_lie_otherwise_prove_nothing(shared: bool) -> None:
    """All of them would have 5 MiB, by the first; the last two have not."""
    cuts = BODY[:EACH], BODY[EACH : 9 * MIB], BODY[9 * MIB :]
    etag = etag_of_md5s(md5(cut).digest() for cut in cuts)
    pair = Pair(etag=etag)
    pair.source.faults["HEAD part", 2] = [StoreError(416, "InvalidRange", "")]
    assert pair.run(shared=shared) == done(pair, etag_in_parts(BODY))


@WAYS
@pytest.mark.parametrize(
    ("sizes", "tries"),
    [((EACH, 4 * MIB, 2 * MIB + 3), 0), ((EACH, 6 * MIB, 3), 2), ((6 * MIB, EACH, 3), 1)],
    ids=["not allowed", "found out", "implausible"],
)
def test_parts_of_different_sizes_are_kept(
    shared: bool, sizes: tuple[int, ...], tries: int
) -> None:
    """Each is asked for its size once: where the first cannot be all, or the ETag is another."""
    ends = [sum(sizes[:n]) for n in range(4)]
    etag = etag_of_md5s(md5(BODY[a:b]).digest() for a, b in pairwise(ends))
    pair = Pair(etag=etag, sizes=sizes)
    made = etag if tries else etag_in_parts(BODY)
    assert pair.run(shared=shared) == done(pair, made)
    there = [size for _, size in pair.dest.parts.values()]
    assert sorted(there) == sorted(sizes if tries else THIRDS)
    assert len(pair.source.told("HEAD part")) == 3
    assert len(pair.dest.told("create")) == max(tries, 1) == 1 + len(pair.dest.told("abort"))
    twice = [note for note in pair.notes if "sent twice" in note]
    assert len(twice) == (tries == 2 and not shared)


def test_keys_of_its_own_prove_nothing() -> None:
    pair = Pair()
    pair.dest.said = (KMS,)
    pair.source.body = BODY[::-1]  # whatever its ETags are
    assert isinstance(pair.run(), Done)
    assert len(pair.dest.told("parts")) == 1


@pytest.mark.parametrize("size", [len(BODY), HUGE])
def test_where_copied_parts_have_no_md5s_what_can_goes_whole(size: int) -> None:
    huge: dict[str, Any] = {"body": b"", "etag": f"{'f' * 32}-641", "first": 8 * MIB, "size": HUGE}
    pair = Pair(**(huge if size == HUGE else {}))
    pair.dest.mark = "-2"
    pair.dest.copies = [copied(pair.source.etag)]
    assert isinstance(pair.run(), Done)
    assert len([note for note in pair.notes if "that are not MD5s" in note]) == 1
    whole = int(size != HUGE)
    assert (len(pair.dest.sent), len(pair.dest.told("abort"))) == (whole, whole)


def test_where_the_bucket_encrypts_by_itself_no_etag_is_an_alarm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = Pair()
    pair.dest.said = (KMS,)
    monkeypatch.setitem(globals(), "etag_of", lambda body: md5(b"key" + body).hexdigest())
    outcome = pair.run(shared=False)
    assert isinstance(outcome, Done)
    assert outcome.etag != pair.source.etag


def test_a_store_that_minds_no_range_is_found_out() -> None:
    pair = Pair(body=b"", etag="f" * 32, size=HUGE)
    pair.dest._listed = lambda: Store._listed(  # type: ignore[method-assign]
        Store("x", parts={number: (etag, HUGE) for number, (etag, _) in pair.dest.parts.items()})
    )
    message = check_failed(pair, pair.run(parts=Parts()), FailureKind.INTEGRITY)
    assert f"{HUGE} bytes" in message


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("name", ["md5", "crc32"])
def test_a_stored_checksum_of_the_whole_proves_the_parts(right: bool, name: str) -> None:
    value = crc32(BODY) if right else 1
    line = f"x-amz-checksum-crc32: {b64encode(value.to_bytes(4, 'big')).decode()}"
    pair = Pair(etag="unheard-of", lines=(line,))
    outcome = pair.run(shared=False, objects=Objects(checksum=name))
    assert pair.source.told("HEAD")[0]["x-amz-checksum-mode"] == "ENABLED"
    if right:
        assert outcome == done(pair, etag_in_parts(BODY))
    else:
        assert "crc32" in check_failed(pair, outcome, FailureKind.INTEGRITY)


@pytest.mark.parametrize("cutting", [lambda body: body[:-1], lambda body: body + b"x"])
def test_a_range_of_another_length_is_not_sent(cutting: Any) -> None:
    pair = Pair(cutting=cutting)
    check_failed(pair, pair.run(shared=False), FailureKind.INTEGRITY)
    assert pair.dest.told("send") == []


def test_a_part_that_arrived_as_something_else_is_sent_again() -> None:
    pair = Pair()
    pair.dest.faults["send", 2] = [StoreError(400, "BadDigest", "")]
    assert pair.run(shared=False) == done(pair)
    assert len(pair.dest.told("send")) == 4


# Sources that change


@WAYS
def test_a_source_that_changes_is_begun_anew(shared: bool) -> None:
    pair = Pair()
    other = BODY[::-1]

    class Changing(dict[Any, Any]):
        """At the second part the source becomes another."""

        def get(self, key: Any, default: Any = None) -> Any:
            if key[1] == 2 and pair.source.body != other:
                pair.source.body, pair.source.etag = other, etag_in_parts(other)
                return [FAILED]
            return default

        def __getitem__(self, key: Any) -> Any:
            return [FAILED]

    (pair.dest if shared else pair.source).faults = Changing()
    outcome = pair.run(shared=shared)
    assert outcome == done(pair)
    assert pair.dest.object is not None
    assert pair.dest.object.etag == etag_in_parts(other)
    assert (len(pair.dest.told("create")), len(pair.dest.told("abort"))) == (2, 1)


@WAYS
@pytest.mark.parametrize("stuck", [False, True])
def test_a_refused_pin_of_a_source_that_has_not_changed_fails(shared: bool, stuck: bool) -> None:
    """As the store says it, and with what could not be aborted."""
    pair = Pair()
    (pair.dest if shared else pair.source).faults["copy" if shared else "GET", 2] = [FAILED] * 9
    pair.dest.faults["abort", 0] = [*(DENIED for _ in range(9))] if stuck else []
    outcome = pair.run(shared=shared)
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.code) == (FailureKind.REJECTED, "PreconditionFailed")
    assert outcome.kept is (Kept.STUCK_PARTS if stuck else Kept.NOTHING)


@WAYS
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StoreError(404, "NoSuchKey", ""), FailureKind.NOT_FOUND),
        (StoreError(403, "InvalidObjectState", ""), FailureKind.REJECTED),
        (StoreError(503, "SlowDown", ""), FailureKind.STORE),
        (DENIED, FailureKind.ACCESS),
    ],
)
def test_a_part_that_fails_fails_the_object(
    shared: bool, error: StoreError, kind: FailureKind
) -> None:
    pair = Pair()
    (pair.dest if shared else pair.source).faults["copy" if shared else "GET", 2] = [error] * 9
    outcome = pair.run(shared=shared)
    check_failed(pair, outcome, kind)
    resumed = kind in (FailureKind.STORE, FailureKind.ACCESS, FailureKind.REJECTED)
    assert isinstance(outcome, Failed)
    assert (outcome.kept is Kept.PARTS) == (not shared and resumed)


# Completing


@WAYS
@pytest.mark.parametrize("mode", [Mode.UPDATE, Mode.ADD])
def test_only_completing_has_the_condition(shared: bool, mode: Mode) -> None:
    pair = Pair()
    assert pair.run(shared=shared, mode=mode) == done(pair)
    for operation in ("create", "copy", "send"):
        assert not [each for each in pair.dest.told(operation) if "if-none-match" in each]
    (completed,) = pair.dest.told("complete")
    assert completed.get("if-none-match") == ("*" if mode is Mode.ADD else None)


@WAYS
def test_an_answer_that_was_lost_is_looked_up(shared: bool) -> None:
    pair = Pair()
    pair.dest.faults["complete", 0] = [LOST]
    pair.dest.object = looked(pair.source.etag, len(BODY))
    assert pair.run(shared=shared) == done(pair)._replace(attempts=1)
    assert len(pair.dest.told("create")) == 1


@WAYS
@pytest.mark.parametrize("error", [LOST, StoreError(409, "ConditionalRequestConflict", "")])
@pytest.mark.parametrize("there", [None, looked("f" * 32, 3)])
def test_an_upload_that_is_lost_is_begun_anew(shared: bool, error: StoreError, there: Any) -> None:
    pair = Pair()
    pair.dest.faults["complete", 0] = [error]
    pair.dest.object = there
    assert pair.run(shared=shared) == done(pair)
    assert len(pair.dest.told("create")) == 2


def test_an_upload_that_is_always_lost_fails() -> None:
    pair = Pair()
    pair.dest.faults["complete", 0] = [LOST] * 9
    check_failed(pair, pair.run(), FailureKind.CONFLICT)
    assert len(pair.dest.told("create")) == 3
    assert [note for note in pair.notes if "starting again" in note]


@WAYS
@pytest.mark.parametrize("ours", [True, False])
def test_a_target_found_taken_is_looked_at(shared: bool, ours: bool) -> None:
    pair = Pair()
    pair.dest.faults["complete", 0] = [FAILED]
    pair.dest.object = looked(pair.source.etag if ours else "f" * 32, len(BODY))
    outcome = pair.run(shared=shared, mode=Mode.ADD)
    assert isinstance(outcome, Done if ours else Skipped)
    assert pair.dest.told("abort")


# What an earlier run left

THERE = {number: (etag_of(piece), len(piece)) for number, piece in enumerate(pieces(BODY), 1)}


def resumed(*numbers: int, **settings: Any) -> Pair:
    pair = Pair(**settings)
    pair.dest.earlier, pair.dest.parts = True, {n: THERE[n] for n in numbers}
    return pair


@pytest.mark.parametrize("numbers", [(1,), (1, 2), (2, 3), (1, 2, 3)])
def test_what_an_earlier_run_sent_is_not_sent_again(numbers: tuple[int, ...]) -> None:
    pair = resumed(*numbers)
    kept = sum(THERE[number][1] for number in numbers)
    assert pair.run(shared=False) == done(pair)._replace(sent=len(BODY) - kept)
    assert len(pair.dest.told("send")) == 3 - len(numbers)
    assert (pair.dest.told("create"), pair.dest.told("abort")) == ([], [])
    assert [note for note in pair.notes if f"{len(numbers)} of 3 parts" in note]


@pytest.mark.parametrize(
    ("there", "settings"),
    [
        ({1: (etag_of(b"x"), EACH)}, {}),
        ({1: ("f" * 32, 6 * MIB)}, {}),
        ({}, {}),
        (THERE, {"parts": Parts(EACH, EACH, resume=False)}),
        (THERE, {"objects": Objects(checksum="crc32")}),
    ],
    ids=["other bytes", "other size", "empty", "not wanted", "other checksum"],
)
def test_nobody_elses_upload_is_touched(there: Any, settings: Any) -> None:
    pair = resumed()
    pair.dest.parts = dict(there)
    assert pair.run(shared=False, **settings) == done(pair)
    assert len(pair.dest.told("send")) == 3
    assert pair.dest.told("abort") == []


def test_the_store_resumes_nothing_by_itself() -> None:
    pair = resumed(1, 2)
    assert pair.run() == done(pair)
    assert len(pair.dest.told("create")) == 1
    (begun, looked_back) = (
        [name for name, _, _ in pair.dest.log].index(name) for name in ("create", "uploads")
    )
    assert begun < looked_back, "what an earlier run left is only aborted"


def test_parts_that_are_not_the_sources_after_all_are_sent_again() -> None:
    pair = resumed(1, 2)
    pair.dest.parts[2] = ("f" * 32, EACH)
    assert pair.run(shared=False) == done(pair)
    assert (len(pair.dest.told("create")), len(pair.dest.told("abort"))) == (1, 1)


def test_an_upload_that_somebody_may_be_sending_is_left_alone() -> None:
    pair = resumed(1, 2)
    pair.dest.parts[2] = ("f" * 32, EACH)
    pair.dest.begun = "2999-01-01T00:00:00Z"
    assert pair.run(shared=False) == done(pair)
    assert (len(pair.dest.told("create")), pair.dest.told("abort")) == (1, [])


def test_an_upload_begun_with_other_headers_is_replaced() -> None:
    pair = resumed(1, lines=("Cache-Control: no-store",))
    assert pair.run(shared=False) == done(pair)
    assert len(pair.dest.told("create")) == 1
    assert pair.dest.told("create")[0]["cache-control"] == "no-store"


def test_an_upload_that_takes_no_parts_of_ours_is_left_alone() -> None:
    pair = resumed(1)
    pair.dest.faults["send", 2] = [StoreError(400, "InvalidRequest", "Checksum Type mismatch")]
    assert pair.run(shared=False) == done(pair)
    assert (len(pair.dest.told("create")), pair.dest.told("abort")) == (1, [])
    assert [note for note in pair.notes if "Checksum Type mismatch" in note]


@pytest.mark.parametrize("error", [DENIED, UNKNOWN])
def test_a_store_that_shows_no_uploads_resumes_nothing(error: StoreError) -> None:
    pair = resumed(1)
    pair.dest.faults["uploads", 0] = [error]
    assert pair.run(shared=False) == done(pair)
    assert [note for note in pair.notes if "nothing is resumed" in note]


def test_a_source_that_changed_before_it_was_compared() -> None:
    pair = resumed(1)
    pair.source.faults["GET", 1] = [FAILED]
    message = check_failed(pair, pair.run(shared=False), FailureKind.REJECTED)
    assert "PreconditionFailed" in message  # and yet it has not changed


# Where it does not work so


@pytest.mark.parametrize("operation", ["create", "copy"])
def test_a_store_without_parts_copies_the_whole(operation: str) -> None:
    pair = Pair()
    pair.dest.faults[operation, 0] = [UNKNOWN] * 9
    assert isinstance(pair.run(), Done)
    assert len(pair.dest.sent) == 1


def test_a_store_without_parts_is_sent_the_whole() -> None:
    pair = Pair()
    pair.dest.faults["create", 0] = [UNKNOWN] * 9
    message = check_none(pair.run(shared=False))
    assert "range" in message  # the whole was asked for
    pair = Pair(body=b"", etag="f" * 32, size=HUGE)
    pair.dest.faults["create", 0] = [UNKNOWN] * 9
    assert "NotImplemented" in check_none(pair.run(shared=False, parts=Parts()))


def check_none(outcome: Outcome) -> str:
    assert isinstance(outcome, Failed)
    return outcome.message


def test_keys_that_may_not_read_the_source_are_helped() -> None:
    pair = Pair(keys=OTHER_KEYS)
    pair.dest.faults["copy", 0] = [DENIED] * 9
    pair.dest.copies = [DENIED]
    assert pair.run() == done(pair)
    assert len(pair.dest.told("send")) == 3
    assert [note for note in pair.notes if "may not read the source" in note]


@WAYS
def test_the_end_of_the_run_leaves_nothing(shared: bool) -> None:
    pair = Pair(ending=True)
    with pytest.raises(RunEnding):
        pair.run(shared=shared)
    assert pair.dest.object is None
    assert pair.dest.told("copy") == pair.dest.told("send") == []
    assert len(pair.dest.told("abort")) == 1
    assert not [note for note in pair.notes if Kept.PARTS.value in note]


def test_a_defect_fails_the_object_and_leaves_nothing() -> None:
    pair = Pair()
    pair.dest.faults["copy", 2] = [KeyError("x")]
    check_failed(pair, pair.run(), FailureKind.INTERNAL)
