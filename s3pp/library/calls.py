"""The functions of the library: the arguments of a verb in, what came of it out."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.library.keywords import NO_STREAM, build_job, hide_credentials, with_names
from s3pp.library.listing import Listing
from s3pp.library.options import (
    ApplyOptions,
    CleanOptions,
    CopyOptions,
    DuOptions,
    GetOptions,
    ListOptions,
    MoveOptions,
    PutOptions,
    RemoveOptions,
    RetryOptions,
    VerifyOptions,
)
from s3pp.library.result import PrefixUsage, RunResult, Usage
from s3pp.library.runs import OnEvent, run

if sys.version_info >= (3, 11):
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack

LocalPath = str | os.PathLike[str]
Sources = LocalPath | Iterable[LocalPath] | Mapping[str, LocalPath]
Urls = str | Iterable[str] | Mapping[str, str]


def put(
    sources: Sources,
    dest: str,
    *,
    on_event: OnEvent | None = None,
    **options: Unpack[PutOptions],
) -> RunResult:
    """Upload files: ``s3pp put``.

    ``sources`` are one or several files or directories, ``dest`` is ``s3://BUCKET[/PREFIX]``. In a
    mapping of names to files or directories, each goes to its name below ``dest``.
    ``on_event`` is called in this thread with each record that ``--json`` prints, as a dict.
    ``options`` are those of the command; None is as if not given.

    Raises ``UsageError`` for arguments and places that cannot be used, ``FatalError`` for what
    keeps the run from beginning, ``TypeError`` for unknown keywords. What happens later is in the
    result, and ``check`` of the result raises it.
    """
    hide_credentials("put", options)
    return run(_job("put", sources, _url("dest", dest), options), on_event)


def get(
    sources: Urls,
    directory: LocalPath,
    *,
    on_event: OnEvent | None = None,
    **options: Unpack[GetOptions],
) -> RunResult:
    """Download objects: ``s3pp get``. For arguments and errors see ``put``."""
    hide_credentials("get", options)
    return run(_job("get", sources, _path("directory", directory), options), on_event)


def copy(
    sources: Urls,
    dest: str,
    *,
    on_event: OnEvent | None = None,
    **options: Unpack[CopyOptions],
) -> RunResult:
    """Copy objects from bucket to bucket: ``s3pp copy``. For arguments and errors see ``put``."""
    hide_credentials("copy", options)
    return run(_job("copy", sources, _url("dest", dest), options), on_event)


def move(
    sources: Sources,
    dest: LocalPath,
    *,
    on_event: OnEvent | None = None,
    **options: Unpack[MoveOptions],
) -> RunResult:
    """Move files or objects: ``s3pp move``. For arguments and errors see ``put``.

    Either ``sources`` or ``dest``, or both, are ``s3://BUCKET[/PREFIX]``.
    """
    hide_credentials("move", options)
    return run(_job("move", sources, _path("dest", dest), options), on_event)


def remove(
    place: str, *, on_event: OnEvent | None = None, **options: Unpack[RemoveOptions]
) -> RunResult:
    """Delete objects: ``s3pp remove``. For arguments and errors see ``put``."""
    hide_credentials("remove", options)
    return run(build_job("remove", [_url("place", place)], options), on_event)


def verify(
    place: LocalPath,
    dest: LocalPath | None = None,
    *,
    on_event: OnEvent | None = None,
    **options: Unpack[VerifyOptions],
) -> RunResult:
    """Make sure that what was transferred is there: ``s3pp verify``. For errors see ``put``.

    ``place`` is a journal, or with ``dest`` the source that this is compared with: a path, or
    ``s3://BUCKET[/PREFIX]``. The result counts the verdicts.
    """
    hide_credentials("verify", options)
    places = [_path("place", place), *([] if dest is None else [_path("dest", dest)])]
    return run(build_job("verify", places, options), on_event)


def retry(
    path: LocalPath, *, on_event: OnEvent | None = None, **options: Unpack[RetryOptions]
) -> RunResult:
    """Do the first run of the journal at ``path`` again: ``s3pp retry``. For errors see ``put``.

    What the journal has as done, and has not changed since, is skipped. The result is that of the
    run's own verb: ``put``, ``get`` or ``copy``.
    """
    hide_credentials("retry", options)
    return run(build_job("retry", [_path("path", path)], options), on_event)


def apply(
    plan: LocalPath, *, on_event: OnEvent | None = None, **options: Unpack[ApplyOptions]
) -> RunResult:
    """Transfer what a plan says: ``s3pp apply``. For arguments and errors see ``put``.

    ``plan`` is the file that ``put``, ``get`` or ``copy`` has written with the keyword ``plan``.
    """
    hide_credentials("apply", options)
    return run(build_job("apply", [_path("plan", plan)], options), on_event)


def clean(
    place: str, *, on_event: OnEvent | None = None, **options: Unpack[CleanOptions]
) -> RunResult:
    """Abort incomplete multipart uploads: ``s3pp clean``. For arguments and errors see ``put``."""
    hide_credentials("clean", options)
    return run(build_job("clean", [_url("place", place)], options), on_event)


def list(source: str, **options: Unpack[ListOptions]) -> Listing:
    """List objects: ``s3pp list``, as an iterator of ``S3Object``. For errors see ``Listing``."""
    hide_credentials("list", options)
    return Listing(build_job("list", [_url("source", source)], options))


def du(source: str, **options: Unpack[DuOptions]) -> Usage:
    """Add up the sizes of objects: ``s3pp du``.

    Raises ``RunFailed`` where something may be missing in the sums; for other errors see ``put``.
    """
    hide_credentials("du", options)
    found: deque[PrefixUsage] = deque()

    def take(record: dict[str, Any]) -> None:
        if record["event"] == "prefix":
            found.append(PrefixUsage(record["prefix"], record["objects"], record["bytes"]))

    result = run(build_job("du", [_url("source", source)], options), take).check()
    return Usage(result.done, result.bytes, tuple(found))


def _job(verb: str, sources: Sources, dest: str, options: Mapping[str, object]) -> Job:
    read = _path if verb in ("put", "move") else _url
    if isinstance(sources, Mapping):
        if wrong := [name for name in sources if not isinstance(name, str)]:
            raise TypeError(f"the name of a source must be text, not {wrong[0]!r}")
        places = [read(f"sources[{name!r}]", place) for name, place in sources.items()]
        return with_names(build_job(verb, [*places, dest], options), [*sources])
    several = _several(sources)
    if several is None:
        return build_job(verb, [read("sources", sources), dest], options)
    return build_job(verb, [*(read("each of sources", each) for each in several), dest], options)


def _several(sources: object) -> Iterable[object] | None:
    """Return the sources if they are several; None: it is a single one, or none."""
    if isinstance(sources, Iterable) and not isinstance(sources, str | bytes | os.PathLike):
        return sources
    return None


def _url(argument: str, place: object) -> str:
    if not isinstance(place, str):
        raise TypeError(f"{argument} must be text, s3://BUCKET[/PREFIX], not {place!r}")
    return place


def _path(argument: str, path: object) -> str:
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if isinstance(text, bytes):
        raise TypeError(f"{argument} must be a path, not {text!r}: os.fsdecode makes it text")
    if not isinstance(text, str):
        raise TypeError(f"{argument} must be a path, not {text!r}")
    if text == "-":
        raise UsageError(f"'-' {NO_STREAM}")
    return text
