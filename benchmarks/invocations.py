"""The command lines by which the tools do the same, each as its manual says.

A line is split at spaces, then each word is filled in, so that paths may have spaces. ``{where}``
is all that tells a tool where the peer is and how to trust it, ``{there}`` a path on this machine,
``{options}`` what one bench adds, ``{load}`` how much there is, for the floor, which does not look.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from data import Load
from tools import Endpoint, Tool

_PUT = {
    "s3pp": "put --mode stupid {where} {there} s3://{bucket}/p",
    "s5cmd": "{where} cp {there}/* s3://{bucket}/p/",
    # 32 where the default is 4: nobody with many small files would leave it there.
    "rclone": "copy {where} --transfers 32 {there} {remote}/p",
    "aws": "{where} s3 cp --recursive --no-progress {there} s3://{bucket}/p/",
    "floor": "put {where} {load}",
}
_PUT_ONE = {
    "s3pp": "put --mode stupid {where} {options} {there} s3://{bucket}/p",
    "s5cmd": "{where} cp {options} {there} s3://{bucket}/p/",
    "rclone": "copy {where} {options} {there} {remote}/p",
    "aws": "{where} s3 cp --no-progress {options} {there} s3://{bucket}/p/",
    "floor": "put {where} {load}",
}
_UPDATE = {
    "s3pp": "put --mode update {where} {there} s3://{bucket}/p",
    "s5cmd": "{where} sync {there}/ s3://{bucket}/p/",
    "rclone": "copy {where} --transfers 32 {there} {remote}/p",
    "aws": "{where} s3 sync --no-progress {there} s3://{bucket}/p/",
}
_SYNC = {
    "s3pp": "put --mode update --etag-cache {options} {where} {there} s3://{bucket}/p",
    "s5cmd": "{where} sync {there}/ s3://{bucket}/p/",
    "rclone": "sync {where} --transfers 32 {there} {remote}/p",
    "aws": "{where} s3 sync --no-progress {there} s3://{bucket}/p/",
}
_GET = {
    "s3pp": "get --mode stupid {where} {options} s3://{bucket}/p {there}",
    "s5cmd": "{where} cp {options} s3://{bucket}/p/* {there}/",
    "rclone": "copy {where} --transfers 32 {options} {remote}/p {there}",
    "aws": "{where} s3 cp --recursive --no-progress {options} s3://{bucket}/p/ {there}",
    "floor": "get {where} {load}",
}
_COPY = {
    "s3pp": "copy --mode stupid {where} s3://{bucket}/p s3://{bucket}/copied",
    "s5cmd": "{where} cp s3://{bucket}/p/* s3://{bucket}/copied/",
    "rclone": "copy {where} --transfers 32 {remote}/p {remote}/copied",
    "aws": "{where} s3 cp --recursive --no-progress s3://{bucket}/p/ s3://{bucket}/copied/",
    "floor": "copy {where} {load}",
}
_COPY_ACROSS = {"s3pp": "copy {options} {where} s3://{bucket}/p s3://{bucket}/p"}
_DELETE = {
    "s3pp": "put --delete --compare size {where} {there} s3://{bucket}/p",
    "s5cmd": "{where} sync --delete --size-only {there}/ s3://{bucket}/p/",
}
_DELETE_ALL = {"s5cmd": "{where} rm s3://{bucket}/p/*"}
_KEYS = {
    "s3pp": "list {where} s3://{bucket}/p",
    "s5cmd": "{where} ls s3://{bucket}/p/*",
    "rclone": "ls {where} --fast-list {remote}/p",
    "aws": "{where} s3 ls --recursive s3://{bucket}/p/",
    "floor": "list {where} {load}",
}
_VERB = {"s3pp": ["put"], "s5cmd": ["cp"], "rclone": ["copy"], "aws": ["s3", "cp"]}


def version(tool: Tool) -> list[str]:
    """The command that prints the version."""
    return [*tool.program, "version" if tool.name in ("s5cmd", "rclone") else "--version"]


def mistake(tool: Tool) -> list[str]:
    """A command that the tool has to refuse before it does anything."""
    return [*tool.program, *_VERB[tool.name], "--no-such-option"]


def put(tool: Tool, endpoint: Endpoint, source: Path, load: Load) -> list[str]:
    """The command that sends everything below ``source``, whatever the bucket holds."""
    return _filled(tool, _PUT, endpoint, source, load=load)


def put_one(
    tool: Tool, endpoint: Endpoint, source: Path, *, options: Sequence[str] = ()
) -> list[str]:
    """The command that sends the one file ``source``, with the tool's own ``options``."""
    load = Load(1, source.stat().st_size)
    return _filled(tool, _PUT_ONE, endpoint, source, load=load, options=options)


def update(tool: Tool, endpoint: Endpoint, source: Path) -> list[str]:
    """The command that sends what differs from the bucket."""
    return _filled(tool, _UPDATE, endpoint, source)


def sync(tool: Tool, endpoint: Endpoint, source: Path, *, cache: Path) -> list[str]:
    """The command that makes the bucket like ``source``; ``cache`` is s3pp's, of ETags."""
    return _filled(tool, _SYNC, endpoint, source, options=[str(cache)])


def get(
    tool: Tool, endpoint: Endpoint, directory: Path, load: Load, *, options: Sequence[str] = ()
) -> list[str]:
    """The command that fetches everything below ``p/``, whatever ``directory`` holds."""
    return _filled(tool, _GET, endpoint, directory, load=load, options=options)


def copy(tool: Tool, endpoint: Endpoint, load: Load) -> list[str]:
    """The command that copies everything below ``p/`` to ``copied/``, in the same bucket."""
    return _filled(tool, _COPY, endpoint, load=load)


def copy_across(tool: Tool, source: Endpoint, endpoint: Endpoint) -> list[str]:
    """The command that copies everything below ``p/`` to where it is called the same."""
    options = ("--source-endpoint-url", source.url)
    return _filled(tool, _COPY_ACROSS, endpoint, options=options)


def delete(
    tool: Tool, endpoint: Endpoint, directory: Path, *, everything: bool = False
) -> list[str]:
    """The command that deletes what is below ``p/`` and not in ``directory``, or ``everything``."""
    return _filled(tool, _DELETE_ALL if everything else _DELETE, endpoint, directory)


def keys(tool: Tool, endpoint: Endpoint, load: Load) -> list[str]:
    """The command that lists everything below ``p/``, one line for each key."""
    return _filled(tool, _KEYS, endpoint, load=load)


def _filled(
    tool: Tool,
    lines: dict[str, str],
    endpoint: Endpoint,
    there: Path | None = None,
    *,
    load: Load | None = None,
    options: Sequence[str] = (),
) -> list[str]:
    words = {
        "there": str(there),
        "bucket": endpoint.bucket,
        "remote": f":s3,provider=Other,env_auth=true,endpoint='{endpoint.url}':{endpoint.bucket}",
    }
    several = {
        "{where}": [*_where(tool, endpoint)],
        "{options}": options,
        "{load}": [f"--files={load.files}", f"--size={load.size}"] if load else [],
    }
    command = [*tool.program]
    for word in lines[tool.name].split():
        command += several[word] if word in several else [word.format_map(words)]
    return command


def _where(tool: Tool, endpoint: Endpoint) -> Iterator[str]:
    if tool.name != "rclone":
        yield from ("--endpoint-url", endpoint.url)
    if endpoint.authority and (tool.name == "s3pp" or tool.is_floor):
        yield from ("--ca-bundle", str(endpoint.authority))
    if endpoint.authority and tool.name == "rclone":
        yield from ("--ca-cert", str(endpoint.authority))
