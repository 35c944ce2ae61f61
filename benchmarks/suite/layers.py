"""Where each microsecond of a small object goes: layers of a worker, and the processes of a run.

The layers are measured alone, one after another; the processes are those of a whole run. What is
left of its workers the layers do not explain: other objects in flight, which take the processor's
caches, and what is not done for each object.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import invocations
from data import Load, tree
from measure import ProcessTimes, measure
from rounds import Failed
from serving import Peer
from suite.setting import Setting
from suite.stocked import holding
from suite.table import Table
from tools import Tool, find

_FILES = 50_000
_SIZE = 4096  # bytes, as layers.py has it
_VERBS = ("put", "get", "copy")
_HOW = {
    "sockets": "``send`` and ``recv`` of such a request on 16 sockets, over epoll",
    "wire": "``Wire.send`` of such requests, 16 in flight, less the row above",
    "signature": "``Signer.sign``",
    "client": "``Bucket``, over a wire that answers at once, less the signature",
    "files": "the system calls that read or write a file in memory",
    "digests": "SHA-256 of what is put, MD5 of what is got",
    "role": "``transfer``, over a wire that answers at once, less the four rows above",
    "slots": "``TaskRunner``, with a role that returns at once: messages, turns",
    "workers, rest": "the CPU of the workers in a run, less all rows above",
    "walker": "its CPU in that run, start included",
    "statter": "likewise",
    "supervisor": "likewise, with the start of the command",
    "sum": "the CPU of that run",
}


def layers(setting: Setting, _: Sequence[Tool]) -> Table:
    """Measure s3pp's CPU microseconds an object, of 4 KiB over http."""
    load = Load(setting.files or _FILES, _SIZE)
    with holding(replace(setting, https=False, size=_SIZE), load.files) as peer:
        found = [_measured(peer, verb, setting, load) for verb in _VERBS]
    rows = [[what, *(f"{each[what]:.1f}" for each in found), how] for what, how in _HOW.items()]
    return Table(f"layers: {load.files} objects", ("CPU µs", *_VERBS, "how measured"), rows)


def _measured(peer: Peer, verb: str, setting: Setting, load: Load) -> dict[str, float]:
    source = tree(setting.folder, *load)
    peer.clear()
    found = _alone(peer, verb, setting, load)
    peer.clear()
    with TemporaryDirectory(prefix="s3pp-get-", dir=setting.into) as directory:
        whole = _run(peer, verb, load, source=source, directory=Path(directory))
    explained = sum(found.values())
    found |= {what: cpu / load.files * 1e6 for what, cpu in whole.items()}
    found["workers, rest"] -= explained
    return found


def _alone(peer: Peer, verb: str, setting: Setting, load: Load) -> dict[str, float]:
    """CPU microseconds of the layers."""
    tool = _ours("layers")
    options = ["--endpoint-url", peer.endpoint.url, "--files", str(load.files)]
    command = [*tool.program, verb, *options, "--into", str(setting.into)]
    with TemporaryFile() as stdout:
        run = measure(command, env=tool.environment(peer.endpoint), stdout=stdout)
        stdout.seek(0)
        told = stdout.read()
    if run.status:
        raise Failed(f"layers of {verb}: {run.errors}")
    found: dict[str, float] = json.loads(told)
    return found


def _run(peer: Peer, verb: str, load: Load, *, source: Path, directory: Path) -> dict[str, float]:
    """CPU seconds of the processes of a run, under the names of their rows."""
    tool, endpoint = _ours("s3pp"), peer.endpoint
    commands = {
        "put": invocations.put(tool, endpoint, source, load),
        "get": invocations.get(tool, endpoint, directory, load),
        "copy": invocations.copy(tool, endpoint, load),
    }
    times = ProcessTimes()
    run = measure(commands[verb], env=tool.environment(endpoint), look=times.look)
    if run.status:
        raise Failed(f"{verb}: {run.errors}")
    others = {
        "walker": times.of("s3pp: walker"),
        "statter": times.of("s3pp: statter"),
        "supervisor": times.of("--endpoint-url"),  # it is called as the command was
    }
    return {"workers, rest": run.cpu - sum(others.values()), **others, "sum": run.cpu}


def _ours(name: str) -> Tool:
    tool = find(name)
    assert tool is not None, "it is in this checkout"
    return tool
