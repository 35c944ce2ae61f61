"""The getter: every way a task can end, against a scripted bucket and a real directory."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import stat
import threading
from base64 import b64encode
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import md5, sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.body_options import DownloadOptions
from s3pp.errors import FailureKind, FatalError
from s3pp.integrity.etag import etag_of_md5s
from s3pp.job import Job, Mode
from s3pp.limits import PIECE, SMALL
from s3pp.localfs.paths import TEMPORARY
from s3pp.localfs.tree import Tree
from s3pp.places import Origin
from s3pp.records import Done, Failed, Foreseen, GetTask, Outcome, SendReason, Skipped
from s3pp.records import SkipReason as Skip
from s3pp.s3.answers import Answer
from s3pp.s3.client import Call
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Fault, Sink, WireError
from s3pp.s3.retry import NetworkError, Oversized, StoreError
from s3pp.transfer.get.existing_file import md5_of
from s3pp.transfer.get.getter import Getter
from s3pp.transfer.resources import Budget, Reader, WorkerResources
from s3pp.transfer.resume import OwnUploads

from .buckets import Workers, answer, endpoint, etag_of, looked, next_of

BODY, OTHER = b"the body", b"another!"
LARGE, OTHER_LARGE = bytes(SMALL + 1), b"x" * (SMALL + 1)
MODIFIED = "2026-01-02T03:04:05.678Z"
MTIME_NS = 1767323045_678_000_000
LATER = "Last-Modified: Sat, 03 Jan 2026 03:04:05 GMT"
LATER_NS = 1767409445_000_000_000
PARTS = "0" * 32 + "-2"  # an ETag that is no MD5
EVERYTHING = 1 << 20  # bytes of the budget
HELD = 1 << 20  # bytes of the longest answer that is held

GONE = StoreError(404, "NoSuchKey", "The specified key does not exist")
DENIED = StoreError(403, "AccessDenied", "Access Denied")

both_sizes = pytest.mark.parametrize("body", [BODY, LARGE], ids=["small", "large"])
every_mode = pytest.mark.parametrize("mode", list(Mode))


@dataclass
class Asked:
    """One GET as the bucket saw it."""

    key: str
    headers: dict[str, str]
    streamed: bool


@dataclass
class Store:
    """A bucket that does as it is told; what comes last goes on for ever."""

    gets: list[Any] = field(default_factory=list)  # Answer, an exception, or what returns one
    looks: list[Any] = field(default_factory=lambda: [None])  # Answer, None, or an exception
    endpoint: Endpoint = field(default_factory=lambda: endpoint("bucket"))
    got: list[Asked] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)

    async def get(
        self,
        key: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        sink: Sink | None = None,
        coding: str = "",
        size: int = 0,
    ) -> Answer:
        self.got.append(Asked(key, dict(headers), sink is not None))
        found = next_of(self.gets)
        whole: Answer = found() if callable(found) else found
        body = whole.response.body
        if sink is None:
            if len(body) > HELD:
                raise Oversized
            return whole
        sink.restart()
        sink.write(b"of an attempt that broke")
        sink.restart()
        for at in range(0, len(body), 1 << 16):
            sink.write(body[at : at + (1 << 16)])
        return whole._replace(response=whole.response._replace(body=b""))

    async def look(self, key: str, *, headers: Sequence[tuple[str, str]] = ()) -> Answer | None:
        self.looked.append(key)
        return next_of(self.looks)  # type: ignore[no-any-return]

    async def call(self, call: Call) -> Answer:
        assert call.query == "partNumber=1"
        raise StoreError(400, "InvalidArgument", "what part?")


def named(body: bytes, etag: str | None) -> str:
    """The ETag of ``body``, unless it is given."""
    return etag_of(body) if etag is None else etag


def holding(body: bytes, *lines: str, etag: str | None = None, attempts: int = 1) -> Store:
    """A bucket whose every GET gives ``body``."""
    return Store([answer(named(body, etag), *lines, body=body, attempts=attempts)])


def task(body: bytes, etag: str | None = None, target: str = "d/f", **more: Any) -> GetTask:
    """A task for ``body`` as a listing has it."""
    listed = GetTask(f"p/{target}", target, len(body), named(body, etag), MODIFIED)
    return listed._replace(**more)


class Place:
    """DIRECTORY, as it is before and after."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.budget = Budget(EVERYTHING)

    def has(self, content: bytes, mtime_ns: int = MTIME_NS, name: str = "d/f") -> Path:
        """Put a file there."""
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, ns=(mtime_ns, mtime_ns))
        return path

    @property
    def files(self) -> dict[str, bytes]:
        """Every regular file's bytes by path."""
        found = [path for path in self.top.rglob("*") if path.is_file() and not path.is_symlink()]
        return {path.relative_to(self.top).as_posix(): path.read_bytes() for path in found}

    def temporaries(self) -> list[Path]:
        return [path for path in self.top.rglob("*") if TEMPORARY.search(path.name)]

    def getter(self, store: Store, mode: Mode = Mode.UPDATE, **job: Any) -> Getter:
        wanted = Job("get", origins=(Origin("bucket"),), directory=str(self.top), mode=mode, **job)
        reader = Reader(ThreadPoolExecutor(1))
        tree = Tree(str(self.top))
        resources = WorkerResources(reader, self.budget, Workers(), OwnUploads())
        return Getter(wanted, store, tree, resources)  # type: ignore[arg-type]

    def run(self, store: Store, wanted: GetTask, mode: Mode = Mode.UPDATE, **job: Any) -> Outcome:
        """Get one task; whatever happened, nothing unfinished stays and the budget is whole."""

        async def main() -> Outcome:
            try:
                return await self.getter(store, mode, **job).transfer(wanted)
            finally:
                await asyncio.wait_for(self.budget.take(EVERYTHING), 5)
                self.budget.give(EVERYTHING)
                assert self.temporaries() == []

        return asyncio.run(main())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "top")


