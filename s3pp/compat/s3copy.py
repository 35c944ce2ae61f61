"""``s3copy``: objects from one bucket to another, named as ``cp -r`` names files.

::

    s3://src/x   -p PREFIX, -P LIST  ──▶ one copy of several origins ──┐
                 -f FILE, -F LIST    ──▶ one copy of a list of names ──┴─▶ s3://dst/y/
    --clean-mpcopies                 ──▶ clean s3://src
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from s3pp.access import Access, Keys
from s3pp.app import Plan
from s3pp.args import building, values
from s3pp.args.parser import Parser, argument_type
from s3pp.compat import main
from s3pp.errors import UsageError
from s3pp.escaping import printable
from s3pp.job import Choosing, Job
from s3pp.limits import MAX_ATTEMPTS, MAX_CONCURRENCY, MAX_PART, MIN_PART, PERMISSIONS
from s3pp.localfs.paths import shown
from s3pp.output import Output
from s3pp.places import Origin, Place, parse_place, single_slashes

NAME = "s3copy"
VOICES = "s3pp.compat.s3copy_voice"
DEFAULT_CONFIG = "~/.s3cfg"
# Of the log, and what each has lines for.
LEVELS = {
    "DEBUG": "AuditVoice",
    "INFO": "AuditVoice",
    "WARNING": "FailuresVoice",
    "ERROR": "FailuresVoice",
    "CRITICAL": "CopyingVoice",
}
USAGE = "[OPTIONS] s3://BUCKET[/PATH] [s3://BUCKET[/PATH]]"
ABOUT = (
    "Copy the objects below a path, each under its path from the last directory of that path on, as"
    " cp -r does; with /* at its end without that directory, and with * those that begin so."
)
# Lines of s3cmd's files.
_SECTION = re.compile(r"\s*\[\s*(?P<name>[^]]*?)\s*\]")
_SETTING = re.compile(r"\s*(?P<key>\w+)\s*=\s*(?P<quote>[\"']?)(?P<value>(?!#)\S*)(?P=quote)(?!\S)")
_NO_KEYS = "neither access_key nor secret_key in [default]: add both"
# Options of work files, of which there are none any more.
_WORK = ("work_bucket", "work_prefix", "reassemble_large_file")


class Uri(NamedTuple):
    """``s3://BUCKET/PATH``, the path as given."""

    bucket: str
    path: str

    @classmethod
    def of(cls, text: str, argument: str) -> Uri:
        """Read one. Raises ``UsageError`` naming ``argument``, and showing no other word."""
        if not text.startswith("s3://"):
            raise UsageError(
                f"the {argument} is not of the form s3://BUCKET[/PATH]: it is not shown here, as it"
                " may be a key"
            )
        bucket = parse_place(text, argument).bucket
        return cls(bucket, text.removeprefix(f"s3://{bucket}").removeprefix("/"))


def plan(argv: Sequence[str]) -> Plan:
    """Return the meaning of a command line. Raises ``UsageError``."""
    arguments, given = _parser().parse(argv)
    if not 1 <= len(arguments) <= 2:
        raise UsageError("a source and at most one destination are needed, both s3://BUCKET[/PATH]")
    source = Uri.of(arguments[0], "source")
    notices = list(_notices(given))
    if given["clean_mpcopies"]:
        return Plan((_clean(source, given),), tuple(notices))
    dest = _dest(arguments, source, given)
    jobs = tuple(_with_options(job, given) for job in _jobs(source, dest, given))
    where = f"s3://{source.bucket}/{source.path}", f"s3://{dest.bucket}/{dest.prefix}"
    below = "/" if dest.prefix else ""
    prologue = f"Source uri: {printable(where[0])}", f"Dest uri: {printable(where[1])}{below}"
    return Plan(jobs, tuple(notices), prologue=prologue)


