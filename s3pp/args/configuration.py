"""Where the options come from that a command line does not give: files, and variables.

::

    the command line ─▶ variables ─▶ ./s3pp.toml ─▶ ~/.config/s3pp/config.toml ─▶ as built in

A run without any of them pays for two ``stat``, and imports nothing more: ``defaults`` reads what
there is. The older tools' commands and calls of the library come by here no time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field
from types import MappingProxyType
from typing import Any, NamedTuple

from s3pp.args.parser import Group
from s3pp.errors import UsageError
from s3pp.option import FILE, Value, option

SECTION = "configuration"
VARIABLE = "S3PP_"  # begins the names of variables
BESIDE = "s3pp.toml"  # in the working directory
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class ConfigOptions(NamedTuple):
    """Options about the files and variables that other options come from."""

    file: str | None = None
    ignored: bool = False
    preset: str | None = None


# Not of a dataclass, which every run would pay for.
_FIELDS: Mapping[str, Field[Any]] = MappingProxyType(
    {
        f"{SECTION}.file": option(
            None, "--config", FILE, help="read the options in FILE, and in no other file"
        ),
        f"{SECTION}.ignored": option(
            False,
            "--no-config",
            help="ignore s3pp.toml, ~/.config/s3pp/config.toml and the variables S3PP_…",
        ),
        f"{SECTION}.preset": option(
            None,
            "--preset",
            Value("NAME", "visible", once=True),
            help="use the options in [preset.NAME] of these files",
        ),
    }
)
GROUP = Group("configuration", tuple(_FIELDS))


def configuration_fields() -> Mapping[str, Field[Any]]:
    """Every field that an option of the group sets, by its path."""
    return _FIELDS


def take_configuration(given: dict[str, Any]) -> ConfigOptions:
    """Remove the options about configuration from those ``given``, and return them."""
    paths = [path for path in given if path.startswith(f"{SECTION}.")]
    taken = {path.rpartition(".")[2]: given.pop(path) for path in paths}
    return ConfigOptions(**{name: value for name, value in taken.items() if value is not None})


class ConfigPath(NamedTuple):
    """A file of options that may exist."""

    path: str
    named: bool  # by the user, who vouches for it; others are checked


class Sources(NamedTuple):
    """What options are taken from besides the command line."""

    files: tuple[ConfigPath, ...]  # the nearest first; they exist, or are named
    variables: Mapping[str, str]  # S3PP_…, those that are not empty
    preset: str | None
    preset_name: str = "--preset"  # of what names it


NO_SOURCES = Sources((), {}, None)


def find_sources(chosen: ConfigOptions, environ: Mapping[str, str]) -> Sources:
    """Return where options are to be looked for. Raises ``UsageError`` for what contradicts."""
    variables = {
        name: value for name, value in environ.items() if name.startswith(VARIABLE) and value
    }
    if _ignores_all(chosen, variables):
        return NO_SOURCES
    file = chosen.file or variables.get(f"{VARIABLE}CONFIG")
    if chosen.preset is not None:
        return Sources(_files(file, environ), variables, chosen.preset)
    name = f"{VARIABLE}PRESET"
    return Sources(_files(file, environ), variables, variables.get(name), name)


def _ignores_all(chosen: ConfigOptions, variables: Mapping[str, str]) -> bool:
    """Whether nothing but the command line counts."""
    named = {"--config": chosen.file, "--preset": chosen.preset}
    for flag in (flag for flag, given in named.items() if given is not None):
        if chosen.ignored:
            raise UsageError(f"--no-config and {flag} contradict each other; drop one")
        return False
    name = f"{VARIABLE}NO_CONFIG"
    try:
        return chosen.ignored or read_switch(variables.get(name, "0"))
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def read_switch(text: str) -> bool:
    """Return what the variable of an option without a value says. Raises ``ValueError``."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(f"{text!r} is neither true nor false: write 1 or 0")


def _files(named: str | None, environ: Mapping[str, str]) -> tuple[ConfigPath, ...]:
    if named is not None:
        return (ConfigPath(named, True),)
    return tuple(ConfigPath(path, False) for path in usual_files(environ) if _exists(path))


def usual_files(environ: Mapping[str, str]) -> list[str]:
    """Return the paths of the files that are read where none is named, the nearest first."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):  # which the specification says is to be ignored
        home = environ.get("HOME", "")
        base = os.path.join(home, ".config") if os.path.isabs(home) else ""
    return [BESIDE, *([os.path.join(base, "s3pp", "config.toml")] if base else [])]


def _exists(path: str) -> bool:
    """Whether there is anything; what cannot be reached, as another user's home, is as absent."""
    try:
        os.lstat(path)
    except OSError:
        return False
    return True
