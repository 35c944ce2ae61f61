"""The script by which zsh completes command lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s3pp.cli.command_lines import CommandLine, OptionLine

_HEAD = """\
#compdef s3pp
# zsh completion of s3pp, made by: s3pp completion zsh

_s3pp() {
    local -a commands
    commands=(
%s    )
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    ((CURRENT--))
    case $command in
"""
_TAIL = """\
        help) _describe command commands ;;
    esac
}

if [[ $funcstack[1] == _s3pp ]]; then
    _s3pp "$@"
else
    compdef _s3pp s3pp
fi
"""


def zsh_script(commands: Sequence[CommandLine]) -> str:
    """Return the script."""
    names = "".join(f"        {_quote(f'{each.name}:{each.purpose}')}\n" for each in commands)
    return "".join([_HEAD % names, *map(_command, commands), _TAIL])


def _command(command: CommandLine) -> str:
    specs = [spec for option in command.options for spec in _specs(option)]
    words = f":word:({' '.join(command.words)})" if command.words else ""
    files = "*:file:_files" if command.takes_files else "*:place:"
    lines = "".join(f" \\\n                {_quote(spec)}" for spec in [*specs, words or files])
    return f"        {command.name})\n            _arguments -s -S{lines}\n            ;;\n"


def _specs(option: OptionLine) -> Iterator[str]:
    """Yield the specification of each name of an option, which leaves out the others."""
    others = "*" if option.repeated else f"({' '.join(option.flags)})"
    for flag in option.flags:
        if not option.metavar:
            yield f"{others}{flag}[{_escape(option.help)}]"
            continue
        end = "=" if flag.startswith("--") else "+"
        metavar = _escape(option.metavar)
        yield f"{others}{flag}{end}[{_escape(option.help)}]:{metavar}:{_action(option)}"


def _action(option: OptionLine) -> str:
    if option.is_file:
        return "_files"
    return f"({' '.join(option.words)})" if option.words else " "


def _escape(text: str) -> str:
    return "".join(f"\\{each}" if each in "\\[]:" else each for each in text)


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
