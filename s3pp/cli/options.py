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
MAX_LISTERS = 256
MAX_CONCURRENCY = 100_000  # requests; beyond it no machine has the descriptors


def add_choosing(parser: ArgumentParser) -> None:
    """Which of the sources' entries belong to the job, and when they are sent."""
    group = parser.add_argument_group("filters")
    add_one(
        group,
        "--mode",
        "--put",
        type=one_of("add", "stupid", "update"),
        default="update",
        metavar="MODE",
        help="add: what is absent; stupid: everything; update: what is absent or differs (default)",
    )
    _add_filters(group)
    add_one(
        group,
        "--order",
        type=one_of("key", "size"),
        default="key",
        metavar="ORDER",
        help="key (default), or size: the smallest first, once all are listed",
    )
    parser.set_defaults(walk="filesystem", follow_symlinks=None)


def add_filters(parser: ArgumentParser) -> None:
    """Which of the source's entries are meant, where nothing is sent."""
    _add_filters(parser.add_argument_group("filters"))
    parser.set_defaults(walk="filesystem", follow_symlinks=None, order="key")


def _add_filters(group: _ArgumentGroup) -> None:
    add_globs(group)
    moment = partial(values.moment, now=time.time())
    add_one(
        group,
        "--newer-than",
        type=moment,
        metavar="AGE|DATE",
        help="modified after: an age such as 7d, or an ISO date or time",
    )
    add_one(group, "--older-than", type=moment, metavar="AGE|DATE", help="modified before")
    add_one(
        group,
        "--min-size",
        type=values.size,
        metavar="SIZE",
        help="at least this long: bytes, or 10k, 16MiB, 1.5G (powers of 1024)",
    )
    add_one(group, "--max-size", type=values.size, metavar="SIZE", help="at most this long")
    add_one(group, "--limit", type=values.whole, metavar="N", help="the first N, in key order")
    group.add_argument(
        "--files-from", metavar="FILE", help="take the names in FILE (-: stdin), relative to SOURCE"
    )
    group.add_argument("--null", action="store_true", help="names in FILE end in NUL")


