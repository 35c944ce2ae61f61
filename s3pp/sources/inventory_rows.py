"""The rows of an S3 Inventory: which column means what, and which rows are current objects.

::

    data file ──gzip, CSV──▶ rows of text ─┐
              ──Parquet────▶ rows of text ─┴──▶ Listed, those of the origin

Columns are recognised by their names, in any order: ``LastModifiedDate`` of CSV is the
``last_modified_date`` of Parquet. Keys are URL-encoded in CSV alone.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import unquote_plus

from s3pp.s3.answers import GZIP_MAGIC, etag_of, parse_size
from s3pp.s3.listing import Listed

BATCH = 5_000  # rows of a Parquet file in memory
# Names of columns, see ``_plain``, in the order of the fields of ``Columns``.
_OPTIONAL = (
    *("bucket", "size", "etag", "lastmodifieddate", "storageclass"),
    *("islatest", "isdeletemarker"),
)
ABSENT = -1  # the position of a column that there is not: rows are given an empty one at the end
_VERSION = "versionid"
_NEEDED = frozenset({"key", _VERSION, *_OPTIONAL})
_FLAGS = frozenset({"true", "false", ""})  # as they are written; empty: the bucket has no versions
NO_PYARROW = (
    "Parquet needs the package pyarrow, which cannot be imported: pip install 's3pp[parquet]'"
)


class InventoryFault(Exception):
    """What is wrong with a manifest or a data file; ``str()`` says where, and ends a sentence."""


class Columns(NamedTuple):
    """The positions of the columns in a row; of those that there are not, ``ABSENT``."""

    width: int  # columns of a row
    key: int
    bucket: int
    size: int
    etag: int
    modified: int
    storage_class: int
    is_latest: int
    is_marker: int

    @classmethod
    def of(cls, names: Sequence[str]) -> Columns:
        """Find the columns by their ``names``. Raises ``InventoryFault`` where a row is no object.

        That is where there are no keys, or versions of which none is marked as the current one.
        """
        at = {_plain(name): number for number, name in enumerate(names)}
        if "key" not in at:
            raise InventoryFault(f"has no column Key, only {', '.join(names) or 'none at all'}")
        if _VERSION in at and "islatest" not in at:
            raise InventoryFault(
                "has the column VersionId and no IsLatest: which version is meant?"
            )
        return cls(len(names), at["key"], *(at.get(name, ABSENT) for name in _OPTIONAL))

    @property
    def missing(self) -> list[str]:
        """What is to be asked of the store, as the rows do not have it."""
        wanted = {"Size": self.size, "ETag": self.etag, "LastModifiedDate": self.modified}
        return [name for name, at in wanted.items() if at == ABSENT]


def _plain(name: str) -> str:
    """The name of a column, which is ``ETag`` in CSV and ``e_tag`` in Parquet."""
    return name.replace("_", "").lower()


class RowReader:
    """Reads rows as the objects below a prefix of one bucket."""

    def __init__(self, columns: Columns, bucket: str, prefix: str, *, encoded: bool) -> None:
        """``encoded``: keys are URL-encoded, as in CSV."""
        self._columns = columns
        self._prefix = prefix
        self._buckets = {bucket, ""}
        self._encoded = encoded
        self._whole = not columns.missing

    def read(self, row: Sequence[str]) -> Listed | None:
        """Return the object of a row; None if it is a version, a delete marker, or not below.

        Its size is 0, and the rest empty, where the inventory lacks one of them. Raises
        ``ValueError`` for a row that cannot be right.
        """
        width, key_at, bucket, size, etag, modified, storage_class, latest, marker = self._columns
        if len(row) != width:
            raise ValueError(f"it has {len(row)} columns, and not {width}")
        row = (*row, "")  # which is ``ABSENT``
        if row[bucket] not in self._buckets:
            raise ValueError(f"it is of the bucket {row[bucket]!r}")
        key = self._decode(row[key_at])
        if not (_is_current(row[latest], row[marker]) and key.startswith(self._prefix)):
            return None
        if not self._whole:
            return Listed(key, 0, "", "")
        length = parse_size(row[size])
        return Listed(key, length, etag_of(row[etag]), row[modified], row[storage_class])

    def _decode(self, written: str) -> str:
        encoded = self._encoded and ("%" in written or "+" in written)
        key = unquote_plus(written, errors="strict") if encoded else written
        if not key:
            raise ValueError("its key is empty")
        return key


def _is_current(latest: str, marker: str) -> bool:
    """Whether a row is what its key means, by IsLatest and IsDeleteMarker."""
    latest, marker = latest.lower(), marker.lower()
    if latest not in _FLAGS or marker not in _FLAGS:
        raise ValueError("IsLatest or IsDeleteMarker is neither true nor false")
    return latest != "false" and marker != "true"


def read_objects(rows: Iterable[tuple[int, Sequence[str]]], reader: RowReader) -> Iterator[Listed]:
    """Yield the objects of numbered ``rows``.

    Raises ``InventoryFault``, which names the line, for one that cannot be right.
    """
    for number, row in rows:
        try:
            found = reader.read(row)
        except UnicodeDecodeError:
            raise InventoryFault(f"line {number}: its key is not UTF-8") from None
        except ValueError as error:
            raise InventoryFault(f"line {number}: {error}") from None
        if found is not None:
            yield found


def csv_rows(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file, compressed or not, each with the number of its line.

    Raises ``InventoryFault`` where it is cut off or damaged.
    """
    packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    file.seek(0)
    plain = gzip.GzipFile(fileobj=file) if packed else file
    text = io.TextIOWrapper(cast(BinaryIO, plain), "utf-8", newline="")
    rows = csv.reader(text, strict=True)
    try:
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise InventoryFault(f"line {rows.line_num}: {error}") from None
    except UnicodeDecodeError:
        raise InventoryFault(f"is not UTF-8 after line {rows.line_num}") from None
    except EOFError:
        raise InventoryFault("is cut off: its gzip stream has no end") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InventoryFault(f"is damaged: {error}") from None


def parquet_rows(file: BinaryIO) -> tuple[list[str], Iterator[tuple[int, Sequence[str]]]]:
    """Return the names of the columns of a Parquet file that are needed, and its rows as text.

    Raises ``InventoryFault`` where it cannot be read.
    """
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise InventoryFault(f"cannot be read: {NO_PYARROW}") from None
    try:
        opened = parquet.ParquetFile(file, pre_buffer=False)
        names = [name for name in opened.schema_arrow.names if _plain(name) in _NEEDED]
    except (arrow.ArrowException, OSError) as error:
        raise InventoryFault(f"is no valid Parquet: {_line(error)}") from None
    batches = opened.iter_batches(BATCH, columns=names, use_threads=False)
    return names, _parquet_rows(batches, names, arrow.ArrowException)


def _parquet_rows(
    batches: Iterator[Any], names: Sequence[str], fault: type[Exception]
) -> Iterator[tuple[int, Sequence[str]]]:
    done = 0
    try:
        for batch in batches:
            columns = [map(_text, batch.column(name).to_pylist()) for name in names]
            yield from enumerate(zip(*columns, strict=True), done + 1)
            done += batch.num_rows
    except (fault, OSError, ValueError) as error:
        raise InventoryFault(f"is damaged after row {done}: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _text(value: object) -> str:
    """A value of Parquet, as CSV has it."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, bytes):
        return value.decode()
    return str(value)
