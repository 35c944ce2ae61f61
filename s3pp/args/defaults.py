"""Options that the command line does not give, from files and variables; all are checked.

::

    concurrency = 256                    # of every verb that has the option

    [put]                                # of one verb
    exclude = ["*.tmp", ".git/**"]

    [preset.nightly]                     # with --preset nightly
    quiet = 1

    [preset.nightly.put]
    delete = true
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from s3pp.args.configuration import VARIABLE, ConfigPath, Sources, configuration_fields
from s3pp.args.default_values import value_in_file, value_in_variable
from s3pp.args.option_names import NamedOption, named_options
from s3pp.args.toml_document import TomlDocument, kind_of, read_content
from s3pp.args.toml_lines import Path
from s3pp.args.trust import distrust
from s3pp.args.verbs import VERBS
from s3pp.errors import UsageError
from s3pp.option import OPTIONS, long_name

PRESET = "preset"  # the table of presets
_MIXED = "choosing.rules"  # one list, which several options fill
_SECRET = re.compile(r"secret|passw|token|credential|access-?key|session", re.IGNORECASE)
# What it sets for a service of the name s3pp.
_KUBERNETES = re.compile(r"S3PP_(PORT(_\d+_.*)?|SERVICE_.*)")
_LIKE_PRESETS = ("profile", "profiles", "presets")  # what other tools call them
# Options that are for one command line alone, and why.
_NEVER: Mapping[str, str] = {
    "all": "it allows to remove the objects of the bucket that the command names, and no other",
    "buckets": "it says what one command lists",
    **{
        long_name(each.metadata[OPTIONS][0]): "it says which defaults are read"
        for each in configuration_fields().values()
    },
}


class Where(NamedTuple):
    """Where a value is set: in a variable, or in a file."""

    name: str  # of the variable or the file
    document: TomlDocument | None = None
    path: Path = ()  # of the value in the document

    @property
    def line(self) -> int | None:
        """The line in the file, from 1."""
        return None if self.document is None else self.document.line(self.path)

    def __str__(self) -> str:
        return self.name if self.document is None else f"{self.name}, line {self.line}"


class Setting(NamedTuple):
    """The value of a field of ``Job``, and where it is set."""

    value: Any
    where: Where


Layer = Mapping[str, Setting]  # by the paths of the fields


class Tables(NamedTuple):
    """What is set for every verb, and for one."""

    general: Layer
    of_verbs: Mapping[str, Layer]


class OptionFile(NamedTuple):
    """A file of options."""

    name: str
    tables: Tables
    presets: Mapping[str, Tables]


class Defaults:
    """Everything that is set by files and variables."""

    def __init__(self, sources: Sources, now: float) -> None:
        """Read all. ``now``: what ages are relative to. Raises ``UsageError``."""
        self.files = [_FileReader(each, now).read() for each in sources.files]
        self.foreign = _foreign_variables(sources.variables)
        self._variables = _variables(sources.variables, now)
        self._tables = [*self._chosen(sources), *(file.tables for file in self.files)]

    def of(self, verb: str) -> dict[str, Setting]:
        """Return what is set for a verb, by the paths of the fields; the nearest place wins."""
        found: dict[str, Setting] = {}
        known = {path for group in VERBS[verb].groups for path in group.fields}
        for layer in self._layers(verb):
            for path in layer.keys() & known - found.keys():
                found[path] = layer[path]
        return found

    def _layers(self, verb: str) -> Iterator[Layer]:
        yield self._variables
        for tables in self._tables:
            yield tables.of_verbs.get(verb, {})
            yield tables.general

    def _chosen(self, sources: Sources) -> list[Tables]:
        """Return the tables of the preset that is chosen."""
        name = sources.preset
        if name is None:
            return []
        found = [file.presets[name] for file in self.files if name in file.presets]
        if found:
            return found
        known = sorted({each for file in self.files for each in file.presets})
        what = f"choose from {', '.join(known)}" if known else f"write a table [{PRESET}.{name}]"
        raise UsageError(f"{sources.preset_name} {name!r} is not in any file of options: {what}")


# Variables


def _variables(given: Mapping[str, str], now: float) -> Layer:
    found: dict[str, Setting] = {}
    for variable, option in _variables_of_options().items():
        if variable in given:
            _add(found, option, _variable_setting(option, variable, given[variable], now))
    return found


def _variables_of_options() -> dict[str, NamedOption]:
    return {_variable(name): option for name, option in named_options().items()}


def _foreign_variables(given: Mapping[str, str]) -> list[str]:
    """Return the variables that no option has. Raises ``UsageError`` for one that is misspelt.

    Others are not s3pp's: Kubernetes sets S3PP_PORT for a service of the name s3pp.
    """
    known = _variables_of_options()
    foreign = [name for name in given if name not in known and name not in _own_variables()]
    for name in foreign:
        if fault := _fault_of_name(name, known):
            raise UsageError(f"{name}: {fault}")
    return foreign


def _variable_setting(option: NamedOption, variable: str, text: str, now: float) -> Setting:
    if option.name in _NEVER:
        raise UsageError(f"{variable}: {_remedy_of(option.name)}")
    try:
        return Setting(value_in_variable(option, text, now), Where(variable))
    except ValueError as error:
        raise UsageError(f"{variable}: {error}") from None


def _remedy_of(name: str) -> str:
    return f"{name} is not for defaults, as {_NEVER[name]}: give --{name} with the command"


def _variable(name: str) -> str:
    return VARIABLE + name.upper().replace("-", "_")


def _own_variables() -> set[str]:
    """The variables of the options about configuration."""
    several = (field.metadata[OPTIONS] for field in configuration_fields().values())
    return {_variable(long_name(each[0])) for each in several}


def _fault_of_name(variable: str, known: Collection[str]) -> str | None:
    """Return why a variable is refused that no option has; None if it is nothing of s3pp's."""
    from difflib import get_close_matches

    if _SECRET.search(variable.replace("_", "-")):
        return _secret_remedy()
    if _KUBERNETES.fullmatch(variable):
        return None
    close = get_close_matches(variable, known, 1, 0.85)
    return f"no option has this variable: did you mean {close[0]}?" if close else None