def done(body: bytes, reason: SendReason, etag: str | None = None, attempts: int = 1) -> Done:
    size = len(body)
    return Done("p/d/f", "d/f", size, size, named(body, etag), reason, attempts)


def skipped(body: bytes, reason: Skip, here: bytes | None = None) -> Skipped:
    """The outcome where a file of the bytes ``here`` stays; None: one of the object's size."""
    there = None if here is None or len(here) == len(body) else len(here)
    return Skipped("p/d/f", "d/f", len(body), reason, dest_size=there)


def failure(outcome: Outcome, target: str = "d/f") -> FailureKind:
    assert isinstance(outcome, Failed)
    assert (outcome.source, outcome.target) == (f"p/{target}", target)
    assert outcome.message
    assert "\n" not in outcome.message
    return outcome.kind


# Where nothing stands


@both_sizes
@every_mode
def test_what_is_absent_is_got_whole(mode: Mode, body: bytes, place: Place) -> None:
    store = holding(body, attempts=3)
    reason = SendReason.ALWAYS if mode is Mode.STUPID else SendReason.NEW
    assert place.run(store, task(body), mode) == done(body, reason, attempts=3)
    assert place.files == {"d/f": body}
    status = (place.top / "d/f").stat()
    assert status.st_mtime_ns == MTIME_NS
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(status.st_mode) == 0o666 & ~mask
    assert [each.streamed for each in store.got] == [body is LARGE]
    assert store.looked == []


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL])
def test_small_bodies_pass_through_memory(size: int, place: Place) -> None:
    store = holding(bytes(size))
    assert place.run(store, task(bytes(size))) == done(bytes(size), SendReason.NEW)
    assert place.files == {"d/f": bytes(size)}
    assert [each.streamed for each in store.got] == [False]


@both_sizes
def test_a_checksum_is_asked_for_where_the_etag_proves_nothing(body: bytes, place: Place) -> None:
    for etag, asked in ((etag_of(body), False), (PARTS, True), ("", True)):
        store = holding(body, etag=etag)
        place.run(store, task(body, etag), Mode.STUPID)
        assert ("x-amz-checksum-mode" in store.got[0].headers) == asked


@both_sizes
def test_the_etag_of_parts_has_to_be_that_of_the_body(body: bytes, place: Place) -> None:
    etag = etag_of_md5s([md5(body).digest()])
    store = holding(body, etag=etag)
    assert place.run(store, task(body, etag)) == done(body, SendReason.NEW, etag)
    other = body[:-1] + b"?"
    store = Store([answer(etag, body=other), answer(etag, body=body)])
    assert place.run(store, task(body, etag), Mode.STUPID) == done(body, SendReason.ALWAYS, etag)
    store = holding(other, etag=etag)
    assert failure(place.run(store, task(body, etag), Mode.STUPID)) is FailureKind.INTEGRITY
    assert len(store.got) == 3
    assert place.files == {"d/f": body}


def test_an_object_without_any_time_has_that_of_its_writing(place: Place) -> None:
    store = holding(BODY)
    place.run(store, task(BODY, modified="when it was"))
    assert (place.top / "d/f").stat().st_mtime_ns > MTIME_NS


