"""What is skipped before a role is asked is what the role would skip, with the same outcome."""

from __future__ import annotations

import asyncio
import os
from hashlib import md5
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import Mock

from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.attributes import Objects
from s3pp.body_options import DownloadOptions
from s3pp.integrity.etag import etag_of_md5s
from s3pp.job import Compare, Job, Mode
from s3pp.limits import SMALL
from s3pp.localfs.tree import Tree
from s3pp.pipeline import roles
from s3pp.places import Origin, Place, Side, Source
from s3pp.records import Dest, Done, Entry, GetTask, Outcome, PutTask, Skipped, SkipReason
from s3pp.s3.retry import StoreError
from s3pp.transfer.unchanged import unchanged_files, unchanged_objects

from .buckets import endpoint

MODIFIED, MTIME_NS = "2026-01-02T03:04:05Z", 1767323045_000_000_000

bodies = st.sampled_from([b"", b"a", b"b", b"body", bytes(SMALL), bytes(SMALL + 1)])
kinds = st.sampled_from(["file", "file", "file", "missing", "directory", "link", "fifo"])
times = st.sampled_from([MTIME_NS, MTIME_NS + 10**9])


class Silent:
    """A bucket that shows nothing of its objects; dry runs send nothing else."""

    endpoint = endpoint("bucket")

    async def head(self, key: str) -> Dest | None:
        raise StoreError(403, "AccessDenied", "Access Denied")

    look = head


def etags(body: bytes) -> st.SearchStrategy[str]:
    """ETags of ``body`` (more often), of another body, and of no bytes at all."""
    whole, parts = md5(body).hexdigest(), etag_of_md5s([md5(body).digest()])
    return st.sampled_from([whole, whole, md5(b"another").hexdigest(), parts, "", "opaque"])


def sizes(body: bytes) -> st.SearchStrategy[int]:
    """The size of ``body`` (mostly), and others."""
    return st.sampled_from([len(body), len(body), len(body), 1, SMALL + 7])


def place(path: Path, kind: str, body: bytes, mtime_ns: int) -> None:
    """Make at ``path`` what ``kind`` names."""
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind != "missing":
        content = path.with_name("target") if kind == "link" else path
        content.write_bytes(body)
        os.utime(content, ns=(mtime_ns, mtime_ns))
        if kind == "link":
            path.symlink_to("target")


def decisions(job: Job, task: Any) -> tuple[Done | Skipped | None, Outcome]:
    """What is found out beforehand, and the role's own decision."""

    async def main() -> tuple[Done | Skipped | None, Outcome]:
        buckets: Any = dict.fromkeys((Side.SOURCE, Side.DEST), Silent())
        role = roles.role(job, buckets, roles.worker_resources(Mock()))
        skip, found = role.skip_unchanged, None
        if skip is not None:
            try:
                found = skip(task)
            except Exception:  # the same as None, see ``Screening``
                assert not isinstance(await role.transfer(task), Skipped)
        return found, await role.transfer(task)

    return asyncio.run(main())


@given(st.data())
@settings(max_examples=examples(600), deadline=None)
def test_files_are_skipped_as_the_putter_does(data: st.DataObject) -> None:
    draw = data.draw
    body, kind, mode = draw(bodies), draw(kinds), draw(st.sampled_from([Mode.UPDATE, *Mode]))
    gzip = draw(st.sampled_from([frozenset[str](), frozenset({"all"})]))
    dest = draw(st.none() | st.builds(Dest, sizes(body), etags(body), times))
    compare = draw(st.sampled_from([Compare.ETAG, *Compare]))
    start = draw(st.sampled_from([None, None, 0, 1]))  # of a member in an archive
    with TemporaryDirectory() as top:
        path = Path(top, "f.txt")
        place(path, kind, body, MTIME_NS)
        entry = Entry("key", str(path), draw(sizes(body)), draw(times), start)
        task = PutTask(entry, dest, draw(st.sampled_from([False, False, True])))
        job = Job(
            "put",
            (Source(top),),
            Place("bucket"),
            mode=mode,
            compare=compare,
            objects=Objects(gzip_types=gzip),
            dry_run=True,
        )
        found, outcome = decisions(job, task)
    assert found in (None, outcome)
    plain = (mode, compare, start) == (Mode.UPDATE, Compare.ETAG, None) and not (gzip or task.ask)
    if plain and kind == "file" and entry.size == len(body) <= SMALL:
        same = dest is not None and dest[:2] == (len(body), md5(body).hexdigest())
        assert (found is not None) == same


@given(st.data())
@settings(max_examples=examples(600), deadline=None)
def test_objects_are_skipped_as_the_getter_does(data: st.DataObject) -> None:
    draw = data.draw
    body, kind, mode = draw(bodies), draw(kinds), draw(st.sampled_from([Mode.UPDATE, *Mode]))
    compare, gunzip = draw(st.sampled_from([Compare.ETAG, *Compare])), draw(st.booleans())
    target = draw(st.sampled_from(["f", "f", "f", "f/", "below/f", "../f"]))
    pack = draw(st.sampled_from([False, False, True]))
    task = GetTask("p/f", target, draw(sizes(body)), draw(etags(body)), MODIFIED, pack)
    with TemporaryDirectory() as top:
        place(Path(top, "f"), kind, body, draw(times))
        job = Job(
            "get",
            origins=(Origin("bucket"),),
            directory=top,
            mode=mode,
            compare=compare,
            download=DownloadOptions(gunzip=gunzip),
            dry_run=True,
        )
        found, outcome = decisions(job, task)
    assert found in (None, outcome)
    plain = (mode, compare, gunzip, target, pack) == (Mode.UPDATE, Compare.ETAG, False, "f", False)
    if plain and kind == "file" and task.size == len(body) <= SMALL:
        assert (found is not None) == (task.etag == md5(body).hexdigest())
        assert found is None or found.reason is SkipReason.SAME_ETAG


def test_nothing_is_read_on_the_event_loop_while_threads_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"body")
    etag = md5(b"body").hexdigest()
    reader = Mock(threaded=True)
    put = unchanged_files(Job("put"), reader)
    get = unchanged_objects(Job("get"), Tree(str(tmp_path)), reader)
    assert put is not None
    assert get is not None
    assert put(PutTask(Entry("key", str(path), 4, 0), Dest(4, etag))) is None
    assert get(GetTask("key", "f", 4, etag, MODIFIED)) is None
    reader.here.assert_not_called()
