"""Values of options in files and variables, read as those of the command line are.

Every function raises ``ValueError``, which says what is wrong and what to write.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from s3pp.args.configuration import read_switch
from s3pp.args.file_names import place_of
from s3pp.args.invocation import SEPARATORS
from s3pp.args.option_names import NamedOption
from s3pp.args.parser import reader_of
from s3pp.args.toml_document import kind_of
from s3pp.option import Value


def value_in_file(option: NamedOption, raw: object, *, directory: str, now: float) -> Any:
    """Return what a value of a file means; relative paths in it begin in ``directory``."""
    if option.option.value is None:
        return _switch_in_file(option, raw)
    read = reader_of(option.option.value, now)
    texts = [_in_file(option.option.value, text, directory) for text in _texts(option, raw)]
    return [read(text) for text in texts] if option.repeated else read(texts[0])


def value_in_variable(option: NamedOption, text: str, now: float) -> Any:
    """Return what the text of a variable means: of an option that is repeated, a value a line."""
    if option.counts:
        return _count(text)
    if option.option.value is None:
        return _switch(option, read_switch(text))
    read = reader_of(option.option.value, now)
    if not option.repeated:
        return read(text)
    return [read(line) for line in text.split("\n") if line]


def _in_file(value: Value, text: str, directory: str) -> str:
    if value.reader == "path":
        text = os.path.expanduser(text)  # no shell has done it
    return place_of(value, text, directory)


def _switch(option: NamedOption, given: bool) -> Any:
    return option.option.sets if given is not option.inverted else not option.option.sets


def _switch_in_file(option: NamedOption, raw: object) -> Any:
    if option.counts:
        if isinstance(raw, int) and raw >= 0:
            return int(raw)
        raise _unfit(raw, "write a number from 0 up")
    if isinstance(raw, bool):
        return _switch(option, raw)
    raise _unfit(raw, "write true or false")


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else int(read_switch(text))


def _texts(option: NamedOption, raw: object) -> list[str]:
    """Return the values as they are written on a command line."""
    assert option.option.value is not None
    if isinstance(raw, dict) and option.option.value.reader in SEPARATORS:
        return list(_pairs(raw, SEPARATORS[option.option.value.reader]))
    if isinstance(raw, list) and option.repeated:
        return [_text(each) for each in raw]
    if isinstance(raw, list | dict):
        many = ", or an array of some" if option.repeated else ""
        raise _unfit(raw, f"write one value{many}")
    return [_text(raw)]


def _pairs(table: Mapping[str, object], separator: str) -> Iterator[str]:
    for name, value in table.items():
        if separator in name:
            raise ValueError(f"{name!r} contains {separator!r}, which ends a name here")
        yield f"{name}{separator}{_text(value)}"


def _unfit(raw: object, remedy: str) -> ValueError:
    return ValueError(f"the value is {kind_of(raw)}: {remedy}")


def _text(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool | list | dict | time):
        raise _unfit(raw, "write a string or a number")
    if isinstance(raw, datetime | date):
        return raw.isoformat()
    return f"{raw:f}" if isinstance(raw, float) else str(raw)
