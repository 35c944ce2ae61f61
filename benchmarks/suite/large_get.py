"""Fetch one large object into an empty directory, of each kind of ETag and checksum."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import invocations
from data import Load
from rounds import Failed, Run, interleave
from serving import Peer, serving
from suite.bulk import bulk
from suite.get import check_fetched
from suite.once import finished
from suite.setting import Setting
from suite.table import Table
from suite.variants import TUNED, Variant, has_crc64nvme, named
from tools import Tool

_ROOM = 1.1  # times the size: the peers and the tools want some memory too
_KINDS: dict[str, dict[str, str | bool]] = {
    "": {"etag": "parts"},  # compound, as tools put large objects
    "of MD5": {"etag": "md5"},
    "of crc64nvme": {"etag": "parts", "crc64nvme": True},
}


def large_get(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure MB/s, and what a GiB costs. Raises ``Failed`` where the object has no room."""
    _make_certain_of_room(setting)
    variants = dict(_variants(found))
    with ExitStack() as stack:
        peers = {
            kind: stack.enter_context(_holding(setting, kind))
            for kind in {kind for kind, _ in variants.values()}
        }

        def run(tool: Tool, sampled: bool) -> Run:
            kind, variant = variants[tool.name]
            # Removed by the block's end, which nobody's time is.
            with TemporaryDirectory(prefix="s3pp-get-", dir=setting.into) as directory:
                return _fetch(peers[kind], variant, Load(1, setting.size), Path(directory), sampled)

        rows = [variant.row for _, variant in variants.values()]
        table = interleave(rows, run, setting)
    title = f"large-get: {setting.size} bytes to {setting.into}, {setting}"
    return bulk(title, table, setting.size)


def _variants(found: Sequence[Tool]) -> Iterator[tuple[str, tuple[str, Variant]]]:
    """By its name, which kind of object a row is about, and who fetches it."""
    kinds = [kind for kind in _KINDS if "crc64nvme" not in kind or has_crc64nvme()]
    for tool in found:
        rows = [("", named(tool))]
        if tool.name == "s3pp":  # the only one that checks what it has fetched by any of them
            rows += [(kind, named(tool, kind)) for kind in kinds if kind]
        if tool.name == "s5cmd":
            rows.append(("", named(tool, "tuned", *TUNED)))
        for kind, variant in rows:
            yield variant.row.name, (kind, variant)


def _holding(setting: Setting, kind: str) -> AbstractContextManager[Peer]:
    return serving(
        https=setting.https, latency=setting.latency, preload=1, size=setting.size, **_KINDS[kind]
    )


def _fetch(peer: Peer, variant: Variant, load: Load, directory: Path, sampled: bool) -> Run:
    peer.reset()
    tool, row, options = variant
    command = invocations.get(tool, peer.endpoint, directory, load, options=options)
    run = finished(peer, row, command, objects=load.files, sampled=sampled)
    check_fetched(row, run, directory, load)
    return run


def _make_certain_of_room(setting: Setting) -> None:
    free = shutil.disk_usage(setting.into).free
    if free < setting.size * _ROOM:
        raise Failed(f"large-get: {setting.into} has {free} bytes free: choose another by --into")
