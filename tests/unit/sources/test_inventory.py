"""S3 Inventories as sources: rows, manifests, and what is wrong with them."""

from __future__ import annotations

import gzip
import random
import sys
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from inventories import PARQUET_SCHEMA, SCHEMA, TIME, Inventory, csv_file, parquet_file, row
from s3pp.errors import FailureKind, FatalError, UsageError
from s3pp.job import Choosing, Job
from s3pp.places import Origin, Place, parse_origin
from s3pp.records import Failed
from s3pp.s3.answers import Answer
from s3pp.s3.exchange import Response, Sink
from s3pp.s3.listing import Listed
from s3pp.s3.retry import StoreError
from s3pp.sources.checking import settle
from s3pp.sources.filters import NameChoice, filters_of
from s3pp.sources.inventory import FETCHES, list_inventory
from s3pp.sources.objects import list_objects

SOURCE, FILES = "source", "inventories"
ALL = Choosing()
BODY = b"1234"


def objects(*keys: str, **others: str) -> list[dict[str, str]]:
    return [row(SOURCE, key, BODY, **others) for key in keys]


def inventory(*data: bytes, **settings: Any) -> Inventory:
    return Inventory(SOURCE, FILES, {f"data/{n}": each for n, each in enumerate(data)}, **settings)


class Files:
    """A bucket of files; HEADs are answered with ``BODY`` for the keys of ``heads``."""

    def __init__(self, files: dict[str, bytes], heads: Sequence[str] = ()) -> None:
        self.files = files
        self.asked: list[str] = []
        self._heads = heads

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            coroutine.send(None)
        except StopIteration as end:
            future.set_result(end.value)
        except Exception as error:
            future.set_exception(error)
        return future

    async def fetch(self, key: str, sink: Sink) -> None:
        self.asked.append(key)
        if key not in self.files:
            raise StoreError(404, "NoSuchKey", "The specified key does not exist.")
        sink.restart()
        sink.write(b"what an attempt that failed has written")
        sink.restart()
        sink.write(self.files[key])

    async def look(self, key: str) -> Answer | None:
        self.asked.append(key)
        head = b'HTTP/1.1 200 OK\r\ncontent-length: 4\r\netag: "e"\r\n\r\n'
        return Answer(Response(200, head, b""), 1) if key in self._heads else None

    async def list_page(self, parameters: dict[str, str]) -> bytes:
        raise AssertionError("an inventory needs no listing")


def read(
    made: Inventory,
    place: str = f"s3://{SOURCE}",
    *,
    heads: Sequence[str] = (),
    manifest: bytes | None = None,
    choosing: Choosing = ALL,
) -> tuple[list[Any], list[str]]:
    """What a job finds by a manifest in the bucket of its files, and the notices."""
    told: list[str] = []
    origin = parse_origin(place)
    named = replace(choosing, manifest=f"s3://{FILES}/manifest.json")
    job = Job("copy", origins=(origin,), dest=Place("dest"), choosing=named)
    text = made.manifest() if manifest is None else manifest
    files = Files({**made.files, "manifest.json": text}, heads)
    choice = NameChoice(filters_of(named), inventory=files)  # type: ignore[arg-type]
    return list(list_objects(job, origin, files, told.append, choice)), told


def keys(found: list[Any]) -> list[str]:
    return [each.key for each in found]


KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(KEYS, unique=True, max_size=12), st.permutations(SCHEMA), st.randoms())
@settings(deadline=None, max_examples=examples(100))
def test_rows_of_any_keys_and_columns_are_read(
    names: list[str], schema: list[str], shuffler: random.Random
) -> None:
    rows = objects(*names)
    shuffler.shuffle(rows)
    made = inventory(csv_file(rows[::2], schema), csv_file(rows[1::2], schema))
    found, _ = read(made._replace(schema=", ".join(schema)))
    ordered = sorted(names, key=str.encode)
    etag = rows[0]["ETag"] if rows else ""
    assert found == [Listed(name, 4, etag, TIME, "STANDARD") for name in ordered]


@given(st.lists(st.lists(st.text(max_size=5), max_size=10), max_size=5), st.booleans())
@settings(deadline=None, max_examples=examples(100))
def test_rows_of_anything_are_read_or_refused(rows: list[list[str]], quoted: bool) -> None:
    mark = '"' if quoted else ""
    text = "\n".join(",".join(f"{mark}{each}{mark}" for each in row) for row in rows)
    with suppress(FatalError):  # and nothing else
        found, _ = read(inventory(gzip.compress(text.encode())))
        assert all(isinstance(each, Listed) and each.key for each in found)


