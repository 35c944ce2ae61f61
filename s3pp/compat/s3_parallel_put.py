"""``s3-parallel-put``: files, the members of archives, or whole buckets, to a bucket.

Keys are what arrived in S3: there, runs of slashes were collapsed on the way, so that no key begins
with one. A single file keeps the path that it is named by; ``..`` and a leading slash are dropped
from it, and never lead out of the prefix.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from posixpath import normpath
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from s3pp.app import Plan
from s3pp.args import building, values
from s3pp.args.parser import Parser, argument_type
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.localfs.paths import shown
from s3pp.output import Output
from s3pp.places import Origin, Place, Source
from s3pp.sources.earlier_runs import has_nothing_sent

NAME = "s3-parallel-put"
VOICE = "s3pp.compat.s3_parallel_put_voice:PutVoice"
USAGE = "[OPTIONS] --bucket=BUCKET SOURCE..."
ABOUT = (
    "Upload files to BUCKET: those below each SOURCE, a directory, under their paths relative to"
    " it; a SOURCE that is a file under its path."
)
AWS = "s3.amazonaws.com"
GRANTS = (
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
    "log-delivery-write",
)
GZIP_TYPES = (
    "application/javascript",
    "application/x-javascript",
    "text/css",
    "text/html",
    "text/javascript",
)
# Headers that s3pp has options for: the fields that those set, and the readers of their values.
HEADERS: Mapping[str, tuple[str, Callable[[str], Any]]] = MappingProxyType(
    {
        "x-amz-tagging": (
            "objects.tags",
            lambda text: [values.tag(f"{key}={value}") for key, value in parse_qsl(text, True)],
        ),
        "x-amz-acl": ("objects.acl", lambda text: values.one_of(text, *GRANTS)),
        "x-amz-server-side-encryption": (
            "objects.sse",
            lambda text: values.one_of(text, "AES256", "aws:kms"),
        ),
        "x-amz-server-side-encryption-aws-kms-key-id": ("objects.sse_kms_key_id", values.visible),
        "x-amz-storage-class": ("objects.storage_class", values.token),
    }
)
NO_EFFECT = ("content_type", "gzip", "gzip_types", "headers")  # on a copy, as before
DAY = 86_400.0  # seconds


def plan(argv: Sequence[str]) -> Plan:
    """Return the meaning of a command line. Raises ``UsageError``."""
    parser = _parser()
    sources, given = parser.parse(argv)
    if given["bucket"] is None:
        parser.error("--bucket is needed: name the bucket that files are sent to")
    if not sources or not all(sources):
        parser.error("a SOURCE is needed, and none may be empty: name a directory or a file")
    if (given["walk"] == "s3") != (given["put"] == "copy"):
        parser.error("--walk s3 and --put copy belong together: give both, or neither")
    if given["walk"] == "s3":
        return _copies(sources, given)
    prefix, named = _names(sources, _collapse(given["prefix"]), given["walk"])
    job = Job("put", sources=named, dest=Place(given["bucket"], prefix), walk=given["walk"])
    return Plan((_build(job, _options(given) | _attributes(given)),), _notices(given))


def _copies(buckets: Sequence[str], given: dict[str, Any]) -> Plan:
    """Return the copy of whole buckets, whose objects keep their keys."""
    origins = tuple(Origin(_bucket(each)) for each in buckets)
    for each in origins:
        if each.bucket == given["bucket"]:
            raise UsageError(f"--bucket {each.bucket} is a SOURCE too: name another bucket")
    options = _options(given) | {"mode": values.mode("stupid"), "objects.acl": given["grant"]}
    job = Job("copy", origins=origins, dest=Place(given["bucket"]))
    unused = [each for each in NO_EFFECT if given[each]]
    notices = _notices(given)
    if unused:
        notices += ("copies keep the type and the headers of their source",)
    if given["prefix"]:
        notices += ("--prefix has no effect on copies: each object keeps its key",)
    return Plan((_build(job, options),), notices)


def _notices(given: dict[str, Any]) -> tuple[str, ...]:
    """Return what users should know of the logs that are resumed."""
    return tuple(
        f"--resume '{shown(each)}' has no file as sent: it leaves out none"
        for each in given["resume"] or ()
        if has_nothing_sent(each)
    )


# Names


def _names(paths: Sequence[str], prefix: str, walk: str) -> tuple[str, tuple[Source, ...]]:
    """Return the prefix of all keys, and the sources.

    The prefix of directories is used as it is; that of files and archives was a path: ``./a/../b``
    is ``b``. Where the two differ and there are sources of both kinds, it is in their names.
    """
    paths = [f"./{path}" if path == "-" else path for path in paths]  # no stream
    keys = {path: _key(path) if os.path.isfile(path) else None for path in paths}
    if walk != "filesystem":
        return _key(prefix), tuple(map(Source, paths))
    prefixes = {path: prefix if keys[path] is None else _key(prefix) for path in paths}
    if len(set(prefixes.values())) == 1:
        return prefixes[paths[0]], tuple(Source(path, keys[path]) for path in paths)
    return "", tuple(Source(path, _join(prefixes[path], keys[path])) for path in paths)


def _join(prefix: str, key: str | None) -> str | None:
    return "/".join(filter(None, (prefix, key))) or None


def _key(path: str) -> str:
    """Return what a path gives to a key: without ``.`` and ``..``, and never leading out."""
    names = normpath(path).split("/")
    return "/".join(name for name in names if name not in ("", os.curdir, os.pardir))


def _collapse(prefix: str) -> str:
    return re.sub("/+", "/", prefix).strip("/")


def _bucket(text: str) -> str:
    try:
        return values.bucket(text)
    except ValueError as error:
        raise UsageError(f"SOURCE of --walk s3: {error}") from None


# Options


def _build(job: Job, options: dict[str, Any]) -> Job:
    """Return ``job`` with its options. Raises ``UsageError``."""
    output = Output(program=NAME, voice=VOICE, progress=False)
    given = {path: value for path, value in options.items() if value is not None}
    return building.build(replace(job, output=output), given)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of s3pp for every kind of job."""
    host = given["host"]
    days = given["older_days"]
    return {
        "mode": None if given["put"] == "copy" else values.mode(given["put"]),
        "dry_run": given["dry_run"],
        "choosing.rules": given["rules"],
        "choosing.matching": "fnmatch",
        "choosing.linked_directories": False,
        "choosing.newer_than": time.time() - days * DAY if days else None,
        "choosing.limit": given["limit"],
        "choosing.resume_logs": given["resume"],
        "objects.sse": "AES256" if given["encrypt_key"] else None,
        "access.endpoint_url": None if host == AWS else host,
        "access.region": given["region"],
        "combined.secure": given["secure"],
        "speed.processes": given["processes"],
        "output.log_file": given["log_filename"],
        "combined.verbose": given["verbose"],
        "combined.quiet": given["quiet"],
    }


