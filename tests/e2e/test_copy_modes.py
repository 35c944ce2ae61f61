"""add, stupid and update between buckets, and how many requests each costs."""

from __future__ import annotations

from pathlib import Path

from commands import Run
from conftest import MakeRecorder
from outcomes import reasons
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store


def refused_by_moto(store: Store) -> Answer | None:
    """What S3 and Swift say to a condition that does not hold, and moto does not look at."""
    return error(412, "PreconditionFailed") if store.name == "moto" else None


def test_update_copies_what_is_new_or_differs(s3pp: Run, store: Store, bucket: Bucket) -> None:
    other = store.bucket()
    objects = {"same": b"1234", "size": b"12345", "bytes": b"1234", "new": b""}
    for key, body in objects.items():
        bucket.put(f"p/{key}", body)
    bucket.put_multipart("p/parts", b"abc")
    for key, body in {"same": b"1234", "size": b"1", "bytes": b"4321", "stays": b"!"}.items():
        other.put(key, body)
    other.put("parts", b"abc")
    result = s3pp("copy", "--json", f"{bucket.url}/p", other.url)
    assert result.code == 0
    assert reasons(result) == {
        "same": "same etag",
        "size": "size differs",
        "bytes": "etag differs",
        "new": "new",
        "parts": "etag unknown",
    }
    assert other.tree() == objects | {"parts": b"abc", "stays": b"!"}


def test_a_second_run_costs_two_listings_and_nothing_else(
    s3pp: Run, store: Store, bucket: Bucket, recorder: MakeRecorder
) -> None:
    other = store.bucket()
    for number in range(20):
        bucket.put(f"{number}", b"x" * number)
    first = recorder(store)
    assert s3pp("copy", bucket.url, f"{other.url}/p", store=first.store).counts.done == 20
    assert (first.puts, first.heads) == (20, 0)
    assert first.count("GET") == first.lists <= 4
    second = recorder(store)
    again = s3pp("copy", bucket.url, f"{other.url}/p", store=second.store)
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, 20)
    assert {r.method for r in second.requests} == {"GET"}
    assert all(r.of_bucket for r in second.requests)
    assert len(second.requests) <= 4  # a look at each bucket, and a listing of each


