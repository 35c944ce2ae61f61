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

from s3pp.args import arguments, building, configuration
from s3pp.args.parser import Group, Parser, VerbParser, add_groups
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.option import OPTIONS, long_name


class Verb(NamedTuple):
    """The command line of a verb."""

    usage: str
    about: str
    read: Callable[[Sequence[str]], Job]  # its arguments; ``UsageError`` where they name no job
    groups: tuple[Group, ...]


# The options that are set for a verb besides those of a command line, by the paths of fields.
DefaultsOf = Callable[[str], Mapping[str, Any]]


def build_job(verb: str, argv: Sequence[str]) -> Job:
    """Build the job that a command line alone describes, without side effects.

    Raises ``UsageError``, and ``HelpRequested`` for ``--help`` and ``--version``.
    """
    named, given = parser(verb).parse(argv)
    configuration.take_configuration(given)
    return job_of(verb, named, given)


def job_of(
    verb: str,
    named: Sequence[str],
    given: Mapping[str, Any],
    withheld: DefaultsOf = lambda _: {},
) -> Job:
    """Build the job of arguments and options, ``given`` by their paths. Raises ``UsageError``.

    A value of None is as if not given. ``withheld`` is asked for what the journal of a retry lacks.
    """
    job = VERBS[verb].read(named)
    if verb == "retry":
        from s3pp.args.retrying import retry_job  # which builds the job of another verb

        return retry_job(job.choosing.retry_from[0], given, withheld)
    given = {path: value for path, value in given.items() if value is not None}
    if job.moves or job.verifies:
        _check_applicable(job, given)
    built = building.build(job, given)
    if not built.output.keeps_facts:
        return built
    return _with_invocation(built, verb, named, given)


def _with_invocation(job: Job, verb: str, named: Sequence[str], given: Mapping[str, Any]) -> Job:
    """Return ``job`` with what its journal says of how it was called."""
    from s3pp.args.invocation import invocation  # what few runs need

    declared = building.declared_fields()
    paths = {path: declared[path] for group in VERBS[verb].groups for path in group.fields}
    called = invocation(verb, named, given, job=job, paths=paths)
    return replace(job, output=replace(job.output, invocation=called))


def parser(verb: str) -> Parser:
    """Create the parser for a verb's command line."""
    usage, about, _, groups = VERBS[verb]
    made = VerbParser(verb, usage, about)
    made.add_argument("arguments", nargs="*", help=SUPPRESS)  # the usage line shows them
    declared = {**building.declared_fields(), **configuration.configuration_fields()}
    add_groups(made, (*groups, configuration.GROUP), declared=declared, verb=verb)
    return made


_KINDS = MappingProxyType({"put": "files", "get": "objects", "copy": "objects"})
_ENDS = MappingProxyType({"put": "a bucket", "get": "a directory", "copy": "a bucket"})


def _check_applicable(job: Job, given: Mapping[str, Any]) -> None:
    """Refuse options that have no effect on what a move moves, or a verify compares."""
    declared = building.declared_fields()
    for path in given.keys() - applicable_paths(job):
        if options := declared[path].metadata.get(OPTIONS):  # credentials have none
            flag = long_name(options[0])
            raise UsageError(f"--{flag} has no effect on {_describe(job)}: leave it out")


def applicable_paths(job: Job) -> set[str]:
    """The fields of the options that have an effect on what a move moves, or a verify compares."""
    return {path for group in _applicable(job) for path in group.fields}


def _applicable(job: Job) -> tuple[Group, ...]:
    if job.verified is not None:
        return (*_OF_JOURNALS, _DEEP, _PART_SIZE)
    return (*VERBS[job.verb].groups, *((_VERIFICATION,) if job.verifies else ()))


def _describe(job: Job) -> str:
    if job.verified is not None:
        return "a JOURNAL that is verified"
    how = "moved to" if job.moves else "compared with"
    return f"{_KINDS[job.verb]} that are {how} {_ENDS[job.verb]}"


def _fields(section: str, names: str) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names.split())


