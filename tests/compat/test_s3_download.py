"""``s3_download`` of amazon-s3-resumable-upload, from its own configuration file."""

from __future__ import annotations

import re
from pathlib import Path

from commands import Result, Run
from conftest import MakeRecorder, Tree
from stores.store import Bucket

EXAMPLE = """
[Basic]
SrcProfileName =
# 在~/.aws 中配置的能访问源S3的 profile name

EndPointURL = AWS

SrcBucket = {bucket}

S3Prefix = {prefix}

SrcFileIndex = {name}

DesDir = {directory}

[Advanced]
ChunkSize = 5
MaxRetry = 20
MaxThread = 5
MaxParallelFile = 5
LoggingLevel = INFO
"""
ALL_THERE = "INFO - All source files are in destination, job well done."


def configure(path: Path, bucket: Bucket, prefix: str = "", name: str = "*") -> None:
    """Write the example, with places of the test, to where the command runs."""
    text = EXAMPLE.format(bucket=bucket.name, prefix=prefix, name=name, directory="down")
    (path / "s3_download_config.ini").write_text(text)


def missing(result: Result) -> list[str]:
    return re.findall(r"WARNING - (\{.*)$", result.err, re.MULTILINE)


def test_the_example(
    front: Run, moto_bucket: Bucket, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    """Whole keys below DesDir; a second run fetches nothing; what older runs left stays."""
    files = {"a": b"1", "p/b": b"22", "p/empty": b"", "p/large": bytes(6 << 20), "q/": b""}
    for key, body in files.items():
        moto_bucket.put(key, body)
    tree({"a": b"x", "p/large.s3tmp": b"old", "p/b": b"another size"}, "down")
    (tmp_path / "s3_download.db").write_bytes(b"SQLite")
    configure(tmp_path, moto_bucket)
    before = {path.name for path in tmp_path.iterdir()}
    first = front("s3_download", "--nogui")
    assert first.code == 0
    assert tree.read(tmp_path / "down") == {
        **{key: body for key, body in files.items() if not key.endswith("/")},
        "a": b"x",  # of the same size: that is all that is compared
        "p/large.s3tmp": b"old",
    }
    assert (tmp_path / "down" / "q").is_dir()
    assert re.fullmatch(
        rf"MISSION ACCOMPLISHED - Time: 0H:0M:\d+S - FROM: {moto_bucket.name}/ TO down",
        first.lines[-1],
    )
    assert ALL_THERE in first.err
    recorded = recorder(moto_bucket.store)
    second = front("s3_download", store=recorded.store)
    assert (second.code, recorded.heads) == (0, 0)
    assert recorded.count("GET") == recorded.lists
    assert second.err.count("Duplicated. ") == 4
    assert {path.name for path in tmp_path.iterdir()} == before


def test_one_object_and_a_prefix(
    front: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """A prefix is that of a name; with one object there is a slash between prefix and name."""
    for key in ("p/b", "p/bb", "pq/c", "x"):
        moto_bucket.put(key, b"1")
    configure(tmp_path, moto_bucket, "p", "b")
    assert front("s3_download").code == 0
    assert tree.read(tmp_path / "down") == {"p/b": b"1"}
    configure(tmp_path, moto_bucket, "p")
    assert front("s3_download").code == 0
    assert set(tree.read(tmp_path / "down")) == {"p/b", "p/bb", "pq/c"}
    configure(tmp_path, moto_bucket, "p", "none")
    absent = front("s3_download")
    assert (absent.code, absent.out) == (2, "")
    assert "p/none" in absent.err


def test_what_cannot_be_a_file_fails_the_run(
    front: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """A key that leads out of DesDir, and an object where others need a directory."""
    for key in ("../out", "a", "a/b", "c"):
        moto_bucket.put(key, b"1")
    configure(tmp_path, moto_bucket)
    result = front("s3_download")
    assert result.code == 1
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "down" / "c").read_bytes() == b"1"
    assert re.search(
        r"WARNING - There are \d files not in destination or not the same size$",
        result.err,
        re.MULTILINE,
    )
    assert "MISSION" not in result.out
    assert ALL_THERE not in result.err
