"""``s3pp put - s3://bucket/key``: standard input becomes one object."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from commands import Run, Start, peak_memory
from conftest import MakeRecorder
from faults.large import SIZE, SMALL_PARTS, compound
from outcomes import reasons
from stores.store import Bucket, Store

LARGE = os.urandom(SIZE)


def test_a_small_one_is_an_object_as_any_other(s3pp: Run, bucket: Bucket, tmp_path: Path) -> None:
    url, journal = f"{bucket.url}/p/a b.html", tmp_path / "journal"
    options = ["--metadata", "k=v", "--header", "Cache-Control:no-store", "--acl", "public-read"]
    result = s3pp("put", "-v", *options, "--journal", journal, "-", url, stdin=b"<html>")
    assert (result.code, result.err) == (0, "")
    assert result.lines[0] == f"put - -> {url} (new)"
    assert (result.counts.done, result.counts.bytes) == (1, 6)
    head = bucket.head("p/a b.html")
    assert (head["ContentType"], head["CacheControl"]) == ("text/html", "no-store")
    assert head["Metadata"] == {"k": "v"}
    assert bucket.tree() == {"p/a b.html": b"<html>"}
    record = json.loads(journal.read_text().splitlines()[1])
    assert (record["event"], record["source"], record["key"]) == ("done", "-", "p/a b.html")
    empty = s3pp("put", "-", f"{bucket.url}/empty", stdin=b"")
    assert (empty.code, bucket.get("empty")) == (0, b"")


def test_modes(s3pp: Run, recorder: MakeRecorder, moto: Store, moto_bucket: Bucket) -> None:
    through, url = recorder(moto), f"{moto_bucket.url}/k"
    moto_bucket.put("k", b"same")

    def reason(mode: str, content: bytes) -> str:
        through.clear()
        command = ["put", "--json", "--mode", mode, *SMALL_PARTS, "-", url]
        return reasons(s3pp(*command, store=through.store, stdin=content))["k"]

    assert reason("update", b"same") == "same etag"
    assert reason("add", b"other") == "exists"
    assert through.puts == 0
    assert reason("update", b"size") == "etag differs"
    assert reason("update", b"longer") == "size differs"
    assert reason("stupid", b"longer") == "always"
    assert through.heads == 0
    assert reason("update", LARGE) == "size differs"
    assert reason("update", LARGE) == "etag unknown"
    assert moto_bucket.get("k") == LARGE


def test_a_large_one_goes_in_parts(s3pp: Run, bucket: Bucket) -> None:
    options = [*SMALL_PARTS, "--metadata", "k=v"]
    result = s3pp("put", "--json", *options, "-", f"{bucket.url}/l.png", stdin=LARGE)
    assert (result.code, result.err) == (0, "")
    done = result.events[0]
    assert (done["size"], done["sent"], done["etag"]) == (SIZE, SIZE, compound(LARGE))
    assert bucket.get("l.png") == LARGE
    head = bucket.head("l.png")
    assert (head["ContentType"], head["Metadata"]) == ("image/png", {"k": "v"})
    # A file of this content is recognised by the ETag.
    again = s3pp("put", "--json", *SMALL_PARTS, "-n", "-", f"{bucket.url}/l.png", stdin=LARGE)
    assert again.events[0]["reason"] == "etag unknown"
    assert again.events[-1]["requests"] == 1 + 1 + 2 + 4


def test_gzip_and_magic(s3pp: Run, moto_bucket: Bucket) -> None:
    text = b"".join(b"%d lines of text\n" % n for n in range(900_000))
    options = ["--gzip", "--gzip-type", "all", "--content-type", "magic", *SMALL_PARTS]
    for key, content in (("small", text[:100_000]), ("large", text)):
        result = s3pp("put", "--json", *options, "-", f"{moto_bucket.url}/{key}", stdin=content)
        assert result.code == 0, result.err
        assert result.events[0]["sent"] < result.events[0]["size"] == len(content)
        assert gzip.decompress(moto_bucket.get(key)) == content
        head = moto_bucket.head(key)
        assert (head["ContentType"], head["ContentEncoding"]) == ("text/plain", "gzip")


def test_bytes_that_come_slowly_in_a_pipe(s3pp_start: Start, moto_bucket: Bucket) -> None:
    running = s3pp_start("put", "-", f"{moto_bucket.url}/k", stdin=subprocess.PIPE)
    stdin = running.popen.stdin
    assert stdin is not None
    os.set_blocking(stdin.fileno(), True)
    for piece in (b"a", b"bc", b"d" * 100_000):
        stdin.write(piece)
        stdin.flush()
    stdin.close()
    assert running.wait().code == 0
    assert moto_bucket.get("k") == b"abc" + b"d" * 100_000


def test_closed_standard_input_is_an_error_of_usage(s3pp: Run, moto_bucket: Bucket) -> None:
    result = s3pp("put", "-", f"{moto_bucket.url}/k", preexec_fn=lambda: os.close(0))
    assert result.code == 2
    assert result.err == "s3pp: SOURCE -: standard input is closed; send it the object's content\n"
    assert moto_bucket.keys() == []


@pytest.mark.thorough
@pytest.mark.parametrize(("size", "options"), [(1 << 30, ["-n"]), (384 << 20, [])])
def test_memory_does_not_grow_with_the_stream(
    s3pp_start: Start, moto_bucket: Bucket, size: int, options: list[str]
) -> None:
    producer = ["head", "-c", str(size), "/dev/zero"]
    with subprocess.Popen(producer, stdout=subprocess.PIPE) as head:
        assert head.stdout is not None
        place = f"{moto_bucket.url}/k"
        running = s3pp_start("put", *options, *SMALL_PARTS, "-", place, stdin=head.stdout.fileno())
    most = 0
    while running.popen.poll() is None:
        most = max(most, peak_memory(running.pid))
        time.sleep(0.01)
    assert running.wait().counts.bytes == size
    assert most < 240  # parts in memory, and Python with its libraries
