"""What a worker is under each verb."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from s3pp.access import Access, Grant, Keys
from s3pp.attributes import Objects
from s3pp.body_options import DownloadOptions, Parts
from s3pp.job import Choosing, Job, Mode
from s3pp.pipeline.compound_roles import QualifiedParts, RoleByBucket
from s3pp.pipeline.preloading import TITLES, computes_crcs
from s3pp.pipeline.roles import role, worker_resources
from s3pp.places import Place, Side, Source, parse_origin
from s3pp.records import (
    CopyPart,
    CopyTask,
    Done,
    Entry,
    Failed,
    GetTask,
    Outcome,
    PartDone,
    PutTask,
    SendReason,
    Span,
)
from s3pp.s3.answers import Answer, Copied
from s3pp.s3.endpoint import Endpoint
from s3pp.s3.exchange import Response, Sink
from s3pp.s3.sigv4 import Signer
from s3pp.transfer.copy.copier import Copier
from s3pp.transfer.get.getter import Getter
from s3pp.transfer.granter import Granter
from s3pp.transfer.put.putter import Putter

BODY, MD5 = b"body", "841a2d689ad86bd1611447453c22c6fc"


@dataclass
class Bucket:
    """A bucket in which every key holds the same; ``asked`` is what it was asked for."""

    host: str = "here"
    name: str = "bucket"
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint = Endpoint("http", self.host, f"/{self.name}", "us-east-1", self.name)
        self.signer = Signer(Keys("AKID", "secret"), "us-east-1")

    async def put(self, key: str, body: Any, *, headers: Any, payload_hash: str) -> Answer:
        self._note("put", key, headers)
        self.hashes.append(payload_hash)
        return self._answer(b"")

    async def get(
        self,
        key: str,
        *,
        headers: Any = (),
        sink: Sink | None = None,
        coding: str = "",
        size: int = 0,
    ) -> Answer:
        self._note("get", key, headers)
        assert sink is None
        return self._answer(BODY)

    async def copy(self, key: str, source: Any, *, headers: Any, size: int) -> Copied:
        self._note("copy", key, headers)
        return Copied(MD5, self._answer(b""))

    async def look(self, key: str, *, headers: Any = (), asked: bool = False) -> Answer | None:
        self._note("look", key, headers)
        return None if self.name == "into" else self._answer(b"")

    async def head(self, key: str) -> None:
        self._note("head", key, ())

    async def tags(self, key: str) -> list[tuple[str, str]]:
        self._note("tags", key, ())
        return []

    def _note(self, what: str, key: str, headers: Any) -> None:
        self.asked.append((what, key))
        self.headers.append(dict(headers))

    def _answer(self, body: bytes) -> Answer:
        lines = [b"HTTP/1.1 200 OK\r\n", f'ETag: "{MD5}"\r\n'.encode(), b"Content-Length: 4\r\n"]
        return Answer(Response(200, b"".join(lines), body), 1)

    @property
    def verbs(self) -> set[str]:
        return {what for what, _ in self.asked}


def transfer(job: Job, task: Any, source: Bucket | None, dest: Bucket | None) -> Outcome:
    """What a worker of ``job`` makes of ``task``."""
    sides = {Side.SOURCE: source, Side.DEST: dest}
    buckets: Any = {side: bucket for side, bucket in sides.items() if bucket}

    async def main() -> Outcome:
        return await role(job, buckets, worker_resources(Mock())).transfer(task)

    return asyncio.run(main())


PUT = Job("put", (Source("/src"),), Place("into"))
GET = Job("get", origins=(parse_origin("s3://from/p"),))
COPY = Job("copy", origins=(parse_origin("s3://from/p"),), dest=Place("into"))
COPIED = CopyTask("p/k", "k", 4, MD5, "", None)


@pytest.mark.parametrize(
    ("job", "kind", "title"),
    [(PUT, Putter, "putter"), (GET, Getter, "getter"), (COPY, Copier, "copier")],
)
def test_each_verb_has_its_role(job: Job, kind: type, title: str) -> None:
    buckets: Any = {side: Bucket() for side in (Side.SOURCE, Side.DEST)}
    made = role(job, buckets, worker_resources(Mock()))
    assert isinstance(made, kind)
    assert made.notes == []
    assert TITLES[job.verb] == title


@pytest.mark.parametrize("job", [PUT, COPY], ids=["put", "copy"])
def test_grants_are_a_step_of_their_own_and_only_where_asked_for(job: Job) -> None:
    buckets: Any = {side: Bucket() for side in (Side.SOURCE, Side.DEST)}
    granted = replace(job, objects=Objects(grants=(Grant("READ", "x"),)))
    assert isinstance(role(granted, buckets, worker_resources(Mock())), Granter)


# Several buckets


class OneBucket:
    """The role of one bucket, which has a note and a part for each task."""

    skip_unchanged = None

    def __init__(self, parts: Any) -> None:
        self.notes: list[str] = []
        self.parts = parts

    async def transfer(self, task: CopyTask) -> Done:
        self.notes.append(f"note on {task.source}")
        await self.parts.run(CopyPart(task.source, MD5, 4, Span(1, 0, 4), task.target, "id"))
        return Done(task.source, task.target, 4, 4, MD5, SendReason.NEW)

    async def part(self, part: CopyPart) -> PartDone:
        return PartDone(part.span.number, 4, part.source)


def test_tasks_and_parts_of_several_buckets_name_them() -> None:
    async def main() -> None:
        runner = Mock(run=AsyncMock())
        names = ["from/", "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/"]
        both = RoleByBucket({name: OneBucket(QualifiedParts(runner, name)) for name in names})
        for name in names:
            outcome = await both.transfer(COPIED._replace(source=f"{name}p/k"))
            assert (outcome.source, outcome.target) == (f"{name}p/k", "k")
            part = runner.run.call_args.args[0]
            assert part.source == f"{name}p/k"
            done = await both.part(part)
            assert isinstance(done, PartDone)
            assert done.etag == "p/k", "the role of a bucket knows its keys only"
        assert both.notes == ["note on p/k"] * 2

    asyncio.run(main())


# Putters


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    (tmp_path / "f").write_bytes(BODY)
    return Entry("k", str(tmp_path / "f"), 4, 0)


def test_a_putter_writes_to_the_destination(entry: Entry) -> None:
    dest = Bucket()
    assert isinstance(transfer(PUT, PutTask(entry, None), None, dest), Done)
    assert dest.asked == [("put", "k")]


@pytest.mark.parametrize(("mode", "compared"), [(Mode.UPDATE, True), (Mode.STUPID, False)])
def test_an_md5_is_made_where_an_etag_may_be_compared_with_it(
    mode: Mode, compared: bool, entry: Entry
) -> None:
    dest = Bucket()
    job = replace(PUT, mode=mode, objects=Objects(checksum="crc32"))
    Path(entry.path).write_bytes(b"other bytes than the ETag says")
    outcome = transfer(job, PutTask(entry, None), None, dest)
    assert isinstance(outcome, Failed if compared else Done)


@pytest.mark.parametrize(("sign", "signed"), [(True, True), (False, False)])
def test_what_no_tls_protects_is_hashed_into_the_signature(
    sign: bool, signed: bool, entry: Entry
) -> None:
    dest = Bucket()
    transfer(replace(PUT, access=Access(sign=sign)), PutTask(entry, None), None, dest)
    assert (dest.hashes != ["UNSIGNED-PAYLOAD"]) == signed


# Getters


def test_a_getter_writes_below_the_directory(tmp_path: Path) -> None:
    source = Bucket(name="from")
    job = replace(GET, directory=str(tmp_path))
    task = GetTask("p/d/f", "d/f", 4, MD5, "2026-01-02T03:04:05Z")
    assert isinstance(transfer(job, task, source, None), Done)
    assert (tmp_path / "d/f").read_bytes() == BODY
    assert source.asked == [("get", "p/d/f")]


@pytest.mark.parametrize("follow", [True, False])
def test_a_getter_follows_links_where_it_may(follow: bool, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    job = replace(GET, directory=str(tmp_path), choosing=Choosing(follow_symlinks=follow))
    outcome = transfer(job, GetTask("p/link/f", "link/f", 4, MD5, ""), Bucket(), None)
    assert isinstance(outcome, Done if follow else Failed)
    assert (tmp_path / "real/f").exists() == follow


@pytest.mark.parametrize("fsync", [True, False])
def test_a_getter_brings_directories_to_the_disk_where_asked(
    fsync: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", lambda fd: synced.append(int(fd)))
    job = replace(GET, directory=str(tmp_path), download=DownloadOptions(fsync=fsync))
    transfer(job, GetTask("p/d/", "d/", 0, MD5, ""), Bucket(), None)
    assert bool(synced) == fsync


# Copiers


def test_a_copier_lets_a_store_copy_by_itself() -> None:
    source, dest = Bucket(name="from"), Bucket(name="into")
    assert isinstance(transfer(COPY, COPIED, source, dest), Done)
    assert "copy" in dest.verbs
    assert "get" not in source.verbs


def test_a_copier_carries_objects_from_one_store_to_another() -> None:
    source, dest = Bucket("there", "from"), Bucket("here", "into")
    assert isinstance(transfer(COPY, COPIED, source, dest), Done)
    assert "copy" not in dest.verbs | source.verbs
    assert "get" in source.verbs
    assert "put" in dest.verbs


def _put(path: Path, checksum: str, **access: str) -> Job:
    objects, parts = Objects(checksum=checksum), Parts(threshold=1000)
    sources, reach = (Source(str(path)),), Access(**access)  # type: ignore[arg-type]
    return Job("put", sources, Place("b"), objects=objects, parts=parts, access=reach)


def test_awscrt_is_imported_before_the_fork_where_most_workers_need_it(tmp_path: Path) -> None:
    """Its import takes longer than all others: elsewhere only those import it that use it."""
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x" * 1000)
    large.write_bytes(b"x" * 1001)
    assert computes_crcs(_put(small, "crc64nvme"))
    assert computes_crcs(_put(large, "auto"))
    for job in (
        _put(small, "auto"),
        _put(tmp_path, "auto"),
        _put(tmp_path / "missing", "auto"),
        _put(large, "md5"),
        _put(large, "auto", endpoint_url="http://127.0.0.1:9000"),
    ):
        assert not computes_crcs(job)
