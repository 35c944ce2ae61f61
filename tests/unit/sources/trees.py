"""Small trees, jobs over them, and what a walk of them gives."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from s3pp.job import Choosing, Job
from s3pp.places import Place, Source, Stores
from s3pp.records import Entry, Failed, Skipped
from s3pp.sources import Record, entries


def plant(top: Path, contents: Mapping[str, str | bytes]) -> Path:
    """Write ``contents`` (relative name to content) below ``top``."""
    for name, content in contents.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return top


def job(*sources: object, prefix: str = "", walk: str = "filesystem", **choosing: Any) -> Job:
    """A put of ``sources``, named or not, to ``s3://bucket/prefix``."""
    chosen = Choosing(**choosing)
    dest = Place("bucket", prefix)
    return Job(
        "put",
        tuple(s if isinstance(s, Source) else Source(str(s)) for s in sources),
        dest,
        walk=walk,
        choosing=chosen,
        stores=Stores(dest="here"),
    )


def walked(*sources: object, **settings: Any) -> list[Record]:
    """Everything ``entries`` yields for such a job."""
    return list(entries(job(*sources, **settings)))


def keys(*sources: object, **settings: Any) -> list[str]:
    """The keys of the entries; fails on any other record."""
    records = walked(*sources, **settings)
    assert [r for r in records if not isinstance(r, Entry)] == []
    return [r.target for r in records]


def outcomes(records: list[Record]) -> list[tuple[str, str]]:
    """Each record in short: its key, and ``entry``, the skip reason, or the failure's kind."""
    return [(r.target, _short(r)) for r in records]


def _short(record: Record) -> str:
    if isinstance(record, Skipped):
        return record.reason.value
    return record.kind.value if isinstance(record, Failed) else "entry"


def content(entry: Entry) -> bytes:
    """What a putter would read."""
    assert not entry.spool
    with open(entry.path, "rb") as stream:
        stream.seek(entry.offset or 0)
        return stream.read(entry.size)


Packing = Literal["w", "w:gz", "w:bz2", "w:xz"]


def member(name: str, type_: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    """The header of a tar member."""
    header = tarfile.TarInfo(name)
    header.type = type_
    for field, value in fields.items():
        setattr(header, field, value)
    return header


def pack(
    path: Path, contents: Mapping[str, bytes], *more: tarfile.TarInfo, mode: Packing = "w"
) -> Path:
    """A tar archive of regular members, then the bare headers ``more``."""
    with tarfile.open(path, mode) as archive:
        for name, data in contents.items():
            archive.addfile(member(name, size=len(data), mtime=1), io.BytesIO(data))
        for header in more:
            archive.addfile(header)
    return path
