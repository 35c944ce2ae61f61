"""The verbs: usage, arguments, and options by group.

An option is declared on the field that it sets (``job.py``, ``args/building.py``); the groups here
list those fields.
"""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from s3pp.args import building, values
from s3pp.args.parser import Group, Parser, VerbParser, add_groups
from s3pp.args.values import check_no_stream
from s3pp.body_options import DownloadOptions
from s3pp.errors import UsageError
from s3pp.job import STREAM, Choosing, Job
from s3pp.option import OPTIONS
from s3pp.places import Source


class Verb(NamedTuple):
    """The command line of a verb."""

    usage: str
    about: str
    read: Callable[[Sequence[str]], Job]  # its arguments; ``UsageError`` where they name no job
    groups: tuple[Group, ...]


def build_job(verb: str, argv: Sequence[str]) -> Job:
    """Build the job that a command line describes, without side effects.

    Raises ``UsageError``, and ``HelpRequested`` for ``--help`` and ``--version``.
    """
    arguments, given = parser(verb).parse(argv)
    return job_of(verb, arguments, given)


def job_of(verb: str, arguments: Sequence[str], given: Mapping[str, Any]) -> Job:
    """Build the job of arguments and options, ``given`` by their paths. Raises ``UsageError``."""
    job = VERBS[verb].read(arguments)
    if job.moves:
        _check_applicable(job, given)
    built = building.build(job, given)
    if built.output.journal is None:
        return built
    return _with_invocation(built, verb, arguments, given)


def _with_invocation(
    job: Job, verb: str, arguments: Sequence[str], given: Mapping[str, Any]
) -> Job:
    """Return ``job`` with what its journal says of how it was called."""
    from s3pp.args.invocation import invocation  # what few runs need

    declared = building.declared_fields()
    paths = {path: declared[path] for group in VERBS[verb].groups for path in group.fields}
    called = invocation(verb, arguments, given, job=job, paths=paths)
    return replace(job, output=replace(job.output, invocation=called))


def parser(verb: str) -> Parser:
    """Create the parser for a verb's command line."""
    usage, about, _, groups = VERBS[verb]
    made = VerbParser(verb, usage, about)
    made.add_argument("arguments", nargs="*", help=SUPPRESS)  # the usage line shows them
    add_groups(made, groups, declared=building.declared_fields(), verb=verb)
    return made


def _put(arguments: Sequence[str]) -> Job:
    *sources, dest = arguments or [""]
    _require(len(sources) > 0, "put needs a SOURCE and a destination, s3://BUCKET[/PREFIX]")
    if STREAM in sources:
        _require(
            len(sources) == 1, "put - sends standard input as one object: name no other SOURCE"
        )
        return Job("put", sources=(Source(STREAM),), dest=values.exact_dest(dest))
    named = tuple(values.source(text) for text in sources)
    return Job("put", sources=named, dest=values.dest(dest))


def _get(arguments: Sequence[str]) -> Job:
    *sources, directory = arguments or [""]
    _require(len(sources) > 0, "get needs a source, s3://BUCKET[/PREFIX], and a DIRECTORY")
    if directory == STREAM:
        _require(len(sources) == 1, "get to - writes one object: name no other source")
        return Job("get", origins=(values.exact_origin(sources[0]),), directory=STREAM)
    origins = tuple(map(values.origin, sources))
    return Job("get", origins=origins, directory=values.directory(directory))


def _copy(arguments: Sequence[str]) -> Job:
    *sources, dest = arguments or [""]
    needed = "copy needs a source and a destination, both s3://BUCKET[/PREFIX]"
    _require(len(sources) > 0, needed)
    return Job("copy", origins=tuple(map(values.origin, sources)), dest=values.dest(dest))


def _remove(arguments: Sequence[str]) -> Job:
    _require(len(arguments) == 1, "remove needs one place, s3://BUCKET/PREFIX")
    return Job("remove", origins=(values.origin(_below(arguments[0])),))


def _below(place: str) -> str:
    """Write ``s3://b/p/`` as ``s3://b/p/*``, which never means the object ``p``.

    Where everything below it is deleted, the same command given again must find nothing.
    """
    return f"{place}*" if place.endswith("/") else place


def _move(arguments: Sequence[str]) -> Job:
    *sources, dest = arguments or [""]
    needed = "move needs a source and a destination, of which one or both are s3://BUCKET[/PREFIX]"
    _require(len(sources) > 0, needed)
    _require(STREAM not in arguments, "move has no use for '-', a standard stream: name a place")
    remote = [each.startswith("s3://") for each in sources]
    _require(len(set(remote)) == 1, "move takes files or objects: name sources of one kind")
    _require(remote[0] or dest.startswith("s3://"), needed)
    if not remote[0]:
        # What links lead to would have to be deleted through them.
        return replace(_put(arguments), moves=True, choosing=Choosing(follow_symlinks=False))
    arguments = [*map(_below, sources), dest]
    job = _copy(arguments) if dest.startswith("s3://") else _get(arguments)
    _require(len(job.buckets) == 1, "move takes the objects of one bucket at a time")
    # Or what the disk has not yet might be lost where the machine goes down.
    return replace(job, moves=True, download=DownloadOptions(fsync=True))


