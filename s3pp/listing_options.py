"""Options about what ``list`` and ``du`` print of what they list."""

from __future__ import annotations

from dataclasses import dataclass

from s3pp.option import Value, option

MOST_DEPTH = 1000  # a key has 1,024 bytes


@dataclass(frozen=True)
class ListingOptions:
    """How keys are grouped, and how sizes are written."""

    delimiter: str | None = option(  # None: every key is listed
        None,
        "--delimiter",
        Value("TEXT", "delimiter"),
        help="only one level: what is alike up to the next TEXT, such as /, is one line",
        du="what ends a level, in place of /",
    )
    buckets: bool = option(False, "--buckets", help="list the buckets, and no objects")
    human_readable: bool = option(
        False, "--human-readable", help="sizes in KiB, MiB, GiB, and so on; not in --json"
    )
    depth: int = option(  # levels below PREFIX; 0: the sum alone
        0,
        "--depth",
        Value("N", "whole", (MOST_DEPTH, 0)),
        help="also the sum of each prefix, down to N levels below PREFIX (default: 0)",
    )
