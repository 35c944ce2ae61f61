"""--manifest: an S3 Inventory instead of the source's listing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands import Run
from conftest import MakeRecorder
from inventories import PARQUET_SCHEMA, Inventory, csv_file, parquet_file, row
from outcomes import failures, reasons
from stores.relay import Answer, Request, error
from stores.store import Bucket, Store


def refuse_listing(bucket: Bucket) -> object:
    """The source can be read, and not listed."""

    def refuse(request: Request) -> Answer | None:
        listed = request.method == "GET" and request.path.strip("/") == bucket.name
        return error(403, "AccessDenied") if listed else None

    return refuse


def test_copy_reads_the_inventory_and_never_the_listing(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path, recorder: MakeRecorder
) -> None:
    dest, files = moto.bucket(), moto.bucket()
    objects = {f"p/{name}": name.encode() for name in ("a", "b +%2B", "d/é", "same", "z.tmp")}
    for key, body in {**objects, "other": b"", "p/later": b""}.items():
        moto_bucket.put(key, body)
    dest.put("same", b"same")
    rows = [row(moto_bucket.name, key, body) for key, body in objects.items()]
    rows += [
        row(moto_bucket.name, "p/gone", b"gone"),
        row(moto_bucket.name, "p/old", b"old", IsLatest="false"),
        row(moto_bucket.name, "p/marked", b"", IsDeleteMarker="true", Size="", ETag=""),
        row(moto_bucket.name, "other", b""),
    ]
    data = {"i/1.csv.gz": csv_file(rows[::-2]), "i/2.csv.gz": csv_file(rows[-2::-2])}
    for key, body in data.items():
        files.put(key, body)
    made = Inventory(moto_bucket.name, files.name, data)
    (tmp_path / "manifest.json").write_bytes(made.manifest())
    record = recorder(moto, intercept=refuse_listing(moto_bucket))
    place = f"{moto_bucket.url}/p"
    command = ("copy", "--manifest", "manifest.json", "--exclude", "*.tmp", "--json")
    result = s3pp(*command, place, dest.url, store=record.store)
    assert result.code == 1
    copied = {"a": "new", "b +%2B": "new", "d/é": "new"}
    assert reasons(result) == copied | {"same": "same etag"}
    assert failures(result) == {"gone": "not-found"}
    assert dest.tree() == {"a": b"a", "b +%2B": b"b +%2B", "d/é": "d/é".encode(), "same": b"same"}
    heads = [each for each in record.requests if each.method == "HEAD" and not each.of_bucket]
    assert heads == []
    again = s3pp(*command, "--dry-run", "--limit", "2", place, dest.url, store=record.store)
    assert (again.code, set(reasons(again).values())) == (0, {"same etag"})
    other = s3pp("copy", "--manifest", "manifest.json", f"{files.url}/p", dest.url)
    assert other.code == 2
    assert f"is an inventory of s3://{moto_bucket.name}, and the source is" in other.err
    assert other.err.endswith(": name an inventory of the source\n")


def test_get_reads_a_manifest_in_a_bucket(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    files = moto.bucket()
    bodies = {"a/b": b"1", "a/é": b"22", "c": b"333"}
    for key, body in bodies.items():
        moto_bucket.put(key, body)
    moto_bucket.put("a/b", b"replaced")  # since the inventory
    rows = [row(moto_bucket.name, key, body) for key, body in bodies.items()]
    for kind, schema, data in (
        ("Parquet", PARQUET_SCHEMA, parquet_file(rows[::-1])),
        ("CSV", "Key", csv_file(rows[::-1], ["Key"])),
    ):
        made = Inventory(moto_bucket.name, files.name, {"i/data": data}, schema, kind)
        files.put("i/data", data)
        files.put("i/manifest.json", made.manifest())
        manifest = f"{files.url}/i/manifest.json"
        result = s3pp("get", "--manifest", manifest, moto_bucket.url, kind)
        assert result.code == 0, result.err
        got = {key: (tmp_path / kind / key).read_bytes() for key in bodies}
        assert got == bodies | {"a/b": b"replaced"}
        assert ("each key is checked with HEAD" in result.err) == (kind == "CSV")


def test_remove_deletes_what_the_inventory_has_unless_it_was_replaced(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    files = moto.bucket()
    bodies = {"p/a": b"1", "p/b": b"2", "p/keep.txt": b"3", "other": b"4"}
    for key, body in bodies.items():
        moto_bucket.put(key, body)
    listed = [*bodies.items(), ("p/gone", b"5")]
    data = {"i/data": csv_file([row(moto_bucket.name, *each) for each in listed])}
    files.put("i/data", data["i/data"])
    (tmp_path / "m.json").write_bytes(Inventory(moto_bucket.name, files.name, data).manifest())
    moto_bucket.put("p/b", b"since")
    moto_bucket.put("p/later", b"since")
    whole = s3pp("remove", "--manifest", "m.json", moto_bucket.url)
    assert (whole.code, "add --all" in whole.err) == (2, True)
    command = ("remove", "--manifest", "m.json", "--exclude", "*.txt", "--json")
    result = s3pp(*command, f"{moto_bucket.url}/p")
    assert result.code == 1
    events = {each.get("key"): each for each in result.events}
    assert (events["p/a"]["event"], events["p/a"]["reason"]) == ("deleted", "selected")
    assert (events["p/b"]["event"], events["p/b"]["kind"]) == ("failed", "changed")
    assert (events["p/gone"]["event"], events["p/gone"]["reason"]) == ("skipped", "gone already")
    kept = {"p/b": b"since", "p/later": b"since", "p/keep.txt": b"3", "other": b"4"}
    assert moto_bucket.tree() == kept
    inventory = Inventory(moto_bucket.name, files.name, data)
    (tmp_path / "m.json").write_bytes(inventory.manifest(fileSchema="Bucket, Key"))
    unknown = s3pp(*command, f"{moto_bucket.url}/p")
    assert (unknown.code, "or leave out --manifest" in unknown.err) == (3, True)
    assert moto_bucket.tree() == kept


def test_an_inventory_that_is_damaged_transfers_nothing(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path
) -> None:
    files = moto.bucket()
    moto_bucket.put("a", b"1")
    good = csv_file([row(moto_bucket.name, "a", b"1")])
    made = Inventory(moto_bucket.name, files.name, {"1": good, "2": good})
    files.put("1", good)
    files.put("manifest.json", made.manifest())
    command = ("get", "--manifest", f"{files.url}/manifest.json", moto_bucket.url, "here")
    missing = s3pp(*command)
    files.put("2", good[:-1] + b"?")
    changed = s3pp(*command)
    files.put("2", good[:-9])
    files.put("manifest.json", made._replace(files={"1": good, "2": good[:-9]}).manifest())
    cut = s3pp(*command)
    for result, message in (
        (missing, r"inventory s3://\S+/2 cannot be read: .*NoSuchKey.*"),
        (changed, r"inventory s3://\S+/2 is not the file of the manifest: its MD5 is .*"),
        (cut, r"inventory s3://\S+/2 is cut off: its gzip stream has no end"),
    ):
        assert result.code == 3
        assert re.fullmatch(f"s3pp: {message}", result.err.splitlines()[0])
    assert not [each for each in (tmp_path / "here").rglob("*") if each.is_file()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["get", "--manifest", "none", "s3://bucket", "d"], "--manifest 'none' cannot be read: No"),
        (["get", "--manifest", "orc", "s3://bucket", "d"], "is of the format ORC: only CSV and"),
        (["get", "--manifest", "m", "s3://a-a", "s3://b-b", "d"], "needs exactly one source"),
        (["get", "--manifest", "m", "--files-from", "m", "s3://b-b", "d"], "contradicts --files-"),
        (["get", "--manifest", "m", "s3://b-b/key", "-"], "--manifest is about many objects"),
        (["get", "--manifest", "m", "--journal", "m", "s3://bucket", "d"], "is the same file as"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    s3pp: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "m").write_bytes(Inventory("bucket", "files", {}).manifest())
    (tmp_path / "orc").write_bytes(Inventory("bucket", "files", {}, kind="ORC").manifest())
    result = s3pp(*arguments, store=None)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert json.loads((tmp_path / "m").read_text())["sourceBucket"] == "bucket"