def test_a_body_larger_than_the_budget_is_got_all_the_same(place: Place) -> None:
    place.budget = Budget(1)

    async def main() -> Outcome:
        getter = place.getter(holding(BODY))
        return await asyncio.wait_for(getter.transfer(task(BODY)), 5)

    assert asyncio.run(main()) == done(BODY, SendReason.NEW)


@pytest.mark.parametrize(
    ("size", "body", "at_once"),
    [(20, BODY, 2), (PIECE, bytes(SMALL), 4), (PIECE, LARGE, 1), (3 * PIECE, LARGE, 3)],
    ids=["small", "just held", "streamed", "several streamed"],
)
def test_no_more_is_held_at_once_than_the_budget_has(
    size: int, body: bytes, at_once: int, place: Place
) -> None:
    flying = most = 0

    class Slow(Store):
        async def get(self, key: str, **settings: Any) -> Answer:
            nonlocal flying, most
            flying += 1
            most = max(most, flying)
            for _ in range(20):
                await asyncio.sleep(0)
            flying -= 1
            return await super().get(key, **settings)

    place.budget = Budget(size)

    async def main() -> list[Outcome]:
        getter = place.getter(Slow([answer(etag_of(body), body=body)]))
        tasks = [task(body, target=f"d/{at}") for at in range(8)]
        return await asyncio.wait_for(asyncio.gather(*map(getter.transfer, tasks)), 10)

    assert all(isinstance(outcome, Done) for outcome in asyncio.run(main()))
    assert most == at_once


# Where a file stands: the table of modes


@pytest.mark.parametrize(
    ("mode", "here", "etag", "outcome"),
    [
        (Mode.ADD, BODY, None, Skip.EXISTS),
        (Mode.ADD, OTHER, None, Skip.EXISTS),
        (Mode.ADD, b"longer than that", None, Skip.OTHER_SIZE),
        (Mode.ADD, b"", PARTS, Skip.OTHER_SIZE),
        (Mode.STUPID, BODY, None, SendReason.ALWAYS),
        (Mode.STUPID, b"", PARTS, SendReason.ALWAYS),
        (Mode.UPDATE, BODY, None, Skip.SAME_ETAG),
        (Mode.UPDATE, OTHER, None, SendReason.ETAG),
        (Mode.UPDATE, b"longer than that", None, SendReason.SIZE),
        (Mode.UPDATE, b"", None, SendReason.SIZE),
        (Mode.UPDATE, OTHER, PARTS, SendReason.TIME),
        (Mode.UPDATE, OTHER, "", SendReason.TIME),
        (Mode.UPDATE, b"longer than that", PARTS, SendReason.SIZE),
    ],
)
def test_a_file_of_another_time(
    mode: Mode, here: bytes, etag: str | None, outcome: Any, place: Place
) -> None:
    place.has(here, MTIME_NS - 10**9)
    store = holding(BODY, etag=etag)
    got = place.run(store, task(BODY, etag), mode)
    asked = mode is Mode.UPDATE and etag == PARTS and len(here) == len(BODY)
    assert store.looked == (["p/d/f"] if asked else [])
    if isinstance(outcome, Skip):
        assert got == skipped(BODY, outcome, here)
        assert store.got == []
        assert place.files == {"d/f": here}
    else:
        assert got == done(BODY, outcome, etag)
        assert place.files == {"d/f": BODY}
        assert (place.top / "d/f").stat().st_mtime_ns == MTIME_NS


@pytest.mark.parametrize("etag", [PARTS, "", "0" * 31])
def test_where_the_etag_tells_nothing_the_time_does(etag: str, place: Place) -> None:
    place.has(OTHER, MTIME_NS - MTIME_NS % 10**9)  # some listings tell whole seconds
    assert place.run(Store(), task(BODY, etag)) == skipped(BODY, Skip.SAME_TIME)


def test_a_large_file_is_compared_whole(place: Place) -> None:
    place.has(LARGE, 0)
    assert place.run(Store(), task(LARGE)) == skipped(LARGE, Skip.SAME_ETAG)
    place.has(OTHER_LARGE, 0)
    assert place.run(holding(LARGE), task(LARGE)) == done(LARGE, SendReason.ETAG)
    assert place.files == {"d/f": LARGE}


