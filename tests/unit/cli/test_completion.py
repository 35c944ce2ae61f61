"""Completion in real shells, the manual page, and that both are those of the parser."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Told
from cli.shared_files import SHARE, shared_files
from s3pp.args.verbs import VERBS, parser
from s3pp.cli.command_lines import SHELLS, command_lines
from s3pp.cli.completion import script
from s3pp.cli.main import COMMANDS
from s3pp.cli.man_page import _CODES
from s3pp.errors import ExitStatus

MAN = SHARE / "man" / "man1" / "s3pp.1"
REQUESTS = ("TH", "SH", "SS", "PP", "TP", "RS", "RE", "nf", "fi", "br")  # of man(7)


def test_the_shared_files_are_those_of_the_parser() -> None:
    made = shared_files()
    stale = [path.name for path, text in made.items() if path.read_text() != text]
    assert stale == [], "write them anew: python tests/unit/cli/shared_files.py"
    assert {path for path in SHARE.rglob("*") if path.is_file()} == {*made}


def test_every_option_of_every_verb_is_in_the_command_lines() -> None:
    lines = {each.name: each for each in command_lines(COMMANDS)}
    assert [*lines] == [*COMMANDS]
    for verb in VERBS:
        flags = {flag for option in lines[verb].options for flag in option.flags}
        assert flags == {flag for each in parser(verb)._actions for flag in each.option_strings}
    words = {flag: each.words for each in lines["put"].options for flag in each.flags}
    assert words["--mode"] == ("add", "stupid", "update")
    assert words["--addressing"] == ("auto", "path", "virtual")
    files = {flag for each in lines["put"].options for flag in each.flags if each.is_file}
    assert {"--journal", "--rules", "--lock", "--config"} < files
    assert "--mode" not in files


# Of words as the shell has them, the last of which is to be completed.
COMPLETED: dict[tuple[str, ...], set[str]] = {
    ("pu",): {"put"},
    ("", ): {*COMMANDS, "help", "--help", "--version"},
    ("help", "cop"): {"copy"},
    ("put", "--mod"): {"--mode"},
    ("put", "--no-gr"): {"--no-grant", "--no-grant-to"},
    ("put", "--resu"): {"--resume"},
    ("put", "--no-resu"): {"--no-resume"},
    ("put", "--no-prog"): {"--no-progress"},
    ("put", "--no-no"): set(),
    ("put", "--no-hel"): set(),
    ("config", "--no-js"): set(),
    ("put", "--mode", ""): {"add", "stupid", "update"},
    ("put", "--mode", "="): {"add", "stupid", "update"},
    ("put", "--mode", "=", "st"): {"stupid"},
    ("put", "--mode=st",): {"--mode=stupid"},
    ("put", "--journal", "a"): {"a b", "ab.log", "adir"},
    ("put", "--journal", "=", "ab"): {"ab.log"},
    ("put", "ab"): {"ab.log"},
    ("put", "--", "ab"): {"ab.log"},
    ("put", "s3", ":"): set(),
    ("put", "s3", ":", "//a"): set(),
    ("put", "--limit", ""): set(),
    ("list", "ab"): set(),
    ("config", "cle"): {"clean"},
    ("completion", ""): {*SHELLS},
    ("sandbox", "--por"): {"--port"},
    ("frob", "--"): set(),
}  # fmt: skip
IN_BASH = """
source /dev/stdin
while IFS= read -r line <&3; do
    IFS=$'\\t' read -r -a COMP_WORDS <<<"s3pp"$'\\t'"$line"
    [[ $line == *$'\\t' || -z $line ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _s3pp
    (IFS=$'\\t'; echo "${COMPREPLY[*]}")
done
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("a b", "ab.log"):
        (tmp_path / name).touch()
    (tmp_path / "adir").mkdir()
    return tmp_path


def test_bash_completes(place: Path) -> None:
    lines = place.parent / "lines"
    lines.write_text("".join("\t".join(words) + "\n" for words in COMPLETED))
    ended = subprocess.run(
        ["bash", "--norc", "-c", f"exec 3<{lines}; {IN_BASH}"],
        input=script("bash"), cwd=place, capture_output=True, text=True,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    found = [set(filter(None, line.split("\t"))) for line in ended.stdout.split("\n")[:-1]]
    assert dict(zip(COMPLETED, found, strict=True)) == COMPLETED


def test_fish_completes_and_zsh_accepts_its_script(place: Path) -> None:
    """Where they are installed."""
    if shutil.which("fish"):
        asked = ["s3pp pu", "s3pp put --mode s", "s3pp put --journal=ab", "s3pp list ab"]
        text = script("fish") + "".join(f"complete -C '{each}'; echo .\n" for each in asked)
        ended = subprocess.run(
            ["fish", "-N"], input=text, cwd=place, capture_output=True, text=True
        )
        found = [re.findall(r"^[^\t\n]+", part, re.M) for part in ended.stdout.split(".\n")[:-1]]
        assert found == [["put"], ["stupid"], ["--journal=ab.log"], []], ended
    if shutil.which("zsh"):
        ended = subprocess.run(["zsh", "-n"], input=script("zsh"), capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (0, "")


def test_completion_prints_a_script_or_says_what_it_needs(command: Callable[..., Told]) -> None:
    for shell in SHELLS:
        assert command("completion", shell) == (0, script(shell), "")
    for words in ([], ["tcsh"], ["bash", "zsh"]):
        told = command("completion", *words)
        assert (told.code, told.out) == (2, "")
        assert told.err == "s3pp: completion needs the name of a shell: bash, zsh, fish\n"


def test_the_manual_page_is_whole_and_without_a_date() -> None:
    text = MAN.read_text("ascii")
    assert not re.search(r"\b20\d\d\b.*\b(\d\d|[A-Z][a-z]{2})\b", text.partition("\n.SH")[0])
    shown = re.sub(r"\\f[BIP]", "", text).replace("\\-", "-")
    for line in command_lines(COMMANDS):
        assert f".SS {line.name}\n" in shown
        assert {flag for each in line.options for flag in each.flags if flag not in shown} == set()
    assert sorted(_CODES) == sorted(ExitStatus)
    requests = set(re.findall(r"^['.](\S*)", text, re.MULTILINE))
    assert requests == {'\\"', *REQUESTS}, "text begins a line"


def test_manual_readers_have_no_complaint() -> None:
    """Where they are installed."""
    if shutil.which("mandoc"):
        ended = subprocess.run(
            ["mandoc", "-T", "lint", "-W", "warning", MAN], capture_output=True, text=True
        )
        faults = [line for line in ended.stdout.splitlines() if "missing date" not in line]
        assert faults == []
    if shutil.which("groff"):
        ended = subprocess.run(
            ["groff", "-man", "-ww", "-Tutf8", "-z", MAN], capture_output=True, text=True
        )
        assert (ended.returncode, ended.stderr) == (0, "")
