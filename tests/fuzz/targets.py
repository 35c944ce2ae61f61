"""One target for each parser: it takes any bytes, and raises only what the parser documents.

A target that raises anything else has found a defect. The keys of ``TARGETS`` are also the names of
the directories of ``tests/corpus``.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, cast

from s3pp.access import Grant
from s3pp.args.object_rules import read_rules
from s3pp.compat.python_config import read_assignments
from s3pp.compat.resumable_config import load
from s3pp.errors import FatalError, ObjectError, UsageError
from s3pp.integrity.etag import Evidence, evidence, part_count
from s3pp.integrity.stored_object import stored_checksum
from s3pp.job import Choosing, Job
from s3pp.localfs.partial_file import _read_record
from s3pp.places import Place, Source, Stores, parse_origin
from s3pp.records import Entry, PartDone
from s3pp.s3 import blocking, deletes
from s3pp.s3.access_control import add_grants
from s3pp.s3.answers import (
    Answer,
    content_codings,
    gzip_layers,
    parse_tags,
    xml_text,
)
from s3pp.s3.exchange import Response, TimeLimits, WireError
from s3pp.s3.framing import ChunkedBody, parse_head
from s3pp.s3.listing import Listed, PageOrder, parse_page
from s3pp.s3.plain_session import _NotPlain, _sections
from s3pp.s3.retry import is_whole, retry_after, store_error
from s3pp.s3.timestamps import epoch_nanoseconds, epoch_seconds
from s3pp.s3.upload_listing import UploadOrder, parse_parts, parse_uploads
from s3pp.sources import earlier_runs, plan_file
from s3pp.sources.globs import parse_glob
from s3pp.sources.inventory import parse_manifest
from s3pp.sources.inventory_rows import Columns, InventoryFault, RowReader, csv_rows, read_objects
from s3pp.sources.names import split

Target = Callable[[bytes], object]

MOST_TEXT = 2000  # characters of a message that quotes what was read


def _listing(data: bytes) -> None:
    page = parse_page(data)
    order = PageOrder()
    order.follow(page)
    for each in page.objects:
        each.key.encode()  # has no surrogate
        with suppress(ValueError):
            _ = each.mtime
        epoch_nanoseconds(each.modified)
        _etag(each.etag)


def _uploads(data: bytes) -> None:
    for encoded in (False, True):
        with suppress(ObjectError):
            page = parse_uploads(data, encoded=encoded)
            UploadOrder("k").advance(page.uploads)
            for each in page.uploads:
                with suppress(ValueError):
                    _ = each.started_at


def _parts(data: bytes) -> None:
    page = parse_parts(data)
    assert len(page.parts) <= len(data)
    for each in page.parts:
        _etag(each.etag)


def _errors(data: bytes) -> None:
    status = 200 + data[0] if data else 500
    error = store_error(Response(status, b"HTTP/1.1 500 x\r\nDate: x\r\n", data), "http://store")
    assert len(str(error)) < MOST_TEXT
    _ = error.remedy, error.keys_refused
    is_whole(data)
    parse_tags(data)
    for name in ("ETag", "UploadId"):
        xml_text(data, name)


def _acl(data: bytes) -> None:
    add_grants(data, [Grant("READ", "someone")])


def _deletes(data: bytes) -> None:
    keys = [deletes.Pinned(key) for key in ("a", "b", "k")]
    answer = Answer(Response(200, b"HTTP/1.1 200 OK\r\n", data), 1)
    deletes._add(deletes.BatchAnswer(), answer, keys, attempts=2)


def _head(data: bytes) -> None:
    head = data if data.startswith(b"HTTP/1.") else b"HTTP/1.1 200 OK\r\n" + data
    for bodiless in (False, True):
        with suppress(WireError):
            parse_head(head, bodiless=bodiless)
    response = Response(200, head, b"")
    answer = Answer(response, 1)
    _ = answer.declared, answer.pin, answer.is_store
    _etag(answer.etag)
    content_codings(response)
    gzip_layers(response)
    stored_checksum(response)
    retry_after(response.header(b"retry-after"))
    epoch_seconds(response.header(b"date"))
    epoch_seconds(response.header(b"last-modified"))


def _etag(text: str) -> None:
    part_count(text)
    part = PartDone(1, 5, '"5d41402abc4b2a76b9719d911017c592"', "5d41402abc4b2a76b9719d911017c592")
    assert evidence(text, [part], random=False) in Evidence


class _Socket:
    """A socket that receives ``data`` in pieces of a few bytes, and then its end."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._size = 1 + sum(data[:4]) % 200

    def settimeout(self, _: float) -> None:
        pass

    def recv(self, _: int) -> bytes:
        piece, self._data = bytes(self._data[: self._size]), self._data[self._size :]
        return piece