@pytest.mark.parametrize(("size", "away"), [(1, False), (SMALL, False), (SMALL + 1, True)], ids=str)
def test_only_a_large_file_is_digested_on_a_thread(
    size: int, away: bool, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def digested(tree: Tree, path: str) -> str:
        threads.append(threading.get_ident())
        return md5_of(tree, path)

    monkeypatch.setattr("s3pp.transfer.get.existing_file.md5_of", digested)
    place.has(bytes(size))
    assert place.run(Store(), task(bytes(size))) == skipped(bytes(size), Skip.SAME_ETAG)
    assert [each != threading.get_ident() for each in threads] == [away]


def test_what_has_been_got_is_not_got_again(place: Place) -> None:
    for etag in (None, PARTS):
        store = holding(BODY, etag=etag)
        wanted = task(BODY, etag)
        assert isinstance(place.run(store, wanted, Mode.STUPID), Done)
        assert isinstance(place.run(store, wanted), Skipped)
        assert isinstance(place.run(store, wanted, Mode.ADD), Skipped)
        assert len(store.got) == 1


@pytest.mark.parametrize("bits", [0o600, 0o640, 0o755, 0o444])
@both_sizes
def test_a_file_that_is_replaced_leaves_its_permissions(
    body: bytes, bits: int, place: Place
) -> None:
    place.has(b"old").chmod(bits)
    assert isinstance(place.run(holding(body), task(body), Mode.STUPID), Done)
    status = (place.top / "d/f").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (bits, len(body))


# The second look: a file of the object's time that differs all the same


KMS = "x-amz-server-side-encryption: aws:kms"
GZIP = "Content-Encoding: gzip"


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("x-amz-server-side-encryption: AES256", SendReason.ETAG),
        (KMS, Skip.SAME_TIME),
        (f"{KMS}:dsse", Skip.SAME_TIME),
        ("x-amz-server-side-encryption-customer-algorithm: AES256", Skip.SAME_TIME),
        (GZIP, SendReason.ETAG),
    ],
)
def test_an_etag_like_an_md5_may_be_none(line: str, outcome: Any, place: Place) -> None:
    place.has(OTHER)
    store = holding(BODY)
    store.looks = [looked(etag_of(BODY), len(BODY), line)]
    got = place.run(store, task(BODY))
    assert got == (skipped if isinstance(outcome, Skip) else done)(BODY, outcome)
    assert store.looked == ["p/d/f"]
    assert len(store.got) == isinstance(got, Done)


def test_in_a_directory_bucket_no_etag_is_an_md5(place: Place) -> None:
    place.has(OTHER)
    looks = [looked(etag_of(BODY), len(BODY))]
    store = Store(looks=looks, endpoint=endpoint("bucket--use1-az4--x-s3"))
    assert place.run(store, task(BODY)) == skipped(BODY, Skip.SAME_TIME)


def test_a_file_that_is_equal_needs_no_second_look(place: Place) -> None:
    place.has(BODY)
    store = Store()
    assert place.run(store, task(BODY), download=DownloadOptions(gunzip=True)) == skipped(
        BODY, Skip.SAME_ETAG
    )
    assert store.looked == []


@pytest.mark.parametrize(("look", "kind"), [(None, FailureKind.NOT_FOUND), (DENIED, "access")])
def test_a_second_look_that_fails_fails_the_object(look: Any, kind: str, place: Place) -> None:
    place.has(OTHER)
    assert failure(place.run(Store(looks=[look]), task(BODY))) == kind
    assert place.files == {"d/f": OTHER}


@pytest.mark.parametrize("here", [b"unpacked, and of another size", OTHER])
@pytest.mark.parametrize(
    ("gunzip", "line", "same"),
    [(True, GZIP, True), (True, "X-A: b", False), (False, GZIP, False)],
)
def test_what_was_unpacked_differs_from_the_object_as_it_should(
    gunzip: bool, line: str, same: bool, here: bytes, place: Place
) -> None:
    place.has(here)
    store = holding(BODY)
    store.looks = [looked(etag_of(BODY), len(BODY), line)]
    outcome = place.run(store, task(BODY), download=DownloadOptions(gunzip=gunzip))
    if same:
        assert outcome == skipped(BODY, Skip.SAME_TIME, here)
    else:
        reason = SendReason.ETAG if len(here) == len(BODY) else SendReason.SIZE
        assert outcome == done(BODY, reason)
        assert place.files == {"d/f": BODY}


