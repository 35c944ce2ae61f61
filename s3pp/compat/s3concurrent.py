"""``s3concurrent_upload`` and ``s3concurrent_download`` of s3concurrent.

A prefix is a directory here, as its manual has it: there it was glued to what followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from s3pp.access import Keys
from s3pp.app import Plan
from s3pp.args import building, values
from s3pp.args.parser import Parser, argument_type
from s3pp.compat import main
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.limits import MAX_ATTEMPTS, MAX_CONCURRENCY
from s3pp.output import Output
from s3pp.places import Source, access_point, parse_origin, parse_place, single_slashes

UPLOAD, DOWNLOAD = "s3concurrent_upload", "s3concurrent_download"
VOICE = "s3pp.compat.s3concurrent_voice:CountingVoice"
USAGE = (
    "KEY SECRET BUCKET [--prefix PREFIX] [--local_folder DIRECTORY] [--thread_count N]"
    " [--max_retry N]"
)
# S3 user guide, "Bucket naming rules", and those of before 2018.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_OLD_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}")


class Arguments(NamedTuple):
    """A command line, as far as both directions have it alike."""

    bucket: str
    prefix: str
    folder: str
    options: dict[str, Any]  # of s3pp


def plan_upload(argv: Sequence[str]) -> Plan:
    """Return the meaning of a command line of ``s3concurrent_upload``. Raises ``UsageError``."""
    given = _read(_parser(UPLOAD, "Upload the files of a directory, and of those below it."), argv)
    if not os.path.isdir(given.folder):
        raise UsageError(f"--local_folder {given.folder!r} is not a directory")
    prefix = single_slashes(given.prefix)
    dest = parse_place(f"s3://{given.bucket}/{prefix}/" if prefix else f"s3://{given.bucket}")
    return _plan(Job("put", sources=(Source(given.folder),), dest=dest), given, UPLOAD)


def plan_download(argv: Sequence[str]) -> Plan:
    """Return the meaning of a command line of ``s3concurrent_download``. Raises ``UsageError``."""
    given = _read(_parser(DOWNLOAD, "Download the objects below a prefix to a directory."), argv)
    prefix = given.prefix.removesuffix("/")
    origin = parse_origin(f"s3://{given.bucket}/{prefix}/" if prefix else f"s3://{given.bucket}")
    folder = values.directory(given.folder)
    job = Job("get", origins=(origin,), directory=os.path.join(folder, ""))
    return _plan(job, given, DOWNLOAD)


def _plan(job: Job, given: Arguments, name: str) -> Plan:
    job = building.build(job, given.options)
    output = Output(program=name, voice=VOICE, progress=False)
    advice = f"'s3pp {job.verb}' takes keys from the environment or a profile"
    return Plan((replace(job, output=output),), (main.visible_keys(advice),))


def _parser(name: str, about: str) -> Parser:
    parser = Parser(name, USAGE, about, abbreviate=True, secret=True)
    parser.add_argument("arguments", nargs="*", metavar="KEY SECRET BUCKET")
    for flag, default, metavar, what in (
        ("--prefix", "", "PREFIX", "a directory in the bucket (default: the whole bucket)"),
        ("--local_folder", ".", "DIRECTORY", "a local directory (default: the current one)"),
    ):
        parser.add_argument(flag, default=default, metavar=metavar, help=what)
    for flag, most, what in (
        ("--thread_count", MAX_CONCURRENCY, "requests at once (default: 10)"),
        ("--max_retry", MAX_ATTEMPTS, "attempts per request (default: 10)"),
    ):
        reader = argument_type(partial(values.whole, most=most))
        parser.add_argument(flag, type=reader, default=10, metavar="N", help=what)
    return parser


def _read(parser: Parser, argv: Sequence[str]) -> Arguments:
    arguments, given = parser.parse(argv)
    if len(arguments) != 3:
        parser.error(f"KEY, SECRET and BUCKET are needed, and {len(arguments)} arguments are given")
    keys, bucket = Keys(*arguments[:2]), arguments[2]
    _check(keys, bucket)
    options = {
        "access.credentials": keys,
        "access.max_attempts": given["max_retry"],
        "speed.concurrency": given["thread_count"],
    }
    return Arguments(bucket, given["prefix"], given["local_folder"], options)


def _check(keys: Keys, bucket: str) -> None:
    """Raise ``UsageError`` for arguments that may be in another order: none is shown then."""
    if not all(keys[:2]):
        raise UsageError("KEY or SECRET is empty: give both")
    order = "the order is KEY SECRET BUCKET"
    if bucket in keys[:2]:
        raise UsageError(f"BUCKET is the same as KEY or SECRET (it is not shown here): {order}")
    is_bucket = _BUCKET.fullmatch(bucket) or access_point(bucket)
    is_swapped = not is_bucket and any(map(_BUCKET.fullmatch, keys[:2]))
    if is_swapped or not (is_bucket or _OLD_BUCKET.fullmatch(bucket)):
        raise UsageError(f"BUCKET is not the name of a bucket (it is not shown here): {order}")
