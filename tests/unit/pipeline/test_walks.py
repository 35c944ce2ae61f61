"""What a walker goes through under each verb, with buckets that can be listed and looked at."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from s3pp.errors import FailureKind, FatalError
from s3pp.job import Choosing, Job, Mode
from s3pp.pipeline.connect import LoopThread
from s3pp.pipeline.walks import Surroundings, walk
from s3pp.places import Place, Side, Source, parse_origin, parse_place
from s3pp.records import (
    CopyTask,
    Dest,
    Failed,
    GetTask,
    Outcome,
    PutTask,
    Skipped,
    SkipReason,
    Task,
)
from s3pp.s3.answers import Answer
from s3pp.s3.endpoint import Endpoint, Opened
from s3pp.s3.exchange import Response
from s3pp.s3.retry import StoreError
from s3pp.sources.filters import NameChoice, filters_of
from s3pp.sources.objects import is_empty
from s3pp.speed import Speed

DENIED = StoreError(403, "AccessDenied", "no")
LISTED_TIME = "2026-01-02T03:04:05.000Z"
HEADER_TIME = "Fri, 02 Jan 2026 03:04:05 GMT"


class Bucket:
    """Keys and what they hold, on another thread's loop."""

    def __init__(
        self, thread: LoopThread, name: str, held: Mapping[str, Dest], *, listable: bool = True
    ) -> None:
        self.run = thread.run
        self.held = held
        self.lists: list[dict[str, str]] = []
        self.looks: list[str] = []
        self.opened = Opened(
            Endpoint("https", "store", f"/{name}", "us-east-1", name), None, None, listable
        )
        self.lines = [b"Last-Modified: %s\r\n" % HEADER_TIME.encode()]

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        if not self.opened.listable:
            raise DENIED
        self.lists.append(parameters)
        prefix = parameters.get("prefix", "")
        after = unquote(parameters.get("continuation-token", "")) or parameters.get("start-after")
        most = int(parameters.get("max-keys", 1000))
        keys = [key for key in sorted(self.held) if key.startswith(prefix) and key > (after or "")]
        token = quote(keys[most - 1]) if len(keys) > most else ""
        return _page([(key, self.held[key]) for key in keys[:most]], token)

    async def look(self, key: str) -> Answer | None:
        self.looks.append(key)
        if key not in self.held:
            return None
        size, etag, _ = self.held[key]
        lines = [f'ETag: "{etag}"\r\n'.encode(), b"Content-Length: %d\r\n" % size, *self.lines]
        return Answer(Response(200, b"".join([b"HTTP/1.1 200 OK\r\n", *lines]), b""), 1)


def _page(found: list[tuple[str, Dest]], token: str) -> bytes:
    contents = "".join(
        f"<Contents><Key>{quote(key)}</Key><LastModified>{LISTED_TIME}</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Contents>"
        for key, (size, etag, _) in found
    )
    more = f"<IsTruncated>{str(bool(token)).lower()}</IsTruncated>"
    more += f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return (
        f"<ListBucketResult><EncodingType>url</EncodingType>{more}{contents}</ListBucketResult>"
    ).encode()


class World:
    """The buckets of a run and what is told in it."""

    def __init__(self, thread: LoopThread) -> None:
        self.told: list[str] = []
        self.buckets: dict[Side, Bucket] = {}
        self._thread = thread

    def has(
        self,
        side: Side,
        *keys: str,
        name: str | None = None,
        listable: bool = True,
        more: Mapping[str, Dest] | None = None,
    ) -> Bucket:
        """Make a side's bucket: ``keys`` hold one byte each, those of ``more`` what they say."""
        held = {key: Dest(1, f"etag-{key}") for key in keys} | dict(more or {})
        made = Bucket(self._thread, name or side.end, held, listable=listable)
        self.buckets[side] = made
        return made

    def walk(self, job: Job, *, single: bool = False, stdin: bytes = b"") -> list[Task | Outcome]:
        """All steps of ``job``; ``single`` is what the supervisor saw."""
        if single:
            job = replace(job, origins=(job.origin.alone,))
        choice = NameChoice(filters_of(job.choosing), io.BytesIO(stdin))
        around: Any = Surroundings(self.buckets, self.told.append, choice)  # type: ignore[arg-type]
        return list(walk(job, around))