@pytest.mark.parametrize(("gunzip", "reason"), [(True, Skip.EXISTS), (False, Skip.OTHER_SIZE)])
def test_add_is_not_surprised_by_the_size_of_what_was_unpacked(
    gunzip: bool, reason: Skip, place: Place
) -> None:
    here = b"unpacked, and of another size"
    place.has(here)
    store = Store()
    outcome = place.run(store, task(BODY), Mode.ADD, download=DownloadOptions(gunzip=gunzip))
    assert outcome == skipped(BODY, reason, here)
    assert store.looked == []


def test_a_file_of_another_time_and_size_needs_no_second_look(place: Place) -> None:
    place.has(b"unpacked, and changed since", MTIME_NS + 10**9)
    store = holding(BODY)
    assert place.run(store, task(BODY), download=DownloadOptions(gunzip=True)) == done(
        BODY, SendReason.SIZE
    )
    assert store.looked == []


# Where something else stands


def link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(b"theirs")
    path.symlink_to("elsewhere")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


@every_mode
@pytest.mark.parametrize(
    ("make", "word"),
    [
        (link, "a symbolic link"),
        (dangling, "a symbolic link"),
        (Path.mkdir, "a directory"),
        (os.mkfifo, "not a regular file"),
    ],
    ids=["link", "dangling", "directory", "fifo"],
)
def test_what_is_no_file_is_left_alone(
    make: Callable[[Path], None], word: str, mode: Mode, place: Place
) -> None:
    (place.top / "d").mkdir(parents=True)
    make(place.top / "d/f")
    before, files = (place.top / "d/f").lstat(), place.files
    store = Store()
    outcome = place.run(store, task(BODY), mode)
    if mode is Mode.ADD and stat.S_ISLNK(before.st_mode):
        assert outcome == skipped(BODY, Skip.EXISTS)
    else:
        assert failure(outcome) is FailureKind.CONFLICT
        assert f"is {word} here" in str(outcome)
    after = (place.top / "d/f").lstat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (place.files, store.got, store.looked) == (files, [], [])


@every_mode
def test_nothing_goes_below_a_file(mode: Mode, place: Place) -> None:
    place.has(b"theirs", name="d")
    assert failure(place.run(holding(BODY), task(BODY), mode)) is FailureKind.CONFLICT
    assert place.files == {"d": b"theirs"}


# Directories


@pytest.mark.parametrize("target", ["d/", "d/e/", ""])
@every_mode
def test_a_marker_makes_its_directory(mode: Mode, target: str, place: Place) -> None:
    wanted = task(b"", target=target)
    store = Store()
    new = Done(f"p/{target}", target, 0, 0, etag_of(b""), SendReason.NEW, 0)
    assert place.run(store, wanted, mode, dry_run=True) == new._replace(foreseen=Foreseen(()))
    assert not place.top.exists()
    assert place.run(store, wanted, mode) == new
    assert (place.top / target).is_dir()
    for dry_run in (False, True):
        there = Skipped(f"p/{target}", target, 0, Skip.EXISTS)
        assert place.run(store, wanted, mode, dry_run=dry_run) == there
    assert (store.got, store.looked) == ([], [])


def test_no_directory_takes_the_place_of_a_file(place: Place) -> None:
    place.has(b"theirs", name="d")
    assert failure(place.run(Store(), task(b"", target="d/")), "d/") is FailureKind.CONFLICT
    assert place.files == {"d": b"theirs"}


# Dry runs


@pytest.mark.parametrize(
    ("mode", "here", "outcome"),
    [
        (Mode.ADD, None, SendReason.NEW),
        (Mode.UPDATE, None, SendReason.NEW),
        (Mode.STUPID, None, SendReason.ALWAYS),
        (Mode.STUPID, BODY, SendReason.ALWAYS),
        (Mode.UPDATE, b"", SendReason.SIZE),
        (Mode.UPDATE, OTHER, SendReason.ETAG),
        (Mode.UPDATE, BODY, Skip.SAME_ETAG),
        (Mode.ADD, OTHER, Skip.EXISTS),
        (Mode.ADD, b"", Skip.OTHER_SIZE),
    ],
)
def test_a_dry_run_says_what_would_be_done(
    mode: Mode, here: bytes | None, outcome: Any, place: Place
) -> None:
    if here is not None:
        place.has(here, 0)
    before = place.files
    store = Store()
    getter = place.getter(store, mode, dry_run=True)
    got = asyncio.run(getter.transfer(task(BODY)))
    if isinstance(outcome, Skip):
        assert got == skipped(BODY, outcome, here)
    else:
        assert isinstance(got, Done)
        assert got.foreseen == Foreseen((("GetObject", 1),))
        assert got._replace(foreseen=None) == done(BODY, outcome, attempts=0)
    assert (store.got, place.files, place.top.exists()) == ([], before, here is not None)