_KINDS = MappingProxyType(
    {
        "put": "files that are moved to a bucket",
        "get": "objects that are moved to a directory",
        "copy": "objects that are moved to a bucket",
    }
)


def _check_applicable(job: Job, given: Mapping[str, Any]) -> None:
    """Refuse options of a move that have no effect on what it moves."""
    known = {path for group in VERBS[job.verb].groups for path in group.fields}
    declared = building.declared_fields()
    for path in given.keys() - known:
        if options := declared[path].metadata.get(OPTIONS):  # credentials have none
            flag = next(each for each in options[0].flags if each.startswith("--"))
            raise UsageError(f"{flag} has no effect on {_KINDS[job.verb]}: leave it out")


def _list(arguments: Sequence[str]) -> Job:
    _require(len(arguments) == 1, "list needs one source, s3://BUCKET[/PREFIX]")
    return Job("list", origins=(values.origin(arguments[0]),))


def _clean(arguments: Sequence[str]) -> Job:
    _require(len(arguments) == 1, "clean needs one place, s3://BUCKET[/PREFIX]")
    return Job("clean", origins=(values.origin(arguments[0]),))


def _apply(arguments: Sequence[str]) -> Job:
    _require(len(arguments) == 1, "apply needs one PLAN, a FILE that --plan has written")
    check_no_stream(arguments[0], "PLAN", "its end is looked at first")
    return Job("apply", applies=values.path(arguments[0]))


def _require(met: bool, needed: str) -> None:
    if not met:
        raise UsageError(needed)


def _fields(section: str, names: str) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names.split())


_NAMES = _fields(
    "choosing",
    "rules newer_than older_than min_size max_size limit files_from null fail_if_empty",
)
_LINKS = ("choosing.follow_symlinks",)
_TRIES = _fields("access", "max_attempts max_throttled connect_timeout read_timeout")
_VOLUME = _fields("combined", "verbose quiet")

_TRANSFER = Group("transfer", ("mode", "compare", "dry_run", "plan", "exit_code", "choosing.order"))
_DELETION = Group("deletion", _fields("deletion", "extraneous most from_empty excluded"))
_FILTERS = Group("filters", _NAMES)
_OBJECTS = Group(
    "objects",
    (
        *_fields("combined", "content_type headers metadata"),
        *_fields("objects", "tags acl grants storage_class sse sse_kms_key_id checksum rules_file"),
    ),
)
_PARTS = Group("large objects", _fields("parts", "size threshold resume"))
_SPEED = Group("speed", _fields("speed", "processes concurrency start_method"))
_CACHED_SPEED = _SPEED._replace(fields=(*_SPEED.fields, "speed.etag_cache"))
_LISTING = Group("listing", ("speed.listers",))
_INVENTORY = Group("inventory", ("choosing.manifest",))
_DEST_LISTING = Group("listing the destination", ("combined.list_profile",))
_REACHED = (
    *_fields("access", "endpoint_url region profile sign request_payer"),
    *_fields("access", "addressing ca_bundle verify_ssl"),
    "combined.secure",
)
_S3 = Group("S3", (*_REACHED, "sandbox"))
_SOURCE_S3 = Group(
    "the source's S3 (default: as above)",
    _fields("combined", "source_endpoint_url source_region source_profile"),
)
_SOURCE_S3 = Group(
    "the source's S3 (default: as above)",
    _fields("combined", "source_endpoint_url source_region source_profile"),
)
_RETRIES = Group("retries and timeouts", (*_TRIES, "speed.worker_timeout", "choosing.retry_from"))
_LOCKING = Group("runs at the same time", _fields("locking", "lock wait if_locked"))
_OUTPUT = Group("output", (*_VOLUME, *_fields("output", "json progress journal log_file")))

VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "put": Verb(
            "[OPTIONS] SOURCE... s3://BUCKET[/PREFIX]",
            "Upload the contents of each SOURCE, a directory or a file, to PREFIX, each file under"
            " its path relative to SOURCE, or under its base name. A single file is uploaded to the"
            " key PREFIX itself, unless that ends in a slash. A SOURCE of - is standard input, "
            "which becomes the object whose key is PREFIX.",
            _put,
            (
                _TRANSFER,
                _FILTERS,
                _DELETION,
                Group("source", ("walk", *_LINKS)),
                _OBJECTS,
                Group("compression", _fields("combined", "gzip gzip_types")),
                *(_PARTS, _CACHED_SPEED, _S3, _DEST_LISTING, _RETRIES, _LOCKING, _OUTPUT),
            ),
        ),
        "get": Verb(
            "[OPTIONS] s3://BUCKET[/PREFIX]... DIRECTORY",
            "Download the objects below each PREFIX, or the one object of that name, to DIRECTORY,"
            " each under its key relative to PREFIX; a single object to the file DIRECTORY, unless"
            " that is a directory or ends in a slash. A PREFIX that ends in * selects every key"
            " that begins with it. A DIRECTORY of - is standard output, for one object.",
            _get,
            (
                _TRANSFER,
                _FILTERS,
                _DELETION,
                Group("files", (*_fields("download", "fsync gunzip gzip_suffix"), *_LINKS)),
                *(_PARTS, _CACHED_SPEED, _LISTING, _INVENTORY, _S3, _RETRIES, _LOCKING, _OUTPUT),
            ),
        ),
        "copy": Verb(
            "[OPTIONS] s3://BUCKET[/PREFIX]... s3://BUCKET[/PREFIX]",
            "Copy the objects below each PREFIX, or the one object of that name, to the last one,"
            " each under its key relative to its own; a single object to the key that is the last"
            " one, unless that ends in a slash. A PREFIX that ends in * selects every key that"
            " begins with it.",
            _copy,
            (
                _TRANSFER,
                _FILTERS,
                _DELETION,
                _OBJECTS,
                Group("copies", ("objects.directive",)),
                *(_PARTS, _SPEED, _LISTING, _INVENTORY, _S3),
                *(_SOURCE_S3, _DEST_LISTING, _RETRIES, _LOCKING, _OUTPUT),
            ),
        ),
        "move": Verb(
            "[OPTIONS] SOURCE... DEST",
            "Move files to s3://BUCKET[/PREFIX], objects to a DIRECTORY, or objects to"
            " s3://BUCKET[/PREFIX], with the names that put, get and copy give them. Each is"
            " transferred and verified, and then deleted where it came from, unless it has changed"
            " there. What the destination holds already is deleted as well; what could not be"
            " verified is kept, and named.",
            _move,
            (
                Group("transfer", ("dry_run", "exit_code", "choosing.order")),
                _FILTERS,
                _OBJECTS,
                Group("copies", ("objects.directive",)),
                Group("compression", _fields("combined", "gzip gzip_types")),
                *(_PARTS, _SPEED, _LISTING, _S3, _SOURCE_S3, _DEST_LISTING),
                Group("retries and timeouts", (*_TRIES, "speed.worker_timeout")),
                *(_LOCKING, _OUTPUT),
            ),
        ),
        "remove": Verb(
            "[OPTIONS] s3://BUCKET/PREFIX",
            "Delete the objects below PREFIX, or the one object of that name. A PREFIX that ends in"
            " * selects every key that begins with it. An object that was replaced since it was"
            " listed is kept. A bucket with versions keeps them, and gets a delete marker for each"
            " object.",
            _remove,
            (
                Group(
                    "deletion",
                    ("dry_run", "plan", *_fields("deletion", "whole_bucket most"), "exit_code"),
                ),
                _FILTERS,
                *(_SPEED, _LISTING, _INVENTORY, _S3),
                Group("retries and timeouts", (*_TRIES, "speed.worker_timeout")),
                *(_LOCKING, _OUTPUT),
            ),
        ),
        "apply": Verb(
            "[OPTIONS] PLAN",
            "Execute what PLAN says, a file that put, get, copy or remove has written with --plan,"
            " and nothing else: each object only if source and destination are as they were seen"
            " then. What is applied already is skipped, so that an interrupted apply can be"
            " repeated. The options are about this run alone; those of S3 go before what the plan"
            " has.",
            _apply,
            (
                Group("transfer", ("dry_run",)),
                _SPEED,
                Group("S3 (default: as in the plan)", _REACHED),
                *(_SOURCE_S3, _DEST_LISTING),
                Group("retries and timeouts", (*_TRIES, "speed.worker_timeout")),
                *(_LOCKING, _OUTPUT),
            ),
        ),
        "list": Verb(
            "[OPTIONS] s3://BUCKET[/PREFIX]",
            "List the objects below PREFIX, or the one object of that name: time, size, ETag, key."
            " A PREFIX that ends in * selects every key that begins with it.",
            _list,
            (
                _FILTERS,
                *(_LISTING, _S3),
                Group("retries and timeouts", _TRIES),
                Group("output", (*_fields("output", "json summarize"), "combined.quiet")),
            ),
        ),
        "clean": Verb(
            "[OPTIONS] s3://BUCKET[/PREFIX]",
            "Abort the incomplete multipart uploads of the keys below PREFIX, and of the key PREFIX"
            " itself. A PREFIX that ends in * selects every key that begins with it. Uploads that"
            " were started less than a day ago are skipped unless --older-than says otherwise."
            " Objects are never changed.",
            _clean,
            (
                Group(
                    "uploads to abort",
                    ("dry_run", *_fields("choosing", "rules older_than limit fail_if_empty")),
                ),
                _S3,
                Group("retries and timeouts", _TRIES),
                _LOCKING,
                Group("output", (*_VOLUME, *_fields("output", "json journal"))),
            ),
        ),
    }
)
