"""S3 Inventories as AWS writes them: a manifest, and data files of rows in no order."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote_plus

SCHEMA = (
    "Bucket",
    *("Key", "VersionId", "IsLatest", "IsDeleteMarker", "Size", "LastModifiedDate", "ETag"),
    *("IsMultipartUploaded", "StorageClass"),
)
TIME = "2026-11-06T21:32:15.000Z"

Row = Mapping[str, str]


def row(bucket: str, key: str, body: bytes, **others: str) -> dict[str, str]:
    """The row of an object; ``others`` are columns that say something else."""
    return {
        "Bucket": bucket,
        "Key": key,
        "VersionId": "v1",
        "IsLatest": "true",
        "IsDeleteMarker": "false",
        "Size": str(len(body)),
        "LastModifiedDate": TIME,
        "ETag": hashlib.md5(body).hexdigest(),
        "IsMultipartUploaded": "false",
        "StorageClass": "STANDARD",
    } | others


def csv_file(rows: Iterable[Row], schema: Sequence[str] = SCHEMA) -> bytes:
    """A data file of CSV."""
    text = io.StringIO()
    lines = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for each in rows:
        lines.writerow([each[name] if name != "Key" else quote_plus(each[name]) for name in schema])
    return gzip.compress(text.getvalue().encode(), mtime=0)


def parquet_file(rows: Iterable[Row]) -> bytes:
    """A data file of Parquet."""
    from datetime import datetime

    import pyarrow as arrow
    from pyarrow import parquet

    found = list(rows)
    columns: dict[str, list[Any]] = {
        "bucket": [each["Bucket"] for each in found],
        "key": [each["Key"] for each in found],
        "version_id": [each["VersionId"] for each in found],
        "is_latest": [each["IsLatest"] == "true" for each in found],
        "is_delete_marker": [each["IsDeleteMarker"] == "true" for each in found],
        "size": [int(each["Size"]) if each["Size"] else None for each in found],
        "last_modified_date": [
            datetime.fromisoformat(each["LastModifiedDate"].removesuffix("Z")) for each in found
        ],
        "e_tag": [each["ETag"] or None for each in found],
        "storage_class": [each["StorageClass"] for each in found],
    }
    table = arrow.table(columns)
    at = table.schema.get_field_index("last_modified_date")
    times = table.column("last_modified_date").cast(arrow.timestamp("ms"))
    file = io.BytesIO()
    parquet.write_table(table.set_column(at, "last_modified_date", times), file)
    return file.getvalue()


PARQUET_SCHEMA = (
    "message s3.inventory {  required binary bucket (UTF8);  required binary key (UTF8);"
    "  optional binary version_id (UTF8);  optional boolean is_latest;"
    "  optional boolean is_delete_marker;  optional int64 size;"
    "  optional int64 last_modified_date (TIMESTAMP_MILLIS);  optional binary e_tag (UTF8);"
    "  optional binary storage_class (UTF8);}"
)


class Inventory(NamedTuple):
    """An inventory of one bucket, in another."""

    source: str
    bucket: str
    files: dict[str, bytes]  # by key
    schema: str = ", ".join(SCHEMA)
    kind: str = "CSV"

    def manifest(self, **others: Any) -> bytes:
        """The manifest; ``others`` are fields that say something else."""
        files = [
            {"key": key, "size": len(body), "MD5checksum": hashlib.md5(body).hexdigest()}
            for key, body in self.files.items()
        ]
        fields = {
            "sourceBucket": self.source,
            "destinationBucket": f"arn:aws:s3:::{self.bucket}",
            "version": "2016-11-30",
            "creationTimestamp": "1514944800000",
            "fileFormat": self.kind,
            "fileSchema": self.schema,
            "files": files,
        }
        return json.dumps(fields | others).encode()
