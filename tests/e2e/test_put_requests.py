"""How many requests a run makes: the store's bill, read off a recording relay."""

from __future__ import annotations

import re
from dataclasses import replace

from commands import Run
from conftest import MakeRecorder, Tree
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store


def test_a_second_run_reads_the_listing_and_nothing_else(
    s3pp: Run, bucket: Bucket, store: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    src = tree({f"d{n % 3}/{n}": n for n in range(40)})
    first = recorder(store)
    assert s3pp("put", src, bucket.url, store=first.store).counts.done == 40
    assert (first.puts, first.heads) == (40, 0)
    second = recorder(store)
    result = s3pp("put", src, bucket.url, store=second.store)
    assert (result.counts.done, result.counts.skipped) == (0, 40)
    assert (second.puts, second.heads) == (0, 0)
    assert second.lists <= 2
    assert len(second.requests) <= 3


def test_thousands_of_unchanged_files_cost_a_listing_page_per_thousand(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    files = {f"p{n % 10}/{n:04}": b"%d" % n for n in range(2500)}
    src = tree(files)
    moto_bucket.fill(files)
    record = recorder(moto)
    result = s3pp("put", src, moto_bucket.url, store=record.store)
    assert (result.code, result.counts.skipped) == (0, 2500)
    assert (record.puts, record.heads) == (0, 0)
    assert record.lists in (3, 4)


def test_a_sparse_source_in_a_huge_prefix_costs_no_more_than_heads(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    moto_bucket.fill({f"k{n:04}": b"" for n in range(5000)})
    src = tree({"k0000": b"", "k2500": b"x", "k4999z": b"new"})
    record = recorder(moto)
    result = s3pp("put", src, moto_bucket.url, store=record.store)
    assert (result.code, result.counts.done, result.counts.skipped) == (0, 2, 1)
    assert record.lists + record.heads <= 3 + 1
    assert record.puts == 2
    grouped = tree({f"k{n:04}": b"" for at in (0, 2000, 3500) for n in range(at, at + 50)})
    between = recorder(moto)
    result = s3pp("put", grouped, moto_bucket.url, store=between.store)
    assert (result.code, result.counts.skipped) == (0, 152)
    # A page for each group, and for k4999z; the first request of all is of the bucket.
    assert between.lists + between.heads <= 4 + 1


def test_a_prefix_is_all_that_is_listed(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    moto_bucket.fill({f"other/{n:04}": b"" for n in range(3000)})
    moto_bucket.put("p/f", b"1")
    moto_bucket.put("p-not", b"")
    src = tree({"f": b"1", "g": b"2"})
    record = recorder(moto)
    result = s3pp("put", src, f"{moto_bucket.url}/p", store=record.store)
    assert (result.counts.done, result.counts.skipped) == (1, 1)
    assert record.lists <= 2
    assert record.heads == 0
    assert all("prefix=p%2F" in r.target for r in record.requests if "list-type" in r.target)


def test_where_listing_is_refused_each_key_is_asked(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    def refuse(request: Request) -> Answer | None:
        if request.method == "GET" and request.of_bucket:
            return error(403, "AccessDenied")
        return None

    between = recorder(moto, intercept=refuse)
    src = tree({"same": b"1", "differs": b"2", "new": b"3"})
    moto_bucket.put("same", b"1")
    moto_bucket.put("differs", b"x")
    result = s3pp("put", src, moto_bucket.url, store=between.store)
    assert (result.code, result.counts.done, result.counts.skipped) == (0, 2, 1)
    assert moto_bucket.tree() == {"same": b"1", "differs": b"2", "new": b"3"}
    heads = [r for r in between.requests if r.method == "HEAD" and not r.of_bucket]
    assert len(heads) == 3
    added = s3pp("put", "--mode", "add", src, moto_bucket.url, store=between.store)
    assert (added.code, added.counts.done, added.counts.skipped) == (0, 0, 3)


def test_a_listing_out_of_order_is_not_believed(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    """Some stores list in their own order; merging with that would miss what is there."""

    def reverse(request: Request, answer: Answer) -> Answer:
        if "list-type=2" not in request.target:
            return answer
        found = re.findall(rb"<Contents>.*?</Contents>", answer.body)
        mixed = answer.body.replace(b"".join(found), b"".join(reversed(found)))
        headers = [h for h in answer.headers if h[0].lower() != "content-length"]
        return replace(answer, headers=headers, body=mixed)

    between = recorder(moto, rewrite=reverse)
    same = {name: name for name in ("a", "b", "c/d", "e")}
    for key, text in same.items():
        moto_bucket.put(key, text.encode())
    src = tree(same | {"new": b"1"})
    result = s3pp("put", src, moto_bucket.url, store=between.store)
    assert (result.code, result.counts.done, result.counts.skipped) == (0, 1, 4)
    assert between.puts == 1


def test_connections_are_kept(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    between = recorder(moto)
    src = tree({f"{n:03}": n for n in range(200)})
    assert s3pp("put", "-c", "4", "-P", "2", src, moto_bucket.url, store=between.store).code == 0
    assert between.connections <= 4 + 4  # in flight, and the once-per-run questions
