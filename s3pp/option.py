"""How a setting is spelt on a command line: declared once, on the field that holds it.

Every process of a run imports ``job.py``, so nothing here needs argparse or reads a value: the
functions that do are named, and found in ``args/values.py`` when a command line is parsed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, NamedTuple

OPTIONS = "options"  # under which a field's metadata holds them


class Value(NamedTuple):
    """What follows an option: what help calls it, and which function reads it."""

    metavar: str
    reader: str = "path"  # a function of ``args/values.py``
    bounds: tuple[Any, ...] = ()  # what that is called with, after the text
    once: bool = False  # True: of two values none wins, and the option is refused


N = Value("N", "whole")
SIZE = Value("SIZE", "size")
TIME = Value("TIME", "seconds")
MOMENT = Value("AGE|DATE", "moment")
FILE = Value("FILE", once=True)  # or one of two files would not be written, or read


def up_to(most: int) -> Value:
    """A whole number from 1 to ``most``."""
    return Value("N", "whole", (most,))


def choice(metavar: str, *choices: str) -> Value:
    """One of ``choices``."""
    return Value(metavar, "one_of", choices)


class Option(NamedTuple):
    """One way to set a field.

    ``help`` may name the field's default as ``{default}``. An option without a value sets ``sets``
    or, where the field is a number, counts.
    """

    flags: tuple[str, ...]
    help: str
    value: Value | None = None
    sets: Any = True
    verbs: Mapping[str, str] | None = None  # the help of those that need another

    def help_of(self, verb: str) -> str:
        """What the help text of ``verb`` says of it."""
        return (self.verbs or {}).get(verb, self.help)


def option(default: Any, *spelling: str | Value, help: str, sets: Any = True, **verbs: str) -> Any:
    """A field that one option sets: its names and, if it takes one, its value.

    Where ``default`` is a tuple the option may be repeated; where it is a function, that makes it.
    ``verbs`` are the help texts of verbs that need another.
    """
    flags = tuple(each for each in spelling if isinstance(each, str))
    value = next((each for each in spelling if isinstance(each, Value)), None)
    return options(default, Option(flags, help, value, sets, verbs))


def options(default: Any, *several: Option) -> Any:
    """A field that several options set."""
    metadata = {OPTIONS: several}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def long_name(option: Option) -> str:
    """Return the first long name of an option, without dashes."""
    return next(flag for flag in option.flags if flag.startswith("--")).removeprefix("--")


def opposite_of(name: str) -> str:
    """Return the long name of the option that takes back what ``name`` does, without dashes."""
    return name.removeprefix("no-") if name.startswith("no-") else f"no-{name}"
