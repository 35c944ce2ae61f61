"""``get --gzip-suffix``: files are written compressed."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from commands import Run
from conftest import MakeRecorder
from faults.large import SMALL_PARTS
from outcomes import failures, reasons
from stores.store import Bucket, Store

TEXT = b"".join(b"%d lines\n" % n for n in range(900_000))
OBJECTS = {
    "a/large": TEXT,
    "a/large.txt": b"",
    "a/middle": TEXT[:700_000],
    "b.gz": b"kept as it is",
    "small": b"hello",
}


def test_files_are_compressed_and_known_again(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path, recorder: MakeRecorder
) -> None:
    moto_bucket.fill(OBJECTS)
    through, out = recorder(moto), tmp_path / "out"
    command = ["get", "--json", "--gzip-suffix", ".x.gz", *SMALL_PARTS, f"{moto_bucket.url}/", out]

    def get(*options: str) -> dict[str, str]:
        through.clear()
        result = s3pp(*command, *options, store=through.store)
        assert result.code == 0, result.err
        return reasons(result)

    assert set(get().values()) == {"new"}
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    assert files.pop("b.gz").read_bytes() == OBJECTS["b.gz"]
    for name, path in files.items():
        assert gzip.decompress(path.read_bytes()) == OBJECTS[name.removesuffix(".x.gz")]
        modified = moto_bucket.head(name.removesuffix(".x.gz"))["LastModified"].timestamp()
        assert path.stat().st_mtime == modified
    assert len(files) == 4

    assert get() == dict.fromkeys(OBJECTS, "same time") | {"b.gz": "same etag"}
    gets = [each for each in through.requests if each.method == "GET" and "?" not in each.target]
    assert gets == []
    os.utime(files["small.x.gz"], (1, 1))
    files["a/middle.x.gz"].write_bytes(gzip.compress(b"other"))
    files["a/large.txt.x.gz"].write_bytes(b"")  # of a program that was killed
    assert get("--compare=size", "-n")["small"] == "same size"
    assert get("--mode=add")["a/middle"] == "exists with another size"
    assert s3pp(*command, "--mode=add", "--exit-code").code == 1
    found = get()
    assert (found["small"], found["a/middle"], found["a/large.txt"]) == (
        "time differs", "size differs", "size differs",
    )  # fmt: skip
    assert gzip.decompress(files["a/middle.x.gz"].read_bytes()) == OBJECTS["a/middle"]


def test_names_that_would_be_the_same(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    moto_bucket.fill({"a": b"1", "a.b": b"2", "a.gz": b"3", "a.gz/below": b"4", "d/": b""})
    out = tmp_path / "out"
    result = s3pp("get", "--json", "--gzip-suffix=.gz", f"{moto_bucket.url}/", out)
    assert failures(result) == {"a.gz": "conflict", "a.gz/below": "conflict"}
    assert (result.code, result.events[-1]["done"]) == (1, 3)
    assert gzip.decompress((out / "a.gz").read_bytes()) == b"1"
    assert gzip.decompress((out / "a.b.gz").read_bytes()) == b"2"
    assert (out / "d").is_dir()
