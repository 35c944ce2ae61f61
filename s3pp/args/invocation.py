"""What a journal says of how a run was called: a command line, and every setting, without secrets.

The command line is spelt anew from what was understood, so that the same is recorded of a call of
the library, and nothing that was not understood. Times are absolute: the same command given again
means the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field
from datetime import datetime, timezone
from enum import Enum
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from s3pp.access import Grant
from s3pp.facts import Invocation
from s3pp.job import STREAM, Job
from s3pp.option import OPTIONS, Option, Value, long_name

# Headers whose values anybody may see who may read the object; others may hold anything.
_PLAIN_HEADERS = frozenset(
    {
        *("cache-control", "content-disposition", "content-encoding", "content-language"),
        *("content-type", "expires"),
    }
)
WITHHELD = "(withheld)"
# What only a call of the library has; the last are the names in a mapping of sources.
CREDENTIALS, NAMES, SOURCES = "credentials", "files-from", "sources"
FILTERS = "filters"  # the setting that --include and --exclude share
# Between the two parts of a value, by the functions that read it.
SEPARATORS: Mapping[str, str] = MappingProxyType(
    {"header": ":", "metadata": "=", "tag": "=", "grant": ":"}
)

Declared = Mapping[str, "Field[Any]"]


def invocation(
    verb: str, arguments: Sequence[str], given: Mapping[str, Any], *, job: Job, paths: Declared
) -> Invocation:
    """Return how ``job`` was called. ``paths``: the fields that the verb's options set."""
    words: list[str] = []
    for path, value in given.items():
        if path in paths:
            words += _spell(paths[path], value)
    # Positional arguments may look like options.
    command = ("s3pp", verb, *words, *(["--"] if _look_alike(arguments) else []), *arguments)
    settings = {
        setting_name(field): setting_value(field, _value(path, field, given, job))
        for path, field in paths.items()
    }
    return Invocation(command, settings, tuple(_withheld(given, paths)))


def _look_alike(arguments: Sequence[str]) -> bool:
    return any(text.startswith("-") and text != STREAM for text in arguments)


def _value(path: str, field: Field[Any], given: Mapping[str, Any], job: Job) -> Any:
    """Return what is in force: as the job has it, where the option sets a field of its own."""
    if path.startswith("combined."):
        default = field.default if field.default is not MISSING else None
        return given.get(path, default)
    return attrgetter(path)(job)


def _name(option: Option) -> str:
    name = long_name(option)
    return name.removeprefix("no-") if option.value is None else name


def setting_name(field: Field[Any]) -> str:
    """Return what a setting is called."""
    several = field.metadata[OPTIONS]
    return FILTERS if _is_mixed(several) else _name(several[0])


def _is_mixed(several: Sequence[Option]) -> bool:
    """Return whether several options fill one list, whose order counts."""
    return len(several) > 1 and several[0].value is not None


def setting_value(field: Field[Any], value: Any) -> Any:
    """Return a setting as JSON has it, without secrets."""
    several = field.metadata[OPTIONS]
    kind = several[0].value
    if value is None or kind is None:
        return value
    if _is_mixed(several):
        return _spell(field, value)
    if isinstance(value, (tuple, list)) and isinstance(field.default, tuple):
        return [_text(kind, each) for each in value]
    if isinstance(value, (int, float)) and kind.reader != "moment":
        return value
    return _text(kind, value)


def _spell(field: Field[Any], value: Any) -> list[str]:
    """Return the options that set a field to ``value``, as words of a command line."""
    several: Sequence[Option] = field.metadata[OPTIONS]
    if several[0].value is None:
        return _spell_switch(several, field.default, value)
    if value is None:
        return []
    values = value if isinstance(field.default, tuple) else [value]
    words = []
    for each in values:
        option = _option_for(several, each)
        assert option.value is not None
        words.append(f"{_flag(option)}={_text(option.value, each)}")
    return words


def _spell_switch(several: Sequence[Option], default: Any, value: Any) -> list[str]:
    if type(default) is int:
        return [_flag(several[0])] * value
    return [_flag(each) for each in several if each.sets == value and value is not None][:1]


def _option_for(several: Sequence[Option], value: Any) -> Option:
    """Return the option that gives ``value``: of a filter the first of its pair names it."""
    if len(several) == 1:
        return several[0]
    return next(each for each in several if _name(each) == value[0])


def _flag(option: Option) -> str:
    return f"--{long_name(option)}"


def _text(kind: Value, value: Any) -> str:
    """Return a value as the function that reads it takes it."""
    if kind.reader in ("include", "exclude"):
        return str(value[1])
    if kind.reader == "moment":
        return datetime.fromtimestamp(value, timezone.utc).isoformat()
    if isinstance(value, Grant):
        return f"{value.permission}:{value.grantee}"
    if kind.reader in SEPARATORS:
        name, text = value
        shown = WITHHELD if _is_secret(kind, name) else text
        return f"{name}{SEPARATORS[kind.reader]}{shown}"
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _is_secret(kind: Value, name: str) -> bool:
    if kind.reader == "header":
        return name.lower() not in _PLAIN_HEADERS
    return kind.reader == "metadata"


def is_of_keys(path: str) -> bool:
    """Whether the field at ``path`` holds keys, which only a program can give."""
    return path.endswith(CREDENTIALS) and path != "cluster.send_credentials"


def _withheld(given: Mapping[str, Any], paths: Declared) -> Iterator[str]:
    """Yield the names of what is given and not recorded, in the order of ``given``."""
    for path, value in given.items():
        if value and is_of_keys(path):
            yield CREDENTIALS
        elif path == "choosing.names" and value is not None:
            yield NAMES
        elif path in paths and _has_secret(paths[path].metadata[OPTIONS][0], value):
            yield _name(paths[path].metadata[OPTIONS][0])


def _has_secret(option: Option, value: Any) -> bool:
    kind = option.value
    if kind is None or kind.reader not in SEPARATORS:
        return False
    return any(_is_secret(kind, each[0]) for each in value)
