"""The first line of a plan: the places and the settings of its job, as ``apply`` needs them.

What concerns the machine alone is not in it, such as processes, limits and logs. Neither are
credentials, which are found anew: of these a plan has no more than the name of a profile.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from datetime import datetime, timezone
from typing import Any, TypeVar

from s3pp import __version__
from s3pp.access import Access, Grant
from s3pp.attributes import ObjectRule, Objects
from s3pp.body_options import DownloadOptions, Parts
from s3pp.deletion import Deletion
from s3pp.errors import UsageError
from s3pp.job import Choosing, Compare, Job
from s3pp.places import Origin, Place, Source, Stores
from s3pp.shard import Shard

VERSION = 1  # of the format
VERBS = ("put", "get", "copy", "remove")
# What of ``Access`` is in a plan: where the store is, and not how long to try.
_REACHED = (
    *("endpoint_url", "region", "profile", "sign", "request_payer", "addressing", "ca_bundle"),
    *("verify_ssl", "secure", "own_settings"),
)

S = TypeVar("S")


def settings_of(job: Job) -> dict[str, Any]:
    """Return the first line of a plan of ``job``, which is known to its end: with its stores."""
    return {
        "plan": VERSION,
        "s3pp": __version__,
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "verb": job.verb,
        "sources": [[os.path.abspath(each.path), each.name] for each in job.sources],
        "origins": [asdict(each) for each in job.origins],
        "directory": os.path.abspath(job.directory) if job.directory else "",
        "dest": [job.dest.bucket, job.dest.prefix],
        "stores": list(job.stores),
        "mode": job.mode.value,  # for those who read it: the lines have what it has decided
        "compare": job.compare.value,
        "follow_symlinks": job.choosing.follow_symlinks,
        "shard": _encode_shard(job.choosing.shard),
        "delete": job.deletion.extraneous,
        "objects": _encode_objects(job.objects),
        "download": _encode(job.download),
        "parts": _encode(job.parts),
        "access": _encode_access(job.access),
        "source_access": _encode_access(job.source_access),
        "listing_access": _encode_access(job.listing_access),
    }


def planned_job(job: Job, settings: Mapping[str, Any]) -> Job:
    """Return the job that applies a plan with these ``settings``.

    ``job`` has what the user gives for this run; it goes before the plan's. Raises ``UsageError``.
    """
    if settings.get("plan") != VERSION:
        raise UsageError(f"its format is {settings.get('plan')!r}, and this version has {VERSION}")
    try:
        return _planned_job(job, settings)
    except KeyError as error:
        raise UsageError(f"its first line is not as it was written: it lacks {error}") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"its first line is not as it was written: {error}") from None


def _planned_job(job: Job, settings: Mapping[str, Any]) -> Job:
    verb = settings["verb"]
    if verb not in VERBS:
        raise ValueError(f"there is no plan of {verb!r}")
    objects = _decode_objects(settings["objects"])
    own = _decode(Access, settings["access"])
    return replace(
        job,
        verb=verb,
        sources=tuple(Source(*_source(each)) for each in settings["sources"]),
        origins=tuple(_decode(Origin, each) for each in settings["origins"]),
        directory=_text(settings["directory"]),
        dest=_place(settings["dest"]),
        stores=Stores(*map(_text, settings["stores"])),
        compare=Compare(settings["compare"]),
        choosing=Choosing(
            follow_symlinks=_flag(settings["follow_symlinks"]), shard=_shard(settings.get("shard"))
        ),
        deletion=Deletion(extraneous=_flag(settings["delete"]) is True),
        objects=objects,
        download=_decode(DownloadOptions, settings["download"]),
        parts=_decode(Parts, settings["parts"]),
        access=_override(own, job.access),
        source_access=_side(own, settings["source_access"], job.source_access),
        listing_access=_side(own, settings["listing_access"], job.listing_access),
    )


def _encode_shard(shard: Shard | None) -> list[int] | None:
    return None if shard is None else [shard.number, shard.count]


def _shard(value: object) -> Shard | None:
    """Return what was planned, to be named: which keys it has is decided."""
    match value:
        case None:
            return None
        case [int(number), int(count)] if 1 <= number <= count:
            return Shard(number, count)
    raise ValueError(f"{value!r} is no shard")


def _side(own: Access, planned: object, given: Access | None) -> Access | None:
    """Return how another bucket than the destination is reached; None: as that."""
    if planned is None and given is None:
        return None
    base = own if planned is None else _decode(Access, planned)
    return base if given is None else _override(base, given)


def _override(planned: Access, given: Access) -> Access:
    """Return ``planned`` with what the user gives for this run."""
    usual = Access()
    changed = {
        each.name: getattr(given, each.name)
        for each in fields(Access)
        if getattr(given, each.name) != getattr(usual, each.name)
    }
    return replace(planned, **changed)


def _encode_access(access: Access | None) -> dict[str, Any] | None:
    if access is None:
        return None
    return {name: value for name, value in _encode(access).items() if name in _REACHED}


def _encode(section: Any) -> dict[str, Any]:
    """Return the fields of a section that are not as by default."""
    return {
        each.name: _plain(getattr(section, each.name))
        for each in fields(section)
        if getattr(section, each.name) != each.default
    }


def _encode_objects(objects: Objects) -> dict[str, Any]:
    """Return as ``_encode`` does, with the rules of ``--rules``, which may be others by then."""
    plain = _encode(replace(objects, rules=(), rules_file=None))
    rules = [
        [[*rule.patterns], rule.file, rule.line, _encode_objects(rule.objects)]
        for rule in objects.rules
    ]
    return {**plain, "rules": rules} if rules else plain


def _decode_objects(given: object) -> Objects:
    if not isinstance(given, dict):
        raise TypeError(f"objects are {given!r}")
    plain = {name: value for name, value in given.items() if name != "rules"}
    rules = tuple(_decode_rule(*each) for each in given.get("rules", ()))
    objects = _decode(Objects, plain)
    return replace(objects, rules=rules, grants=tuple(Grant(*each) for each in objects.grants))


def _decode_rule(patterns: object, file: object, line: object, objects: object) -> ObjectRule:
    if not isinstance(patterns, list) or not isinstance(line, int):
        raise TypeError(f"a rule is {patterns!r}, {line!r}")
    return ObjectRule(tuple(map(_text, patterns)), _decode_objects(objects), _text(file), line)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value


def _decode(kind: type[S], given: object) -> S:
    """Return a section from its fields. Raises ``TypeError`` and ``ValueError``."""
    if not isinstance(given, dict):
        raise TypeError(f"{kind.__name__} is {given!r}")
    usual = {each.name: each.default for each in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(given) - set(usual)):
        raise ValueError(f"there is no setting {unknown[0]!r}")
    return kind(**{name: _value(name, usual[name], value) for name, value in given.items()})


def _value(name: str, usual: object, given: object) -> object:
    """Return the value of a field whose default is ``usual``."""
    if isinstance(usual, (tuple, frozenset)):
        if not isinstance(given, list):
            raise TypeError(f"{name} is {given!r}")
        return type(usual)(_member(each) for each in given)
    fits = type(given) is type(usual) if isinstance(usual, (bool, int, str)) else True
    if not fits or not isinstance(given, (str, int, float, type(None))):
        raise ValueError(f"{name} is {given!r}")
    return given


def _member(given: object) -> object:
    return tuple(map(_text, given)) if isinstance(given, list) else _text(given)


def _source(given: object) -> tuple[str, str | None]:
    if not isinstance(given, list) or len(given) != 2:
        raise ValueError(f"a source is {given!r}")
    path, name = given
    return _text(path), None if name is None else _text(name)


def _place(given: object) -> Place:
    bucket, prefix = _source(given)
    return Place(bucket, prefix or "")


def _text(given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{given!r} is not text")
    return given


def _flag(given: object) -> bool | None:
    if given not in (True, False, None):
        raise ValueError(f"{given!r} is neither true nor false")
    return given