def _attributes(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options for what an upload gives to objects. Raises ``UsageError``."""
    found: dict[str, Any] = {"objects.acl": given["grant"], "combined.gzip": given["gzip"]}
    if given["gzip"]:
        types = set(given["gzip_types"] or ["guess"])
        usual = GZIP_TYPES if "guess" in types else ()
        found["combined.gzip_types"] = [*sorted(types - {"guess"}), *usual]
    headers = []
    for name, value in given["headers"] or ():
        if name.lower() in HEADERS:
            found |= _setting(name, value)
        elif name.lower() != "content-type" or given["content_type"] is None:
            headers.append((name, value))
    return found | {
        "combined.headers": headers,
        "combined.content_type": given["content_type"],
    }


def _setting(name: str, value: str) -> dict[str, Any]:
    """Return the option that a header sets. Raises ``UsageError``."""
    field, read = HEADERS[name.lower()]
    try:
        return {field: read(value)}
    except ValueError as error:
        raise UsageError(f"--header {name}: {error}") from None


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days < 1e6:
        raise ValueError(f"{text!r} is not a number of days: write 7, or 0 for no limit")
    return days


def _limit(text: str) -> int:
    return 0 if re.fullmatch("0+", text) else values.whole(text)


def _parser() -> Parser:
    parser = Parser(NAME, USAGE, ABOUT, abbreviate=True)
    parser.add_argument("arguments", nargs="*", metavar="SOURCE")
    _add_places(parser)
    _add_choice(parser)
    _add_attributes(parser)
    _add_running(parser)
    return parser


def _add_places(parser: Parser) -> None:
    group = parser.add_argument_group("S3")
    group.add_argument("--bucket", type=argument_type(values.bucket), help="the destination")
    group.add_argument("--prefix", default="", help="a directory in the bucket (default: none)")
    group.add_argument(
        "--host", default=AWS, type=argument_type(values.endpoint), help="HOST[:PORT]"
    )
    group.add_argument(
        "--bucket_region", dest="region", type=argument_type(values.token), metavar="REGION"
    )
    group.add_argument("--secure", action="store_const", const=True, help="https (default)")
    group.add_argument("--insecure", dest="secure", action="store_const", const=False, help="http")


def _add_choice(parser: Parser) -> None:
    group = parser.add_argument_group("source")
    group.add_argument(
        "--walk",
        default="filesystem",
        choices=("filesystem", "tar", "s3"),
        help="what a SOURCE is: a directory or file (default), an archive, or a bucket",
    )
    for flag, read in (("--include", values.include), ("--exclude", values.exclude)):
        group.add_argument(
            flag,
            dest="rules",
            action="append",
            type=argument_type(read),
            metavar="PATTERN",
            help="a pattern of fnmatch, of paths of directories, and of base names",
        )
    group.add_argument(
        "--ignore-files-older-than-days",
        dest="older_days",
        type=argument_type(_days),
        default=0.0,
        metavar="DAYS",
        help="leave out files that were changed before (default: 0, none)",
    )
    group.add_argument(
        "--resume", action="append", metavar="LOG", help="leave out files that LOG has as sent"
    )
    group.add_argument("--limit", type=argument_type(_limit), metavar="N", help="only the first N")
    group.add_argument(
        "--put",
        default="update",
        choices=("add", "stupid", "update", "copy"),
        help="update: missing and different files (default); add: missing ones; stupid: all",
    )


def _add_attributes(parser: Parser) -> None:
    group = parser.add_argument_group("objects")
    group.add_argument(
        "--content-type",
        type=argument_type(values.content_type),
        metavar="TYPE",
        help="a type; guess: by name (default); magic: by name, else by content",
    )
    group.add_argument("--gzip", action="store_true", help="compress the types of --gzip-type")
    group.add_argument(
        "--gzip-type",
        dest="gzip_types",
        action="append",
        type=argument_type(values.gzip_type),
        metavar="TYPE",
        help=f"a type; guess: {', '.join(GZIP_TYPES)} (default); all",
    )
    group.add_argument("--grant", choices=GRANTS, metavar="ACL", help=", ".join(GRANTS))
    group.add_argument(
        "--header",
        dest="headers",
        action="append",
        type=argument_type(values.header),
        metavar="NAME:VALUE",
        help="a header for every object",
    )
    group.add_argument("--encrypt-key", action="store_true", help="encrypt with AES256")


def _add_running(parser: Parser) -> None:
    group = parser.add_argument_group("running")
    group.add_argument("--log-filename", metavar="FILE", help="append messages to FILE")
    group.add_argument("-q", "--quiet", action="count", default=0, help="print less")
    group.add_argument("-v", "--verbose", action="count", default=0, help="print more")
    group.add_argument("--dry-run", action="store_true", help="send nothing")
    reader = argument_type(partial(values.whole, most=1024))
    group.add_argument("--processes", type=reader, default=8, metavar="N", help="(default: 8)")
