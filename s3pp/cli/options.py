"""The option groups the verbs share, in the order and the words of docs/cli.rst."""

from __future__ import annotations

import time
from argparse import ArgumentParser, _ArgumentGroup
from functools import partial
from typing import Any

from s3pp import job
from s3pp.cli import values
from s3pp.cli.parser import checked
from s3pp.cli.values import one_of

MAX_PROCESSES = 1024
MAX_CONCURRENCY = 100_000  # requests; beyond it no machine has the descriptors


def add_choosing(parser: ArgumentParser) -> None:
    """Which of the sources' entries belong to the job."""
    group = parser.add_argument_group("choosing")
    _one(
        group,
        "--mode",
        "--put",
        type=one_of("add", "stupid", "update"),
        default="update",
        metavar="MODE",
        help="add: what is absent; stupid: everything; update: what is absent or differs (default)",
    )
    _rule(
        group,
        "include",
        "take what matches; of --include and --exclude the last match wins, ** crosses /",
    )
    _rule(group, "exclude", "leave out what matches; excluded trees are not entered")
    moment = partial(_moment, now=time.time())
    _one(
        group,
        "--newer-than",
        type=moment,
        metavar="AGE|DATE",
        help="modified after: an age such as 7d, or an ISO date or time",
    )
    _one(group, "--older-than", type=moment, metavar="AGE|DATE", help="modified before")
    _one(
        group,
        "--min-size",
        type=values.size,
        metavar="SIZE",
        help="at least this long: bytes, or 10k, 16MiB, 1.5G (powers of 1024)",
    )
    _one(group, "--max-size", type=values.size, metavar="SIZE", help="at most this long")
    _one(group, "--limit", type=values.whole, metavar="N", help="the first N, in key order")
    group.add_argument(
        "--files-from", metavar="FILE", help="take the names in FILE (-: stdin), relative to SOURCE"
    )
    group.add_argument("--null", action="store_true", help="names in FILE end in NUL")
    _one(
        group,
        "--walk",
        type=one_of("filesystem", "tar"),
        default="filesystem",
        metavar="KIND",
        help="filesystem (default), or tar: the members of SOURCE, an archive",
    )
    group.add_argument(
        "--follow-symlinks",
        action="store_true",
        default=None,
        help="send what links lead to (default)",
    )
    group.add_argument(
        "--no-follow-symlinks", action="store_false", dest="follow_symlinks", help="leave links out"
    )


def add_objects(parser: ArgumentParser) -> None:
    """What every object sent is given."""
    group = parser.add_argument_group("objects")
    _one(
        group,
        "--content-type",
        type=values.content_type,
        metavar="TYPE",
        help="a type; guess: by name (default); magic: by content where the name tells nothing",
    )
    group.add_argument("--gzip", action="store_true", help="compress what --gzip-type names")
    _many(
        group,
        "--gzip-type",
        type=values.gzip_type,
        metavar="TYPE",
        help="a type to compress; guess: the usual text types (default); all",
    )
    _many(
        group,
        "--header",
        type=values.header,
        metavar="NAME:VALUE",
        help="a header, such as 'Cache-Control:max-age=60'",
    )
    _many(group, "--metadata", type=values.metadata, metavar="K=V", help="user metadata")
    _many(group, "--tag", type=values.tag, metavar="K=V", help="an object tag")
    _one(
        group,
        "--acl",
        "--grant",
        type=one_of(*job.ACLS),
        metavar="ACL",
        help=f"a canned ACL: {', '.join(job.ACLS)}",
    )
    _one(group, "--storage-class", type=values.token, metavar="CLASS", help="such as STANDARD_IA")
    _one(
        group,
        "--sse",
        type=one_of("AES256", "aws:kms"),
        metavar="KIND",
        help="encryption by the store: AES256 or aws:kms",
    )
    _one(
        group,
        "--sse-kms-key-id",
        type=values.visible,
        metavar="ID",
        help="the key for --sse aws:kms",
    )
    _one(
        group,
        "--checksum",
        type=one_of(*job.CHECKSUMS),
        default="md5",
        metavar="KIND",
        help="what the store verifies the body by: md5 (default), crc32, crc32c, crc64nvme, sha256",
    )


def add_speed(parser: ArgumentParser) -> None:
    """How many at a time."""
    group = parser.add_argument_group("speed")
    _one(
        group,
        "-P",
        "--processes",
        type=partial(values.whole, most=MAX_PROCESSES),
        metavar="N",
        help="worker processes (default: one per core, at least 2)",
    )
    _one(
        group,
        "-c",
        "--concurrency",
        type=partial(values.whole, most=MAX_CONCURRENCY),
        default=job.DEFAULT_CONCURRENCY,
        metavar="N",
        help="requests in flight over all processes (default: %(default)s)",
    )
    _one(
        group,
        "--start-method",
        type=one_of("auto", "fork", "spawn"),
        default="auto",
        metavar="HOW",
        help="of processes: fork, spawn, or auto (default): fork on Linux",
    )


