"""Which options of files and variables hold beside a command line.

The command line wins: what it gives replaces a default, and so is a default left out that it leaves
without use, or contradicts. A command line alone would be refused then, but nobody has given the
option with it: ``max-delete`` as a default must not keep ``s3pp put`` without ``--delete`` from
running. Where two defaults contradict each other, the user has to decide.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from s3pp.args.building import declared_fields
from s3pp.args.defaults import Setting
from s3pp.args.verbs import REACHED_PATHS, applicable_paths
from s3pp.cluster import LOCAL
from s3pp.job import Job, Mode

State = Callable[[str], Any]  # the value of an option that is in force, by its path
Given = Mapping[str, Any]
Settings = Mapping[str, Setting]

_ABOUT_SOURCE = ("source_endpoint_url", "source_region", "source_profile")
_SOURCE = frozenset(f"combined.{name}" for name in _ABOUT_SOURCE)
# What a server in memory decides itself.
_NOT_OF_SANDBOX = frozenset(
    {
        *("access.endpoint_url", "access.profile", "access.sign", "access.addressing"),
        *("combined.secure", "combined.list_profile", "plan", "cluster.dask", *_SOURCE),
    }
)
# What one stream has no use for, besides every filter.
_NOT_OF_STREAMS = frozenset(
    {
        *("walk", "plan", "download.fsync", "download.gzip_suffix", "speed.etag_cache"),
        *("objects.rules_file", "combined.list_profile", "cluster.dask"),
    }
)
# Of two options the one that is given leaves the other out.
_RIVALS = (
    ("combined.verbose", "combined.quiet"),
    ("access.ca_bundle", "access.verify_ssl"),
    ("download.gunzip", "download.gzip_suffix"),
    ("download.gunzip", "compare"),
    ("combined.gzip", "compare"),
    ("verification.deep", "compare"),
    ("verification.deep", "combined.gzip"),
    ("verification.deep", "download.gunzip"),
    ("choosing.files_from", "choosing.manifest"),
    ("choosing.min_size", "choosing.max_size"),
    ("choosing.newer_than", "choosing.older_than"),
    ("choosing.fail_if_empty", "deletion.from_empty"),
    ("combined.secure", "access.endpoint_url"),
    ("combined.secure", "combined.source_endpoint_url"),
    ("access.sign", "combined.list_profile"),
    ("walk", "cluster.dask"),
    ("plan", "walk"),
    ("plan", "mode"),
    ("listing.delimiter", "choosing.files_from"),
    *(
        ("listing.buckets", path)
        for path in (
            *("choosing.rules", "choosing.newer_than", "choosing.older_than", "choosing.min_size"),
            *("choosing.max_size", "choosing.files_from", "choosing.null", "sandbox"),
            "listing.delimiter",
        )
    ),
)


def _deletes(state: State) -> bool:
    return bool(state("deletion.extraneous"))


def _replaces(state: State) -> bool:
    return bool(state("objects.directive") == "replace")


_OF_CLUSTERS = ("cluster.security", "cluster.send_credentials", "cluster.send_unencrypted")


def _is_elsewhere(state: State) -> bool:
    return not (state("cluster.dask") or LOCAL).startswith(LOCAL)


# What an option is for: without that it has no use.
_NEEDS: Mapping[str, Callable[[State], bool]] = MappingProxyType(
    {
        "deletion.from_empty": _deletes,
        "deletion.excluded": _deletes,
        "locking.wait": lambda state: state("locking.lock") is not None,
        "locking.if_locked": lambda state: state("locking.lock") is not None,
        "combined.gzip_types": lambda state: bool(state("combined.gzip")),
        "objects.sse_kms_key_id": lambda state: bool(state("objects.sse") == "aws:kms"),
        "download.max_ratio": lambda state: bool(state("download.gunzip")),
        "choosing.null": lambda state: state("choosing.files_from") is not None,
        "choosing.follow_symlinks": lambda state: bool(state("walk") != "tar"),
        "speed.etag_cache": lambda state: bool(state("walk") != "tar"),
        **dict.fromkeys(_OF_CLUSTERS, _is_elsewhere),
        "compare": lambda state: state("mode") is Mode.UPDATE,
        "combined.list_profile": lambda state: state("mode") is not Mode.STUPID,
        "exit_code": lambda state: bool(
            state("dry_run") or state("plan") or state("mode") is Mode.ADD
        ),
    }
)
# Likewise, of a copy and of no other transfer.
_NEEDS_OF_COPIES = dict.fromkeys(
    ("combined.content_type", "combined.headers", "combined.metadata"), _replaces
)


def applicable_defaults(job: Job, given: Given, defaults: Settings) -> dict[str, Setting]:
    """Return those of ``defaults`` that hold beside the options ``given`` for ``job``.

    ``job`` is of the arguments alone; a value of None in ``given`` takes a default back.
    """
    useless = _useless(job, given)
    kept = {
        path: setting
        for path, setting in defaults.items()
        if path not in given and path not in useless and not _is_journal(job, path, setting)
    }
    state = _state(given, kept)
    needs = {**_needs_of_verb(job), **_NEEDS}
    return {
        path: setting for path, setting in kept.items() if path not in needs or needs[path](state)
    }


def _useless(job: Job, given: Given) -> set[str]:
    """The paths of options that have no effect on what the command line says."""
    found = {other for rivals in _RIVALS for other in rivals if _is_given(given, rivals)}
    if job.moves or job.verifies:
        found |= declared_fields().keys() - applicable_paths(job)
    if job.applies is not None or job.verified is not None:
        found |= REACHED_PATHS | _SOURCE  # as the plan, or the journal, has them
    if job.is_stream:
        found |= _NOT_OF_STREAMS | _of_sections("choosing.", "deletion.")
    if given.get("sandbox"):
        found |= _NOT_OF_SANDBOX
    elif _is_given(given, tuple(_NOT_OF_SANDBOX)):
        found.add("sandbox")
    return found


def _is_given(given: Given, paths: tuple[str, ...]) -> bool:
    return any(given.get(path) is not None for path in paths)


def _of_sections(*sections: str) -> set[str]:
    return {path for path in declared_fields() if path.startswith(sections)}


def _needs_of_verb(job: Job) -> Mapping[str, Callable[[State], bool]]:
    found: dict[str, Callable[[State], bool]] = {}
    if job.verb == "copy":
        found |= _NEEDS_OF_COPIES
    if job.verb != "remove":
        found["deletion.most"] = _deletes
    return found


def _is_journal(job: Job, path: str, setting: Setting) -> bool:
    """Whether it is the journal that is verified, which nothing is appended to."""
    if path != "output.journal" or job.verified is None:
        return False
    return os.path.realpath(str(setting.value)) == os.path.realpath(job.verified)


def _state(given: Given, kept: Settings) -> State:
    declared = declared_fields()

    def value(path: str) -> Any:
        if given.get(path) is not None:
            return given[path]
        return kept[path].value if path in kept else declared[path].default

    return value