def test_a_dry_run_takes_a_second_look_too(place: Place) -> None:
    place.has(OTHER)
    store = Store(looks=[looked(etag_of(BODY), len(BODY), KMS)])
    assert place.run(store, task(BODY), dry_run=True) == skipped(BODY, Skip.SAME_TIME)
    store.looks = [looked(etag_of(BODY), len(BODY))]
    would = place.run(store, task(BODY), dry_run=True)
    assert would._replace(foreseen=None) == done(BODY, SendReason.ETAG, attempts=0)  # type: ignore[call-arg]
    assert place.files == {"d/f": OTHER}


# Bodies that are not the object


def corrupt(body: bytes) -> Answer:
    """The right ETag and length over other bytes."""
    return answer(etag_of(body), body=b"!" + body[1:])


def cut(body: bytes) -> Answer:
    """Less than was announced: what a proxy may make of a body."""
    whole = answer(etag_of(body), body=body)
    return whole._replace(response=whole.response._replace(body=body[:-1]))


def mistyped(body: bytes) -> Answer:
    """A checksum that is not the body's, where the ETag is no MD5."""
    stored = b64encode(sha256(b"something else").digest()).decode()
    return answer(PARTS, f"x-amz-checksum-sha256: {stored}", body=body)


DAMAGED: list[Callable[[bytes], Answer]] = [corrupt, cut, mistyped]
every_damage = pytest.mark.parametrize("damaged", DAMAGED)


@both_sizes
@every_damage
def test_a_damaged_body_is_asked_for_again(
    damaged: Callable[[bytes], Answer], body: bytes, place: Place
) -> None:
    bad = damaged(body)
    store = Store([bad, bad, answer(bad.etag, body=body)])
    assert place.run(store, task(body, bad.etag)) == done(body, SendReason.NEW, bad.etag)
    assert place.files == {"d/f": body}
    assert len(store.got) == 3


@both_sizes
@every_damage
def test_a_body_that_stays_damaged_never_gets_the_name(
    damaged: Callable[[bytes], Answer], body: bytes, place: Place
) -> None:
    place.has(b"the old one")
    bad = damaged(body)
    store = Store([bad])
    assert failure(place.run(store, task(body, bad.etag))) is FailureKind.INTEGRITY
    assert place.files == {"d/f": b"the old one"}
    assert len(store.got) == 3


def test_a_body_shorter_than_listed_under_the_same_etag_is_damaged(place: Place) -> None:
    store = Store([answer(PARTS, body=BODY[:-1])])
    assert failure(place.run(store, task(BODY, PARTS))) is FailureKind.INTEGRITY
    assert place.files == {}


def test_a_temporary_that_others_remove_is_written_again(place: Place) -> None:
    whole = answer(etag_of(LARGE), body=LARGE)

    def swept() -> Answer:
        for path in place.temporaries():
            path.unlink()
        return whole

    store = Store([swept, whole])
    assert place.run(store, task(LARGE)) == done(LARGE, SendReason.NEW)
    assert place.files == {"d/f": LARGE}
    assert len(store.got) == 2
    assert failure(place.run(Store([swept]), task(LARGE), Mode.STUPID)) is FailureKind.CHANGED
    assert place.files == {"d/f": LARGE}


# Objects that changed since they were listed


@both_sizes
@pytest.mark.parametrize("listed", [b"was", bytes(2 * SMALL)], ids=["small", "large"])
def test_what_took_the_place_of_an_object_is_got_with_its_own_time(
    listed: bytes, body: bytes, place: Place
) -> None:
    store = holding(body, LATER)
    assert place.run(store, task(listed)) == done(body, SendReason.NEW)
    assert place.files == {"d/f": body}
    assert (place.top / "d/f").stat().st_mtime_ns == LATER_NS


def test_what_took_its_place_is_held_against_its_own_etag(place: Place) -> None:
    store = Store([corrupt(BODY)])
    assert failure(place.run(store, task(OTHER))) is FailureKind.INTEGRITY
    assert place.files == {}


def test_where_neither_has_a_time_the_file_has_that_of_its_writing(place: Place) -> None:
    assert place.run(holding(BODY), task(OTHER)) == done(BODY, SendReason.NEW)
    assert (place.top / "d/f").stat().st_mtime_ns not in (MTIME_NS, LATER_NS)


