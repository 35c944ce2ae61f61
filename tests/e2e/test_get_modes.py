"""add, stupid and update: what is fetched, and why, as --json and the directory tell it."""

from __future__ import annotations

import os
from pathlib import Path

from commands import Run
from conftest import MakeRecorder, Tree
from outcomes import files_of, reasons
from stores.relay import Request
from stores.store import Bucket, Store
from trees import content


def test_update_fetches_what_is_new_or_differs(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    objects = {"same": b"1234", "size": b"12345", "bytes": b"1234", "new": b""}
    objects |= {"parts": b"abc", "other": b"cba"}
    for key, body in objects.items():
        if key not in ("parts", "other"):
            bucket.put(key, body)
    bucket.put_multipart("parts", b"abc")  # its ETag is no MD5, but made of one
    bucket.put_multipart("other", b"cba")
    here = {"same": b"1234", "size": b"1", "bytes": b"4321", "parts": b"abc", "other": b"xyz"}
    out = tree(here, "out")
    (out / "stays").write_bytes(b"!")
    os.utime(out / "same", (1e9, 1e9))
    os.utime(out / "parts", (1e9, 1e9))
    os.utime(out / "other", (1e9, 1e9))
    result = s3pp("get", "--json", bucket.url, out)
    assert (result.code, result.err) == (0, "")
    assert reasons(result) == {
        "same": "same etag",
        "size": "size differs",
        "bytes": "etag differs",
        "new": "new",
        "parts": "same etag",
        "other": "etag differs",
    }
    assert tree.read(out) == objects | {"stays": b"!"}
    assert (out / "same").stat().st_mtime == 1e9  # it was left alone
    again = s3pp("get", "--json", "--mode", "update", bucket.url, out)
    assert reasons(again) == dict.fromkeys(objects, "same etag")


def test_content_decides_and_not_the_clock(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    moto_bucket.put("f", b"1111")
    out = tree({}, "out")
    assert s3pp("get", moto_bucket.url, out).code == 0
    before = (out / "f").stat()
    (out / "f").write_bytes(b"9999")
    os.utime(out / "f", ns=(before.st_atime_ns, before.st_mtime_ns))
    result = s3pp("get", "--json", moto_bucket.url, out)
    assert (result.code, reasons(result)) == (0, {"f": "etag differs"})
    assert tree.read(out) == {"f": b"1111"}


def test_add_never_touches_what_is_there_and_says_where_it_differs(
    s3pp: Run, bucket: Bucket, tree: Tree
) -> None:
    for key, body in {"there": b"theirs", "d/new": b"2", "d/other": b"size"}.items():
        bucket.put(f"p/{key}", body)
    out = tree({"there": b"mine!!", "d/other": b"another size"}, "out")
    result = s3pp("get", "--json", "--mode", "add", f"{bucket.url}/p", out)
    assert (result.code, reasons(result)) == (
        0,
        {"p/there": "exists", "p/d/new": "new", "p/d/other": "exists with another size"},
    )
    other = {e["key"]: (e["size"], e.get("dest_size")) for e in result.events[:-1]}
    assert other == {"p/there": (6, None), "p/d/new": (1, None), "p/d/other": (4, 12)}
    assert tree.read(out) == {"there": b"mine!!", "d/new": b"2", "d/other": b"another size"}
    (line,) = result.err.splitlines()
    assert f"s3://{bucket.name}/p/d/other" in line
    assert "another size" in line


def test_stupid_fetches_always_and_asks_nothing(
    s3pp: Run, store: Store, bucket: Bucket, tree: Tree, recorder: MakeRecorder
) -> None:
    bucket.put("same", b"1")
    bucket.put("new", b"2")
    out = tree({"same": b"1"}, "out")
    record = recorder(store)
    result = s3pp("get", "--json", "--put", "stupid", bucket.url, out, store=record.store)
    assert (result.code, reasons(result)) == (0, {"same": "always", "new": "always"})
    assert (record.count("GET", "/same"), record.count("GET", "/new")) == (1, 1)
    assert (record.heads, record.puts) == (0, 0)


def test_add_is_free_of_races(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    """What appears while the body is on its way is kept."""
    out = tree({}, "out")

    def intercept(request: Request) -> None:
        for name in ("late", "late-dir"):
            if request.path.endswith(f"/{name}"):
                (out / name).mkdir() if "dir" in name else (out / name).write_bytes(b"mine")

    for key in ("f", "late", "late-dir"):
        moto_bucket.put(key, b"theirs")
    between = recorder(moto, intercept=intercept)
    result = s3pp("get", "--mode=add", moto_bucket.url, out, store=between.store)
    assert (result.code, result.counts.done) == (1, 1)
    assert (result.counts.skipped, result.counts.failed) == (1, 1)
    assert "late-dir" in result.err
    assert tree.read(out) == {"f": b"theirs", "late": b"mine"}


def test_update_knows_again_what_every_size_holds(
    s3pp: Run, bucket: Bucket, store: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """A second run costs the listing and nothing else, even where no ETag is an MD5."""
    sizes = [0, 1, 4095, 4096, 65_536, (1 << 20) + 1, (5 << 20) + 1]
    for size in sizes:
        bucket.put(f"{size}", content(size))
    bucket.put_multipart("parts", content(5 << 20), content(7))
    out = tmp_path / "out"
    first = s3pp("get", bucket.url, out)
    assert (first.code, first.counts.done) == (0, len(sizes) + 1)
    whole = {f"{size}": content(size) for size in sizes}
    assert tree.read(out) == whole | {"parts": content(5 << 20) + content(7)}
    before, record = (files_of(out), out.stat().st_mtime_ns), recorder(store)
    again = s3pp("get", bucket.url, out, store=record.store)
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, len(sizes) + 1)
    assert (files_of(out), out.stat().st_mtime_ns) == before
    assert all(request.of_bucket for request in record.requests)
    assert record.lists <= 3
