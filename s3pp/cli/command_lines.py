"""Every command line of ``s3pp``, as its parser has it: for completion, and for the man page."""

from __future__ import annotations

from argparse import SUPPRESS, Action
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from s3pp.args.building import declared_fields
from s3pp.args.configuration import configuration_fields
from s3pp.args.parser import Parser
from s3pp.args.verbs import VERBS, parser
from s3pp.job import Compare, Mode
from s3pp.option import OPTIONS, Value

SHELLS = ("bash", "zsh", "fish")
# Commands whose arguments are words, or objects; those of others are files, if not s3://….
_NO_FILES = ("list", "clean", "remove", "config", "completion", "doctor", "du")
# Readers of values that are words, or something else.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "mode": tuple(each.value for each in Mode),
    "compare": tuple(each.value for each in Compare),
    "content_type": ("guess", "magic"),
    "gzip_type": ("guess", "all"),
    "lock_wait": ("forever",),
}


class OptionLine(NamedTuple):
    """An option as help shows it, and what completes its value."""

    flags: tuple[str, ...]
    metavar: str  # empty: it takes no value
    help: str
    repeated: bool = False
    words: tuple[str, ...] = ()  # that its value can be
    is_file: bool = False

    @property
    def longs(self) -> tuple[str, ...]:
        """The long names."""
        return tuple(flag for flag in self.flags if flag.startswith("--"))


class CommandLine(NamedTuple):
    """A command, its options by group, and the words that its arguments can be."""

    name: str
    purpose: str
    usage: str  # after the name
    about: str
    groups: tuple[tuple[str, tuple[OptionLine, ...]], ...]
    words: tuple[str, ...]
    takes_files: bool
    takes_back: bool  # whether ``--no-NAME`` takes back what sets an option elsewhere

    @property
    def options(self) -> tuple[OptionLine, ...]:
        """The options of all groups."""
        return tuple(option for _, options in self.groups for option in options)


def command_lines(purposes: Mapping[str, str]) -> tuple[CommandLine, ...]:
    """Return the command line of each command; ``purposes`` says in a line what each does."""
    values = _values()
    return tuple(_command_line(name, purpose, values) for name, purpose in purposes.items())


def _command_line(name: str, purpose: str, values: Mapping[str, Value]) -> CommandLine:
    if name in VERBS:
        made: Parser = parser(name)
    else:
        made = import_module(f"s3pp.cli.{name}").parser()
    usage = str(made.usage).removeprefix(f"{made.prog} ")
    groups = tuple(_groups(made, values))
    words = {"config": tuple(VERBS), "completion": SHELLS}.get(name, ())
    return CommandLine(
        name,
        purpose,
        usage,
        made.description or "",
        groups,
        words,
        takes_files=name not in _NO_FILES,
        takes_back=name in VERBS,
    )


def _groups(
    made: Parser, values: Mapping[str, Value]
) -> Iterator[tuple[str, tuple[OptionLine, ...]]]:
    for group in made._action_groups:
        options = tuple(
            _option_line(action, values)
            for action in group._group_actions
            if action.option_strings and action.help != SUPPRESS
        )
        if options:
            yield str(group.title), options


def _option_line(action: Action, values: Mapping[str, Value]) -> OptionLine:
    flags = tuple(action.option_strings)
    metavar = "" if action.nargs == 0 else str(action.metavar)
    value = values.get(flags[-1])
    repeated = type(action).__name__ in ("_AppendAction", "_CountAction")
    help_text = str(action.help).replace("%%", "%")  # argparse formats it
    if not metavar or value is None:  # of a command that has no job
        return OptionLine(flags, metavar, help_text, repeated, (), metavar.startswith("FILE"))
    words = value.bounds if value.reader == "one_of" else _WORDS.get(value.reader, ())
    words = (*words, *(each for each in value.metavar.split("|")[1:] if each.islower()))
    return OptionLine(flags, metavar, help_text, repeated, words, value.reader == "path")


def _values() -> dict[str, Value]:
    """What follows each option, by its names."""
    fields: dict[str, Any] = {**declared_fields(), **configuration_fields()}
    return {
        flag: option.value
        for field in fields.values()
        for option in field.metadata.get(OPTIONS, ())
        for flag in option.flags
        if option.value is not None
    }
