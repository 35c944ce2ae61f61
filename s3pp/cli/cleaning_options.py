"""The option groups of ``clean`` that no other verb has."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from functools import partial

from s3pp.cli import values
from s3pp.cli.options import add_globs, add_one, add_volume


def add_uploads(parser: ArgumentParser) -> None:
    """Which unfinished uploads are meant."""
    group = parser.add_argument_group("filters")
    add_globs(group)
    add_one(
        group,
        "--older-than",
        type=partial(values.moment, now=time.time()),
        metavar="AGE|DATE",
        help="begun before: an age such as 7d, or an ISO date (default: 1d; 0s: all)",
    )
    add_one(group, "--limit", type=values.whole, metavar="N", help="at most N of them")
    parser.set_defaults(newer_than=None, min_size=None, max_size=None, files_from=None, null=False)
    parser.set_defaults(walk="filesystem", follow_symlinks=None, order="key")


def add_cleaning_output(parser: ArgumentParser) -> None:
    """What is told of uploads that are aborted, and what is kept of it."""
    group = parser.add_argument_group("output")
    group.add_argument(
        "-n", "--dry-run", action="store_true", help="show what would be aborted; change nothing"
    )
    add_volume(group)
    group.add_argument("--json", action="store_true", help="one JSON object per line on stdout")
    group.add_argument(
        "--journal", metavar="FILE", help="append a JSON line per upload: what became of it"
    )
    parser.set_defaults(log_file=None, progress=None)
