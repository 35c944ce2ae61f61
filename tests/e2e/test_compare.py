"""--compare: mode update by size, or by size and time, on put, get and copy; no file is opened."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from commands import Run, as_anybody
from conftest import MakeRecorder, MakeRelay, Tree
from outcomes import failures, reasons
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store

OLD, FUTURE = 1e9, 4e9  # seconds since the epoch
FILES = {"a": b"1234", "d/b": b"", "d/c": b"12345"}


def wait_for_the_next_second() -> None:
    """moto, like S3, lists whole seconds."""
    now = time.time()
    time.sleep(1.01 - now % 1)


def age(root: Path, when: float, *names: str) -> None:
    for name in names or FILES:
        os.utime(root / name, (when, when))


@pytest.mark.parametrize("compare", ["mtime", "size"])
def test_a_second_put_opens_no_file(
    compare: str, s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder
) -> None:
    src = tree(FILES)
    age(src, OLD)
    words = ("put", "--json", "--compare", compare, src, f"{moto_bucket.url}/p")
    assert reasons(s3pp(*words)) == {f"p/{name}": "new" for name in FILES}
    for name in FILES:
        (src / name).chmod(0)
    seen = recorder(moto)
    again = s3pp(*words, store=seen.store, preexec_fn=as_anybody)
    same = {"mtime": "not newer", "size": "same size"}[compare]
    assert (again.code, reasons(again)) == (0, {f"p/{name}": same for name in FILES})
    assert (seen.heads, seen.puts, seen.count("GET")) == (0, 0, seen.lists)
    assert len(failures(s3pp("put", "--json", *words[4:], preexec_fn=as_anybody))) == 3


def test_what_put_sends_by_size_and_by_time(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree(FILES)
    age(src, OLD)
    assert s3pp("put", src, moto_bucket.url).code == 0
    (src / "a").write_bytes(b"9999")  # the same size, and newer
    (src / "d/c").write_bytes(b"9")
    age(src, FUTURE, "a")
    age(src, OLD, "d/c")  # older, but of another size
    by_size = s3pp("put", "-n", "--json", "--compare", "size", src, moto_bucket.url)
    assert reasons(by_size) == {"a": "same size", "d/b": "same size", "d/c": "size differs"}
    by_time = s3pp("put", "--json", "--compare", "mtime", src, moto_bucket.url)
    assert reasons(by_time) == {"a": "newer", "d/b": "not newer", "d/c": "size differs"}
    assert moto_bucket.tree() == {"a": b"9999", "d/b": b"", "d/c": b"9"}


def test_without_a_listing_a_head_decides(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, relay: MakeRelay
) -> None:
    src, source = tree(FILES), moto.bucket()
    for name, body in FILES.items():
        moto_bucket.put(name, body)
        source.put(name, body)
    age(src, OLD)
    age(src, FUTURE, "a")

    def unlisted(request: Request) -> Answer | None:
        listing = "list-type" in request.target and moto_bucket.name in request.target
        return error(403, "AccessDenied") if listing else None

    blind = replace(moto, url=relay(moto, intercept=unlisted).url)
    put = s3pp("put", "-n", "--json", "--compare", "mtime", src, moto_bucket.url, store=blind)
    assert reasons(put) == {"a": "newer", "d/b": "not newer", "d/c": "not newer"}
    wait_for_the_next_second()
    source.put("d/c", b"54321")
    copy = s3pp("copy", "--json", "--compare", "mtime", source.url, moto_bucket.url, store=blind)
    assert reasons(copy)["d/c"] == "newer"
    assert moto_bucket.get("d/c") == b"54321"


def test_a_second_get_opens_no_file(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    out = tree({}, "out")
    for name, body in FILES.items():
        moto_bucket.put(name, body)
    words = ("--json", moto_bucket.url, out)
    assert set(reasons(s3pp("get", *words)).values()) == {"new"}
    for name in FILES:
        (out / name).chmod(0)
    for compare, same in (("mtime", "same time"), ("size", "same size")):
        again = s3pp("get", "--compare", compare, *words, preexec_fn=as_anybody)
        assert (again.code, reasons(again)) == (0, dict.fromkeys(FILES, same))
    assert len(failures(s3pp("get", *words, preexec_fn=as_anybody))) == 2  # not the empty one


def test_what_get_fetches_by_size_and_by_time(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    out = tree({}, "out")
    for name, body in FILES.items():
        moto_bucket.put(name, body)
    assert s3pp("get", moto_bucket.url, out).code == 0
    (out / "a").write_bytes(b"9999")  # edited here, so that it is newer than the object
    age(out, FUTURE, "a")
    (out / "d/c").write_bytes(b"9")
    age(out, OLD, "d/b")  # as if the object had been replaced since
    by_size = s3pp("get", "-n", "--json", "--compare", "size", moto_bucket.url, out)
    assert reasons(by_size) == {"a": "same size", "d/b": "same size", "d/c": "size differs"}
    by_time = s3pp("get", "--json", "--compare", "mtime", moto_bucket.url, out)
    assert reasons(by_time) == {"a": "time differs", "d/b": "time differs", "d/c": "size differs"}
    assert tree.read(out) == FILES


def test_a_copy_compares_two_listings(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    other = moto.bucket()
    other.put("newer", b"1111")
    wait_for_the_next_second()
    for name in ("same", "newer", "size"):
        moto_bucket.put(name, b"1234")
    other.put("same", b"4321")
    other.put("size", b"1")
    seen = recorder(moto)
    words = ("--json", moto_bucket.url, other.url)
    by_size = s3pp("copy", "-n", "--compare", "size", *words, store=seen.store)
    assert reasons(by_size) == {"newer": "same size", "same": "same size", "size": "size differs"}
    by_time = s3pp("copy", "--compare", "mtime", *words, store=seen.store)
    assert reasons(by_time) == {"newer": "newer", "same": "not newer", "size": "size differs"}
    assert seen.heads == 0
    assert other.tree() == {"newer": b"1234", "same": b"4321", "size": b"1234"}
