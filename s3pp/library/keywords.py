"""Keywords: the options of a verb, with values of Python's.

::

    newer_than=timedelta(days=7) ──▶ "604800.000000s" ──reader of --newer-than──▶ a field of ``Job``

A value is first spelt as on a command line, and then read by the function that reads it there, so
that the library and the command accept and refuse the same.
"""

from __future__ import annotations

import difflib
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from s3pp.access import Keys
from s3pp.args import building
from s3pp.args.invocation import SEPARATORS, SOURCES
from s3pp.args.parser import reader_of
from s3pp.args.verbs import VERBS, job_of
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.option import OPTIONS, Option, Value, long_name

_CALL = "calls read no files of options: give the keywords"
_PRINTED = "nothing is printed: on_event gets every record"
# Options that only a command has, and what a caller does instead.
COMMAND_ONLY: Mapping[str, str] = MappingProxyType(
    {
        "verbose": _PRINTED,
        "quiet": _PRINTED,
        "json": _PRINTED,
        "progress": _PRINTED,
        "precount": _PRINTED,
        "human_readable": _PRINTED,
        "buckets": "it lists the objects of one",
        "summarize": "add up the sizes of the objects",
        "exit_code": "look at the result's done",
        "config": _CALL,
        "preset": _CALL,
    }
)

# The fields of a list of names: the path of a file, or the names.
FILES_FROM, NAMES = "choosing.files_from", "choosing.names"
NO_STREAM = "is a standard stream, which only a command has: './-' is the file of that name"

# What a reader takes besides text, by its name.
_NUMBER, _TIME = (int,), (int, float, timedelta)
_ACCEPTED: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {
        "whole": _NUMBER,
        "max_delete": _NUMBER,
        "size": _NUMBER,
        "part_size": _NUMBER,
        "max_bandwidth": _NUMBER,
        "max_requests": _NUMBER,
        "seconds": _TIME,
        "lock_wait": _TIME,
        "moment": (*_TIME, date),  # a datetime is a date
        "path": (os.PathLike,),
    }
)


class Keyword(NamedTuple):
    """A keyword argument: the option without dashes, and the field that it sets.

    That of an option without a value is a bool, named by what is true: ``resume`` is False where
    the option is ``--no-resume``.
    """

    name: str
    path: str  # of ``building.declared_fields``
    option: Option
    repeated: bool

    @property
    def value(self) -> Value | None:
        """What the option takes; None: a bool."""
        return self.option.value


def hide_credentials(verb: str, keywords: object) -> None:
    """Replace credentials in the keywords of a call, so that no traceback of it can show them.

    They become ``Keys``. What cannot be credentials, and values of keywords that do not exist,
    which may be misspelt, are replaced too: ``build_job`` refuses them without their value.
    """
    assert isinstance(keywords, dict)  # of the call alone: Python makes one for each
    known = keywords_of(verb)
    for name in keywords.keys() - known:
        keywords[name] = _as_keys(keywords[name])


def _as_keys(value: object) -> object:
    match value:
        case None | Keys():
            return value
        case (str(access_key), str(secret_key)):
            return Keys(access_key, secret_key)
        case (str(access_key), str(secret_key), str() | None as token):
            return Keys(access_key, secret_key, token)
    return ...


def build_job(verb: str, arguments: Sequence[str], keywords: Mapping[str, object]) -> Job:
    """Build the job of a call.

    Raises ``UsageError`` for what the command would refuse, in Python's spelling, and ``TypeError``
    for keywords that do not exist and types that no value can have.
    """
    try:
        return job_of(verb, arguments, _read_all(verb, keywords))
    except UsageError as error:
        raise UsageError(in_python(str(error))) from None


def with_names(job: Job, names: Sequence[str]) -> Job:
    """Return ``job`` with these names of its sources at the destination.

    Raises ``UsageError`` for a name that nothing can have there.
    """
    for name in names:
        if fault := _name_fault(job, name):
            raise UsageError(f"the name {name!r} of a source: {fault}: choose another")
    if (called := job.output.invocation) is not None:  # which has no option for them
        called = called._replace(withheld=(*called.withheld, SOURCES))
        job = replace(job, output=replace(job.output, invocation=called))
    if job.origins:
        origins = zip(job.origins, names, strict=True)
        return replace(job, origins=tuple(replace(each, name=name) for each, name in origins))
    sources = zip(job.sources, names, strict=True)
    return replace(job, sources=tuple(replace(each, name=name) for each, name in sources))


