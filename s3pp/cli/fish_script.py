"""The script by which fish completes command lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s3pp.cli.command_lines import CommandLine, OptionLine

_HEAD = """\
# fish completion of s3pp, made by: s3pp completion fish

function __s3pp_command
    set -l words (commandline -opc)
    test (count $words) -gt 1; and contains -- $words[2] $argv
end

function __s3pp_no_command
    test (count (commandline -opc)) -eq 1
end

complete -c s3pp -f
complete -c s3pp -n __s3pp_no_command -s h -l help -d 'show the commands'
complete -c s3pp -n __s3pp_no_command -s V -l version -d 'show the version'
"""


def fish_script(commands: Sequence[CommandLine]) -> str:
    """Return the script."""
    return "".join(f"{line}\n" for line in [_HEAD, *_lines(commands)])


def _lines(commands: Sequence[CommandLine]) -> Iterator[str]:
    for each in commands:
        about = _quote(each.purpose)
        yield f"complete -c s3pp -n __s3pp_no_command -a {each.name} -d {about}"
    names = " ".join(each.name for each in commands)
    yield f"complete -c s3pp -n '__s3pp_command help' -a '{names}'"
    for each in commands:
        if each.words:
            yield f"complete -c s3pp -n '__s3pp_command {each.name}' -a '{' '.join(each.words)}'"
    files = " ".join(each.name for each in commands if each.takes_files)
    yield f"complete -c s3pp -n '__s3pp_command {files}' -F"
    for option, verbs in _options(commands).items():
        yield from _option(option, " ".join(verbs))


def _options(commands: Sequence[CommandLine]) -> dict[OptionLine, list[str]]:
    """Return each option with the commands that have it, where help says the same of it."""
    found: dict[OptionLine, list[str]] = {}
    for command in commands:
        for option in command.options:
            found.setdefault(option, []).append(command.name)
    return found


def _option(option: OptionLine, verbs: str) -> Iterator[str]:
    shorts = [flag[1:] for flag in option.flags if flag not in option.longs]
    names = "".join(f" -s {each}" for each in shorts)
    value = ""
    if option.metavar:
        words = f" -a {_quote(' '.join(option.words))}" if option.words else ""
        value = f" -r -F{words}" if option.is_file else f" -x{words}"
    for long in option.longs:
        about = _quote(option.help)
        yield f"complete -c s3pp -n '__s3pp_command {verbs}'{names} -l {long[2:]}{value} -d {about}"
        names = ""


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