def test_thousands_of_copies_are_known_by_two_listings(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    other = moto.bucket()
    objects = {f"{n:05}": b"%d" % n for n in range(1500)}
    moto_bucket.fill(objects)
    other.fill({f"p/{key}": body for key, body in objects.items()})
    other.fill({f"q/{key}": body for key, body in objects.items()})
    record = recorder(moto)
    result = s3pp("copy", moto_bucket.url, f"{other.url}/p", store=record.store)
    assert (result.code, result.counts.skipped) == (0, 1500)
    assert all(r.of_bucket and r.method == "GET" for r in record.requests)
    below = [r for r in record.requests if r.path.strip("/") == other.name]
    assert all("prefix=p%2F" in r.target for r in below)
    assert len(below) <= 1 + 2
    assert len(record.requests) <= len(below) + 1 + 16


def test_add_never_touches_what_is_there_and_says_where_it_differs(
    s3pp: Run, store: Store, bucket: Bucket, recorder: MakeRecorder
) -> None:
    seen: list[str] = []
    other = store.bucket()
    for key in ("there", "new", "other", "late"):
        bucket.put(key, b"mine")
    other.put("there", b"mine")
    other.put("other", b"theirs")

    def appear(request: Request) -> Answer | None:
        if request.method == "PUT" and request.path.endswith("/late") and not seen:
            seen.append(request.headers["if-none-match"])
            other.put("late", b"late")
            return refused_by_moto(store)
        return None

    between = recorder(store, intercept=appear)
    result = s3pp("copy", "--json", "--mode=add", bucket.url, other.url, store=between.store)
    assert (result.code, seen) == (0, ["*"])
    assert reasons(result) == {
        "there": "exists",
        "new": "new",
        "other": "exists with another size",
        "late": "exists",
    }
    assert other.tree() == {"there": b"mine", "new": b"mine", "other": b"theirs", "late": b"late"}
    told = [line for line in result.err.splitlines() if "another size" in line]
    assert len(told) == 1
    assert f"s3://{other.name}/other" in told[0]


def test_stupid_copies_always_and_does_not_list_the_destination(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    other = moto.bucket()
    for key in ("same", "new"):
        moto_bucket.put(key, b"1")
    other.put("same", b"1")
    record = recorder(moto)
    words = ["--json", "--mode", "stupid", moto_bucket.url, other.url]
    result = s3pp("copy", *words, store=record.store)
    assert (result.code, reasons(result)) == (0, {"same": "always", "new": "always"})
    assert (record.puts, record.heads) == (2, 0)
    assert len([r for r in record.requests if r.path.strip("/") == other.name]) <= 1


def test_the_store_copies_and_the_source_is_pinned(
    s3pp: Run, store: Store, bucket: Bucket, recorder: MakeRecorder
) -> None:
    """No byte of an object passes through here, and a source that changes is not mixed up."""
    changed: list[Request] = []
    other = store.bucket()
    for key in ("f", "g"):
        bucket.put(key, b"before")

    def change(request: Request) -> Answer | None:
        if request.method == "PUT" and request.path.endswith("/g") and not changed:
            changed.append(request)
            bucket.put("g", b"now longer")
            return refused_by_moto(store)
        return None

    between = recorder(store, intercept=change)
    result = s3pp("copy", "--json", bucket.url, other.url, store=between.store)
    assert result.code == 0
    puts = [r for r in between.requests if r.method == "PUT"]
    assert all(r.body == b"" and "x-amz-copy-source" in r.headers for r in puts)
    assert all("x-amz-copy-source-if-match" in r.headers for r in puts)
    assert all(r.of_bucket for r in between.requests if r.method == "GET")
    assert other.tree() == {"f": b"before", "g": b"now longer"}


def test_where_the_destination_may_not_be_listed_each_key_is_asked(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    other = moto.bucket()
    for key in ("same", "differs", "new"):
        moto_bucket.put(f"p/{key}", b"1")
    other.put("same", b"1")
    other.put("differs", b"x")

    def refuse(request: Request) -> Answer | None:
        if request.method == "GET" and request.path.strip("/") == other.name:
            return error(403, "AccessDenied")
        return None

    between = recorder(moto, intercept=refuse)
    words = [f"{moto_bucket.url}/p", other.url]
    result = s3pp("copy", "--json", *words, store=between.store)
    assert result.code == 0
    assert reasons(result) == {"same": "same etag", "differs": "etag differs", "new": "new"}
    assert between.heads == 3 + 1  # the source, of which PREFIX could be an object
    assert other.tree() == dict.fromkeys(("same", "differs", "new"), b"1")
    added = s3pp("copy", "--mode", "add", *words, store=between.store)
    assert (added.code, added.counts.done, added.counts.skipped) == (0, 0, 3)


def test_where_the_destination_may_only_be_written(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    """Neither listed nor looked at: everything is copied, and nothing else is needed."""
    other = moto.bucket()
    for key in ("a", "d/b"):
        moto_bucket.put(key, b"1")

    def refuse(request: Request) -> Answer | None:
        if request.method in ("GET", "HEAD") and request.path.strip("/").startswith(other.name):
            return error(403, "AccessDenied")
        return None

    between = recorder(moto, intercept=refuse)
    result = s3pp("copy", moto_bucket.url, other.url, store=between.store)
    assert (result.code, result.counts.done) == (0, 2)
    assert other.tree() == {"a": b"1", "d/b": b"1"}


def test_an_empty_object_in_parts_is_the_same_as_any_empty_one(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """Its ETag is that of parts, which its copy, a file of no bytes and an empty PUT lack."""
    moto_bucket.put_multipart("empty", b"")
    other = moto.bucket()
    other.put("empty", b"")
    (tmp_path / "empty").touch()
    assert moto_bucket.head("empty")["ETag"] != other.head("empty")["ETag"]
    for words in (
        ["copy", moto_bucket.url, other.url],
        ["copy", other.url, moto_bucket.url],
        ["put", str(tmp_path), moto_bucket.url],
        ["get", moto_bucket.url, str(tmp_path)],
    ):
        record = recorder(moto)
        result = s3pp(*words[:1], "--json", *words[1:], store=record.store)
        assert result.code == 0, result.err
        assert reasons(result) == {"empty": "same checksum"}
        assert {r.method for r in record.requests if not r.of_bucket} == set()
