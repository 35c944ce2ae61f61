"""Send one large file to an empty bucket, in parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import md5
from pathlib import Path

import invocations
from data import Load, large
from rounds import Failed, Run, interleave
from serving import Peer, serving
from suite.bulk import bulk
from suite.once import once
from suite.setting import Setting
from suite.table import Table
from suite.variants import TUNED, Variant, named
from tools import Tool


def large_put(setting: Setting, found: Sequence[Tool]) -> Table:
    """Measure MB/s, and what a GiB costs.

    The run whose memory is looked at goes to a peer that hashes what comes in, and its ETag is
    held against the file. The others go to one that trusts, which costs it as little as it can.
    """
    source = large(setting.folder, setting.size)
    variants = {each.row.name: each for each in _variants(found)}
    with (
        serving(https=setting.https, latency=setting.latency) as hashing,
        serving(https=setting.https, latency=setting.latency, trust=True) as trusting,
    ):

        def run(tool: Tool, sampled: bool) -> Run:
            peer = hashing if sampled else trusting
            sent = _send(peer, variants[tool.name], source, sampled=sampled)
            if sampled and not tool.is_floor:  # that has sent no file
                check(peer, tool, source)
            return sent

        rows = [each.row for each in variants.values()]
        table = interleave(rows, run, setting)
    return bulk(f"large-put: {setting.size} bytes, {setting}", table, setting.size)


def _variants(found: Sequence[Tool]) -> Iterator[Variant]:
    for tool in found:
        yield named(tool)
        if tool.name == "s3pp":
            yield named(tool, "md5", "--checksum", "md5")
        if tool.name == "s5cmd":
            yield named(tool, "tuned", *TUNED)


def _send(peer: Peer, variant: Variant, source: Path, *, sampled: bool) -> Run:
    peer.clear()
    tool, row, options = variant
    command = invocations.put_one(tool, peer.endpoint, source, options=options)
    load = Load(1, source.stat().st_size)
    return once(peer, row, command, load=load, sampled=sampled)


def check(peer: Peer, tool: Tool, source: Path) -> None:
    """Raise ``Failed`` unless the only object is the file, as its ETag tells."""
    (held,) = peer.held()
    wanted = etag(source, held.part_size)
    if held.etag != wanted:
        raise Failed(f"{tool.name}: the object's ETag is {held.etag}, the file's {wanted}")


@lru_cache
def etag(path: Path, part_size: int) -> str:
    """The ETag of a file put in parts of so many bytes; 0: in one piece."""
    if not part_size:
        return next(_digests(path, path.stat().st_size)).hex()
    parts = list(_digests(path, part_size))
    return f"{md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


def _digests(path: Path, part_size: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        for left in range(path.stat().st_size, 0, -part_size):
            digest = md5(usedforsecurity=False)
            end = file.tell() + min(left, part_size)
            while block := file.read(min(1 << 20, end - file.tell())):
                digest.update(block)
            yield digest.digest()