@pytest.fixture(scope="module")
def thread() -> LoopThread:
    return LoopThread(pytest.fail)


@pytest.fixture
def world(thread: LoopThread) -> World:
    return World(thread)


SPEED = Speed(processes=1, listers=1)


def get_task(key: str, target: str, etag: str | None = None) -> GetTask:
    return GetTask(key, target, 1, etag or f"etag-{key}", LISTED_TIME)


def copy_task(key: str, target: str, dest: Dest | None = None, *, ask: bool = False) -> CopyTask:
    return CopyTask(key, target, 1, f"etag-{key}", "", dest, ask)


# Put


def put(top: Path, mode: Mode = Mode.UPDATE) -> Job:
    return Job("put", (Source(str(top)),), Place("dest", "p"), mode=mode)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("mode", "dests"),
    [
        (Mode.UPDATE, [Dest(1, "etag-p/a"), None]),
        (Mode.STUPID, [None, None]),
    ],
)
def test_a_put_goes_through_the_files_beside_the_destination(
    mode: Mode, dests: list[Dest | None], top: Path, world: World
) -> None:
    dest = world.has(Side.DEST, "p/a", "p/x", "q")
    steps = world.walk(put(top, mode))
    assert [step.target for step in steps] == ["p/a", "p/b"]
    assert [(step.dest, step.ask) for step in steps if isinstance(step, PutTask)] == [
        (each, False) for each in dests
    ]
    assert {each["prefix"] for each in dest.lists} <= {"p/"}
    assert bool(dest.lists) == (mode is not Mode.STUPID)


def test_a_put_asks_for_each_key_where_it_may_not_list(top: Path, world: World) -> None:
    world.has(Side.DEST, "p/a", listable=False)
    steps = world.walk(put(top))
    assert [step.ask for step in steps if isinstance(step, PutTask)] == [True, True]
    (line,) = world.told
    assert "access denied: ListBucket on s3://dest/p (AccessDenied: no)" in line


# Get


def get(source: str, directory: Path, **more: Any) -> Job:
    choosing = Choosing(**more.pop("choosing", {}))
    origin = parse_origin(source)
    return Job(
        "get", origins=(origin,), directory=str(directory), choosing=choosing, speed=SPEED, **more
    )


def test_a_get_goes_through_what_lies_below_the_prefix(tmp_path: Path, world: World) -> None:
    source = world.has(Side.SOURCE, "o", "p", "p/a", "p/d/b", "p/../c", "p/d", "q")
    steps = world.walk(get("s3://source/p", tmp_path / "top"))
    assert [step for step in steps if isinstance(step, GetTask)] == [
        get_task("p/a", "a"),
        get_task("p/d", "d"),
    ]
    failures = {step.target: step.kind for step in steps if isinstance(step, Failed)}
    assert failures == {"../c": FailureKind.NAME, "d/b": FailureKind.CONFLICT}
    assert source.looks == ["p"]
    (note,) = world.told
    assert "s3://source/p is an object too" in note
    assert "'s3://source/p*' with --limit 1" in note


@pytest.mark.parametrize(
    ("source", "looks"),
    [
        ("s3://source/p", ["p"]),
        ("s3://source/p*", []),
        ("s3://source/p/*", []),
        ("s3://source", []),
        ("s3://source/p/d", ["p/d"]),
    ],
)
def test_an_object_of_the_prefixs_name_is_looked_for_where_it_could_be_meant(
    source: str, looks: list[str], tmp_path: Path, world: World
) -> None:
    bucket = world.has(Side.SOURCE, "p/a", "p/d/b", "p1")
    world.walk(get(source, tmp_path))
    assert bucket.looks == looks
    assert world.told == []