_NAMES = _fields(
    "choosing",
    "rules newer_than older_than min_size max_size limit files_from null shard fail_if_empty",
)
_LINKS = ("choosing.follow_symlinks",)
_TRIES = _fields(
    "access", "max_attempts max_throttled connect_timeout read_timeout request_timeout"
)
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
_CLUSTER = Group("cluster", _fields("cluster", "dask security send_credentials send_unencrypted"))
_RATES = Group("rate limits", _fields("speed", "max_bandwidth max_requests"))
_CACHED_SPEED = _SPEED._replace(fields=(*_SPEED.fields, "speed.etag_cache"))
_LISTING = Group("listing", ("speed.listers",))
_INVENTORY = Group("inventory", ("choosing.manifest",))
_DEST_LISTING = Group("listing the destination", ("combined.list_profile",))
_DEEP = Group("verification", ("verification.deep",))
_VERIFICATION = Group("verification", (*_DEEP.fields, "verification.one_way", "compare"))
_PART_SIZE = Group("large objects", ("parts.size",))
_REACHED = (
    *_fields("access", "endpoint_url region profile sign request_payer"),
    *_fields("access", "addressing ca_bundle verify_ssl"),
    "combined.secure",
)
REACHED_PATHS = frozenset(_REACHED)  # of how a store is reached
_S3 = Group("S3", (*_REACHED, "sandbox"))
_REACHED_S3 = Group("S3", _REACHED)
_SOURCE_S3 = Group(
    "the source's S3 (default: as above)",
    _fields("combined", "source_endpoint_url source_region source_profile"),
)
_RETRIES = Group("retries and timeouts", (*_TRIES, "speed.worker_timeout", "choosing.retry_from"))
_LOCKING = Group("runs at the same time", _fields("locking", "lock wait if_locked"))
_VERIFY_RETRIES = Group("retries and timeouts", (*_TRIES, "speed.worker_timeout"))
_WRITTEN = _fields("output", "report metrics")
_PRINTED = _fields("output", "json progress precount journal log_file")
_OUTPUT = Group("output", (*_VOLUME, *_PRINTED, *_WRITTEN))
# Those of a verify that are not about SOURCE and DEST.
_OF_JOURNALS = (_SPEED, _RATES, _REACHED_S3, _VERIFY_RETRIES, _LOCKING, _OUTPUT)

VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "put": Verb(
            "[OPTIONS] SOURCE... s3://BUCKET[/PREFIX]",
            "Upload the contents of each SOURCE, a directory or a file, to PREFIX, each file under"
            " its path relative to SOURCE, or under its base name. A single file is uploaded to the"
            " key PREFIX itself, unless that ends in a slash. A SOURCE of - is standard input, "
            "which becomes the object whose key is PREFIX.",
            arguments.read_put,
            (
                _TRANSFER,
                _FILTERS,
                _DELETION,
                Group("source", ("walk", *_LINKS)),
                _OBJECTS,
                Group("compression", _fields("combined", "gzip gzip_types")),
                *(_PARTS, _CACHED_SPEED, _CLUSTER, _RATES),
                *(_S3, _DEST_LISTING, _RETRIES, _LOCKING, _OUTPUT),
            ),
        ),
        "get": Verb(
            "[OPTIONS] s3://BUCKET[/PREFIX]... DIRECTORY",
            "Download the objects below each PREFIX, or the one object of that name, to DIRECTORY,"
            " each under its key relative to PREFIX; a single object to the file DIRECTORY, unless"
            " that is a directory or ends in a slash. A PREFIX that ends in * selects every key"
            " that begins with it. A DIRECTORY of - is standard output, for one object.",
            arguments.read_get,
            (
                _TRANSFER,
                _FILTERS,
                _DELETION,
                Group(
                    "files", (*_fields("download", "fsync gunzip max_ratio gzip_suffix"), *_LINKS)
                ),
                *(_PARTS, _CACHED_SPEED, _CLUSTER, _RATES, _LISTING, _INVENTORY),
                *(_S3, _RETRIES, _LOCKING, _OUTPUT),
            ),
        ),
        "copy": Verb(
            "[OPTIONS] s3://BUCKET[/PREFIX]... s3://BUCKET[/PREFIX]",
            "Copy the objects below each PREFIX, or the one object of that name, to the last one,"
            " each under its key relative to its own; a single object to the key that is the last"
            " one, unless that ends in a slash. A PREFIX that ends in * selects every key that"
            " begins with it.",
            arguments.read_copy,
            (
                _TRANSFER,
                _FILTERS,
                _DELETION,
                _OBJECTS,
                Group("copies", ("objects.directive",)),
                *(_PARTS, _SPEED, _CLUSTER, _RATES, _LISTING, _INVENTORY, _S3),
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
            arguments.read_move,
            (
                Group("transfer", ("dry_run", "exit_code", "choosing.order")),
                _FILTERS,
                _OBJECTS,
                Group("copies", ("objects.directive",)),
                Group("compression", _fields("combined", "gzip gzip_types")),
                *(_PARTS, _SPEED, _CLUSTER, _RATES, _LISTING, _S3, _SOURCE_S3, _DEST_LISTING),
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
            arguments.read_remove,
            (
                Group(
                    "deletion",
                    ("dry_run", "plan", *_fields("deletion", "whole_bucket most"), "exit_code"),
                ),
                _FILTERS,
                *(_SPEED, _CLUSTER, _RATES, _LISTING, _INVENTORY, _S3),
                Group("retries and timeouts", (*_TRIES, "speed.worker_timeout")),
                *(_LOCKING, _OUTPUT),
            ),
        ),
        "verify": Verb(
            "[OPTIONS] JOURNAL | SOURCE DEST",
            "Make sure that what was transferred is there. Of a JOURNAL, which put, get, copy or"
            " move has written with --journal: each object that it calls done, at its destination."
            " Or SOURCE and DEST, which are named as for put, get or copy, and compared as an"
            " update compares them. Nothing is changed. What is missing, differs, or cannot be"
            " decided without reading its bytes (--deep) is named, and makes the exit code 1.",
            arguments.read_verify,
            (
                _VERIFICATION,
                _FILTERS,
                Group("source", _LINKS),
                Group(
                    "compression",
                    (*_fields("combined", "gzip gzip_types"), "download.gunzip"),
                ),
                *(_PART_SIZE, _SPEED, _CLUSTER, _RATES, _LISTING),
                *(_REACHED_S3, _SOURCE_S3, _DEST_LISTING, _VERIFY_RETRIES, _LOCKING, _OUTPUT),
            ),
        ),
        "retry": Verb(
            "[OPTIONS] JOURNAL",
            "Do the first run of JOURNAL again, a file that put, get or copy has written with"
            " --journal: with its arguments and options, in its working directory, as --retry-from"
            " JOURNAL, and appending to it. What is done and has not changed since is skipped"
            " without a request. An option that is given replaces that of the journal; what is not"
            " in there, as it may be secret, has to be given again.",
            arguments.read_retry,
            (
                Group("transfer", ("dry_run",)),
                Group(
                    "what the journal may lack",
                    (
                        *_fields("combined", "headers metadata"),
                        *_fields("choosing", "files_from null"),
                    ),
                ),
                *(_SPEED, _CLUSTER, _RATES, _LISTING),
                Group("S3 (default: as in the journal)", _REACHED),
                *(_SOURCE_S3, _DEST_LISTING),
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
            arguments.read_apply,
            (
                Group("transfer", ("dry_run",)),
                *(_SPEED, _CLUSTER, _RATES),
                Group("S3 (default: as in the plan)", _REACHED),
                *(_SOURCE_S3, _DEST_LISTING),
                Group("retries and timeouts", (*_TRIES, "speed.worker_timeout")),
                *(_LOCKING, _OUTPUT),
            ),
        ),
        "list": Verb(
            "[OPTIONS] s3://BUCKET[/PREFIX] | --buckets",
            "List the objects below PREFIX, or the one object of that name: time, size, ETag, key."
            " A PREFIX that ends in * selects every key that begins with it. With --delimiter /"
            " only one level, and with --buckets the buckets.",
            arguments.read_list,
            (
                Group("what is listed", _fields("listing", "delimiter buckets")),
                _FILTERS,
                *(_RATES, _LISTING, _S3),
                Group("retries and timeouts", _TRIES),
                Group(
                    "output",
                    (
                        *_fields("output", "json summarize progress"),
                        *("listing.human_readable", "combined.quiet"),
                    ),
                ),
            ),
        ),
        "du": Verb(
            "[OPTIONS] s3://BUCKET[/PREFIX]",
            "Add up the sizes of the objects below PREFIX, or of the one object of that name:"
            " bytes, objects, and the place; with --depth also of each prefix below it, before the"
            " sum of all. A PREFIX that ends in * selects every key that begins with it.",
            arguments.read_du,
            (
                Group("what is added up", _fields("listing", "depth delimiter")),
                _FILTERS,
                *(_RATES, _LISTING, _S3),
                Group("retries and timeouts", _TRIES),
                Group(
                    "output",
                    (
                        *_fields("output", "json progress"),
                        "listing.human_readable",
                        "combined.quiet",
                    ),
                ),
            ),
        ),
        "clean": Verb(
            "[OPTIONS] s3://BUCKET[/PREFIX]",
            "Abort the incomplete multipart uploads of the keys below PREFIX, and of the key PREFIX"
            " itself. A PREFIX that ends in * selects every key that begins with it. Uploads that"
            " were started less than a day ago are skipped unless --older-than says otherwise."
            " Objects are never changed.",
            arguments.read_clean,
            (
                Group(
                    "uploads to abort",
                    ("dry_run", *_fields("choosing", "rules older_than limit fail_if_empty")),
                ),
                *(_RATES, _S3),
                Group("retries and timeouts", _TRIES),
                _LOCKING,
                Group("output", (*_VOLUME, *_fields("output", "json progress journal"), *_WRITTEN)),
            ),
        ),
    }
)
