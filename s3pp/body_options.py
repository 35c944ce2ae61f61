"""Options about bodies: of large objects, and of the files that a get writes."""

from __future__ import annotations

from dataclasses import dataclass

from s3pp.limits import (
    DEFAULT_MAX_RATIO,
    DEFAULT_MULTIPART_THRESHOLD,
    DEFAULT_PART_SIZE,
    MAX_RATIO,
)
from s3pp.option import Value, option, up_to


@dataclass(frozen=True)
class DownloadOptions:
    """Options for writing downloaded files."""

    fsync: bool = option(
        False, "--fsync", help="flush each file to the disk before it gets its name"
    )
    gzip_suffix: str = option(
        "",
        "--gzip-suffix",
        Value("SUFFIX", "gzip_suffix"),
        help="compress files, and add SUFFIX, such as .gz, to names that do not end in .gz",
    )
    gunzip: bool = option(
        False, "--gunzip", help="unpack objects that are stored with Content-Encoding gzip"
    )
    max_ratio: int = option(
        DEFAULT_MAX_RATIO,
        "--max-ratio",
        up_to(MAX_RATIO),
        help="with --gunzip: fail what is more than N times its stored size (default: {default})",
    )


@dataclass(frozen=True)
class Parts:
    """Options for transferring large objects in parts, by all workers at once."""

    size: int = option(  # bytes
        DEFAULT_PART_SIZE,
        "--part-size",
        Value("SIZE", "part_size"),
        help="size of each part; larger if 10,000 parts would not suffice (default: 16MiB)",
    )
    threshold: int = option(  # bytes
        DEFAULT_MULTIPART_THRESHOLD,
        "--multipart-threshold",
        Value("SIZE", "part_size"),
        help="transfer larger objects in parts, by all processes (default: 64MiB)",
    )
    resume: bool = option(
        True,
        "--no-resume",
        sets=False,
        help="ignore unfinished transfers of earlier runs, and keep none",
    )
