"""The parser of a verb: argparse that prints nothing and never exits, and the declared options.

Errors are raised as one line. The options are taken from the fields that declare them.
"""

from __future__ import annotations

import argparse
import time
from argparse import SUPPRESS
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field
from functools import partial
from typing import Any, NamedTuple, NoReturn

from s3pp import __version__
from s3pp.args import values
from s3pp.args.examples import text_of
from s3pp.errors import HelpRequested, Misuse, hide_arguments
from s3pp.option import OPTIONS, Option, Value, opposite_of


class Parser(argparse.ArgumentParser):
    """A parser for one command's arguments; raises ``Misuse``.

    ``abbreviate``: long options may be shortened, as long as they stay unambiguous. ``secret``:
    some of the arguments are secret. Any word can stand in the wrong place, so errors show none
    then that may be a key, but the names of options and ``choices``.
    """

    def __init__(
        self,
        prog: str,
        usage: str,
        description: str,
        *,
        abbreviate: bool = False,
        secret: bool = False,
    ) -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} {usage}",
            description=description,
            add_help=False,
            allow_abbrev=abbreviate,
        )
        self._secret = secret
        self.choices: Collection[str] = ()  # words that options take, and no keys
        general = self.add_argument_group("general")
        general.add_argument(
            "-h", "--help", action=_AnswerAction, text=self.format_help, help="show this text"
        )
        general.add_argument(
            "-V",
            "--version",
            action=_AnswerAction,
            text=lambda: f"s3pp {__version__}\n",
            help="show the version",
        )

    def error(self, message: str) -> NoReturn:
        """Raise argparse's error as ``Misuse``."""
        raise Misuse(f"{self.prog}: {message} (see {self.prog} --help)")

    def parse(self, argv: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """Parse into positional arguments, and the options given, by their paths.

        Positional arguments may stand between and after options; all after ``--`` are positional.
        """
        split = argv.index("--") if "--" in argv else len(argv)
        try:
            self._check_flags(argv[:split])
            given = vars(self.parse_intermixed_args(argv[:split]))
        except Misuse as error:
            if not self._secret:
                raise
            raise Misuse(hide_arguments(str(error), argv, self.choices)) from None
        return [*(given.pop("arguments", None) or []), *argv[split + 1 :]], given

    def _check_flags(self, argv: Sequence[str]) -> None:
        """Raise ``Misuse`` for a value given to an option that takes none."""
        for text in argv:
            flag, equals, value = text.partition("=")
            action = self._option_string_actions.get(flag) if equals else None
            if action is not None and action.nargs == 0:
                raise Misuse(f"{self.prog}: {flag} takes no value: leave out {'=' + value!r}")


class VerbParser(Parser):
    """A parser for a verb of s3pp: its errors say which option may be meant."""

    def __init__(self, verb: str, usage: str, description: str) -> None:
        super().__init__(f"s3pp {verb}", usage, description)
        self._verb = verb

    def format_help(self) -> str:
        """Return the help text, with examples."""
        return super().format_help() + text_of(self._verb)

    def _check_flags(self, argv: Sequence[str]) -> None:
        """Raise ``Misuse`` for unknown options, too; add those that take back others."""
        known = self._option_string_actions
        for flag in (text.partition("=")[0] for text in argv if text.startswith("--")):
            if flag not in known and not self._add_opposite(flag):
                from s3pp.args.suggestions import suggest_option  # what few runs need

                remedy = suggest_option(flag, known)
                self.error(f"{flag} is not an option of it{remedy and f': {remedy}'}")
        super()._check_flags(argv)

    def _add_opposite(self, flag: str) -> bool:
        """Add ``flag`` if it takes back another option: it is as if that were set nowhere.

        ``--no-NAME`` does so of each option, and ``--resume`` of ``--no-resume``.
        """
        opposite = f"--{opposite_of(flag.removeprefix('--'))}"
        action = self._option_string_actions.get(opposite)
        if action is None or isinstance(action, _AnswerAction):
            return False
        if flag.startswith("--no-no-") or (action.nargs != 0 and not flag.startswith("--no-")):
            return False
        self.add_argument(flag, dest=action.dest, action=_TakeBackAction)
        return True


def argument_type(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Wrap ``parse`` for argparse, keeping the message of its ``ValueError``."""

    def convert(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


class _AnswerAction(argparse.Action):
    def __init__(self, *, text: Callable[[], str], **rest: Any) -> None:
        super().__init__(nargs=0, default=argparse.SUPPRESS, **rest)
        self._text = text

    def __call__(self, *_: Any) -> None:
        raise HelpRequested(self._text())


class _OnceAction(argparse.Action):
    """Stores a value; another one is an error, where the last would win of other options."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        earlier = getattr(namespace, self.dest, None)
        if earlier not in (None, values):
            parser.error(f"{option_string} is given as {earlier} and as {values}: drop one of them")
        setattr(namespace, self.dest, values)


class _TakeBackAction(argparse.Action):
    """Stores None, for which an option counts as not given; help does not show it."""

    def __init__(self, **given: Any) -> None:
        super().__init__(nargs=0, **{**given, "default": SUPPRESS, "help": SUPPRESS})

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any
    ) -> None:
        setattr(namespace, self.dest, None)


class Group(NamedTuple):
    """Options that stand under one title in the help text of a verb."""

    title: str
    fields: tuple[str, ...]  # that they set, as paths: "mode", "choosing.limit"


def add_output(group: argparse._ArgumentGroup, metavar: str, help: str) -> None:
    """Add the option that names what a command writes, to a command that has no job."""
    group.add_argument("-o", "--output", metavar=metavar, help=help)


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
        action: Any = "append" if isinstance(default, tuple) else "store"
        if option.value.once:
            action = _OnceAction
        reader = argument_type(reader_of(option.value, now))
        return {"action": action, "type": reader, "metavar": option.value.metavar}
    if type(default) is int:
        return {"action": "count"}
    return {"action": "store_const", "const": option.sets}


def reader_of(value: Value, now: float) -> Callable[[str], Any]:
    """The function that parses ``value``; all ages are relative to ``now``."""
    if value.reader == values.moment.__name__:
        return partial(values.moment, now=now)
    read = getattr(values, value.reader)
    return lambda text: read(text, *value.bounds)