def _parser() -> Parser:
    parser = Parser(NAME, USAGE, ABOUT, abbreviate=True, secret=True)
    parser.choices = (*LEVELS, *PERMISSIONS)
    add = parser.add_argument
    add("arguments", nargs="*", metavar="URI", help="the source, and the destination")
    add("-n", "--dry-run", action="store_true", help="show what would be copied; change nothing")
    many: dict[str, Any] = {"nargs": "+", "action": "extend"}
    add("-f", "--file", **many, help="objects to copy, below the path of the source")
    add("-p", "--prefix", **many, help="paths to copy, below the path of the source")
    add("-F", "--files", metavar="LIST", help="a file with the names of objects to copy")
    add("-P", "--prefixes", metavar="LIST", help="a file with paths to copy")
    add("-a", dest="access_key", metavar="KEY", help="the access key")
    add("-k", dest="secret_key", metavar="SECRET", help="the secret key")
    add("-c", "--config_file", metavar="S3CFG", help=f"keys in s3cmd's form ({DEFAULT_CONFIG})")
    add("-d", "--dest-config", metavar="S3CFG", help="keys that list the destination")
    grant = argument_type(values.grant)
    add("--acl-grant", type=grant, metavar="PERMISSION:EMAIL", help="a grant for each copy")
    threads = argument_type(partial(values.whole, most=MAX_CONCURRENCY))
    add("-t", dest="threads", type=threads, default=40, metavar="N", help="requests at once (40)")
    add(
        "-l",
        dest="level",
        type=argument_type(_level),
        default="CRITICAL",
        help=f"of the log: {', '.join(LEVELS)}",
    )
    add("-L", dest="log", default="STDOUT", metavar="FILE", help="append the log to FILE")
    add("--clean-mpcopies", action="store_true", help="abort all unfinished uploads of the source")
    add("--s3-prefixes", action="store_true", help="refused: a destination is a directory")
    add("--dest-prefix", default="", metavar="PATH", help="is put behind the destination")
    whole, size = argument_type(values.whole), argument_type(_part_size)
    add("--retries", type=argument_type(_count), default=3, metavar="N", help="of a request (3)")
    add("--large-file", type=size, metavar="BYTES", help="copy larger objects in parts")
    add("--part-size", type=size, metavar="BYTES", help="of the parts of large objects")
    add("-w", "--work-bucket", metavar="URI", help="no effect: there are no work files")
    add("--work-prefix", metavar="PATH", help="no effect")
    add("--reassemble-large-file", type=whole, metavar="BYTES", help="no effect")
    return parser


def _level(text: str) -> str:
    # In a message the word has to stand as it was given: that is how it is found, and hidden.
    return text.upper() if text.upper() in LEVELS else values.one_of(text, *LEVELS)


def _part_size(text: str) -> int:
    """Return a size in bytes that parts can have: the nearest one."""
    return min(max(values.whole(text), MIN_PART), MAX_PART)


def _count(text: str) -> int:
    return values.whole(text) if text != "0" else 0


def _notices(given: dict[str, Any]) -> Iterator[str]:
    if given["access_key"] or given["secret_key"]:
        advice = f"write them to {DEFAULT_CONFIG}, or use the environment or a profile"
        yield main.visible_keys(advice)
    for name in _WORK:
        if given[name] is not None:
            flag = f"--{name.replace('_', '-')}"
            yield f"{flag} has no effect: the store copies large objects in parts, without files"


# What is copied


def _dest(arguments: Sequence[str], source: Uri, given: dict[str, Any]) -> Place:
    """Return the directory that is copied to; without a destination, the root of the source."""
    if arguments[1:]:
        values.dest(arguments[1])
        dest = Uri.of(arguments[1], "destination")
    else:
        dest = Uri(source.bucket, "")
    own = "temp/dest" if arguments[1:] == arguments[:1] and not dest.path else ""
    path = dest.path + given["dest_prefix"] or own
    if given["s3_prefixes"] and path and not path.endswith("/"):
        raise UsageError(
            f"--s3-prefixes would put names right behind {path!r}: end the destination with a slash"
        )
    return Place(dest.bucket, single_slashes(path))


def _jobs(source: Uri, dest: Place, given: dict[str, Any]) -> Iterator[Job]:
    """Yield the copies: of paths, and of single objects."""
    files = _listed(given["file"], given["files"], "--files")
    prefixes = _listed(given["prefix"], given["prefixes"], "--prefixes")
    if prefixes or (files is None and prefixes is None):
        origins = (_origin(source, prefix) for prefix in prefixes or [""])
        yield Job("copy", origins=tuple(dict.fromkeys(origins)), dest=dest)
    if files or (not prefixes and (files, prefixes) != (None, None)):
        for slashes, names in _by_slashes(files or []).items():
            path = source.path + slashes
            origin, choosing = Origin(source.bucket, path, len(path)), Choosing(names=tuple(names))
            yield Job("copy", origins=(origin,), dest=dest, choosing=choosing)


def _by_slashes(names: list[str]) -> dict[str, list[str]]:
    """Return the names by the slashes they begin with, which are no part of the new names.

    ``-f /x`` adds the slash that the path of the source lacks. Raises ``UsageError`` for two names
    that become one.
    """
    found: dict[str, list[str]] = {} if names else {"": []}
    copied: dict[str, str] = {}  # names by what they become
    for name in names:
        bare = name.lstrip("/") or name
        if copied.setdefault(bare, name) != name:
            both = f"{printable(copied[bare])!r} and {printable(name)!r}"
            raise UsageError(f"{both} would be copied to one name: copy them one by one")
        found.setdefault(name.removesuffix(bare), []).append(bare)
    return found


