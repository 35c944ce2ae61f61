"""``list --delimiter``, ``list --buckets`` and ``du``: less than a line for each key."""

from __future__ import annotations

import re

import s3pp
from commands import Run
from conftest import MakeRecorder
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store

KEYS = {
    "p/a.txt": b"1",
    "p/logs/1": b"22",
    "p/logs/2/x": b"333",
    "p/logs/2/y.txt": b"4444",
    "p/z": b"55555",
    "p/é/1": b"666666",
    "q": b"7" * 2048,
}


def last_words(lines: list[str]) -> list[tuple[str, ...]]:
    return [tuple(line.split()[:3]) for line in lines]


def test_one_level(s3pp: Run, bucket: Bucket) -> None:
    bucket.fill(KEYS)
    result = s3pp("list", "--delimiter", "/", "--summarize", f"{bucket.url}/p")
    assert (result.code, result.err) == (0, "")
    found = [(line.split()[1], line.split()[-1]) for line in result.lines[:-1]]
    assert found == [("1", "p/a.txt"), ("PRE", "p/logs/"), ("5", "p/z"), ("PRE", "p/é/")]
    assert result.summary.startswith("list 6 bytes in 2 objects and 2 prefixes in ")
    words = ("--json", "--summarize", "--exclude", "é/**", "--exclude", "*.txt")
    *entries, end = s3pp("list", "--delimiter=/", *words, f"{bucket.url}/p").events
    assert [each.get("prefix") or each["key"] for each in entries] == ["p/logs/", "p/z"]
    assert (end["listed"], end["prefixes"], end["bytes"]) == (1, 1, 5)
    at_top = s3pp("list", "--delimiter=/", "--limit=2", "--human-readable", bucket.url)
    assert [line.split()[1:3] for line in at_top.lines] == [["PRE", "-"], ["2.0", "KiB"]]
    part = s3pp("list", "--delimiter=s/", f"{bucket.url}/p*")
    assert [line.split()[-1] for line in part.lines] == ["p/a.txt", "p/logs/", "p/z", "p/é/1"]
    ended = ("--delimiter=/", "--summarize")
    shards = [s3pp("list", *ended, f"--shard={k}/2", f"{bucket.url}/p") for k in (1, 2)]
    named = [line.split()[-1] for each in shards for line in each.lines[:-1]]
    assert [each.summary.split(", ")[-1] for each in shards] == ["shard 1/2", "shard 2/2"]
    assert sorted(named) == ["p/a.txt", "p/logs/", "p/z", "p/é/"], "each by one of the runs"
    single = s3pp("list", "--delimiter=/", f"{bucket.url}/q")
    assert [line.split()[-1] for line in single.lines] == ["q"]
    assert s3pp("list", "--delimiter=/", f"{bucket.url}/nothing").code == 2


def test_sums(s3pp: Run, bucket: Bucket) -> None:
    bucket.fill(KEYS)
    total = s3pp("du", bucket.url)
    assert (total.code, total.err) == (0, "")
    assert [line.split() for line in total.lines] == [["2069", "7", f"{bucket.url}/"]]
    deep = s3pp("du", "--depth", "2", f"{bucket.url}/p")
    assert [line.split() for line in deep.lines] == [
        ["7", "2", f"{bucket.url}/p/logs/2/"],
        ["9", "3", f"{bucket.url}/p/logs/"],
        ["6", "1", f"{bucket.url}/p/é/"],
        ["21", "6", f"{bucket.url}/p"],
    ]
    *prefixes, end = s3pp("du", "--json", "--depth=1", "--include=*.txt", bucket.url).events
    assert prefixes == [
        {"event": "prefix", "bucket": bucket.name, "prefix": "p/", "objects": 2, "bytes": 5}
    ]
    assert end.pop("seconds") > 0
    assert end == {"event": "summary", "verb": "du", "listed": 2, "failed": 0, "bytes": 5}
    quiet = s3pp("du", "-q", "--depth=1", "--human-readable", f"{bucket.url}/q")
    assert [line.split() for line in quiet.lines] == [["2.0", "KiB", "1", f"{bucket.url}/q"]]
    shards = [s3pp("du", f"--shard={k}/2", f"{bucket.url}/p") for k in (1, 2)]
    assert [each.summary.split(maxsplit=2)[2] for each in shards] == [
        f"{bucket.url}/p, shard {k}/2" for k in (1, 2)
    ]
    assert sum(int(each.summary.split()[0]) for each in shards) == 21
    for words in (("du",), ("list", "--summarize")):
        part = s3pp(*words, "--json", "--shard=1/2", f"{bucket.url}/p")
        assert part.events[-1]["shard"] == "1/2"
    named = s3pp("du", "--depth=1", "--files-from=-", bucket.url, stdin=b"p/z\nnone\n")
    assert (named.code, named.lines[-1].split()[:2]) == (1, ["5", "1"])
    assert f"du {bucket.url}/none: " in named.err
    assert s3pp("du", f"{bucket.url}/nothing").code == 2


