"""add, stupid and update: what is sent, and why, as --json and the bucket tell it."""

from __future__ import annotations

import os
from pathlib import Path

from commands import Result, Run
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store
from trees import content


def reasons(result: Result) -> dict[str, str]:
    """{key: reason} of what was done or skipped."""
    return {e["key"]: e["reason"] for e in result.events if e["event"] in ("done", "skipped")}


def test_update_sends_what_is_new_or_differs(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    src = tree(
        {
            "same": b"1234",
            "size": b"12345",
            "bytes": b"1234",
            "new": b"",
            "parts": b"abc",
            "other-parts": b"abd",
        }
    )
    for key, body in {"same": b"1234", "size": b"1", "bytes": b"4321", "stays": b"!"}.items():
        bucket.put(key, body)
    bucket.put_multipart("parts", b"abc")
    bucket.put_multipart("other-parts", b"abc")
    result = s3pp("put", "--json", src, bucket.url)
    assert (result.code, reasons(result)) == (
        0,
        {
            "same": "same etag",
            "size": "size differs",
            "bytes": "etag differs",
            "new": "new",
            "parts": "same etag",
            "other-parts": "etag unknown",
        },
    )
    assert bucket.tree() == tree.read(src) | {"stays": b"!"}
    again = s3pp("put", "--json", "--mode", "update", src, bucket.url)
    assert set(reasons(again).values()) == {"same etag"}


def test_content_decides_and_not_the_clock(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    src = tree({"f": b"1111", "g": b"2222"})
    assert s3pp("put", src, moto_bucket.url).code == 0
    before = (src / "f").stat()
    (src / "f").write_bytes(b"9999")
    os.utime(src / "f", ns=(before.st_atime_ns, before.st_mtime_ns))
    os.utime(src / "g", (2e9, 2e9))
    result = s3pp("put", "--json", src, moto_bucket.url)
    assert reasons(result) == {"f": "etag differs", "g": "same etag"}
    assert moto_bucket.get("f") == b"9999"


def test_add_never_touches_what_is_there(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    src = tree({"there": b"mine", "new": b"1", "d/there": b"mine", "d/new": b"2"})
    bucket.put("p/there", b"theirs")
    bucket.put("p/d/there", b"")
    result = s3pp("put", "--json", "--mode", "add", src, f"{bucket.url}/p")
    assert (result.code, reasons(result)) == (
        0,
        {"p/there": "exists", "p/new": "new", "p/d/there": "exists", "p/d/new": "new"},
    )
    assert bucket.tree() == {
        "p/there": b"theirs",
        "p/d/there": b"",
        "p/new": b"1",
        "p/d/new": b"2",
    }


def test_stupid_sends_always_and_asks_nothing(
    s3pp: Run, bucket: Bucket, tree: Tree, recorder: MakeRecorder, store: Store
) -> None:
    src = tree({"same": b"1", "new": b"2"})
    bucket.put("same", b"1")
    record = recorder(store)
    result = s3pp("put", "--json", "--put", "stupid", src, bucket.url, store=record.store)
    assert (result.code, reasons(result)) == (0, {"same": "always", "new": "always"})
    assert (record.puts, record.heads) == (2, 0)
    assert record.lists <= 1  # the look whether the bucket is there


def test_add_is_free_of_races(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    """What appears after the listing is kept: the PUT itself says If-None-Match."""
    seen = []

    def intercept(request: Request) -> None:
        if request.method == "PUT" and request.path.endswith("/late"):
            seen.append(request.headers.get("if-none-match"))
            moto_bucket.put("late", b"theirs")

    between = recorder(moto, intercept=intercept)
    src = tree({"late": b"mine", "f": b"1"})
    result = s3pp("put", "--json", "--mode=add", src, moto_bucket.url, store=between.store)
    assert (result.code, reasons(result)) == (0, {"late": "exists", "f": "new"})
    assert seen == ["*"]
    assert moto_bucket.get("late") == b"theirs"


def test_add_does_without_the_condition_where_a_store_refuses_it(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    def refuse(request: Request) -> Answer | None:
        if request.method == "PUT" and "if-none-match" in request.headers:
            return error(
                501, "NotImplemented", message="A header you provided implies functionality"
            )
        return None

    between = recorder(moto, intercept=refuse)
    moto_bucket.put("there", b"theirs")
    src = tree({"there": b"mine"} | {f"{n}": b"new" for n in range(10)})
    result = s3pp("put", "--mode", "add", src, moto_bucket.url, store=between.store)
    assert (result.code, result.counts.done, result.counts.skipped) == (0, 10, 1)
    assert moto_bucket.get("there") == b"theirs"
    assert "refuses If-None-Match" in result.err
    # All went well: under -q that goes to the log alone.
    words = ["-q", "--log-file", tmp_path / "log", "--mode", "add", src]
    quiet = s3pp("put", *words, f"{moto_bucket.url}/again", store=between.store)
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert "refuses If-None-Match" in (tmp_path / "log").read_text()


def test_update_knows_again_what_every_size_holds(s3pp: Run, bucket: Bucket, tree: Tree) -> None:
    sizes = [0, 1, 4095, 4096, 65_536, 1 << 20, (5 << 20) + 1]
    src = tree({f"{size}": content(size) for size in sizes})
    assert s3pp("put", src, bucket.url).counts.done == len(sizes)
    again = s3pp("put", src, bucket.url)
    assert (again.counts.done, again.counts.skipped) == (0, len(sizes))
