"""``s3pp doctor``: whether runs can work here, and why not."""

from __future__ import annotations

import os
import time
from argparse import SUPPRESS
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s3pp.args import building, configuration, values
from s3pp.args.parser import Group, VerbParser, add_groups
from s3pp.errors import UsageError
from s3pp.job import Job

if TYPE_CHECKING:
    from s3pp.diagnosis.examination import Examined
    from s3pp.report.outlet import Streams

USAGE = "[OPTIONS] [s3://BUCKET[/PREFIX]]"
ABOUT = (
    "Find out whether runs can work here: credentials, endpoint, proxy, TLS, clock, each permission"
    " that the commands need, what the store supports, and how fast it answers. Probe objects are"
    " written under a random name below PREFIX, and removed again. Without a bucket: this machine,"
    " credentials and endpoint."
)
_CLUSTER = ("dask", "security", "send_credentials", "send_unencrypted")
_REACHING = (
    Group("cluster", tuple(f"cluster.{name}" for name in _CLUSTER)),
    Group("speed", ("speed.processes", "speed.concurrency")),
    Group(
        "S3",
        (
            *(f"access.{name}" for name in ("endpoint_url", "region", "profile", "sign")),
            *(f"access.{name}" for name in ("request_payer", "addressing", "ca_bundle")),
            *("access.verify_ssl", "combined.secure"),
        ),
    ),
)
GROUPS = (*_REACHING, Group("output", ("output.json", "combined.quiet")), configuration.GROUP)


def main(argv: Sequence[str], streams: Streams) -> int:
    """Run the command and return its exit code; raises ``S3ppError``."""
    examined = parse(argv)
    from s3pp.diagnosis.doctor import examine

    return examine(examined, streams)


def parser() -> VerbParser:
    """Create the parser of the command line."""
    made = VerbParser("doctor", USAGE, ABOUT)
    made.add_argument("arguments", nargs="*", help=SUPPRESS)  # the usage line shows them
    checks = made.add_argument_group("checks")
    checks.add_argument(
        "--read-only", action="store_true", help="write nothing: of accounts that only read"
    )
    checks.add_argument(
        "--path", metavar="PATH", help="a file or directory that each Dask worker has to see"
    )
    declared = {**building.declared_fields(), **configuration.configuration_fields()}
    add_groups(made, GROUPS, declared=declared, verb="doctor")
    return made


def parse(argv: Sequence[str]) -> Examined:
    """Parse the arguments. Raises ``UsageError``, and ``HelpRequested``."""
    from s3pp.diagnosis.examination import Examined

    named, given = parser().parse(argv)
    if len(named) > 1:
        raise UsageError("doctor examines one place: name one s3://BUCKET[/PREFIX], or none")
    read_only, path = given.pop("read_only"), given.pop("path")
    given = {**_defaults(given), **given}
    origins = tuple(map(values.origin, named))
    job = building.build(Job("doctor", origins=origins), given)
    if path is not None:
        _check_path(path, job)
    return Examined(job, read_only, path=path or "")


def _check_path(path: str, job: Job) -> None:
    if job.cluster.dask is None:
        raise UsageError("--path is for the workers of a cluster: it needs --dask ADDRESS")
    if not os.path.exists(path):
        raise UsageError(f"--path {path!r}: no such file or directory on this machine")


def _defaults(given: dict[str, Any]) -> dict[str, Any]:
    """What files and variables set for a put; options about these are taken out of ``given``."""
    sources = configuration.find_sources(configuration.take_configuration(given), os.environ)
    if not any(sources[:3]):
        return {}
    from s3pp.args.defaults import Defaults  # what few runs need
    from s3pp.args.precedence import applicable_defaults

    known = {path for group in _REACHING for path in group.fields}
    found = Defaults(sources, time.time()).of("put")
    kept = {path: setting for path, setting in found.items() if path in known}
    kept = applicable_defaults(Job("put"), given, kept)
    return {path: setting.value for path, setting in kept.items()}
