"""``s3copy``: the examples of its manual, its lists, its lines, its keys."""

from __future__ import annotations

import re
from pathlib import Path

from commands import Run
from conftest import MakeRecorder
from stores.relay import error
from stores.store import Bucket, Store


def test_the_examples_of_its_manual(
    front: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    """Paths, the dry run, the log with its audit lines, and a second run that copies nothing."""
    for name in ("folder-001/test-001", "folder-001/test-002"):
        moto_bucket.put(name, name.encode())
    url, env = moto_bucket.url, {"HOME": str(tmp_path)}
    dest = moto.bucket()
    dry = front("s3copy", f"{url}/folder-001", f"{dest.url}/path", "-n", env=env)
    assert (dry.code, dest.tree()) == (0, {})
    assert dry.lines[:2] == [f"Source uri: {url}/folder-001", f"Dest uri: {dest.url}/path/"]
    assert sorted(dry.lines[2:]) == [
        f"Copy file {url}/folder-001/test-00{n} to file {dest.url}/path/folder-001/test-00{n}"
        for n in (1, 2)
    ]
    words = [url, f"{dest.url}/foo", "-t", "20", "-l", "DEBUG", "-L", "log.txt"]
    done = front("s3copy", *words, env=env)
    assert done.code == 0
    assert re.fullmatch(
        r"\d+\.\d\d secs 38 bytes-to-target \(\d+\.\d\d MB/sec\)"
        r" 38 total-bytes-with-overhead \(\d+\.\d\d MB/sec\)",
        done.lines[-1],
    )
    assert set(dest.tree()) == {"foo/folder-001/test-001", "foo/folder-001/test-002"}
    log = tmp_path / "log.txt"
    audit = r"[\d-]{10} [\d:]{8},\d{3}: INFO     Validate (\S+) copy (\S+) ([0-9a-f]{32}) (.*)"
    lines = [re.fullmatch(audit, line) for line in log.read_text().splitlines()]
    assert {(found[1], found[4]) for found in lines if found} == {
        (f"{url}/folder-001/test-001", "complete"),
        (f"{url}/folder-001/test-002", "complete"),
    }
    again = front("s3copy", *words[:2], "-l", "info", env=env)
    assert (again.code, again.out.count(" already exists")) == (0, 2)
    (first,) = (found for line in again.lines[2:] if "001/test-001" in line
                if (found := re.fullmatch(audit, line)))  # fmt: skip
    assert first[3] == moto_bucket.head("folder-001/test-001")["ETag"].strip('"')
    plain = front("s3copy", f"{url}/folder-001/*", dest.url, env=env)
    assert (plain.code, {"test-001", "test-002"} <= set(dest.tree())) == (0, True)


def test_lists_of_objects_and_paths(
    front: Run, moto: Store, moto_bucket: Bucket, recorder: MakeRecorder, tmp_path: Path
) -> None:
    for key in ("p/a", "p/a.bak", "p/d/x", "q/y", "r"):
        moto_bucket.put(key, key.encode())
    url, env, dest = moto_bucket.url, {"HOME": str(tmp_path)}, moto.bucket()
    files = front("s3copy", f"{url}/p", f"{dest.url}//", "-f", "/a", "/gone", "/a.ba", env=env)
    assert (files.code, dest.tree()) == (1, {"a": b"p/a"})
    assert "p/gone" in files.err
    assert "p/a.ba:" in files.err or "p/a.ba ->" in files.err
    (tmp_path / "list").write_text("#none\n\n")
    nothing = front("s3copy", url, dest.url, "-P", "list", env=env)
    assert (nothing.code, nothing.lines[-1]) == (0, "Nothing to copy: quitting")
    paths = front("s3copy", url, f"{dest.url}/to", "-p", "p", "q/*", env=env)
    assert paths.code == 0
    assert {key for key in dest.tree() if key.startswith("to/")} == {
        *{"to/p/a", "to/p/a.bak", "to/p/d/x"},
        "to/y",
    }
    itself = front("s3copy", f"{url}/p", env=env)
    assert (itself.code, "onto itself" in itself.err) == (2, True)
    assert moto_bucket.tree().keys() == {"p/a", "p/a.bak", "p/d/x", "q/y", "r"}
    between = recorder(
        moto, intercept=lambda r: error(403, "AccessDenied") if r.of_bucket else None
    )
    unlisted = front("s3copy", url, f"{dest.url}/un", "-f", "r", store=between.store, env=env)
    assert (unlisted.code, dest.get("un/r")) == (0, b"r"), "neither side may be listed"
    missing = front("s3copy", f"{url}/r", dest.url, env=env)
    assert (missing.code, "/r/*: no objects found: check" in missing.err) == (2, True)


def test_keys_of_files_and_arguments(
    front: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    """Keys in a file go before those of the command line; none is shown."""
    moto_bucket.put("x", b"1")
    dest = moto.bucket()
    (tmp_path / ".s3cfg").write_text(
        f"[default]\naccess_key = {moto.access_key}\nsecret_key = {moto.secret_key}\n"
    )
    env = {"HOME": str(tmp_path), "AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    words = ["-a", "WRONG", "-k", "never-shown-secret", "-d", ".s3cfg"]
    done = front("s3copy", moto_bucket.url, dest.url, *words, env=env)
    assert (done.code, dest.tree()) == (0, {"x": b"1"})
    assert "never-shown-secret" not in done.out + done.err
    assert "keys on the command line are not safe" in done.err


def unfinished(bucket: Bucket) -> list[str]:
    found = bucket.client.list_multipart_uploads(Bucket=bucket.name)
    return [each["Key"] for each in found.get("Uploads", ())]


def test_grants_the_destinations_listing_and_unfinished_uploads(
    front: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    """``--acl-grant``, large objects without work files, ``--clean-mpcopies``."""
    large = bytes(range(256)) * (48 << 10)
    moto_bucket.put("large", large)
    dest, url, env = moto.bucket(), moto_bucket.url, {"HOME": str(tmp_path)}
    words = ["--part-size", str(5 << 20), "--large-file", str(5 << 20), "-w", "s3://work"]
    done = front(
        "s3copy", f"{url}/*", dest.url, *words, "--acl-grant", "read:a@example.org", env=env
    )
    assert (done.code, dest.tree()) == (0, {"large": large}), "no temp/ beside it"
    assert "--work-bucket has no effect" in done.err
    acl = dest.client.get_object_acl(Bucket=dest.name, Key="large")
    assert [grant["Permission"] for grant in acl["Grants"]] == ["FULL_CONTROL", "READ"]
    for key in ("a", "b"):
        moto_bucket.client.create_multipart_upload(Bucket=moto_bucket.name, Key=key)
    dry = front("s3copy", url, "--clean-mpcopies", "-n", env=env)
    assert (dry.code, len(unfinished(moto_bucket))) == (0, 2)
    clean = front("s3copy", f"{url}/x", "--clean-mpcopies", env=env)
    assert (clean.code, unfinished(moto_bucket)) == (0, [])
