"""What a command or an option that does not exist may mean: a misspelling, or another tool's word.

Nothing is executed under such a name: what ``sync`` deletes, and where ``cp`` puts a directory,
differs from tool to tool.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from types import MappingProxyType

_UPDATES = "put, get or copy, which transfer what is new or differs"
_NO_BUCKETS = "another tool: s3pp creates and deletes no buckets"

# Of aws s3, s5cmd, rclone, s3cmd, s4cmd, gsutil and mc.
_COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "cat": "get, with - as DIRECTORY",
        "check": "put, get or copy with --dry-run --exit-code",
        "cp": _UPDATES,
        "debug": "doctor",
        "del": "remove",
        "delete": "remove",
        "diagnose": "doctor",
        "download": "get",
        "la": "list",
        "ls": "list (--delimiter / for one level, --buckets for the buckets)",
        "lsb": "list --buckets",
        "lsd": "list --delimiter /",
        "lsf": "list",
        "lsjson": "list --json",
        "lsl": "list",
        "mb": _NO_BUCKETS,
        "mirror": f"{_UPDATES}, and with --delete delete what the source does not have",
        "mv": "move",
        "pipe": "put, with - as SOURCE",
        "rb": _NO_BUCKETS,
        "rcat": "put, with - as SOURCE",
        "rename": "move",
        "size": "du",
        "stat": "list --json",
        "tree": "du --depth",
        "rm": "remove",
        "sync": f"{_UPDATES}, and with --delete delete what the source does not have",
        "test": "doctor",
        "upload": "put",
        "usage": "the option --help",
    }
)
_HEADER = "--header"
_NO_SIZES = "--part-size or --multipart-threshold"
_OPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "--add-header": _HEADER,
        "--bwlimit": "--max-bandwidth",
        "--cache-control": _HEADER,
        "--checkers": "--concurrency",
        "--content-disposition": _HEADER,
        "--content-encoding": _HEADER,
        "--content-language": _HEADER,
        "--delete-after": "--delete",
        "--delete-before": "--delete",
        "--delete-removed": "--delete",
        "--exact-timestamps": "--compare mtime",
        "--expires": _HEADER,
        "--guess-mime-type": "--content-type guess",
        "--host": "--endpoint-url",
        "--ignore-existing": "--mode add",
        "--jobs": "--concurrency",
        "--human": "--human-readable",
        "--max-age": "--newer-than",
        "--max-depth": "--depth",
        "--min-age": "--older-than",
        "--mime-type": "--content-type",
        "--multipart-chunk-size-mb": _NO_SIZES,
        "--no-clobber": "--mode add",
        "--no-guess-mime-type": "--content-type",
        "--num-workers": "--concurrency",
        "--numworkers": "--concurrency",
        "--only-show-errors": "--quiet",
        "--retries": "--max-attempts",
        "--retry-count": "--max-attempts",
        "--s3-chunk-size": _NO_SIZES,
        "--s3-upload-cutoff": "--multipart-threshold",
        "--size-only": "--compare size",
        "--skip-existing": "--mode add",
        "--threads": "--concurrency",
        "--transfers": "--concurrency",
    }
)
# Options of other tools that ask for what s3pp does in any case.
_ALWAYS: Mapping[str, str] = MappingProxyType(
    {
        "--fast-list": "listings are always read page by page",
        "--recursive": "what is below a directory or a prefix is always included",
        "--update": "mode update is the default",
    }
)


def suggest_command(word: str, commands: Collection[str]) -> str:
    """Return what to use in place of ``word``, which is none of ``commands``."""
    if word in _COMMANDS:
        return f"use {_COMMANDS[word]}"
    close = get_close_matches(word, commands, 1)
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(commands)}"


def suggest_option(flag: str, flags: Collection[str]) -> str:
    """Return what to use in place of ``flag``, which is none of ``flags``; empty if unknown."""
    if flag in _ALWAYS:
        return f"leave it out, as {_ALWAYS[flag]}"
    if flag in _OPTIONS and any(part in flags for part in _OPTIONS[flag].split()):
        return f"use {_OPTIONS[flag]}"
    close = get_close_matches(flag, [each for each in flags if each.startswith("--")], 1, 0.75)
    return f"did you mean {close[0]}?" if close else ""