def test_a_sum_of_a_part_is_not_printed(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    moto_bucket.fill({f"{number // 600}/{number:04}": b"1" for number in range(1200)})

    def refuse(request: Request) -> Answer | None:
        return error(500, "InternalError") if "continuation-token" in request.target else None

    record = recorder(moto, intercept=refuse)
    words = ("--depth=1", "--listers=1", "--max-attempts=1", moto_bucket.url)
    result = s3pp("du", *words, store=record.store)
    assert (result.code, result.err.count("\n")) == (3, 1)
    assert [line.split()[1] for line in result.lines] == ["600"]
    *_, end = s3pp("du", "--json", *words, store=record.store).events
    assert (end["listing_complete"], end["listed"]) == (False, 1000)


def test_buckets(s3pp: Run, bucket: Bucket) -> None:
    others = [bucket.store.bucket() for _ in range(2)]
    names = {each.name for each in (bucket, *others)}
    result = s3pp("list", "--buckets", "--summarize")
    assert (result.code, result.err) == (0, "")
    found = [line.split() for line in result.lines[:-1]]
    assert names <= {name for _, name in found}
    assert all(re.match(r"\d{4}-\d\d-\d\dT", created) for created, _ in found)
    assert result.summary.startswith(f"list {len(found)} buckets in ")
    *events, end = s3pp("list", "--buckets", "--json", "--summarize").events
    assert {each["bucket"] for each in events} >= names
    assert (end["listed"], end["failed"], "bytes" in end) == (len(events), 0, False)


def test_pages_of_buckets_and_their_faults(
    s3pp: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder
) -> None:
    asked: list[str] = []
    faults = [error(503, "SlowDown"), Answer(200, [], b"<html/>")]

    def answer(request: Request) -> Answer | None:
        if request.path != "/":
            return None
        if faults:
            return faults.pop()
        asked.append(request.target)
        number = len(asked)
        more = f"<ContinuationToken>t {number}</ContinuationToken>" if number % 3 else ""
        entry = f"<Bucket><Name>bucket{number}</Name></Bucket>"
        body = f"<ListAllMyBucketsResult><Buckets>{entry}</Buckets>{more}</ListAllMyBucketsResult>"
        return Answer(200, [("x-amz-request-id", "1")], body.encode())

    record = recorder(moto, intercept=answer)
    result = s3pp("list", "--buckets", store=record.store)
    assert [line.split() for line in result.lines] == [["-", f"bucket{n}"] for n in (1, 2, 3)]
    assert ("continuation-token=t%201" in asked[1], len(asked)) == (True, 3)
    limited = s3pp("list", "--buckets", "--limit=1", store=record.store)
    assert (limited.code, limited.lines[0].split()[1], len(asked)) == (0, "bucket4", 4)
    denied = recorder(moto, intercept=lambda _: error(403, "AccessDenied"))
    refused = s3pp("list", "--buckets", store=denied.store)
    assert (refused.code, refused.out) == (3, "")
    assert f"list --buckets at {denied.url}: AccessDenied" in refused.err


def test_a_program_has_them_too(moto_bucket: Bucket, moto: Store) -> None:
    moto_bucket.fill(KEYS)
    at = {"endpoint_url": moto.url, "credentials": (moto.access_key, moto.secret_key)}
    usage = s3pp.du(f"{moto_bucket.url}/p", depth=1, region=moto.region, **at)  # type: ignore[arg-type]
    assert (usage.objects, usage.bytes) == (6, 21)
    assert usage.prefixes == (s3pp.PrefixUsage("p/logs/", 3, 9), s3pp.PrefixUsage("p/é/", 1, 6))
    with s3pp.list(
        f"{moto_bucket.url}/p",
        delimiter="/",
        region=moto.region,
        **at,  # type: ignore[arg-type]
    ) as found:
        assert [(each.key, each.is_prefix) for each in found] == [
            ("p/a.txt", False), ("p/logs/", True), ("p/z", False), ("p/é/", True)
        ]  # fmt: skip