def test_an_object_listed_without_a_time_has_that_of_the_answer(place: Place) -> None:
    assert isinstance(place.run(holding(BODY, LATER), task(BODY, modified="")), Done)
    assert (place.top / "d/f").stat().st_mtime_ns == LATER_NS


def test_an_object_that_has_grown_beyond_what_is_held_goes_to_disk(place: Place) -> None:
    grown = bytes(HELD + 1)
    store = holding(grown, LATER)
    assert place.run(store, task(BODY)) == done(grown, SendReason.NEW)
    assert place.files == {"d/f": grown}
    assert [each.streamed for each in store.got] == [False, True]


ARCHIVED = StoreError(403, "InvalidObjectState", "The operation is not valid")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (GONE, FailureKind.NOT_FOUND, "vanished"),
        (StoreError(404, "HTTP404", ""), FailureKind.NOT_FOUND, "vanished"),
        (StoreError(404, "NoSuchBucket", ""), FailureKind.NOT_FOUND, "NoSuchBucket"),
        (ARCHIVED, FailureKind.REJECTED, "restore"),
        (DENIED, FailureKind.ACCESS, "Denied"),
        (StoreError(500, "InternalError", ""), FailureKind.STORE, "InternalError"),
        (NetworkError(WireError(Fault.SILENT, "timed out")), FailureKind.NETWORK, "timed out"),
        (RuntimeError("a defect"), FailureKind.INTERNAL, "a defect"),
    ],
)
@both_sizes
def test_what_the_store_refuses_fails_once_and_says_why(
    body: bytes, error: Exception, kind: FailureKind, words: str, place: Place
) -> None:
    place.has(b"the old one")
    store = Store([error])
    outcome = place.run(store, task(body))
    assert failure(outcome) is kind
    assert words in str(outcome)
    assert place.files == {"d/f": b"the old one"}
    assert len(store.got) == 1


@both_sizes
def test_what_ends_the_run_is_raised(body: bytes, place: Place) -> None:
    with pytest.raises(FatalError, match="expired"):
        place.run(Store([FatalError("the keys have expired")]), task(body))
    assert place.files == {}


# Mode add: what appears meanwhile


NOISE = random.Random(1).randbytes(SMALL + 1)
PACKED, PACKED_LARGE = gzip.compress(BODY, mtime=0), gzip.compress(NOISE, mtime=0)


@pytest.mark.parametrize(
    ("body", "line"),
    [(BODY, "X-A: b"), (LARGE, "X-A: b"), (PACKED, GZIP), (PACKED_LARGE, GZIP)],
    ids=["small", "large", "packed", "large packed"],
)
def test_add_leaves_what_appears_meanwhile(body: bytes, line: str, place: Place) -> None:
    def meanwhile() -> Answer:
        place.has(b"theirs")
        return answer(etag_of(body), line, body=body)

    outcome = place.run(
        Store([meanwhile]), task(body), Mode.ADD, download=DownloadOptions(gunzip=True)
    )
    assert outcome == skipped(body, Skip.EXISTS)
    assert place.files == {"d/f": b"theirs"}


@pytest.mark.parametrize("mode", [Mode.STUPID, Mode.UPDATE])
@both_sizes
def test_other_modes_replace_it(body: bytes, mode: Mode, place: Place) -> None:
    def meanwhile() -> Answer:
        place.has(b"theirs")
        return answer(etag_of(body), body=body)

    assert isinstance(place.run(Store([meanwhile]), task(body), mode), Done)
    assert place.files == {"d/f": body}


# Unpacking


@pytest.mark.parametrize("content", [b"", b"text", bytes(3 * SMALL), NOISE], ids=len)
@pytest.mark.parametrize("gunzip", [True, False])
def test_what_is_stored_packed_is_unpacked_where_asked(
    gunzip: bool, content: bytes, place: Place
) -> None:
    packed = gzip.compress(content, mtime=0)
    outcome = place.run(
        holding(packed, GZIP), task(packed), download=DownloadOptions(gunzip=gunzip)
    )
    assert outcome == done(packed, SendReason.NEW), "the size is that of the object"
    assert place.files == {"d/f": content if gunzip else packed}
    assert (place.top / "d/f").stat().st_mtime_ns == MTIME_NS


