"""``--manifest``: an S3 Inventory as the listing of a source.

* The manifest is a file here or an object; its data files are objects in one bucket. Each is
  fetched whole into a temporary file without a name, and its size and MD5 are checked before its
  rows are read.
* Rows are in no order: they are sorted on disk, before the first object is looked at. Thus nothing
  is done on the word of an inventory that is incomplete or damaged.
* Delete markers, versions that are not the latest, and keys outside the origin are left out.
* Where the inventory lacks sizes, ETags or times, each key that the filters choose costs a HEAD.

An inventory is hours or days old. An object that is gone since then fails by its name when it is to
be read; one that was replaced is read as it is now, unless the destination has what the inventory
says.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, BinaryIO, NamedTuple, Protocol

from s3pp.errors import FatalError, ObjectError, UsageError
from s3pp.integrity.checksums import begin_checksum
from s3pp.job import Job
from s3pp.localfs.external_sort import sort_records
from s3pp.localfs.paths import shown
from s3pp.places import Origin, access_point, parse_place
from s3pp.s3.answers import Answer
from s3pp.s3.exchange import Sink
from s3pp.s3.listing import Listed
from s3pp.sources.destination_index import HEADS_INSTEAD, RemoteBucket
from s3pp.sources.earlier_runs import Found
from s3pp.sources.filters import Filters, key_bytes
from s3pp.sources.inventory_rows import (
    NO_PYARROW,
    Columns,
    InventoryFault,
    RowReader,
    csv_rows,
    parquet_rows,
    read_objects,
)
from s3pp.sources.name_lookup import NameLookup, Notify

MOST_MANIFEST = 64 << 20  # bytes: 200,000 data files
FETCHES = 3  # times a file is requested whose bytes are not those of its checksum
_REMOTE = "s3://"
_BUCKET_ARN = re.compile(r"arn:aws[a-z-]*:s3:::")
_PARQUET_COLUMN = re.compile(r"(?:required|optional)\s+\w+\s+(\w+)")  # of a message schema
_FORMATS = ("CSV", "Parquet")


class FilesBucket(Protocol):
    """The bucket of an inventory, whose coroutines run on another thread's event loop."""

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Start ``coroutine`` and return the future of its result."""

    async def fetch(self, key: str, sink: Sink) -> Answer:
        """GET the object ``key`` into ``sink``."""


class InventoryFile(NamedTuple):
    """One file of an inventory."""

    key: str
    size: int  # bytes
    md5: str  # in hex


class Manifest(NamedTuple):
    """What a manifest says."""

    source: str  # bucket
    bucket: str  # of the data files
    kind: str  # of ``_FORMATS``
    names: list[str]  # of the columns
    files: list[InventoryFile]


def parse_manifest(text: bytes) -> Manifest:
    """Parse a manifest. Raises ``InventoryFault``."""
    try:
        read = json.loads(text)
        files = [
            InventoryFile(f["key"], f["size"], f["MD5checksum"].lower()) for f in read["files"]
        ]
        source, bucket = (_bucket(read[name]) for name in ("sourceBucket", "destinationBucket"))
        kind, schema = str(read["fileFormat"]), str(read["fileSchema"])
    except (ValueError, RecursionError):
        raise InventoryFault("is not JSON") from None
    except KeyError as error:
        raise InventoryFault(f"is no manifest of an S3 Inventory: it has no {error}") from None
    except (TypeError, AttributeError):
        raise InventoryFault("is no manifest of an S3 Inventory") from None
    if not all(isinstance(f.key, str) and isinstance(f.size, int) for f in files):
        raise InventoryFault("is no manifest of an S3 Inventory: a file has no key or no size")
    if kind not in _FORMATS:
        raise InventoryFault(f"is of the format {kind}: only {' and '.join(_FORMATS)} can be read")
    names = [name.strip() for name in schema.split(",")]
    if kind == "Parquet":
        names = _PARQUET_COLUMN.findall(schema)
    return Manifest(source, bucket, kind, names, files)


def _bucket(name: str) -> str:
    """A bucket, which may be written as an ARN."""
    return _BUCKET_ARN.sub("", name)


# Before the run


def find_files(job: Job) -> str:
    """Return the bucket of the data files of the job's manifest, which is checked if it is a file.

    Raises ``UsageError``.
    """
    named = str(job.choosing.manifest)
    if named.startswith(_REMOTE):
        place = parse_place(named, "--manifest")
        if not place.may_be_key:
            raise UsageError(f"--manifest {named!r} names no object: s3://BUCKET/…/manifest.json")
        return place.bucket
    try:
        return _read_local(named, job.origin).bucket
    except InventoryFault as fault:
        raise UsageError(f"--manifest '{shown(named)}' {fault}") from None


def _read_local(path: str, origin: Origin) -> Manifest:
    try:
        with open(path, "rb") as file:
            text = file.read(MOST_MANIFEST + 1)
    except OSError as error:
        raise InventoryFault(f"cannot be read: {error.strerror}") from None
    return _checked(text, origin)


def _checked(text: bytes, origin: Origin) -> Manifest:
    """The manifest in ``text``, if it can be the one of ``origin``. Raises ``InventoryFault``."""
    if len(text) > MOST_MANIFEST:
        raise InventoryFault(f"is longer than {MOST_MANIFEST} bytes: it is no manifest")
    manifest = parse_manifest(text)
    if manifest.source != origin.bucket and not access_point(origin.bucket):
        raise InventoryFault(
            f"is an inventory of s3://{manifest.source}, and the source is s3://{origin.bucket}:"
            " name an inventory of the source"
        )
    Columns.of(manifest.names)
    if manifest.kind == "Parquet" and find_spec("pyarrow") is None:
        raise InventoryFault(f"cannot be read: {NO_PYARROW}")
    return manifest


# The objects


def list_inventory(
    job: Job, bucket: RemoteBucket, files: FilesBucket, notify: Notify, filters: Filters
) -> Iterator[Found]:
    """Yield the objects of the job's origin that its manifest has, in key order, each once.

    ``files`` is the bucket of the inventory, ``bucket`` that of the objects, for HEADs of those
    whose names ``filters`` choose. Raises ``FatalError``.
    """
    named, origin = str(job.choosing.manifest), job.origin
    what = f"--manifest '{shown(named)}'"
    with _naming(what):
        manifest = _read(named, origin, files)
        missing = Columns.of(manifest.names).missing
        if job.verb == "remove" and "ETag" in missing:
            raise InventoryFault(
                "has no column ETag, by which remove keeps what was replaced since: add it to the"
                " fields of the inventory, or leave out --manifest"
            )
    # As plain tuples, which are spilled in a fraction of the time of named ones.
    rows = sort_records(map(tuple, _objects(manifest, origin, files)))
    listed = _unique(map(Listed._make, rows))
    if not missing:
        yield from listed
        return
    notify(f"{what} has no column {' and '.join(missing)}: {HEADS_INSTEAD}")
    own = (each for each in listed if not filters.is_elsewhere(key_bytes(each.key)))
    names = (origin.relative(each.key) for each in own)
    chosen = (name for name in names if filters.name_refusal(name) is None)
    yield from NameLookup.of(origin, bucket, notify).send_heads(chosen)


def _read(named: str, origin: Origin, files: FilesBucket) -> Manifest:
    if not named.startswith(_REMOTE):
        return _read_local(named, origin)
    place = parse_place(named)
    with _fetched(files, place.prefix) as sink:
        manifest = _checked(sink.file.read(MOST_MANIFEST + 1), origin)
    if manifest.bucket != place.bucket:
        elsewhere = f"has its data files in s3://{manifest.bucket}"
        raise InventoryFault(f"{elsewhere}: name the manifest in that bucket, or a copy of it here")
    return manifest


def _objects(manifest: Manifest, origin: Origin, files: FilesBucket) -> Iterator[Listed]:
    """Yield the objects of all data files, in no order."""
    for each in manifest.files:
        with (
            _naming(f"inventory s3://{manifest.bucket}/{shown(each.key)}"),
            _verified(files, each) as file,
        ):
            yield from _rows(manifest, origin, file)


def _rows(manifest: Manifest, origin: Origin, file: BinaryIO) -> Iterator[Listed]:
    columns, names = Columns.of(manifest.names), (manifest.source, origin.prefix)
    if manifest.kind == "CSV":
        return read_objects(csv_rows(file), RowReader(columns, *names, encoded=True))
    own_names, rows = parquet_rows(file)
    own = Columns.of(own_names)
    if own.missing != columns.missing:
        raise InventoryFault("has other columns than the manifest says")
    return read_objects(rows, RowReader(own, *names, encoded=False))


@contextmanager
def _verified(files: FilesBucket, wanted: InventoryFile) -> Iterator[BinaryIO]:
    """Fetch a data file, and check that it is the one meant."""
    for attempt in range(1, FETCHES + 1):
        with _fetched(files, wanted.key) as sink:
            fault = sink.fault(wanted)
            if fault is None:
                yield sink.file
                return
        if attempt == FETCHES:
            raise InventoryFault(f"is not the file of the manifest: {fault}")


@contextmanager
def _fetched(files: FilesBucket, key: str) -> Iterator[_FileSink]:
    with tempfile.TemporaryFile(prefix="s3pp-inventory-") as file:
        sink = _FileSink(file)
        files.run(files.fetch(key, sink)).result()
        file.seek(0)
        yield sink


class _FileSink:
    """Receives a file of an inventory."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.restart()

    def restart(self) -> None:
        """Start receiving from the first byte."""
        self._md5 = begin_checksum("md5")
        self.file.seek(0)
        self.file.truncate()

    def write(self, piece: bytes | memoryview) -> None:
        """Append ``piece``."""
        self._md5.update(piece)
        self.file.write(piece)

    def fault(self, wanted: InventoryFile) -> str | None:
        """Return why this is not the file that is meant; None if it is."""
        size, md5 = os.fstat(self.file.fileno()).st_size, self._md5.digest().hex()
        if size != wanted.size:
            return f"it has {size} bytes, and not {wanted.size}"
        return None if md5 == wanted.md5 else f"its MD5 is {md5}, and not {wanted.md5}"


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Raise ``FatalError`` that names ``what`` for anything that is wrong with it."""
    try:
        yield
    except InventoryFault as fault:
        raise FatalError(f"{what} {fault}") from None
    except ObjectError as error:
        raise FatalError(f"{what} cannot be read: {error}") from None
    except OSError as error:
        where = tempfile.gettempdir()
        raise FatalError(
            f"{what}: no room in {where}: {error.strerror}; point TMPDIR elsewhere"
        ) from error


def _unique(found: Iterator[Listed]) -> Iterator[Listed]:
    last = ""
    for each in found:
        if each.key != last:
            last = each.key
            yield each
