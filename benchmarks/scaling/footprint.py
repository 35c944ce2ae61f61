"""What a run writes to disk for each object."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import invocations
from data import Load, tree
from measure import measure
from rounds import Failed
from s3pp.localfs.external_sort import RecordFile, SortMemory
from s3pp.pipeline.delete_spool import BATCH, DeleteSpool
from s3pp.records import DeleteReason, DeleteTask
from s3pp.report.merging import JournalMerger
from serving import Peer, serving
from suite.table import Table
from tools import Tool, find

OBJECTS = 5_000
_SIZE = 4096
# Records of a sort in memory: fewer than there are objects, so that it spools as that of millions.
_MEMORY = partial(SortMemory, 1000, 1000)


def footprint(folder: Path) -> Table:
    """Measure the journals of a put and a copy, and what a merge and deletions spool."""
    with (
        TemporaryDirectory(prefix="s3pp-scale-") as scratch,
        serving(https=False, store=True) as peer,
    ):
        put, copied = Path(scratch, "put.jsonl"), Path(scratch, "copy.jsonl")
        _run(peer, _put(peer, folder), put)
        _run(peer, invocations.copy(_ours(), peer.endpoint, Load(OBJECTS, _SIZE)), copied)
        found = {
            "``--journal`` of a put": os.path.getsize(put),
            "``--journal`` of a copy": os.path.getsize(copied),
            "``s3pp merge``: its sort": merge_bytes(put),
            "``--delete``: what is to be deleted": delete_bytes(OBJECTS),
        }
    rows = [[what, f"{size / OBJECTS:.0f}"] for what, size in found.items()]
    return Table("disk, keys of 20 bytes", ("what", "bytes an object"), rows)


def _put(peer: Peer, folder: Path) -> Sequence[str]:
    source = tree(folder, OBJECTS, _SIZE)
    return invocations.put(_ours(), peer.endpoint, source, Load(OBJECTS, _SIZE))


def _run(peer: Peer, command: Sequence[str], journal: Path) -> None:
    options = ("--shard", "1/1", "--journal", str(journal))
    run = measure([*command, *options], env=_ours().environment(peer.endpoint))
    if run.status:
        raise Failed(f"{command}: {run.errors}")


def merge_bytes(journal: Path) -> int:
    """Bytes that ``s3pp merge`` spools."""
    with patch("s3pp.report.merging.SortMemory", _MEMORY):
        return _spooled(JournalMerger([str(journal)]).merge)


def delete_bytes(count: int) -> int:
    """Bytes that ``--delete`` spools for ``count`` objects."""

    def fill() -> None:
        spool = DeleteSpool()
        for number in range(count - count % BATCH):
            etag, when = f"{number:032x}", "2026-11-30T09:00:00.000Z"
            key = f"p/{number:018}"
            spool.add(DeleteTask(key, _SIZE, etag, when, DeleteReason.NOT_IN_SOURCE))

    return _spooled(fill)


def _spooled(work: Callable[[], object]) -> int:
    """Bytes that ``work`` writes into files without a name, once each."""
    spooled = 0
    write = RecordFile.write

    def count(self: RecordFile[Any], records: Any) -> tuple[int, int]:
        nonlocal spooled
        begin, end = write(self, records)
        spooled += end - begin
        return begin, end

    with patch.object(RecordFile, "write", count):
        work()
    return spooled


def _ours() -> Tool:
    tool = find("s3pp")
    assert tool is not None, "it is in this checkout"
    return tool