def _secret_remedy() -> str:
    return "credentials are no options: name a profile of the AWS configuration that has them"


# Files


class _FileReader:
    """Reads and checks a file."""

    def __init__(self, path: ConfigPath, now: float) -> None:
        self._path, self._now = path.path, now
        self._directory = os.path.dirname(path.path)
        self._document = TomlDocument(path.path, _content(path))

    def read(self) -> OptionFile:
        """Return what is in it. Raises ``UsageError``."""
        content = dict(self._document.content)
        presets = content.pop(PRESET, {})
        if not isinstance(presets, dict):
            raise self._fault((PRESET,), f"preset is {kind_of(presets)}: write [preset.NAME]")
        return OptionFile(
            self._path,
            self._tables((), content),
            {name: self._preset(name, table) for name, table in presets.items()},
        )

    def _preset(self, name: str, table: object) -> Tables:
        at = (PRESET, name)
        if not isinstance(table, dict):
            raise self._fault(at, f"preset {name!r} is {kind_of(table)}: write [preset.{name}]")
        return self._tables(at, table)

    def _tables(self, at: Path, table: Mapping[str, Any]) -> Tables:
        of_verbs = {
            name: self._layer((*at, name), value, name)
            for name, value in table.items()
            if isinstance(value, dict) and name in VERBS
        }
        rest = {name: value for name, value in table.items() if name not in of_verbs}
        return Tables(self._layer(at, rest, None), of_verbs)

    def _layer(self, at: Path, table: Mapping[str, Any], verb: str | None) -> Layer:
        """Return what a table sets; ``verb``: whose it is, None if it is of all."""
        if verb == "retry":
            raise self._fault(at, "retry has the options of the run in its JOURNAL: leave it out")
        found: dict[str, Setting] = {}
        for name, value in table.items():
            path = (*at, name)
            option = self._option(path, name, value, verb)
            where = Where(self._path, self._document, path)
            if option.path in found and option.path != _MIXED:
                earlier = found[option.path].where.path[-1]
                raise self._fault(path, f"{name} says the same as {earlier}: drop one of them")
            _add(found, option, Setting(self._value(path, option, value), where))
        return found

    def _option(self, path: Path, name: str, value: object, verb: str | None) -> NamedOption:
        known = named_options()
        if name in _NEVER:
            raise self._fault(path, _remedy_of(name))
        if name not in known or (name in _LIKE_PRESETS and isinstance(value, dict)):
            raise self._fault(path, f"{name!r} is {_what_is_unknown(name, value, verb)}")
        if verb is not None and verb not in known[name].verbs:
            others = ", ".join(each for each in VERBS if each in known[name].verbs)
            raise self._fault(path, f"{name} is not an option of {verb}, but of {others}")
        return known[name]

    def _value(self, path: Path, option: NamedOption, raw: object) -> Any:
        try:
            return value_in_file(option, raw, directory=self._directory, now=self._now)
        except ValueError as error:
            raise self._fault(path, f"{option.name}: {error}") from None

    def _fault(self, path: Path, what: str) -> UsageError:
        return self._document.fault(path, what)


def _what_is_unknown(name: str, value: object, verb: str | None) -> str:
    from difflib import get_close_matches

    from s3pp.args.suggestions import suggest_option

    if name in _LIKE_PRESETS and isinstance(value, dict):
        return f"not a table of options: write [{PRESET}.NAME]"
    if name in VERBS and verb is None:
        return f"a command, whose options are a table: write [{name}]"
    if isinstance(value, dict):
        near = get_close_matches(name, [*VERBS, PRESET], 1) if verb is None else []
        tables = f"did you mean {near[0]}?" if near else "name a verb, or preset.NAME"
        return f"not a table of options: {tables}"
    if _SECRET.search(name):
        return f"not an option, and {_secret_remedy()}"
    remedy = suggest_option(f"--{name}", [f"--{each}" for each in named_options()])
    return f"not an option{remedy and ': ' + remedy.replace('--', '')}"


def _add(found: dict[str, Setting], option: NamedOption, setting: Setting) -> None:
    """Add a setting to a layer: of options that fill one list, its values to the others."""
    earlier = found.get(option.path)
    if earlier is not None and option.path == _MIXED:
        setting = earlier._replace(value=[*earlier.value, *setting.value])
    found[option.path] = setting


def _content(path: ConfigPath) -> bytes:
    """Read a file of options; one that is not named must belong to the user. ``UsageError``."""
    try:
        with open(path.path, "rb", opener=None if path.named else _open) as file:
            fault = None if path.named else distrust(path.path, os.fstat(file.fileno()))
            if fault is not None:
                raise UsageError(f"{path.path} {fault}")
            return read_content(file, path.path)
    except OSError as error:
        remedy = "correct it, or ignore it by --no-config"
        if path.named:
            remedy = "correct --config or S3PP_CONFIG, which names it"
        raise UsageError(f"{path.path} cannot be read: {error.strerror}: {remedy}") from None


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # or a pipe without a writer would block