def add_walking(parser: ArgumentParser) -> None:
    """How a source on disk is walked."""
    group = parser.add_argument_group("source")
    add_one(
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


def add_landing(parser: ArgumentParser) -> None:
    """How files are written."""
    group = parser.add_argument_group("files")
    group.add_argument(
        "--fsync", action="store_true", help="bring each file to the disk before it gets its name"
    )
    group.add_argument(
        "--gunzip",
        action="store_true",
        help="write what is stored with Content-Encoding gzip uncompressed",
    )
    group.add_argument(
        "--follow-symlinks",
        action="store_true",
        default=False,
        help="write through links to directories that stay in DIRECTORY",
    )
    group.add_argument(
        "--no-follow-symlinks",
        action="store_false",
        dest="follow_symlinks",
        help="write through no link (default)",
    )


def add_listers(parser: ArgumentParser) -> None:
    """How many requests list a source."""
    group = parser.add_argument_group("listing")
    add_one(
        group,
        "--listers",
        type=partial(values.whole, most=MAX_LISTERS),
        default=job.DEFAULT_LISTERS,
        metavar="N",
        help="requests in flight that list the source (default: %(default)s)",
    )


def add_parts(parser: ArgumentParser) -> None:
    """How large objects are moved."""
    group = parser.add_argument_group("large objects")
    add_one(
        group,
        "--part-size",
        type=values.part_size,
        default=job.DEFAULT_PART_SIZE,
        metavar="SIZE",
        help="bytes of each part; grows where 10,000 would not do (default: 16MiB)",
    )
    add_one(
        group,
        "--multipart-threshold",
        type=values.part_size,
        default=job.DEFAULT_MULTIPART_THRESHOLD,
        metavar="SIZE",
        help="what is larger is moved in parts, by all processes (default: 64MiB)",
    )
    group.add_argument(
        "--no-resume",
        action="store_false",
        dest="resume",
        help="begin anew, whatever an earlier run left unfinished",
    )


def add_speed(parser: ArgumentParser) -> None:
    """How many at a time."""
    group = parser.add_argument_group("speed")
    add_one(
        group,
        "-P",
        "--processes",
        type=partial(values.whole, most=MAX_PROCESSES),
        metavar="N",
        help="worker processes (default: one per core, at least 2)",
    )
    add_one(
        group,
        "-c",
        "--concurrency",
        type=partial(values.whole, most=MAX_CONCURRENCY),
        default=job.DEFAULT_CONCURRENCY,
        metavar="N",
        help="requests in flight over all processes (default: %(default)s)",
    )
    add_one(
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
    add_one(
        group,
        "--endpoint-url",
        type=values.endpoint,
        metavar="URL",
        help="another store than AWS: http[s]://HOST[:PORT][/PATH]",
    )
    add_one(group, "--region", type=values.token, metavar="NAME", help="the bucket's region")
    add_one(
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
    add_one(
        group,
        "--addressing",
        type=one_of("auto", "path", "virtual"),
        metavar="STYLE",
        help="where the bucket's name goes: auto, path, virtual (default: the profile's, or auto)",
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


def add_source_access(parser: ArgumentParser) -> None:
    """How to reach the source of a copy, where that differs."""
    group = parser.add_argument_group("the source's S3 (default: as above)")
    add_one(
        group,
        "--source-endpoint-url",
        type=values.endpoint,
        metavar="URL",
        help="another store than AWS, for the source",
    )
    add_one(group, "--source-region", type=values.token, metavar="REGION", help="of its bucket")
    add_one(
        group,
        "--source-profile",
        type=values.visible,
        metavar="NAME",
        help="a profile of the AWS configuration, for the source",
    )


def add_faults(parser: ArgumentParser) -> None:
    """How long to try, and what to keep of it."""
    group = add_attempts(parser)
    add_one(
        group,
        "--worker-timeout",
        type=values.seconds,
        default=job.DEFAULT_WORKER_TIMEOUT,
        metavar="TIME",
        help="replace a worker that has not responded for this long (default: %(default)g)",
    )
    group.add_argument("--journal", metavar="FILE", help="append a JSON line per object: its end")


def add_attempts(parser: ArgumentParser) -> _ArgumentGroup:
    """How long to try; returns the group, for more of the kind."""
    group = parser.add_argument_group("retries and timeouts")
    add_one(
        group,
        "--max-attempts",
        type=partial(values.whole, most=1000),
        default=job.DEFAULT_MAX_ATTEMPTS,
        metavar="N",
        help="per request (default: %(default)s)",
    )
    add_one(
        group,
        "--max-throttled",
        type=values.seconds,
        default=job.DEFAULT_MAX_THROTTLED,
        metavar="TIME",
        help="of throttling without success until giving up (default: %(default)g)",
    )
    add_one(
        group,
        "--connect-timeout",
        type=values.seconds,
        default=job.DEFAULT_CONNECT_TIMEOUT,
        metavar="TIME",
        help="seconds, or 90s, 5m (default: %(default)g)",
    )
    add_one(
        group,
        "--read-timeout",
        type=values.seconds,
        default=job.DEFAULT_READ_TIMEOUT,
        metavar="TIME",
        help="without a byte in either direction (default: %(default)g)",
    )
    return group


def add_listing_output(parser: ArgumentParser) -> None:
    """What is told of a listing."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="one JSON object per line")
    group.add_argument(
        "--summarize", action="store_true", help="end with the number of objects and their bytes"
    )
    _add_quiet(group, "no line per key; -qq: no failures and no summary either")


def add_output(parser: ArgumentParser) -> None:
    """What is told, and where."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "-n",
        "--dry-run",
        action="store_true",
        help="show what would be transferred and why; change nothing",
    )
    add_volume(group)
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


def add_globs(group: _ArgumentGroup) -> None:
    """Names that are meant, and names that are not."""
    _rule(
        group,
        "include",
        "take what matches; of --include and --exclude the last match wins, ** crosses /",
    )
    _rule(group, "exclude", "leave out what matches; excluded trees are not entered")


def add_volume(group: _ArgumentGroup) -> None:
    """How much is said."""
    group.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=0,
        help="name what is done; -vv: also what is skipped",
    )
    _add_quiet(group, "print nothing unless something fails; -qq: only what ends the run")


def _add_quiet(group: _ArgumentGroup, help: str) -> None:
    group.add_argument("-q", "--quiet", action="count", default=0, help=help)


def add_one(group: _ArgumentGroup, *names: str, type: Any, **rest: Any) -> None:
    group.add_argument(*names, type=checked(type), **rest)


def add_many(group: _ArgumentGroup, *names: str, type: Any, **rest: Any) -> None:
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
