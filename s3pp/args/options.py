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
    """Have ``parser`` take what ``groups`` list; ``declared`` has the fields by their paths.

    What is given is found by the same paths; what is not given leaves no trace.
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
    """What argparse does where it meets ``option``."""
    if option.value is not None:
        action = "append" if isinstance(default, tuple) else "store"
        reader = argument_type(_reader(option.value, now))
        return {"action": action, "type": reader, "metavar": option.value.metavar}
    if type(default) is int:
        return {"action": "count"}
    return {"action": "store_const", "const": option.sets}


def _reader(value: Value, now: float) -> Callable[[str], Any]:
    """The function that reads ``value``; ``now`` is the one moment all ages are counted from."""
    if value.reader == values.moment.__name__:
        return partial(values.moment, now=now)
    read = getattr(values, value.reader)
    return lambda text: read(text, *value.bounds)