@pytest.mark.parametrize("kind", ["CSV", "Parquet"])
def test_only_current_objects_below_the_prefix_are_found(kind: str) -> None:
    rows = [
        *objects("p/é +%2B", "p/b", "p/a", "p/a"),
        *objects("p/old", IsLatest="false"),
        *objects("p/gone", IsDeleteMarker="true", Size="", ETag=""),
        *objects("other", "p", "p-", "pq"),
    ]
    if kind == "CSV":
        made = inventory(csv_file(rows[::-1]))
    else:
        made = inventory(parquet_file(rows[::-1]), kind=kind, schema=PARQUET_SCHEMA)
    found, told = read(made, f"s3://{SOURCE}/p")
    assert keys(found) == ["p/a", "p/b", "p/é +%2B"]
    assert {each[1:] for each in found} == {(4, rows[0]["ETag"], TIME, "STANDARD")}
    assert told == []
    some = Choosing(rules=(("exclude", "b"),), limit=1, max_size=4)
    assert keys(read(made, f"s3://{SOURCE}/p", choosing=some)[0]) == ["p/a"]


def test_what_the_inventory_lacks_is_asked_for_with_heads() -> None:
    schema = ("Bucket", "Key", "ETag", "Whatever")
    rows = [each | {"Whatever": "?"} for each in objects("p/b", "p/a", "p/gone", "p/left-out")]
    made = inventory(csv_file(rows, schema), schema="Bucket,Key,ETag,Whatever")
    chosen = Choosing(rules=(("exclude", "left-out"),))
    found, (notice,) = read(made, f"s3://{SOURCE}/p", heads=["p/a", "p/b"], choosing=chosen)
    assert keys(found[:2]) == ["p/a", "p/b"]
    assert (found[0].size, found[0].etag) == (4, "e")
    assert isinstance(found[2], Failed)
    assert (found[2].source, found[2].kind) == ("p/gone", FailureKind.NOT_FOUND)
    assert "no column Size and LastModifiedDate: each key is checked with HEAD" in notice


def test_a_file_is_plain_csv_too() -> None:
    assert keys(read(inventory(gzip.decompress(csv_file(objects("b", "a")))))[0]) == ["a", "b"]


def test_an_access_point_is_of_a_bucket_with_another_name() -> None:
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"
    assert keys(read(inventory(csv_file(objects("a"))), f"s3://{arn}/")[0]) == ["a"]


GOOD = csv_file(objects("a", "b"))
LINES = gzip.decompress(GOOD).decode().splitlines(keepends=True)


def packed(*lines: str) -> bytes:
    return gzip.compress("".join(lines).encode(), mtime=0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD[:-9], "is cut off: its gzip stream has no end"),
        (GOOD[:-12] + bytes(12), "is damaged: "),
        (b"\x1f\x8bnot gzip", "is damaged: "),
        (packed(LINES[0], '"source","c"\n'), "line 2: it has 2 columns, and not 10"),
        (packed(LINES[0], "\n", LINES[1]), "line 2: it has 0 columns, and not 10"),
        (packed(LINES[0].replace('"4"', '"-4"')), "line 1: '-4' is not a size"),
        (packed(LINES[0].replace('"4"', '""')), "line 1: '' is not a size"),
        (packed(LINES[0].replace('"true"', '"yes"')), "line 1: IsLatest or IsDeleteMarker"),
        (packed(LINES[0].replace('"source"', '"other"')), "line 1: it is of the bucket 'other'"),
        (packed(LINES[0].replace('"a"', '""')), "line 1: its key is empty"),
        (packed(LINES[0], LINES[1].replace('"b"', '"%ff"')), "line 2: its key is not UTF-8"),
        (packed(LINES[0], '"a"b,"\n'), "line 2: "),
        (packed(LINES[0], '"source'), "line 2: "),
        (gzip.compress(b"\xff\xfe", mtime=0), "is not UTF-8"),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_data_file_that_is_damaged_ends_the_run(data: bytes, message: str) -> None:
    with pytest.raises(FatalError) as raised:
        read(inventory(GOOD, data))
    assert str(raised.value).startswith(f"inventory s3://{FILES}/data/1 {message}")


def test_parquet_that_is_damaged_ends_the_run() -> None:
    good = parquet_file(objects("a", "b"))
    other = parquet_file(objects("a"))
    for data, message in (
        (good[:-20], "is no valid Parquet: "),
        (b"", "is no valid Parquet: "),
        (good[:4] + bytes(60) + good[64:], "is damaged after row 0: "),
    ):
        with pytest.raises(FatalError) as raised:
            read(inventory(other, data, kind="Parquet", schema=PARQUET_SCHEMA))
        assert str(raised.value).startswith(f"inventory s3://{FILES}/data/1 {message}")
    less = PARQUET_SCHEMA.replace("optional int64 size;", "")
    with pytest.raises(FatalError, match="has other columns than the manifest says"):
        read(inventory(good, kind="Parquet", schema=less))