def _listed(words: list[str] | None, path: str | None, flag: str) -> list[str] | None:
    """Return the names given, and those in a list; None: neither is there.

    Lines that begin with ``#``, and those of nothing but blanks, count for nothing.
    """
    if words is None and path is None:
        return None
    lines = _read(path, flag).split("\n") if path is not None else []
    names = [line.rstrip("\r") for line in lines if line.strip() and not line.startswith("#")]
    return [*filter(None, words or []), *names]


def _origin(source: Uri, prefix: str) -> Origin:
    """Return what ``cp -r`` would copy of a path."""
    path = source.path + prefix
    if path in ("", "*"):
        return Origin(source.bucket)
    if path.endswith("*"):
        path = path[:-1]
        return Origin(source.bucket, path, path.rfind("/") + 1)
    path = path.removesuffix("/")
    return Origin(source.bucket, f"{path}/", path.rfind("/") + 1)


def _read(path: str, flag: str) -> str:
    try:
        with open(os.path.expanduser(path), encoding="utf-8-sig", newline="") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"{flag} '{shown(path)}' cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{flag} '{shown(path)}' is not UTF-8: save it as that") from None


# How it is copied


def _clean(source: Uri, given: dict[str, Any]) -> Job:
    choosing = Choosing(older_than=time.time())
    origin = Origin(source.bucket)
    job = Job("clean", origins=(origin,), choosing=choosing, access=_access(given))
    return replace(job, dry_run=given["dry_run"], output=Output(program=NAME))


def _with_options(job: Job, given: dict[str, Any]) -> Job:
    """Return ``job`` with what the options say of all copies."""
    options = {
        "dry_run": given["dry_run"],
        "speed.concurrency": given["threads"],
        "access.max_attempts": min(given["retries"] + 1, MAX_ATTEMPTS),
    }
    if given["acl_grant"] is not None:
        options["objects.grants"] = (given["acl_grant"],)
    for name, path in (("large_file", "parts.threshold"), ("part_size", "parts.size")):
        if given[name] is not None:
            options[path] = given[name]
    job = building.build(replace(job, access=_access(given)), options)
    listing = None
    if given["dest_config"] is not None:
        listing = replace(job.access, credentials=_required_keys(given["dest_config"]))
    log = None if given["log"] == "STDOUT" else given["log"]
    voice = f"{VOICES}:{LEVELS[given['level']]}"
    output = Output(program=NAME, voice=voice, log_file=log)
    return replace(job, listing_access=listing, output=output)


def _access(given: dict[str, Any]) -> Access:
    """Return the access with the keys of the file, else of the command line, else as usual.

    Raises ``UsageError`` for a file that is named and is missing or has no keys, and for half a
    pair: halves of two sources are not combined.
    """
    path = given["config_file"]
    found = _configured_keys(path or DEFAULT_CONFIG, missing_ok=path is None)
    access_key, secret_key = given["access_key"], given["secret_key"]
    if found is not None:
        return Access(credentials=found)
    if access_key and secret_key:
        return Access(credentials=Keys(access_key, secret_key))
    if not access_key and not secret_key and path is None:
        return Access()
    file = f"'{shown(path or DEFAULT_CONFIG)}'"
    if path is not None and not access_key and not secret_key:
        raise UsageError(f"--config_file {file} has {_NO_KEYS}")
    alone, other = ("-a", "secret_key") if access_key else ("-k", "access_key")
    raise UsageError(f"{alone} is one key, and there is no {other}: write both keys to {file}")


def _required_keys(path: str) -> Keys:
    found = _configured_keys(path, missing_ok=False)
    if found is None:
        raise UsageError(f"--dest-config '{shown(path)}' has {_NO_KEYS}")
    return found


def _configured_keys(path: str, *, missing_ok: bool) -> Keys | None:
    """Return the keys in a file of s3cmd; None: it has none. Raises ``UsageError`` for one."""
    found = _configured(path, missing_ok=missing_ok)
    access_key, secret_key = found.get("access_key"), found.get("secret_key")
    if access_key and secret_key:
        return Keys(access_key, secret_key, found.get("access_token") or None)
    if not access_key and not secret_key:
        return None
    there, missing = "access_key", "secret_key"
    if secret_key:
        there, missing = missing, there
    raise UsageError(f"'{shown(path)}' has {there} and no {missing} in [default]: add it")


def _configured(path: str, *, missing_ok: bool) -> dict[str, str]:
    """Return the settings of a file of s3cmd, section ``default``; of those given twice the last.

    A value is one word: what follows it is a remark.
    """
    if missing_ok and not os.path.isfile(os.path.expanduser(path)):
        return {}
    found, section = dict[str, str](), "default"
    for line in _read(path, "the configuration").split("\n"):
        if heading := _SECTION.match(line):
            section = heading["name"].lower()
        elif section == "default" and (setting := _SETTING.match(line)):
            found[setting["key"]] = setting["value"]
    return found
