"""The functions of the library: the arguments of a verb in, what came of it out."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from s3pp.errors import UsageError
from s3pp.library.keywords import NO_STREAM, build_job, with_names
from s3pp.library.listing import Listing
from s3pp.library.options import CleanOptions, CopyOptions, GetOptions, ListOptions, PutOptions
from s3pp.library.result import RunResult
from s3pp.library.runs import OnEvent, run

if sys.version_info >= (3, 11):
    from typing import Unpack
elif TYPE_CHECKING:
    from typing_extensions import Unpack

LocalPath = str | os.PathLike[str]


def put(
    sources: LocalPath | Iterable[LocalPath] | Mapping[str, LocalPath],
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
    names = [*sources] if isinstance(sources, Mapping) else None
    paths = [*_paths(sources.values() if isinstance(sources, Mapping) else sources)]
    job = build_job("put", [*paths, dest], options)
    return run(job if names is None else with_names(job, names), on_event)


def get(
    source: str,
    directory: LocalPath,
    *,
    on_event: OnEvent | None = None,
    **options: Unpack[GetOptions],
) -> RunResult:
    """Download objects: ``s3pp get``. For arguments and errors see ``put``."""
    return run(build_job("get", [source, _path(directory)], options), on_event)


def copy(
    source: str,
    dest: str,
    *,
    on_event: OnEvent | None = None,
    **options: Unpack[CopyOptions],
) -> RunResult:
    """Copy objects from bucket to bucket: ``s3pp copy``. For arguments and errors see ``put``."""
    return run(build_job("copy", [source, dest], options), on_event)


def clean(
    place: str, *, on_event: OnEvent | None = None, **options: Unpack[CleanOptions]
) -> RunResult:
    """Abort incomplete multipart uploads: ``s3pp clean``. For arguments and errors see ``put``."""
    return run(build_job("clean", [place], options), on_event)


def list(source: str, **options: Unpack[ListOptions]) -> Listing:
    """List objects: ``s3pp list``, as an iterator of ``S3Object``. For errors see ``Listing``."""
    return Listing(build_job("list", [source], options))


def _paths(sources: LocalPath | Iterable[LocalPath]) -> Iterator[str]:
    if isinstance(sources, str | bytes | os.PathLike):
        return iter((_path(sources),))
    return map(_path, sources)


def _path(path: LocalPath) -> str:
    text = os.fspath(path)
    if not isinstance(text, str):
        raise TypeError(f"a path must be text, not {text!r}: os.fsdecode makes it so")
    if text == "-":
        raise UsageError(f"'-' {NO_STREAM}")
    return text