def test_a_file_that_is_not_the_one_meant_is_asked_for_again_and_then_refused() -> None:
    made = inventory(GOOD)
    text = made.manifest()
    for data, message in (
        (GOOD + b"more", f"it has {len(GOOD) + 4} bytes, and not {len(GOOD)}"),
        (GOOD[:-1] + b"?", "its MD5 is "),
    ):
        origin = Origin(SOURCE)
        files = Files({"data/0": data, "manifest.json": text})
        chosen = Choosing(manifest=f"s3://{FILES}/manifest.json")
        job = Job("get", origins=(origin,), directory="d", choosing=chosen)
        filters = filters_of(chosen)
        with pytest.raises(FatalError) as raised:
            list(list_inventory(job, files, files, print, filters))  # type: ignore[arg-type]
        assert f"data/0 is not the file of the manifest: {message}" in str(raised.value)
        assert files.asked == ["manifest.json", *["data/0"] * FETCHES]


def test_a_file_that_is_missing_ends_the_run() -> None:
    made = inventory(GOOD)
    text = made.manifest(files=[{"key": "data/9", "size": 1, "MD5checksum": "0" * 32}])
    with pytest.raises(FatalError) as raised:
        read(made, manifest=text)
    assert str(raised.value).startswith(f"inventory s3://{FILES}/data/9 cannot be read: ")
    assert "NoSuchKey" in str(raised.value)


MANIFESTS = [
    (b"", "is not JSON"),
    (b"[" * 100_000, "is not JSON"),
    (b"[]", "is no manifest of an S3 Inventory"),
    (b"{}", "is no manifest of an S3 Inventory: it has no 'files'"),
    (b'{"files": [{"key": "k", "size": 1}]}', "is no manifest of an S3 Inventory: it has no 'MD5"),
    (b'{"files": 5}', "is no manifest of an S3 Inventory"),
    (inventory().manifest(files=[{"key": 1, "size": 1, "MD5checksum": ""}]), "is no manifest"),
    (inventory().manifest(fileFormat="ORC"), "is of the format ORC: only CSV and Parquet can be"),
    (inventory().manifest(fileSchema="Bucket, Size"), "has no column Key, only Bucket, Size"),
    (inventory().manifest(fileSchema="Key, VersionId"), "has the column VersionId and no IsLatest"),
    (inventory().manifest(sourceBucket="else"), "is an inventory of s3://else, and the source is"),
]


@pytest.mark.parametrize(("text", "message"), MANIFESTS, ids=range(len(MANIFESTS)))
def test_a_manifest_that_cannot_be_used_is_refused(
    text: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(FatalError) as fatal:
        read(inventory(), manifest=text)
    assert f"--manifest 's3://{FILES}/manifest.json' {message}" in str(fatal.value)
    path = tmp_path / "manifest.json"
    path.write_bytes(text)
    with pytest.raises(UsageError) as raised:
        settled(str(path))
    assert f"--manifest '{path}' {message}" in str(raised.value)


def settled(manifest: str) -> Job:
    chosen = Choosing(manifest=manifest)
    return settle(Job("get", origins=(Origin(SOURCE),), directory="d", choosing=chosen))


def test_the_bucket_of_the_data_files_is_known_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(inventory(GOOD).manifest())
    assert settled(str(tmp_path / "m")).inventory == FILES
    assert settled("s3://elsewhere/m.json").inventory == "elsewhere"
    for wrong, message in (
        ("s3://elsewhere/m/", "names no object"),
        ("s3://elsewhere", "names no object"),
        (str(tmp_path), "cannot be read: Is a directory"),
        (str(tmp_path / "none"), "cannot be read: No such file"),
    ):
        with pytest.raises(UsageError, match=message):
            settled(wrong)


def test_the_data_files_must_be_in_the_bucket_of_the_manifest() -> None:
    text = inventory(GOOD).manifest(destinationBucket="arn:aws-cn:s3:::other")
    with pytest.raises(FatalError, match="has its data files in s3://other: name the manifest in"):
        read(inventory(GOOD), manifest=text)


def test_without_pyarrow_parquet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = inventory(b"", kind="Parquet", schema=PARQUET_SCHEMA)
    monkeypatch.setattr("s3pp.sources.inventory.find_spec", lambda _: None)
    with pytest.raises(FatalError, match=r"needs the package pyarrow.*: pip install 's3pp\[parq"):
        read(made)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(FatalError, match=r"needs the package pyarrow.*: pip install 's3pp\[parq"):
        read(made)