def add_access(parser: ArgumentParser) -> None:
    """How to reach the store."""
    group = parser.add_argument_group("S3")
    _one(
        group,
        "--endpoint-url",
        type=values.endpoint,
        metavar="URL",
        help="another store than AWS: http[s]://HOST[:PORT]",
    )
    _one(group, "--region", type=values.token, metavar="NAME", help="the bucket's region")
    _one(
        group,
        "--profile",
        type=values.visible,
        metavar="NAME",
        help="a profile of the AWS configuration",
    )
    group.add_argument(
        "--no-sign-request",
        action="store_false",
        dest="sign",
        help="send no credentials, as to a public bucket",
    )
    group.add_argument(
        "--request-payer", action="store_true", help="accept the costs of a requester-pays bucket"
    )
    _one(
        group,
        "--addressing",
        type=one_of("auto", "path", "virtual"),
        default="auto",
        metavar="STYLE",
        help="where the bucket's name goes: auto (default), path, virtual",
    )
    group.add_argument("--ca-bundle", metavar="FILE", help="certificates to trust, as PEM")
    group.add_argument(
        "--no-verify-ssl", action="store_false", dest="verify_ssl", help="trust any certificate"
    )
    group.add_argument(
        "--secure",
        action="store_true",
        default=None,
        help="https where the endpoint URL names no scheme (default)",
    )
    group.add_argument(
        "--insecure",
        action="store_false",
        dest="secure",
        help="http where the endpoint URL names no scheme",
    )
    group.add_argument(
        "--sandbox", action="store_true", help="run against a fresh S3 in memory, bucket created"
    )


def add_faults(parser: ArgumentParser) -> None:
    """How long to try, and what to keep of it."""
    group = parser.add_argument_group("faults")
    _one(
        group,
        "--max-attempts",
        type=partial(values.whole, most=1000),
        default=job.DEFAULT_MAX_ATTEMPTS,
        metavar="N",
        help="per request (default: %(default)s)",
    )
    _one(
        group,
        "--connect-timeout",
        type=values.seconds,
        default=job.DEFAULT_CONNECT_TIMEOUT,
        metavar="TIME",
        help="seconds, or 90s, 5m (default: %(default)g)",
    )
    _one(
        group,
        "--read-timeout",
        type=values.seconds,
        default=job.DEFAULT_READ_TIMEOUT,
        metavar="TIME",
        help="without a byte in either direction (default: %(default)g)",
    )
    _one(
        group,
        "--worker-timeout",
        type=values.seconds,
        default=job.DEFAULT_WORKER_TIMEOUT,
        metavar="TIME",
        help="of silence until a worker counts as lost (default: %(default)g)",
    )
    group.add_argument(
        "--journal", metavar="FILE", help="append a JSON line per object: what became of it"
    )


def add_output(parser: ArgumentParser) -> None:
    """What is told, and where."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "-n", "--dry-run", action="store_true", help="decide and say everything, send nothing"
    )
    group.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="name what is done; -vv: also what is skipped",
    )
    group.add_argument(
        "-q",
        "--quiet",
        action="count",
        default=0,
        help="only failures and the summary; -qq: nothing",
    )
    group.add_argument("--json", action="store_true", help="one JSON object per line on stdout")
    group.add_argument(
        "--progress",
        action="store_true",
        default=None,
        help="show progress on stderr (default: on a terminal)",
    )
    group.add_argument(
        "--no-progress", action="store_false", dest="progress", help="show no progress"
    )
    group.add_argument(
        "--log-file", metavar="FILE", help="append what is told, and every failure, with the time"
    )


def _moment(text: str, *, now: float) -> float:
    return values.moment(text, now)


def _one(group: _ArgumentGroup, *names: str, type: Any, **rest: Any) -> None:
    group.add_argument(*names, type=checked(type), **rest)


def _many(group: _ArgumentGroup, *names: str, type: Any, **rest: Any) -> None:
    group.add_argument(*names, type=checked(type), action="append", default=[], **rest)


def _rule(group: _ArgumentGroup, kind: str, help: str) -> None:
    """``--include`` and ``--exclude`` share one list: their order on the line counts."""
    group.add_argument(
        f"--{kind}",
        type=checked(lambda text: (kind, values.glob(text))),
        action="append",
        dest="rules",
        default=[],
        metavar="GLOB",
        help=help,
    )