def _exchange(data: bytes) -> None:
    blocking._receive(blocking._Answer(cast(Any, _Socket(data)), TimeLimits(10.0, 20.0)))


def _chunks(data: bytes) -> None:
    body, at = ChunkedBody(), 0
    while at < len(data) and not body.feed(data[at : at + 7]):
        at += 7
    assert len(body.content) <= len(data)


def _manifest(data: bytes) -> None:
    manifest = parse_manifest(data)
    Columns.of(manifest.names)


def _rows(data: bytes) -> None:
    names = ["Bucket", "Key", "Size", "LastModifiedDate", "ETag"]
    reader = RowReader(Columns.of(names), "bucket", "", encoded=True)
    for number, _ in enumerate(read_objects(csv_rows(io.BytesIO(data)), reader)):
        if number > 100_000:  # as long as it is read, not held
            return


def _in_file(read: Callable[[str], object]) -> Target:
    """A target of a parser that reads a file."""
    path = os.path.join(tempfile.gettempdir(), f"s3pp-fuzz-{os.getpid()}")

    def target(data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)
        try:
            read(path)
        finally:
            os.remove(path)

    return target


def _plan(path: str) -> None:
    plan_file.open_plan(Job("apply", applies=path))


def _rules(path: str) -> None:
    job = Job("put", (Source("src"),), Place("bucket"))
    objects = replace(job.objects, rules_file=path)
    read_rules(replace(job, objects=objects), lambda _: job.objects)


def _journal(path: str) -> None:
    job = Job("put", (Source("src"),), Place("bucket"), stores=Stores("", "store"))
    for verb in ("put", "get", "copy"):
        choosing = Choosing(retry_from=(path,), resume_logs=())
        each = replace(job, verb=verb, choosing=choosing, origins=(parse_origin("s3://bucket"),))
        with suppress(UsageError):
            earlier_runs.check_earlier_runs(choosing)
        list(earlier_runs.unknown_runs(choosing))
        runs = earlier_runs.EarlierRuns.of(each)
        assert runs is not None
        runs.covers("a", "src/a", Entry("a", "src/a", 1, 1))
        runs.covers("b", "s3://bucket/b", Listed("b", 1, "e", "2026-01-02T03:04:05Z", ""))


def _log(path: str) -> None:
    choosing = Choosing(resume_logs=(path,))
    with suppress(UsageError):
        earlier_runs.check_earlier_runs(choosing)
    earlier_runs.has_nothing_sent(path)
    earlier_runs.EarlierRuns.of(Job("put", choosing=choosing))


def _ini(path: str) -> None:
    load(path)


def _python(data: bytes) -> None:
    read_assignments(data, "config.py")


def _aws(path: str) -> None:
    with suppress(_NotPlain):
        _sections(path)


def _ranges(path: str) -> None:
    with open(path, "rb") as file:
        _read_record(file.fileno())


def _names(data: bytes) -> None:
    for null in (False, True):
        with suppress(FatalError):
            for name in split(io.BytesIO(data), null=null):
                assert len(name) <= 1 << 13


def _glob(data: bytes) -> None:
    text = data[:4096].decode("utf-8", "replace")
    glob = parse_glob(text)
    for path in ("a", "a/b", "\n", "a" * 200):
        glob.matches(path)
        glob.covers(path)
        glob.reaches(path)


_DOCUMENTED = (ObjectError, WireError, UsageError, FatalError, InventoryFault)


def _allowing(target: Target, *documented: type[Exception]) -> Target:
    def run(data: bytes) -> None:
        with suppress(*_DOCUMENTED, *documented):
            target(data)

    return run


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "listing": _allowing(_listing),
        "uploads": _allowing(_uploads),
        "parts": _allowing(_parts),
        "errors": _allowing(_errors),
        "acl": _allowing(_acl),
        "deletes": _allowing(_deletes),
        "head": _allowing(_head),
        "exchange": _allowing(_exchange),
        "chunks": _allowing(_chunks),
        "manifest": _allowing(_manifest),
        "rows": _allowing(_rows),
        "plan": _allowing(_in_file(_plan)),
        "rules": _allowing(_in_file(_rules)),
        "journal": _allowing(_in_file(_journal)),
        "log": _allowing(_in_file(_log)),
        "ini": _allowing(_in_file(_ini)),
        "python": _allowing(_python),
        "aws": _allowing(_in_file(_aws)),
        "ranges": _allowing(_in_file(_ranges)),
        "names": _allowing(_names),
        "glob": _allowing(_glob, ValueError),
    }
)
