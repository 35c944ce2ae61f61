"""``s3pp get s3://bucket/key -``: one object on standard output."""

from __future__ import annotations

import gzip
import os
import subprocess
from pathlib import Path

import pytest

from commands import Run, Start, peak_memory
from faults.large import SIZE, SMALL_PARTS
from stores.store import Bucket

LARGE = os.urandom(SIZE)


def read(s3pp: Run, tmp_path: Path, *arguments: str, code: int = 0) -> tuple[bytes, str]:
    """What a get writes to standard output, and to stderr."""
    path = tmp_path / "written"
    with path.open("wb") as written:
        result = s3pp("get", *arguments, "-", stdout=written)
    assert result.code == code, result.err
    return path.read_bytes(), result.err


def test_objects_of_any_size_and_name(s3pp: Run, bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("p/a b+%41.txt", b"small")
    bucket.put("empty", b"")
    content, err = read(s3pp, tmp_path, f"{bucket.url}/p/a b+%41.txt")
    assert content == b"small"
    assert err.startswith("get 5 bytes in 1 files in ")
    assert read(s3pp, tmp_path, "-q", f"{bucket.url}/empty") == (b"", "")
    bucket.put("large", LARGE)
    assert read(s3pp, tmp_path, "-q", *SMALL_PARTS, f"{bucket.url}/large") == (LARGE, "")
    bucket.put_multipart("parts", *(LARGE[at : at + (6 << 20)] for at in range(0, SIZE, 6 << 20)))
    assert read(s3pp, tmp_path, "-q", *SMALL_PARTS, f"{bucket.url}/parts") == (LARGE, "")


def test_what_is_printed_goes_to_stderr(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    moto_bucket.put("k", b"small")
    url = f"{moto_bucket.url}/k"
    content, err = read(s3pp, tmp_path, "-v", url)
    assert (content, err.splitlines()[0]) == (b"small", f"get {url} -> - (new)")
    content, err = read(s3pp, tmp_path, "--json", url)
    assert content == b"small"
    assert [line[:16] for line in err.splitlines()] == ['{"event":"done",', '{"event":"summar']
    content, err = read(s3pp, tmp_path, "-n", url)
    assert (content, err.splitlines()[0]) == (b"", f"get {url} -> - (new)")
    assert err.splitlines()[-1].endswith("with 3 requests")
    content, err = read(s3pp, tmp_path, f"{moto_bucket.url}/missing", code=2)
    told = "no objects found: name the whole key of one object"
    assert (content, err) == (b"", f"s3pp: get {moto_bucket.url}/missing: {told}\n")


def test_gunzip(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    for key, content in (("small", b"text"), ("large", LARGE)):
        moto_bucket.put(key, gzip.compress(content), ContentEncoding="gzip")
        place = f"{moto_bucket.url}/{key}"
        assert read(s3pp, tmp_path, "-q", *SMALL_PARTS, "--gunzip", place) == (content, "")
    moto_bucket.put("bad", b"no gzip", ContentEncoding="gzip")
    content, err = read(s3pp, tmp_path, "--gunzip", f"{moto_bucket.url}/bad", code=1)
    assert content == b""
    assert "it is not gzip data: get it without --gunzip" in err


def test_a_reader_that_has_had_enough_is_no_news(s3pp_start: Start, moto_bucket: Bucket) -> None:
    """As of a program that SIGPIPE ends; ``pipefail`` shows it, and nothing else."""
    moto_bucket.put("large", LARGE)
    running = s3pp_start(
        "get", *SMALL_PARTS, f"{moto_bucket.url}/large", "-", stdout=subprocess.PIPE
    )
    assert running.popen.stdout is not None
    assert running.popen.stdout.read(10) == LARGE[:10]
    running.popen.stdout.close()
    result = running.wait()
    assert (result.code, result.err) == (141, "")


def test_standard_output_that_cannot_be_written(s3pp: Run, moto_bucket: Bucket) -> None:
    moto_bucket.put("k", b"small")
    with open("/dev/full", "wb") as full:
        result = s3pp("get", f"{moto_bucket.url}/k", "-", stdout=full)
    assert result.code == 3
    why, summary = result.err.splitlines()
    assert why == "s3pp: standard output cannot be written: No space left on device"
    assert summary.endswith(", 1 failed")
    closed = s3pp("get", f"{moto_bucket.url}/k", "-", preexec_fn=lambda: os.close(1))
    assert (closed.code, closed.err) == (
        2,
        "s3pp: DIRECTORY -: standard output is closed; send it to a file or a program\n",
    )


@pytest.mark.thorough
def test_memory_does_not_grow_with_the_object(s3pp_start: Start, moto_bucket: Bucket) -> None:
    moto_bucket.put("k", bytes(384 << 20))
    running = s3pp_start("get", f"{moto_bucket.url}/k", "-", stdout=subprocess.PIPE)
    most, came = 0, 0
    assert running.popen.stdout is not None
    while piece := running.popen.stdout.read(1 << 20):
        came += len(piece)
        most = max(most, peak_memory(running.pid))
    assert (running.wait().code, came) == (0, 384 << 20)
    assert most < 240  # ranges in memory, and Python with its libraries