def test_nothing_is_said_of_an_object_that_nobody_may_look_at(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(self: Bucket, key: str) -> Answer | None:
        raise DENIED

    monkeypatch.setattr(Bucket, "look", refused)
    world.has(Side.SOURCE, "p", "p/a")
    assert world.walk(get("s3://source/p", tmp_path)) == [get_task("p/a", "a")]
    assert world.told == []


def test_an_object_that_is_left_out_is_named_though_nothing_else_is_chosen(
    tmp_path: Path, world: World
) -> None:
    world.has(Side.SOURCE, "p", "p/a")
    choosing = {"rules": (("exclude", "*"),)}
    assert world.walk(get("s3://source/p", tmp_path, choosing=choosing)) == []
    assert len(world.told) == 1


def test_the_directory_is_made_and_swept_before_anything_is_got(
    tmp_path: Path, world: World
) -> None:
    top = tmp_path / "above" / "top"
    world.has(Side.SOURCE, "a", "d/b")
    world.walk(get("s3://source", top))
    assert top.is_dir()
    left = [top / "a.s3pp-0123456789abcdef", top / "d" / "b.s3pp-0123456789abcdef"]
    (top / "d").mkdir()
    for path in left:
        path.write_bytes(b"half of it")
    steps = world.walk(get("s3://source", top))
    assert len(steps) == 2
    assert not any(path.exists() for path in left)


@pytest.mark.parametrize("exists", [False, True])
def test_a_dry_run_touches_nothing(exists: bool, tmp_path: Path, world: World) -> None:
    top, left = tmp_path / "top", tmp_path / "top" / "a.s3pp-0123456789abcdef"
    if exists:
        top.mkdir()
        left.write_bytes(b"half of it")
    world.has(Side.SOURCE, "a")
    steps = world.walk(get("s3://source", top, dry_run=True))
    assert steps == [get_task("a", "a")]
    assert (top.exists(), left.exists()) == (exists, exists)


def test_names_that_fold_are_told_apart_where_the_file_system_folds(
    tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.has(Side.SOURCE, "A", "a", "b")
    assert len(world.walk(get("s3://source", tmp_path))) == 3
    asked: list[tuple[str, bool]] = []

    def folds(directory: str, *, write: bool = True) -> bool:
        asked.append((directory, write))
        return True

    monkeypatch.setattr("s3pp.localfs.name_conflicts.folds_names", folds)
    for dry_run in (False, True):
        steps = world.walk(get("s3://source", tmp_path, dry_run=dry_run))
        assert {step.target: type(step) for step in steps} == {
            "A": GetTask,
            "a": Failed,
            "b": GetTask,
        }
    assert asked == [(str(tmp_path), True), (str(tmp_path), False)]


def test_what_stands_in_the_place_of_the_directory_ends_the_run(
    tmp_path: Path, world: World
) -> None:
    world.has(Side.SOURCE, "a")
    (tmp_path / "top").write_bytes(b"a file")
    with pytest.raises(Exception, match="not a directory"):
        world.walk(get("s3://source", tmp_path / "top"))


# The one object that an origin may mean


@pytest.mark.parametrize("listable", [True, False])
def test_one_object_is_looked_at_and_keeps_its_base_name(
    listable: bool, tmp_path: Path, world: World
) -> None:
    source = world.has(Side.SOURCE, "d/p", "d/pp", listable=listable)
    (step,) = world.walk(get("s3://source/d/p", tmp_path), single=True)
    assert isinstance(step, GetTask)
    assert step[:4] == ("d/p", "p", 1, "etag-d/p")
    assert step.modified.startswith("2026-01-02T03:04:05")
    assert (source.lists, source.looks) == ([], ["d/p"])


def test_one_object_without_a_time_is_given_none(tmp_path: Path, world: World) -> None:
    world.has(Side.SOURCE, "p").lines.clear()
    (step,) = world.walk(get("s3://source/p", tmp_path), single=True)
    assert isinstance(step, GetTask)
    assert step.modified == ""
    with pytest.raises(FatalError, match="without a time"):
        world.walk(get("s3://source/p", tmp_path, choosing={"older_than": 1.0}), single=True)


@pytest.mark.parametrize(
    ("choosing", "count"),
    [
        ({"max_size": 0}, 0),
        ({"max_size": 1}, 1),
        ({"rules": (("exclude", "p"),)}, 0),
        ({"rules": (("exclude", "d/**"),)}, 1),
        ({"newer_than": 1767323045.0}, 0),
        ({"older_than": 1767323046.0}, 1),
    ],
)
def test_one_object_is_chosen_like_any_other(
    choosing: dict[str, Any], count: int, tmp_path: Path, world: World
) -> None:
    world.has(Side.SOURCE, "d/p")
    steps = world.walk(get("s3://source/d/p", tmp_path, choosing=choosing), single=True)
    assert len(steps) == count


def test_one_object_that_vanished_ends_the_run(tmp_path: Path, world: World) -> None:
    world.has(Side.SOURCE, "q")
    with pytest.raises(FatalError, match="s3://source/p"):
        world.walk(get("s3://source/p", tmp_path), single=True)


@pytest.mark.parametrize(
    ("keys", "source", "targets"),
    [
        (["p", "p/a"], "s3://source/p", ["a"]),
        (["p", "pp"], "s3://source/p", ["p"]),
        (["d/p"], "s3://source/d/p/", ["p"]),
        (["a"], "s3://source", ["a"]),
        (["o", "pa", "pb", "q"], "s3://source/p*", ["pa", "pb"]),
    ],
)
def test_where_the_probe_could_not_see_it_a_listing_shows_what_is_meant(
    keys: list[str], source: str, targets: list[str], tmp_path: Path, world: World
) -> None:
    bucket, job = world.has(Side.SOURCE, *keys), get(source, tmp_path)
    single = bucket.run(is_empty(job.origin, bucket)).result()
    assert [step.target for step in world.walk(job, single=single)] == targets


def test_and_where_there_is_nothing_the_run_ends(tmp_path: Path, world: World) -> None:
    world.has(Side.SOURCE, "q")
    with pytest.raises(FatalError, match="get s3://source/p: no objects found: check the name"):
        world.walk(get("s3://source/p", tmp_path), single=True)


def test_names_from_a_list_are_below_the_prefix_whatever_else_is_there(
    tmp_path: Path, world: World
) -> None:
    world.has(Side.SOURCE, "p", "p/a")
    job = get("s3://source/p", tmp_path, choosing={"files_from": "-"})
    steps = world.walk(job, stdin=b"a\np\n")
    assert steps[0] == get_task("p/a", "a")
    assert world.told == []
    (failed,) = steps[1:]
    assert isinstance(failed, Failed)
    assert (failed.source, failed.kind) == ("p/p", FailureKind.NOT_FOUND)


@pytest.mark.parametrize("listable", [True, False])
@pytest.mark.parametrize(
    ("names", "targets", "missing"),
    [(("b", "a", "", "b"), ["a", "b"], []), (("gone",), [], ["p/gone"]), ((), [], [])],
)
def test_names_in_memory_choose_only_what_they_name(
    names: tuple[str, ...],
    targets: list[str],
    missing: list[str],
    listable: bool,
    tmp_path: Path,
    world: World,
) -> None:
    source = world.has(Side.SOURCE, "p", "p/a", "p/b", "p/c", listable=listable)
    steps = world.walk(get("s3://source/p", tmp_path, choosing={"names": names}))
    assert [step.target for step in steps if isinstance(step, GetTask)] == targets
    assert [step.source for step in steps if isinstance(step, Failed)] == missing
    assert source.looks == ([] if listable else [f"p/{n}" for n in sorted(set(names) - {""})])


# Copy


def copy(source: str, dest: str, mode: Mode = Mode.UPDATE) -> Job:
    return Job(
        "copy", origins=(parse_origin(source),), dest=parse_place(dest), mode=mode, speed=SPEED
    )


def test_a_copy_goes_through_two_listings(world: World) -> None:
    source = world.has(Side.SOURCE, "p/a", "p/b", "p/c", "o")
    same, other = Dest(1, "etag-p/b"), Dest(1, "another")
    dest = world.has(Side.DEST, more={"q/b": same, "q/c": other, "x": same})
    steps = world.walk(copy("s3://source/p", "s3://dest/q"))
    assert steps[0] == copy_task("p/a", "q/a")
    assert steps[1] == Skipped("p/b", "q/b", 1, SkipReason.SAME_ETAG, etag="etag-p/b")
    assert steps[2] == copy_task("p/c", "q/c", other)
    assert {each["prefix"] for each in source.lists} == {"p/"}
    assert {each["prefix"] for each in dest.lists} == {"q/"}
    assert (source.looks, dest.looks, world.told) == (["p"], [], [])


def test_a_copy_asks_for_each_key_where_it_may_only_write(world: World) -> None:
    world.has(Side.SOURCE, "p/a", "p/b")
    world.has(Side.DEST, listable=False)
    steps = world.walk(copy("s3://source/p", "s3://dest/q"))
    assert steps == [copy_task("p/a", "q/a", ask=True), copy_task("p/b", "q/b", ask=True)]


def test_mode_stupid_lists_the_source_alone(world: World) -> None:
    world.has(Side.SOURCE, "p/a")
    dest = world.has(Side.DEST, "q/a")
    steps = world.walk(copy("s3://source/p", "s3://dest/q", Mode.STUPID))
    assert steps == [copy_task("p/a", "q/a")]
    assert dest.lists == []


def test_a_copy_within_a_bucket_leaves_out_its_own_and_says_so(world: World) -> None:
    for side in (Side.SOURCE, Side.DEST):
        world.has(side, "p/a", "p/old/b", name="one")
    steps = world.walk(copy("s3://one/p", "s3://one/p/old"))
    assert steps == [copy_task("p/a", "p/old/a")]
    (note,) = world.told
    assert "s3://one/p/old" in note


def test_buckets_of_one_name_at_two_stores_have_nothing_in_common(world: World) -> None:
    world.has(Side.SOURCE, "p/a", "p/old/b", name="one")
    dest = world.has(Side.DEST, name="one")
    dest.opened = dest.opened._replace(endpoint=dest.opened.endpoint._replace(host="elsewhere"))
    steps = world.walk(copy("s3://one/p", "s3://one/p/old"))
    assert steps == [copy_task("p/a", "p/old/a"), copy_task("p/old/b", "p/old/old/b")]
    assert world.told == []


def test_one_object_is_copied_with_its_storage_class(world: World) -> None:
    source = world.has(Side.SOURCE, "d/p")
    source.lines.append(b"x-amz-storage-class: GLACIER_IR\r\n")
    world.has(Side.DEST)
    (step,) = world.walk(copy("s3://source/d/p", "s3://dest/q"), single=True)
    assert step == copy_task("d/p", "q/p")._replace(storage_class="GLACIER_IR")


@pytest.mark.parametrize("verb", ["get", "copy"])
def test_a_source_that_cannot_be_listed_any_more_ends_the_run(
    verb: str, tmp_path: Path, world: World
) -> None:
    world.has(Side.SOURCE, "p/a", listable=False)
    world.has(Side.DEST)
    job = get("s3://source/p", tmp_path) if verb == "get" else copy("s3://source/p", "s3://dest/q")
    with pytest.raises(FatalError, match="list s3://source/p: AccessDenied"):
        world.walk(job)
    assert os.listdir(tmp_path) == []
