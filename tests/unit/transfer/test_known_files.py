"""What the walker skips by the ETag cache is what a worker would skip; and in which order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import md5
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.attributes import Objects
from s3pp.errors import FatalError
from s3pp.integrity.etag import etag_of_md5s
from s3pp.job import Compare, Job, Mode
from s3pp.localfs.etag_cache import DigestWriter, prepare
from s3pp.localfs.file_state import FileDigest, FileState
from s3pp.places import Origin, Place, Source
from s3pp.records import (
    Dest,
    Entry,
    GetTask,
    PutTask,
    Skipped,
    SkipReason,
)
from s3pp.sources.filesystem import WalkedEntry
from s3pp.speed import Speed
from s3pp.transfer.chunks import WAIT, chunks
from s3pp.transfer.file_digests import BodyKinds, etag_kind, same_etag
from s3pp.transfer.known_files import KnownFiles, Step

BODY = b"body"
WHOLE, PARTS = md5(BODY).hexdigest(), etag_of_md5s([md5(BODY).digest()])
ETAGS = [WHOLE, WHOLE, PARTS, md5(b"other").hexdigest(), "opaque", ""]
MODIFIED = "2026-01-02T03:04:05Z"


def put_task(path: Path, dest: Dest | None, *, ask: bool = False) -> PutTask:
    return PutTask(WalkedEntry.of("key", str(path), path.stat()), dest, ask)


def screened(job: Job, steps: Sequence[Step], digests: Sequence[FileDigest]) -> list[Step]:
    with TemporaryDirectory() as top:
        path = os.path.join(top, "cache")
        prepare(path, write=True)
        writer = DigestWriter(path)
        writer.store(digests)
        writer.close()
        job = replace(job, speed=Speed(etag_cache=path))
        notices: list[str] = []
        found = list(KnownFiles(job, notices.append, print).skip(steps))
        assert notices == []
        return found


@given(st.data())
@settings(max_examples=examples(150), deadline=None)
def test_only_what_is_known_to_be_equal_is_skipped(data: st.DataObject) -> None:
    draw = data.draw
    dest = draw(st.none() | st.builds(Dest, st.sampled_from([4, 4, 4, 5]), st.sampled_from(ETAGS)))
    known = draw(st.lists(st.sampled_from([WHOLE, PARTS, "crc64nvme"])))
    mode, compare = draw(st.sampled_from([Mode.UPDATE, *Mode])), draw(st.sampled_from(Compare))
    changed, ask = draw(st.booleans()), draw(st.sampled_from([False, False, True]))
    with TemporaryDirectory() as top:
        path = Path(top, "f")
        path.write_bytes(BODY)
        task = put_task(path, dest, ask=ask)
        state = FileState.of(path.stat())
        if changed:
            state = state._replace(ctime_ns=state.ctime_ns - 1)
        digests = [FileDigest(state, etag_kind(each) or each, each) for each in known]
        job = Job("put", (Source(top),), Place("bucket"), mode=mode, compare=compare)
        (found,) = screened(job, [task], digests)
    is_equal = dest is not None and dest.size == 4 and dest.etag in known and dest.etag != ""
    by_content = (mode, compare, changed, ask) == (Mode.UPDATE, Compare.ETAG, False, False)
    if is_equal and by_content:
        assert found == Skipped(str(path), "key", 4, SkipReason.SAME_ETAG)
    else:
        assert found is task


@given(st.data())
@settings(max_examples=examples(100), deadline=None)
def test_objects_are_skipped_by_the_files_that_are_there(data: st.DataObject) -> None:
    draw = data.draw
    kind = draw(st.sampled_from(["file", "file", "missing", "link", "directory"]))
    task = GetTask(
        "p/f",
        draw(st.sampled_from(["f", "f", "f/", "../f", "below/f"])),
        draw(st.sampled_from([4, 4, 5])),
        draw(st.sampled_from(ETAGS)),
        MODIFIED,
        draw(st.sampled_from([False, False, True])),
    )
    with TemporaryDirectory() as top:
        path = Path(top, "f")
        if kind in ("file", "link"):
            content = path if kind == "file" else Path(top, "target")
            content.write_bytes(BODY)
            if kind == "link":
                path.symlink_to("target")
        elif kind == "directory":
            path.mkdir()
        digests = []
        if path.exists():
            state = FileState.of(path.stat())
            digests = [FileDigest(state, "md5", WHOLE), FileDigest(state, "parts-1", PARTS)]
        job = Job("get", origins=(Origin("bucket"),), directory=top)
        (found,) = screened(job, [task], digests)
    plain = (kind, task.target, task.size, task.pack) == ("file", "f", 4, False)
    if plain and task.etag in (WHOLE, PARTS):
        assert found == Skipped("p/f", "f", 4, SkipReason.SAME_ETAG)
    else:
        assert found is task


def test_digests_that_were_not_used_for_long_are_stored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, path = str(tmp_path / "cache"), tmp_path / "f"
    path.write_bytes(BODY)
    prepare(cache, write=True)
    digest = FileDigest(FileState.of(path.stat()), "md5", WHOLE)
    writer = DigestWriter(cache)
    writer.store([digest])
    writer.close()
    again: list[FileDigest] = []
    job = Job("put", (Source("src"),), Place("bucket"), speed=Speed(etag_cache=cache))
    steps = [put_task(path, Dest(4, WHOLE))]
    for days in (1, 30):
        monkeypatch.setattr("time.time", lambda days=days, now=0: 2e9 + days * 86_400)
        known = KnownFiles(job, print, again.extend)
        assert isinstance(next(known.skip(steps)), Skipped)
    assert set(again) == {digest}


def test_steps_are_looked_up_together_unless_they_come_slowly() -> None:
    now = 0.0

    def clock() -> float:
        return now

    def steps(count: int, seconds: float) -> Iterator[Any]:
        nonlocal now
        for number in range(count):
            now += seconds
            yield number

    assert [len(each) for each in chunks(steps(13, 0), 4, clock=clock)] == [1, 2, 4, 4, 2]
    assert [len(each) for each in chunks(steps(6, 2 * WAIT), 4, clock=clock)] == [1, 2, 2, 1]


def test_what_was_found_before_an_error_is_passed_on() -> None:
    def steps() -> Iterator[Any]:
        yield from (1, 2)
        raise FatalError("the listing broke")

    found = chain.from_iterable(chunks(steps(), 4, clock=lambda: 0.0))
    assert (next(found), next(found)) == (1, 2)
    with pytest.raises(FatalError):
        next(found)


def test_an_empty_file_is_an_empty_object_of_any_etag() -> None:
    empty = {"md5": md5(b"").hexdigest()}
    assert same_etag(empty, "", "opaque", empty=True) is SkipReason.SAME_CHECKSUM
    assert same_etag(empty, "", empty["md5"], empty=True) is SkipReason.SAME_ETAG
    assert same_etag({}, "", "opaque", empty=True) is None
    assert same_etag({"md5": WHOLE}, "", "opaque", empty=False) is None


@pytest.mark.parametrize(
    "other",
    [
        Objects(gzip_types=frozenset({"text/css"})),
        Objects(gzip_types=frozenset({"text/plain"}), content_type="magic"),
        Objects(gzip_types=frozenset({"text/plain"}), headers=(("Content-Type", "a/b"),)),
        Objects(),
    ],
)
def test_other_settings_make_another_body(other: Objects) -> None:
    ours = BodyKinds(Objects(gzip_types=frozenset({"text/plain"})))
    assert ours.of("a/b.txt") == ours.of("c.txt")
    assert len({ours.of("b.txt"), ours.of("b.txt.gz"), ours.of("b.bin")}) == 3
    assert BodyKinds(other).of("b.txt") != ours.of("b.txt")
    assert (ours.varies, BodyKinds(Objects()).of("b.txt")) == (True, "")


def test_a_plain_entry_is_never_looked_up(tmp_path: Path) -> None:
    task = PutTask(Entry("key", "f", 4, 0), Dest(4, WHOLE))
    job = Job("put", (Source("src"),), Place("bucket"))
    assert screened(job, [task], []) == [task]
