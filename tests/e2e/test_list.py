"""Listing a bucket: which keys, in which form, in how many requests, and what ends it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterable
from signal import Signals

import pytest

from commands import Result, Run, Start
from conftest import MakeRecorder
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store

KEYS = {
    "a.txt": b"1",
    "b.log": b"22",
    "deep/c.txt": b"333",
    "deep/d.log": b"4444",
    "deep/er/e.txt": b"55555",
    "deep-er": b"666666",
    "é 漢.txt": b"",
}
LINE = re.compile(r"(?P<modified>\d{4}-\S+) +(?P<size>\d+) (?P<etag>\S+) +(?P<key>.*)")
SUMMARY = re.compile(r"list (\d+) bytes in (\d+) objects in \d+\.\d seconds \(\d+\.\d objects/s\)")


@pytest.fixture
def filled(bucket: Bucket) -> Bucket:
    """The bucket with ``KEYS`` below ``p/``, and a few more about it."""
    for key, body in KEYS.items():
        bucket.put(f"p/{key}", body)
    for key in ("p", "o/x", "p-q", "q"):
        bucket.put(key, b"beside")
    return bucket


def keys(result: Result) -> list[str]:
    return [found["key"] for line in result.lines if (found := LINE.fullmatch(line))]


def summed(line: str) -> tuple[str, ...]:
    """The bytes and the objects that a summary names."""
    found = SUMMARY.fullmatch(line)
    assert found, line
    return found.groups()


def ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=str.encode)


def test_a_line_for_each_key(s3pp: Run, filled: Bucket) -> None:
    result = s3pp("list", f"{filled.url}/p")
    assert (result.code, result.err.count("\n")) == (0, 1)  # of the object p, which is left out
    found = [line for line in map(LINE.fullmatch, result.lines) if line]
    assert len(found) == len(result.lines)
    assert [line["key"] for line in found] == ordered(f"p/{key}" for key in KEYS)
    for line in found:
        body = KEYS[line["key"].removeprefix("p/")]
        assert int(line["size"]) == len(body)
        assert line["etag"] == hashlib.md5(body).hexdigest()
        head = filled.head(line["key"])["LastModified"]
        assert line["modified"].startswith(head.strftime("%Y-%m-%dT%H:%M"))


def test_an_object_for_each_key(s3pp: Run, filled: Bucket) -> None:
    result = s3pp("list", "--json", "--summarize", f"{filled.url}/p/")
    *objects, summary = result.events
    assert (result.code, result.err.count("\n")) == (0, 1)
    assert [each["key"] for each in objects] == ordered(f"p/{key}" for key in KEYS)
    assert [*objects[0]] == [
        "event", "bucket", "key", "size", "etag", "modified", "storage_class"
    ]  # fmt: skip
    assert (objects[0]["event"], objects[0]["bucket"]) == ("object", filled.name)
    assert objects[0]["etag"] == hashlib.md5(b"1").hexdigest()
    assert objects[0]["storage_class"] == "STANDARD"
    assert summary.pop("seconds") > 0
    size = sum(map(len, KEYS.values()))
    counts = {"listed": len(KEYS), "failed": 0, "bytes": size}
    assert summary == {"event": "summary", "verb": "list", **counts}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("", ["o/x", "p", "p-q", *(f"p/{key}" for key in ordered(KEYS)), "q"]),
        ("/", ["o/x", "p", "p-q", *(f"p/{key}" for key in ordered(KEYS)), "q"]),
        ("/o", ["o/x"]),
        ("/q", ["q"]),
        ("/p*", ["p", "p-q", *(f"p/{key}" for key in ordered(KEYS))]),
        ("/p/deep/", ["p/deep/c.txt", "p/deep/d.log", "p/deep/er/e.txt"]),
        ("/p/d*", ["p/deep-er", "p/deep/c.txt", "p/deep/d.log", "p/deep/er/e.txt"]),
        ("/p/é 漢.txt", ["p/é 漢.txt"]),
    ],
)
def test_what_a_source_means(s3pp: Run, filled: Bucket, source: str, found: list[str]) -> None:
    result = s3pp("list", filled.url + source)
    assert (result.code, result.err, keys(result)) == (0, "", found)


def test_an_object_that_is_left_out_is_named_with_what_means_it(
    s3pp: Run, filled: Bucket, recorder: MakeRecorder
) -> None:
    record = recorder(filled.store)
    result = s3pp("list", f"{filled.url}/p", store=record.store)
    (note,) = result.err.splitlines()
    assert f"{filled.url}/p is an object too, and left out" in note
    assert (record.heads, record.count("GET", "encoding-type=")) == (1, 1)
    words = note.split("'")[1], *note.split(" with ")[1].split()[:2]
    assert keys(s3pp("list", *words)) == ["p"]
    assert s3pp("list", "-q", f"{filled.url}/p").err == ""
    assert s3pp("list", f"{filled.url}/p*").err == ""
    named = s3pp("list", "--files-from", "-", f"{filled.url}/p", stdin=b"a.txt\r\n")
    assert (named.err, keys(named)) == ("", ["p/a.txt"])
    dotted = s3pp("list", "--files-from", "-", f"{filled.url}/p", stdin=b"./a.txt\n")
    assert (dotted.code, keys(dotted)) == (1, [])
    assert "a name in the list is a key, taken as it is; leave out the './'" in dotted.err


@pytest.mark.parametrize("source", ["/nothing", "/nothing/", "/nothing*", "/p/deep/c"])
def test_nothing_there(s3pp: Run, filled: Bucket, source: str) -> None:
    named = not source.endswith(("/", "*"))
    for words, code in (([], 2 if named else 0), (["--fail-if-empty"], 2 if named else 1)):
        result = s3pp("list", *words, filled.url + source)
        assert (result.code, result.out) == (code, "")
        assert source.strip("/*") in result.err
        assert (result.err.count("\n"), "no objects found" in result.err) == (1, True)


def test_an_empty_bucket(s3pp: Run, bucket: Bucket) -> None:
    result = s3pp("list", "--summarize", bucket.url)
    assert (result.code, result.err.count("no objects found")) == (0, 1)
    assert summed(result.out.strip()) == ("0", "0")


def test_no_bucket(s3pp: Run, store: Store) -> None:
    result = s3pp("list", "s3://there-is-no-such-bucket", store=store)
    assert (result.code, result.out) == (2, "")
    assert "there-is-no-such-bucket" in result.err


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ("+*.txt", ["a.txt", "deep/c.txt", "deep/er/e.txt", "é 漢.txt"]),
        ("+/*.txt", ["a.txt", "é 漢.txt"]),
        ("-deep/** -*.txt", ["b.log", "deep-er"]),
        ("+deep/*.* -d.log", ["deep/c.txt"]),
        ("-**", []),
    ],
)
def test_globs_are_held_against_the_name_below_the_prefix(
    s3pp: Run, filled: Bucket, rules: str, found: list[str]
) -> None:
    words = []
    for rule in rules.split():
        words += ["--include" if rule[0] == "+" else "--exclude", rule[1:]]
    result = s3pp("list", *words, f"{filled.url}/p")
    assert (result.code, keys(result)) == (0, [f"p/{key}" for key in found])
    starred = s3pp("list", *words, f"{filled.url}/p/*")
    assert keys(starred) == keys(result)


def test_sizes_ages_and_limit(s3pp: Run, filled: Bucket) -> None:
    url = f"{filled.url}/p"
    sized = s3pp("list", "--min-size", "3", "--max-size", "5", url)
    assert keys(sized) == ["p/deep/c.txt", "p/deep/d.log", "p/deep/er/e.txt"]
    assert keys(s3pp("list", "--older-than", "1h", url)) == []
    assert len(keys(s3pp("list", "--newer-than", "1h", url))) == len(KEYS)
    limited = s3pp("list", "--limit", "2", "--include", "*.txt", "--summarize", url)
    assert keys(limited) == ["p/a.txt", "p/deep/c.txt"]
    assert summed(limited.summary) == ("4", "2")


def test_a_list_of_names(s3pp: Run, filled: Bucket) -> None:
    names = b"deep/c.txt\nnot/there\na.txt\n"
    result = s3pp("list", "--files-from", "-", f"{filled.url}/p", stdin=names)
    assert (result.code, keys(result)) == (1, ["p/a.txt", "p/deep/c.txt"])
    assert "not/there" in result.err


def test_quiet(s3pp: Run, filled: Bucket) -> None:
    url = f"{filled.url}/p"
    quiet = s3pp("list", "-q", "--summarize", url)
    assert summed(quiet.out.strip()) == ("21", "7")
    assert s3pp("list", "-q", url).out == ""
    assert s3pp("list", "-qq", "--summarize", url).out == ""


def test_keys_that_a_terminal_must_not_obey(s3pp: Run, bucket: Bucket) -> None:
    if bucket.store.name == "moto":
        pytest.skip("moto cannot keep a newline in a key")
    bucket.put("two\nlines\x1b[31m\\", b"1")
    result = s3pp("list", bucket.url)
    assert keys(result) == ["two\\nlines\\x1b[31m\\\\"]
    assert s3pp("list", "--json", bucket.url).events[0]["key"] == "two\nlines\x1b[31m\\"


def test_another_storage_class(s3pp: Run, moto_bucket: Bucket) -> None:
    moto_bucket.put("cold", b"1", StorageClass="GLACIER")
    assert s3pp("list", "--json", moto_bucket.url).events[0]["storage_class"] == "GLACIER"


def test_the_sandbox(s3pp: Run) -> None:
    result = s3pp("list", "--sandbox", "--summarize", "s3://bucket", store=None)
    assert (result.code, summed(result.summary)) == (0, ("0", "0"))
    assert "in memory" in result.err


# Long listings

MANY = {f"k/{at:05}": b"x" * (at % 3) for at in range(4321)}


@pytest.fixture
def many(moto_bucket: Bucket) -> Bucket:
    moto_bucket.fill(MANY)
    return moto_bucket


@pytest.mark.parametrize("listers", [1, 2, 16])
def test_many_pages_by_many_listers(
    s3pp: Run, many: Bucket, moto: Store, recorder: MakeRecorder, listers: int
) -> None:
    record = recorder(moto)
    words = ["--listers", str(listers), f"{many.url}/k"]
    result = s3pp("list", *words, store=record.store)
    assert (result.code, result.err, keys(result)) == (0, "", list(MANY))
    pages = record.lists
    assert pages == 5 if listers == 1 else 5 <= pages <= 5 * 2 + 2 * listers


def test_a_store_that_ignores_start_after(
    s3pp: Run, many: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    """It is noticed, said, and every key is listed once all the same."""

    def forget(request: Request) -> Answer | None:
        if "start-after=" not in request.target:
            return None
        target = re.sub("start-after=[^&]*", "", request.target)
        with urllib.request.urlopen(moto.url + target) as answer:
            return Answer(200, [("Content-Type", "application/xml")], answer.read())

    record = recorder(moto, intercept=forget)
    result = s3pp("list", "--listers", "8", f"{many.url}/k", store=record.store)
    assert (result.code, keys(result)) == (0, list(MANY))
    assert "ignores start-after" in result.err
    assert result.err.count("\n") == 1
    assert record.lists <= 5 + 8


@pytest.mark.thorough
def test_pages_that_break_off_are_an_error(
    s3pp: Run, many: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    asked = []

    def refuse(request: Request) -> Answer | None:
        if "continuation-token" in request.target:
            asked.append(request)
            return error(500, "InternalError")
        return None

    record = recorder(moto, intercept=refuse)
    words = ["--listers", "1", "--max-attempts", "2", "--summarize", f"{many.url}/k"]
    result = s3pp("list", *words, store=record.store)
    assert result.code == 3
    assert keys(result) == list(MANY)[:1000]
    assert not SUMMARY.search(result.out)
    assert result.err.count("\n") == 1
    assert "InternalError" in result.err
    assert len(asked) == 2


def test_a_bucket_that_may_not_be_listed(
    s3pp: Run, many: Bucket, moto: Store, recorder: MakeRecorder
) -> None:
    """But an object of that very name may be looked at."""
    many.put("k/alone", b"1")

    def refuse(request: Request) -> Answer | None:
        return error(403, "AccessDenied") if request.of_bucket else None

    record = recorder(moto, intercept=refuse)
    result = s3pp("list", f"{many.url}/k", store=record.store)
    assert (result.code, result.out) == (3, "")
    assert "AccessDenied" in result.err
    alone = s3pp("list", f"{many.url}/k/alone", store=record.store)
    assert (alone.code, alone.err, keys(alone)) == (0, "", ["k/alone"])


# Streams and signals


def test_head_takes_one_line(s3pp_start: Start, many: Bucket) -> None:
    with subprocess.Popen(["head", "-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as head:
        running = s3pp_start("list", many.url, stdout=head.stdin)
        line, _ = head.communicate()
    result = running.wait()
    assert (result.code, result.err) == (0, "")
    found = LINE.fullmatch(line.decode().rstrip("\n"))
    assert found
    assert found["key"] == "k/00000"


@pytest.mark.thorough
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_behind_stdout(s3pp_start: Start, many: Bucket) -> None:
    with open("/dev/full", "w") as full:
        result = s3pp_start("list", many.url, stdout=full).wait()
    assert result.code == 3
    assert "No space left" in result.err
    assert result.err.count("\n") == 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_stopped_by_a_signal(
    s3pp_start: Start, many: Bucket, moto: Store, recorder: MakeRecorder, number: Signals, code: int
) -> None:
    def hang(request: Request) -> None:
        if "continuation-token" in request.target:
            time.sleep(20)

    record = recorder(moto, intercept=hang)
    words = ("--listers", "1", "--summarize", "--json", many.url)
    running = s3pp_start("list", *words, store=record.store)
    deadline = time.monotonic() + 40
    while not running.out() and time.monotonic() < deadline:
        time.sleep(0.01)
    running.signal(number)
    result = running.wait(40)
    assert result.code == code
    *listed, summary = map(json.loads, result.lines)
    assert [each["key"] for each in listed] == list(MANY)[:1000]
    assert (summary["listed"], summary["listing_complete"]) == (1000, False)
    (line,) = result.err.splitlines()
    assert re.fullmatch("s3pp: (interrupted|terminated|hung up): the listing is incomplete", line)


def test_progress_of_a_list_and_of_a_clean(s3pp: Run, moto_bucket: Bucket) -> None:
    moto_bucket.fill({"a": b"1", "b": b"23"})
    found = s3pp("list", "--progress", moto_bucket.url)
    assert len(found.lines) == 2
    assert re.fullmatch(r"s3pp: 2 objects, 3 bytes, [\d,]+ objects/s\n", found.err), found.err
    told = json.loads(s3pp("list", "--progress", "--json", moto_bucket.url).err)
    assert (told["objects"], told["bytes"], told["percent"]) == (2, 3, None)
    assert s3pp("list", moto_bucket.url).err == ""
    cleaned = s3pp("clean", "--progress", moto_bucket.url)
    assert cleaned.err.endswith("s3pp: 0 of 0 uploads\n")
    assert s3pp("clean", moto_bucket.url).err == cleaned.err.removesuffix("s3pp: 0 of 0 uploads\n")
