"""``s3clone`` of s3clone: a bucket to a directory, each object under its whole key.

What exists is never replaced. A file of another size is named, and makes the exit code 1: there it
was named, and the exit code was 0. A prefix is what keys begin with, be it a directory or not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from s3pp.app import Plan
from s3pp.args import building, values
from s3pp.args.parser import Parser, argument_type
from s3pp.errors import ExitStatus
from s3pp.escaping import printable
from s3pp.job import Job, Mode
from s3pp.limits import MAX_CONCURRENCY
from s3pp.output import Output
from s3pp.places import Origin
from s3pp.records import Failed, Outcome, Skipped, SkipReason
from s3pp.report.lines import Lines
from s3pp.report.outlet import message
from s3pp.report.totals import RunReport, Totals
from s3pp.report.voice import NOTHING, Rendered, Voice

NAME, VOICE = "s3clone", "s3pp.compat.s3clone:CloneVoice"
USAGE = "[-n N] [-p PREFIX] [-o DIRECTORY] [--gzip] [--role PROFILE] BUCKET"
GZIP_SUFFIX = ".s3clonegz.gz"


class CloneVoice(Voice):
    """The lines on stdout that scripts look for; causes of failures go to stderr."""

    def outcome(self, outcome: Outcome) -> Rendered | None:
        """Return the line for an object that was not written."""
        if isinstance(outcome, Failed):
            why = message(NAME, Lines.of(self.job).text(outcome))
            return Rendered([f"Download of  {printable(outcome.source)} failed"], [why])
        if isinstance(outcome, Skipped) and outcome.reason is SkipReason.OTHER_SIZE:
            key, here = printable(outcome.source), outcome.dest_size or 0
            return Rendered([f"{key} : Size mismatch {outcome.size} {here}"])
        return None

    def end(self, result: RunReport) -> Rendered | None:
        """Return the last line; none where anything is missing."""
        if not isinstance(result.totals, Totals) or result.status is not ExitStatus.OK:
            return NOTHING
        return Rendered(["Done!" if result.totals.listed else "Empty bucket"])


def plan(argv: Sequence[str]) -> Plan:
    """Return the meaning of a command line. Raises ``UsageError``."""
    parser = _parser()
    arguments, given = parser.parse(argv)
    if len(arguments) != 1:
        parser.error(f"one BUCKET is needed, and {len(arguments)} are given")
    try:
        bucket = values.bucket(arguments[0])
    except ValueError as error:
        parser.error(str(error))
    directory = os.path.join(values.directory(given["outputdir"]), "")
    job = Job("get", origins=(Origin(bucket, given["prefix"]),), directory=directory)
    job = building.build(
        job,
        {
            "mode": Mode.ADD,
            "exit_code": True,
            "access.profile": given["role"],
            "download.gzip_suffix": GZIP_SUFFIX if given["gzip"] else "",
            "speed.concurrency": given["workers"],
        },
    )
    return Plan((replace(job, output=Output(program=NAME, voice=VOICE)),))


def _parser() -> Parser:
    about = "Download the objects of a bucket to a directory, each under its whole key."
    parser = Parser(NAME, USAGE, about, abbreviate=True)
    parser.add_argument("arguments", nargs="*", metavar="BUCKET")
    workers = argument_type(partial(values.whole, most=MAX_CONCURRENCY))
    for flags, default, metavar, what in (
        (("-p", "--prefix"), "", "PREFIX", "what keys begin with (default: all)"),
        (("-o", "--outputdir"), ".", "DIRECTORY", "where files go (default: this directory)"),
        (("--role",), None, "PROFILE", "a profile of the AWS configuration"),
    ):
        parser.add_argument(*flags, default=default, metavar=metavar, help=what)
    parser.add_argument(
        "-n", "--workers", type=workers, default=100, metavar="N", help="requests at once: 100"
    )
    parser.add_argument(
        "--gzip", action="store_true", help=f"compress each file, and add {GZIP_SUFFIX}"
    )
    return parser