@pytest.mark.parametrize("packed", [PACKED, PACKED_LARGE], ids=["small", "large"])
def test_a_file_of_the_packed_bytes_is_fetched_and_unpacked(packed: bytes, place: Place) -> None:
    """It is what a run without --gunzip left, and equal to the object as it is stored."""
    place.has(packed)
    store = holding(packed, GZIP)
    store.looks = [looked(etag_of(packed), len(packed), GZIP)]
    outcome = place.run(store, task(packed), download=DownloadOptions(gunzip=True))
    assert outcome == done(packed, SendReason.SIZE)
    assert place.files == {"d/f": gzip.decompress(packed)}
    assert (store.looked, len(store.got)) == (["p/d/f"], 1)


@pytest.mark.parametrize(
    ("gunzip", "mode", "looks", "looked_at", "reason"),
    [
        (False, Mode.UPDATE, [], 0, Skip.SAME_ETAG),
        (True, Mode.ADD, [], 0, Skip.EXISTS),
        (True, Mode.UPDATE, [looked("", 0)], 1, Skip.SAME_ETAG),  # stored so, and not packed by us
        (True, Mode.UPDATE, [None], 1, Skip.SAME_ETAG),
    ],
    ids=["without --gunzip", "add", "an archive", "gone"],
)
def test_a_file_of_the_packed_bytes_may_be_what_is_meant(
    gunzip: bool, mode: Mode, looks: list[Any], looked_at: int, reason: Skip, place: Place
) -> None:
    place.has(PACKED)
    store = Store(looks=looks)
    outcome = place.run(store, task(PACKED), mode, download=DownloadOptions(gunzip=gunzip))
    assert outcome == skipped(PACKED, reason)
    assert (place.files, len(store.looked)) == ({"d/f": PACKED}, looked_at)


@both_sizes
def test_what_is_not_stored_packed_is_left_as_it_is(body: bytes, place: Place) -> None:
    place.run(
        holding(body, "Content-Encoding: br"), task(body), download=DownloadOptions(gunzip=True)
    )
    assert place.files == {"d/f": body}


@pytest.mark.parametrize("packed", [BODY, PACKED[:-1], LARGE, PACKED_LARGE[:-1]], ids=len)
def test_what_only_claims_to_be_packed_fails(packed: bytes, place: Place) -> None:
    place.has(b"the old one", 0)
    outcome = place.run(holding(packed, GZIP), task(packed), download=DownloadOptions(gunzip=True))
    assert failure(outcome) is FailureKind.REJECTED
    assert "--gunzip" in str(outcome)
    assert place.files == {"d/f": b"the old one"}


@pytest.mark.parametrize("packed", [PACKED, PACKED_LARGE], ids=["small", "large"])
def test_a_packed_body_is_verified_as_it_came(packed: bytes, place: Place) -> None:
    """Another gzip of other content would unpack without complaint."""
    other = gzip.compress(b"other content", mtime=0)
    store = Store([answer(etag_of(packed), GZIP, body=other)])
    outcome = place.run(store, task(packed), download=DownloadOptions(gunzip=True))
    assert failure(outcome) is FailureKind.INTEGRITY
    assert place.files == {}


# Bringing it to the disk


@both_sizes
@pytest.mark.parametrize("fsync", [True, False])
def test_a_file_is_brought_to_the_disk_where_asked(
    fsync: bool, body: bytes, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []

    def sync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))

    monkeypatch.setattr(os, "fsync", sync)
    place.run(holding(body), task(body), download=DownloadOptions(fsync=fsync))
    if fsync:
        assert TEMPORARY.search(synced[0]), "the file, before it has its name"
        assert synced[-1] == str(place.top / "d"), "and then its name"
    else:
        assert synced == []


# All of it at once


BODIES = st.sampled_from([b"", b"a", b"b", b"ab", bytes(SMALL + 1)])
ETAGS = st.sampled_from([None, PARTS, ""])


@given(BODIES, st.none() | BODIES, ETAGS, st.sampled_from(Mode), st.sampled_from([MTIME_NS, 10**9]))
@settings(deadline=None, max_examples=examples(60))
def test_a_file_becomes_the_object_or_stays_as_it_was(
    body: bytes, here: bytes | None, etag: str | None, mode: Mode, mtime_ns: int
) -> None:
    with TemporaryDirectory() as directory:
        place = Place(Path(directory) / "top")
        if here is not None:
            place.has(here, mtime_ns)
        store = holding(body, etag=etag)
        store.looks = [looked(named(body, etag), len(body))]
        outcome = place.run(store, task(body, etag), mode)
        if isinstance(outcome, Done):
            assert place.files == {"d/f": body}
        else:
            assert isinstance(outcome, Skipped)
            assert place.files == {"d/f": here}
            assert mode is Mode.ADD or here == body or mtime_ns == MTIME_NS
