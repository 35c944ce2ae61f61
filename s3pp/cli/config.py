"""``s3pp config``: which options are in force without a command line, and where they are set."""

from __future__ import annotations

import json
import os
import time
from argparse import SUPPRESS
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field
from typing import TYPE_CHECKING, Any, NamedTuple

from s3pp.args import configuration
from s3pp.args.building import declared_fields
from s3pp.args.defaults import Defaults, Setting
from s3pp.args.invocation import setting_name, setting_value
from s3pp.args.parser import Group, Parser, VerbParser, add_groups
from s3pp.args.suggestions import suggest_command
from s3pp.args.verbs import VERBS
from s3pp.errors import ExitStatus, UsageError

if TYPE_CHECKING:
    from s3pp.report.outlet import Streams

USAGE = "[OPTIONS] [COMMAND]"
ABOUT = (
    "Show each option of COMMAND with its value, and the file and line, or the variable, that sets"
    " it. Without COMMAND: the options that are set, and the commands that they are set for. Values"
    " that may be secret are not shown."
)
_JSON = "output.json"
_DEFAULT, _NO_VALUE = "default", "-"


def main(argv: Sequence[str], streams: Streams) -> int:
    """Run the command and return its exit code; raises ``S3ppError``."""
    named, given = parser().parse(argv)
    chosen = configuration.take_configuration(given)
    verb = _verb(named)
    sources = configuration.find_sources(chosen, os.environ)
    defaults = Defaults(sources, time.time())
    rows = _rows_of_all(defaults) if verb is None else _rows(verb, defaults.of(verb))
    read = [each.path for each in sources.files]
    absent = (
        []
        if _is_limited(sources)
        else [path for path in configuration.usual_files(os.environ) if path not in read]
    )
    found = _Found(read, absent, defaults.foreign, list(rows))
    streams.stdout.lines([*(_json_lines(found) if given.get(_JSON) else _text_lines(found))])
    return ExitStatus.OK


def _is_limited(sources: configuration.Sources) -> bool:
    """Whether the usual files are not looked for."""
    return sources is configuration.NO_SOURCES or any(each.named for each in sources.files)


def parser() -> Parser:
    """Create the parser of the command line."""
    made = VerbParser("config", USAGE, ABOUT)
    made.add_argument("arguments", nargs="*", help=SUPPRESS)
    declared = {**declared_fields(), **configuration.configuration_fields()}
    groups = (configuration.GROUP, Group("output", (_JSON,)))
    add_groups(made, groups, declared=declared, verb="config")
    return made


def _verb(named: Sequence[str]) -> str | None:
    """Return the command that is named. Raises ``UsageError`` for one without defaults."""
    if not named:
        return None
    if len(named) > 1:
        raise UsageError("config takes one COMMAND: leave out the other arguments")
    if named[0] == "retry":
        raise UsageError("retry has the options of the run in its JOURNAL, and no others")
    if named[0] not in VERBS:
        raise UsageError(f"{named[0]!r} has no options here: {suggest_command(named[0], VERBS)}")
    return named[0]


class _Row(NamedTuple):
    """An option, its value as JSON has it, where it is set, and for which commands."""

    option: str
    value: Any
    setting: Setting | None  # None: by default
    verbs: tuple[str, ...]


class _Found(NamedTuple):
    """What is shown."""

    read: Sequence[str]  # paths of files
    absent: Sequence[str]
    foreign: Sequence[str]  # variables that no option has
    rows: Sequence[_Row]


def _rows(verb: str, settings: Mapping[str, Setting]) -> Iterator[_Row]:
    """Yield every option of a verb, in the order of its help."""
    declared = declared_fields()
    for path in (path for group in VERBS[verb].groups for path in group.fields):
        field, setting = declared[path], settings.get(path)
        value = _default(field) if setting is None else setting.value
        yield _Row(setting_name(field), setting_value(field, value), setting, (verb,))


def _rows_of_all(defaults: Defaults) -> Iterator[_Row]:
    """Yield what is set, once for all verbs that have it from the same place."""
    found: dict[tuple[str, str], _Row] = {}
    for verb in (verb for verb in VERBS if verb != "retry"):
        for row in _rows(verb, defaults.of(verb)):
            if row.setting is not None:
                key = row.option, str(row.setting.where)
                verbs = found[key].verbs if key in found else ()
                found[key] = row._replace(verbs=(*verbs, verb))
    yield from found.values()


def _default(field: Field[Any]) -> Any:
    if field.default is not MISSING:
        return field.default
    assert field.default_factory is not MISSING
    return field.default_factory()


def _text_lines(found: _Found) -> Iterator[str]:
    if found.read:
        yield f"read: {', '.join(found.read)}"
    if found.absent:
        yield f"not found: {', '.join(found.absent)}"
    if found.foreign:
        yield f"variables of no option: {', '.join(found.foreign)}"
    if not found.rows:
        yield "no option is set"
    cells = [
        [row.option, _shown(row.value), _place(row), " ".join(row.verbs)] for row in found.rows
    ]
    if len({row.verbs for row in found.rows}) == 1:
        cells = [each[:3] for each in cells]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for each in cells:
        padded = (cell.ljust(width) for cell, width in zip(each, widths, strict=True))
        yield "  ".join(padded).rstrip()


def _place(row: _Row) -> str:
    return _DEFAULT if row.setting is None else str(row.setting.where)


def _shown(value: object) -> str:
    return _NO_VALUE if value is None else json.dumps(value, ensure_ascii=False)


def _json_lines(found: _Found) -> Iterator[str]:
    for read, paths in ((True, found.read), (False, found.absent)):
        yield from (_line({"event": "file", "path": path, "read": read}) for path in paths)
    yield from (_line({"event": "variable", "name": each}) for each in found.foreign)
    for row in found.rows:
        event = {"event": "option", "option": row.option, "value": row.value, **_json_place(row)}
        yield _line({**event, "verbs": row.verbs})


def _json_place(row: _Row) -> dict[str, Any]:
    if row.setting is None:
        return {"source": _DEFAULT}
    where = row.setting.where
    if where.document is None:
        return {"source": "variable", "name": where.name}
    return {"source": "file", "path": where.name, "line": where.line}


def _line(event: Mapping[str, Any]) -> str:
    return json.dumps(event, separators=(",", ":"))