def _name_fault(job: Job, name: str) -> str | None:
    from s3pp.localfs.paths import is_marker, path_fault  # for names only

    try:
        name.encode()
    except UnicodeEncodeError:
        return "it is not UTF-8, as keys must be"
    if job.verb != "get":
        return None
    return "no downloaded file can have it" if is_marker(name) or path_fault(name, 1) else None


@cache
def keywords_of(verb: str) -> Mapping[str, Keyword]:
    """The keywords of ``verb``, by name, in the order of its help."""
    declared = building.declared_fields()
    paths = [path for group in VERBS[verb].groups for path in group.fields]
    found = {}
    for path in paths:
        repeated = isinstance(declared[path].default, tuple)
        for option in _distinct(declared[path].metadata[OPTIONS]):
            name = _keyword_name(option)
            if name not in COMMAND_ONLY:
                found[name] = Keyword(name, path, option, repeated)
    return MappingProxyType(found)


def credentials_of(verb: str) -> Mapping[str, str]:
    """The keywords of ``verb`` for credentials, and their fields: beside each for a profile.

    They are no options, because arguments of a command are visible.
    """
    known = keywords_of(verb).values()
    profiles = [each for each in known if each.name.endswith("profile")]
    return {_credentials(each.name): _credentials(each.path) for each in profiles}


def _credentials(profile: str) -> str:
    return f"{profile.removesuffix('profile')}credentials"


def in_python(text: str) -> str:
    """Return a message that names options, with the keywords for them."""
    return re.sub(r"(?<![^\s(])--(?:\[no-\])?[a-z][a-z0-9-]*(?![^\s,:;.)])", _keyword_for, text)


def _keyword_for(found: re.Match[str]) -> str:
    return _spellings().get(found[0].replace("[no-]", ""), found[0])


@cache
def _spellings() -> Mapping[str, str]:
    """What to write for each option, by its names."""
    found: dict[str, str] = {}
    for field in building.declared_fields().values():
        for option in field.metadata.get(OPTIONS, ()):
            first = option if option.value is not None else field.metadata[OPTIONS][0]
            name = _keyword_name(first)
            off = option.value is None and option.sets is False
            spelling = f"{name}=False" if off else name
            found |= {flag: spelling for flag in option.flags if name not in COMMAND_ONLY}
    return MappingProxyType(found)


def _keyword_name(option: Option) -> str:
    name = long_name(option)
    return (name.removeprefix("no-") if option.value is None else name).replace("-", "_")


def _distinct(options: Sequence[Option]) -> Sequence[Option]:
    """The options of a field that are keywords: of those that switch it on and off one."""
    return options if options[0].value is not None else options[:1]


# From values of Python's to those of a job


def _read_all(verb: str, given: Mapping[str, object]) -> dict[str, Any]:
    """Return the values by the paths of the fields that they set."""
    known, secret, now = keywords_of(verb), credentials_of(verb), time.time()
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None and (name in known or name in secret):
            continue
        if name in secret:
            found[secret[name]] = _read_credentials(name, value)
            continue
        if name not in known:
            raise TypeError(_unknown(verb, name, known))
        keyword = known[name]
        if keyword.path == FILES_FROM and not isinstance(value, str | os.PathLike):
            found[NAMES] = _read_names(keyword, value)
        elif keyword.repeated:  # several keywords may add to one field, in their order
            found[keyword.path] = [*found.get(keyword.path, ()), *_read_each(keyword, value, now)]
        else:
            found[keyword.path] = _read(keyword, value, now)
    return found


