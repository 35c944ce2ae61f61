"""The script by which bash completes command lines; it runs on bash 3.2, which macOS has, too.

Bash ends words at ``=`` and ``:``, so that ``--mode=ad`` comes as three words, and so does ``s3://b``,
which is no file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from s3pp.cli.command_lines import CommandLine, OptionLine

_HEAD = """\
# bash completion of s3pp, made by: s3pp completion bash

_s3pp_files() {
    local name
    while IFS= read -r name; do
        COMPREPLY+=("$name")
    done < <(compgen -f -P "$2" -- "$1")
    compopt -o filenames 2>/dev/null
}

_s3pp_opposites() {
    local word other
    for word in $options; do
        case $word in
            --help) continue ;;
            --no-*) other=--${word#--no-} ;;
            --*) other=--no-${word#--} ;;
            *) continue ;;
        esac
        if [[ " $options " != *" $other "* ]]; then printf ' %%s' "$other"; fi
    done
}

_s3pp() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local before= files= words= options= takes_back= word
    COMPREPLY=()
    if [[ $cur == : || $prev == : ]]; then return; fi
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = && COMP_CWORD -gt 1 ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ $cur == --*=* ]]; then
        prev=${cur%%=*} before=$prev= cur=${cur#*=}
    fi
    if ((COMP_CWORD == 1)); then
        COMPREPLY=($(compgen -W "%(commands)s help --help --version" -- "$cur"))
        return
    fi
    for word in "${COMP_WORDS[@]:2:COMP_CWORD - 2}"; do
        if [[ $word == -- ]]; then
            _s3pp_files "$cur" ""
            return
        fi
    done
    case $prev in
"""
_VALUES = """\
        *) prev= ;;
    esac
    if [[ -n $prev ]]; then
        if [[ -n $words ]]; then COMPREPLY=($(compgen -P "$before" -W "$words" -- "$cur")); fi
        if [[ -n $files ]]; then _s3pp_files "$cur" "$before"; fi
        return
    fi
    case ${COMP_WORDS[1]} in
"""
_TAIL = """\
        help) words="%(commands)s" ;;
    esac
    if [[ $cur == -* ]]; then
        # All that take back another one, --no-NAME, are shown where they are asked for.
        if [[ -n $takes_back && $cur == --?* ]]; then options+=$(_s3pp_opposites); fi
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ -n $words ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    elif [[ -n $files ]]; then
        _s3pp_files "$cur" ""
    fi
}

complete -F _s3pp s3pp
"""


def bash_script(commands: Sequence[CommandLine]) -> str:
    """Return the script."""
    names = {"commands": " ".join(each.name for each in commands)}
    options = {option.flags: option for each in commands for option in each.options}
    parts = [_HEAD % names, *_values(options.values()), _VALUES, *map(_command, commands)]
    return "".join([*parts, _TAIL % names])


def _values(options: Iterable[OptionLine]) -> Iterator[str]:
    """Yield what sets ``words`` and ``files`` for the values of options."""
    kinds: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for option in options:
        if option.metavar:
            kinds.setdefault((option.words, option.is_file), []).extend(option.flags)
    for (words, is_file), flags in kinds.items():
        does = [f'words="{" ".join(words)}"'] if words else []
        does += ["files=1"] if is_file else []
        yield f"        {' | '.join(dict.fromkeys(flags))}) {' '.join(does or [':'])} ;;\n"


def _command(command: CommandLine) -> str:
    flags = " ".join(flag for option in command.options for flag in option.flags)
    rest = f' words="{" ".join(command.words)}"' if command.words else ""
    rest += " files=1" if command.takes_files else ""
    rest += " takes_back=1" if command.takes_back else ""
    return f'        {command.name})\n            options="{flags}"{rest}\n            ;;\n'
