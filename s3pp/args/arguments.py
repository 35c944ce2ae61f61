"""The arguments of each verb: sources and destinations become a ``Job``, without its options.

Every function raises ``UsageError`` for arguments that name no job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from s3pp.args import values
from s3pp.args.values import check_no_stream
from s3pp.body_options import DownloadOptions
from s3pp.errors import UsageError
from s3pp.job import STREAM, Choosing, Job
from s3pp.places import Source

_LISTED = "list needs one source, s3://BUCKET[/PREFIX]"


def read_put(arguments: Sequence[str]) -> Job:
    """Files, or standard input, and where they are uploaded to."""
    *sources, dest = arguments or [""]
    _require(len(sources) > 0, "put needs a SOURCE and a destination, s3://BUCKET[/PREFIX]")
    if STREAM in sources:
        _require(
            len(sources) == 1, "put - sends standard input as one object: name no other SOURCE"
        )
        return Job("put", sources=(Source(STREAM),), dest=values.exact_dest(dest))
    named = tuple(values.source(text) for text in sources)
    return Job("put", sources=named, dest=values.dest(dest))


def read_get(arguments: Sequence[str]) -> Job:
    """Objects, and the directory, or standard output, that they are downloaded to."""
    *sources, directory = arguments or [""]
    _require(len(sources) > 0, "get needs a source, s3://BUCKET[/PREFIX], and a DIRECTORY")
    if directory == STREAM:
        _require(len(sources) == 1, "get to - writes one object: name no other source")
        return Job("get", origins=(values.exact_origin(sources[0]),), directory=STREAM)
    origins = tuple(map(values.origin, sources))
    return Job("get", origins=origins, directory=values.directory(directory))


def read_copy(arguments: Sequence[str]) -> Job:
    """Objects, and where they are copied to."""
    *sources, dest = arguments or [""]
    needed = "copy needs a source and a destination, both s3://BUCKET[/PREFIX]"
    _require(len(sources) > 0, needed)
    return Job("copy", origins=tuple(map(values.origin, sources)), dest=values.dest(dest))


def read_remove(arguments: Sequence[str]) -> Job:
    """What is removed."""
    _require(len(arguments) == 1, "remove needs one place, s3://BUCKET/PREFIX")
    return Job("remove", origins=(values.origin(_below(arguments[0])),))


def _below(place: str) -> str:
    """Write ``s3://b/p/`` as ``s3://b/p/*``, which never means the object ``p``.

    Where everything below it is deleted, the same command given again must find nothing.
    """
    return f"{place}*" if place.endswith("/") else place


def read_move(arguments: Sequence[str]) -> Job:
    """What is moved, and where to."""
    *sources, dest = arguments or [""]
    needed = "move needs a source and a destination, of which one or both are s3://BUCKET[/PREFIX]"
    _require(len(sources) > 0, needed)
    _require(STREAM not in arguments, "move has no use for '-', a standard stream: name a place")
    remote = [each.startswith("s3://") for each in sources]
    _require(len(set(remote)) == 1, "move takes files or objects: name sources of one kind")
    _require(remote[0] or dest.startswith("s3://"), needed)
    if not remote[0]:
        # What links lead to would have to be deleted through them.
        return replace(read_put(arguments), moves=True, choosing=Choosing(follow_symlinks=False))
    arguments = [*map(_below, sources), dest]
    job = read_copy(arguments) if dest.startswith("s3://") else read_get(arguments)
    _require(len(job.buckets) == 1, "move takes the objects of one bucket at a time")
    # Or what the disk has not yet might be lost where the machine goes down.
    return replace(job, moves=True, download=DownloadOptions(fsync=True))


def read_verify(arguments: Sequence[str]) -> Job:
    """The journal, or the two ends, that are verified."""
    needed = (
        "verify needs a JOURNAL, or a SOURCE and a DEST, of which one or both are"
        " s3://BUCKET[/PREFIX]"
    )
    _require(STREAM not in arguments, "verify has no use for '-', a standard stream: name a place")
    if len(arguments) == 1:
        _require(not arguments[0].startswith("s3://"), f"{needed}: only one place is named")
        return Job("verify", verifies=True, verified=values.path(arguments[0]))
    _require(len(arguments) == 2, needed)
    source, dest = arguments
    if source.startswith("s3://"):
        job = (read_copy if dest.startswith("s3://") else read_get)(arguments)
    else:
        _require(dest.startswith("s3://"), needed)
        job = read_put(arguments)
    return replace(job, verifies=True)


def read_list(arguments: Sequence[str]) -> Job:
    """What is listed."""
    if not arguments:  # which --buckets has no use for
        return Job("list")
    _require(len(arguments) == 1, f"{_LISTED}: {len(arguments)} are named")
    if arguments[0] in ("s3://", "s3:"):
        raise UsageError(f"{_LISTED}; list --buckets lists the buckets")
    return Job("list", origins=(values.origin(arguments[0]),))


def read_du(arguments: Sequence[str]) -> Job:
    """What is added up."""
    _require(len(arguments) == 1, "du needs one source, s3://BUCKET[/PREFIX]")
    return Job("du", origins=(values.origin(arguments[0]),))


def read_clean(arguments: Sequence[str]) -> Job:
    """Where uploads are aborted."""
    _require(len(arguments) == 1, "clean needs one place, s3://BUCKET[/PREFIX]")
    return Job("clean", origins=(values.origin(arguments[0]),))


def read_retry(arguments: Sequence[str]) -> Job:
    """The journal of the run that is retried, whose job ``retrying`` finds there."""
    _require(len(arguments) == 1, "retry needs one JOURNAL, a FILE that --journal has written")
    check_no_stream(arguments[0], "JOURNAL", "it is read twice")
    return Job("retry", choosing=Choosing(retry_from=(values.path(arguments[0]),)))


def read_apply(arguments: Sequence[str]) -> Job:
    """The plan that is applied."""
    _require(len(arguments) == 1, "apply needs one PLAN, a FILE that --plan has written")
    check_no_stream(arguments[0], "PLAN", "its end is looked at first")
    return Job("apply", applies=values.path(arguments[0]))


def _require(met: bool, needed: str) -> None:
    if not met:
        raise UsageError(needed)
