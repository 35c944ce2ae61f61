"""The options of a verb: taken from the fields that declare them, and given to a parser."""

from __future__ import annotations

import time
from argparse import SUPPRESS
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field
from functools import partial
from typing import Any, NamedTuple

from s3pp.args import values
from s3pp.args.parser import Parser, argument_type
from s3pp.option import OPTIONS, Option, Value


class Group(NamedTuple):
    """Options that stand under one title in the help text of a verb."""

    title: str
    fields: tuple[str, ...]  # that they set, as paths: "mode", "choosing.limit"


def add_groups(
    parser: Parser, groups: Sequence[Group], *, declared: Mapping[str, Field[Any]], verb: str
) -> None:
    """Add the options of ``groups`` to ``parser``; ``declared`` maps paths to fields.

    Parsed values are stored under the same paths; options not given are absent.
    """
    now = time.time()
    for group in groups:
        titled = parser.add_argument_group(group.title)
        for path in group.fields:
            field = declared[path]
            for option in field.metadata[OPTIONS]:
                titled.add_argument(
                    *option.flags,
                    dest=path,
                    default=SUPPRESS,
                    help=option.help_of(verb).format(default=field.default),
                    **_behaviour(field.default, option, now),
                )


def _behaviour(default: object, option: Option, now: float) -> dict[str, Any]:
    """The arguments of ``add_argument`` that define the effect of ``option``."""
    if option.value is not None:
        action = "append" if isinstance(default, tuple) else "store"
        reader = argument_type(_reader(option.value, now))
        return {"action": action, "type": reader, "metavar": option.value.metavar}
    if type(default) is int:
        return {"action": "count"}
    return {"action": "store_const", "const": option.sets}


def _reader(value: Value, now: float) -> Callable[[str], Any]:
    """The function that parses ``value``; all ages are relative to ``now``."""
    if value.reader == values.moment.__name__:
        return partial(values.moment, now=now)
    read = getattr(values, value.reader)
    return lambda text: read(text, *value.bounds)