def _read_names(keyword: Keyword, value: object) -> tuple[str, ...]:
    """Return the names of a list in memory."""
    names = (
        tuple(value) if isinstance(value, Iterable) and not isinstance(value, bytes) else (value,)
    )
    if wrong := [name for name in names if not isinstance(name, str)]:
        raise TypeError(f"{keyword.name} must be a path or names, not {wrong[0]!r}")
    if unfit := [name for name in names if not _is_name(name)]:
        raise UsageError(f"{keyword.name}: no file has the name {unfit[0]!r}, nor a key: drop it")
    return names


def _is_name(text: str) -> bool:
    """Whether it is UTF-8, or stands for bytes that are not."""
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True


def _read_credentials(name: str, value: object) -> Keys:
    keys = _as_keys(value)
    del value  # it is secret: tracebacks may show what a frame holds
    if not isinstance(keys, Keys):
        raise TypeError(
            f"{name} must be (access_key, secret_key) or (access_key, secret_key, token)"
        )
    return keys


def _read_each(keyword: Keyword, value: object, now: float) -> list[Any]:
    several: Iterable[object]
    if isinstance(value, Mapping):
        several = value.items()
    elif isinstance(value, str) or not isinstance(value, Iterable):
        several = (value,)
    else:
        several = value
    return [_read(keyword, each, now) for each in several]


def _read(keyword: Keyword, value: object, now: float) -> Any:
    if keyword.value is None:
        if not isinstance(value, bool):
            raise TypeError(f"{keyword.name} must be True or False, not {value!r}")
        return value if isinstance(keyword.option.sets, bool) else keyword.option.sets
    try:
        text = _spell(keyword, value)
        if text == "-" and keyword.value.reader == "path":
            raise ValueError(f"'-' {NO_STREAM}")
        return reader_of(keyword.value, now)(text)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"{keyword.name}: {error}") from None


def _spell(keyword: Keyword, value: object) -> str:
    """Return ``value`` as it is written on a command line."""
    reader = keyword.value.reader if keyword.value is not None else ""
    if isinstance(value, str):
        return str(value.value) if isinstance(value, Enum) else value
    if isinstance(value, tuple) and reader in SEPARATORS:
        return _spell_pair(keyword, value, SEPARATORS[reader])
    if isinstance(value, bool) or not isinstance(value, _ACCEPTED.get(reader, ())):
        raise TypeError(f"{keyword.name} cannot be of type {type(value).__name__}: {value!r}")
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    return _spell_moment(value) if reader == "moment" else _spell_number(value)


def _spell_pair(keyword: Keyword, value: tuple[object, ...], separator: str) -> str:
    match value:
        case (str(name), str(text)) if separator in name:
            raise ValueError(f"{name!r} contains {separator!r}")
        case (str(name), str(text)):
            return f"{name}{separator}{text}"
    raise TypeError(f"{keyword.name} must be pairs of a name and a text, not {value!r}")


def _spell_number(value: object) -> str:
    number = value.total_seconds() if isinstance(value, timedelta) else value
    return f"{number:f}" if isinstance(number, float) else str(number)


def _spell_moment(value: object) -> str:
    """Return an age or a date; a number counts seconds since the epoch, as in ``time.time()``."""
    if isinstance(value, timedelta):
        return f"{_spell_number(value)}s"
    if isinstance(value, date):
        return value.isoformat()
    assert isinstance(value, int | float)
    return datetime.fromtimestamp(value, timezone.utc).isoformat()


def _unknown(verb: str, name: str, known: Mapping[str, Keyword]) -> str:
    """Return the message for a keyword that does not exist, with the one that was meant."""
    fault = f"{verb}() got an unexpected keyword argument {name!r}"
    if name in COMMAND_ONLY:
        return f"{fault}: {COMMAND_ONLY[name]}"
    if (spelling := _spellings().get(f"--{name.replace('_', '-')}", "")) and (
        spelling.partition("=")[0] in known
    ):
        return f"{fault}: write {spelling if '=' in spelling else f'{spelling}=…'}"
    if others := [each for each in VERBS if name in keywords_of(each)]:
        return f"{fault}: it is one of {', '.join(others)}"
    near = difflib.get_close_matches(name, known, 1)
    return f"{fault}: did you mean {near[0]!r}?" if near else fault
