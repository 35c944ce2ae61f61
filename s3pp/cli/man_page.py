"""The manual page ``s3pp.1``: every command, each option once, exit codes, variables, files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from s3pp import __version__
from s3pp.args.examples import examples_of
from s3pp.cli.command_lines import CommandLine, OptionLine
from s3pp.errors import ExitStatus

_CODES: Mapping[ExitStatus, str] = MappingProxyType(
    {
        ExitStatus.OK: "All well.",
        ExitStatus.SOME_FAILED: "Some objects failed, or are not verified; each is named.",
        ExitStatus.USAGE: "Wrong usage, or a source, bucket, profile or file that does not exist.",
        ExitStatus.ABORTED: "The run was aborted: refused credentials, a store that cannot be"
        " reached, a full disk, a refused deletion, a lost process.",
        ExitStatus.LOCKED: "Another run holds the lock of --lock; nothing was done.",
        ExitStatus.HANGUP: "Hung up.",
        ExitStatus.INTERRUPTED: "Interrupted, as by Ctrl-C.",
        ExitStatus.READER_GONE: "What read the object of get has ended before it was complete.",
        ExitStatus.TERMINATED: "Terminated.",
    }
)
_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "S3PP_NAME": "The option --name, as S3PP_MAX_BANDWIDTH; the command line goes before it.",
        "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN": "Credentials.",
        "AWS_PROFILE, AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE": "The configuration of the AWS"
        " tools, which has profiles.",
        "AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL, AWS_CA_BUNDLE": "How the store is"
        " reached, where no option says so.",
        "HTTPS_PROXY, HTTP_PROXY, NO_PROXY": "Proxies.",
        "NO_COLOR, TERM": "Whether progress is shown in color, or on lines of its own.",
    }
)
_FILES: Mapping[str, str] = MappingProxyType(
    {
        "s3pp.toml": "Options, in the working directory.",
        "~/.config/s3pp/config.toml": "Options of the user; $XDG_CONFIG_HOME is where they begin.",
        "~/.aws/config, ~/.aws/credentials": "Profiles.",
        "/run/lock/s3pp-UID": "Locks of --lock auto.",
    }
)


def man_page(commands: Sequence[CommandLine]) -> str:
    """Return the page in the language of man(7), in ASCII and without a date."""
    lines = [
        '.\\" made from the parser of s3pp: python tests/unit/cli/shared_files.py',
        f'.TH S3PP 1 "" "s3pp {__version__}" "User Commands"',
        ".SH NAME",
        r"s3pp \- move very many objects between a file system and S3",
        ".SH SYNOPSIS",
        *_separate(f"{_bold(f's3pp {each.name}')} {_escape(each.usage)}" for each in commands),
        ".SH DESCRIPTION",
        _line(
            "Each command takes options before, between and after its other arguments; what follows"
            " -- is no option. The names of options are not abbreviated. --no-NAME takes back what"
            " a file or a variable says of NAME."
        ),
        ".SH COMMANDS",
        *(line for each in commands for line in _command(each)),
        ".SH OPTIONS",
        *_options(commands),
        ".SH EXIT STATUS",
        *_terms({str(int(code)): text for code, text in _CODES.items()}),
        ".SH ENVIRONMENT",
        *_terms(_VARIABLES),
        ".SH FILES",
        *_terms(_FILES),
        ".SH SEE ALSO",
        _line("s3pp COMMAND --help, which shows the options of one command; and aws(1)."),
    ]
    return "\n".join(lines) + "\n"


def _command(command: CommandLine) -> Iterator[str]:
    yield f".SS {_escape(command.name)}"
    yield _line(command.about)
    for example in examples_of(command.name):
        yield from (".PP", _escape(f"{example.purpose}:"))
        yield from (".RS", ".nf", _bold(example.command), ".fi", ".RE")


def _options(commands: Sequence[CommandLine]) -> Iterator[str]:
    """Yield each option once, under the title of the group in which it stands first."""
    groups: dict[str, dict[tuple[str, ...], dict[str, list[str]]]] = {}
    titles: dict[tuple[str, ...], str] = {}
    metavars: dict[tuple[str, ...], str] = {}
    for command in commands:
        for title, options in command.groups:
            for each in options:
                own = titles.setdefault(each.flags, title)
                metavars.setdefault(each.flags, each.metavar)
                texts = groups.setdefault(own, {}).setdefault(each.flags, {})
                texts.setdefault(each.help, []).append(command.name)
    for title, found in groups.items():
        yield f".SS {_escape(title)}"
        for flags, texts in found.items():
            yield from _option(OptionLine(flags, metavars[flags], ""), texts, len(commands))


def _option(option: OptionLine, texts: Mapping[str, Sequence[str]], all_of: int) -> Iterator[str]:
    value = f" {_italic(option.metavar)}" if option.metavar else ""
    yield from (".TP", ", ".join(f"{_bold(flag)}{value}" for flag in option.flags))
    for number, (text, commands) in enumerate(texts.items()):
        if number:
            yield ".br"
        whose = "" if len(commands) == all_of else f" ({', '.join(commands)})"
        yield _line(f"{text}{whose}")


def _terms(texts: Mapping[str, str]) -> Iterator[str]:
    for term, text in texts.items():
        yield from (".TP", _bold(term), _line(text))


def _separate(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines that are not filled."""
    yield ".nf"
    yield from lines
    yield ".fi"


def _line(text: str) -> str:
    """Return a line of text, with the options in it in bold."""
    return re.sub(r"(?<![\w\\])((?:\\-){1,2}[a-z](?:[a-z]|\\-)*)", r"\\fB\1\\fP", _escape(text))


def _bold(text: str) -> str:
    return rf"\fB{_escape(text)}\fP"


def _italic(text: str) -> str:
    return rf"\fI{_escape(text)}\fP"


def _escape(text: str) -> str:
    """Return text that nothing in it controls the page, in ASCII."""
    plain = text.replace("\\", r"\e").replace("-", r"\-").replace("…", "...").replace("~", r"\(ti")
    plain = plain.replace("'", r"\(aq").replace("`", r"\(ga").replace("^", r"\(ha")
    return rf"\&{plain}" if plain.startswith(".") else plain
