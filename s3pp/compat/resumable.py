"""What the fronts of amazon-s3-resumable-upload share: command line, common keys, run order.

::

    unfinished uploads, if the user wants them aborted ──▶ transfer ──▶ comparison of both sides
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from s3pp.app import Plan
from s3pp.args import values
from s3pp.args.parser import Parser
from s3pp.compat import resumable_config
from s3pp.compat.resumable_config import Configuration
from s3pp.errors import UsageError
from s3pp.escaping import printable
from s3pp.job import Job
from s3pp.limits import MAX_ATTEMPTS, MAX_CONCURRENCY
from s3pp.localfs.paths import shown
from s3pp.output import Output
from s3pp.places import Origin, parse_place

VOICES = "s3pp.compat.resumable_voice"
_LEVELS = {"WARNING": 0, "INFO": 1, "DEBUG": 2}  # verbosity


class Command(NamedTuple):
    """A front: its name, which files configure it, and which keys those have."""

    name: str
    about: str
    files: Collection[str]
    keys: Collection[str]

    def configure(self, argv: Sequence[str]) -> Configuration:
        """Read the configuration file that ``argv`` names, or that is found.

        Raises ``UsageError``.
        """
        parser = Parser(self.name, "[--nogui] [FILE]", self.about, abbreviate=True)
        parser.add_argument("arguments", nargs="*", metavar="FILE", help="the configuration file")
        parser.add_argument("--nogui", action="store_true", help="accepted: there is no window")
        parser.add_argument("--gui", action="store_true", help="refused: there is no window")
        arguments, given = parser.parse(argv)
        if given["gui"]:
            parser.error("--gui: there is no window any more; edit the file, and leave --gui out")
        if arguments[1:]:
            parser.error(f"one FILE is read, and {len(arguments)} are given")
        return resumable_config.load(
            arguments[0] if arguments else resumable_config.find(self.files, sys.argv[0])
        )


def bucket(config: Configuration, key: str) -> str:
    """Return the bucket that ``key`` names; it may be an access point. Raises ``UsageError``."""
    name, where = config.require(key), f"{key} in '{shown(config.path)}':"
    if parse_place(f"s3://{name}", where).bucket != name:
        raise UsageError(f"{where} {name!r} is not the name of a bucket")
    return name


def endpoint(config: Configuration, key: str) -> str | None:
    """Return the URL of an endpoint; None for ``AWS``. Raises ``UsageError``."""
    if config.text(key, "AWS").upper() == "AWS":
        return None
    found: str = config.read(key, values.endpoint, "")
    return found if "://" in found else f"https://{found}"


def options(config: Configuration) -> dict[str, Any]:
    """Return the options of s3pp that the keys of both fronts set. Raises ``UsageError``."""
    chunk = config.chunk_size()
    threads, retries = (3, 200) if config.python else (5, 20)
    at_once = config.read("MaxThread", values.whole, threads)
    at_once *= config.read("MaxParallelFile", values.whole, threads)
    return {
        "compare": values.compare("size"),
        "parts.size": chunk,
        "parts.threshold": chunk,
        "speed.concurrency": min(at_once, MAX_CONCURRENCY),
        "access.max_attempts": min(config.read("MaxRetry", _count, retries) + 1, MAX_ATTEMPTS),
        "combined.verbose": config.read("LoggingLevel", _level, _LEVELS["INFO"]),
    }


def _count(text: str) -> int:
    return values.whole(text) if text != "0" else 0


def _level(text: str) -> int:
    return _LEVELS[values.one_of(text.upper(), *_LEVELS)]


def objects(bucket: str, prefix: str, key: str) -> Origin:
    """Return the objects whose keys begin with ``prefix``, or only ``key``; all keep their keys."""
    return Origin(bucket, key, single=key) if key else Origin(bucket, prefix)


def is_all(config: Configuration) -> bool:
    """Return whether SrcFileIndex names no single file."""
    return config.text("SrcFileIndex", "*") == "*"


def single_key(config: Configuration) -> str:
    """Return the key that S3Prefix and SrcFileIndex make with a slash; empty: all are meant."""
    if is_all(config):
        return ""
    return str(PurePosixPath(directory_prefix(config)) / config.text("SrcFileIndex"))


def directory_prefix(config: Configuration) -> str:
    """Return S3Prefix as a directory, without a slash at its end."""
    prefix = str(PurePosixPath(config.text("S3Prefix")))
    return "" if prefix in (".", "/") else prefix


def notices(config: Configuration, command: Command) -> tuple[str, ...]:
    """Return the notices about the file: which it is, and which of its keys are unknown."""
    unknown = config.unknown(command.keys)
    return (f"reading '{shown(config.path)}'", *([unknown] if unknown else []))


def output(command: Command) -> Output:
    """Return the settings of the transfer's output."""
    return Output(program=command.name, voice=f"{VOICES}:TransferVoice")


def compose(job: Job, comparison: str, source: str, dest: str) -> Plan:
    """Return the transfer ``job``, and a comparison of both sides in the voice ``comparison``.

    ``source`` and ``dest`` are what the last line calls them.
    """
    voice = f"{VOICES}:{comparison}"
    compare = replace(job, dry_run=True, exit_code=True, output=replace(job.output, voice=voice))
    return Plan((job, compare), chained=True, epilogue=partial(_epilogue, source, dest))


def _epilogue(source: str, dest: str, seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    ends = f"FROM: {printable(source)} TO {printable(dest)}"
    return f"MISSION ACCOMPLISHED - Time: {hours}H:{minutes}M:{rest}S - {ends}"
