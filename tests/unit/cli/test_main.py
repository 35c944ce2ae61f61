"""The outermost layer: help, version, exit codes, nothing imported in vain."""

from __future__ import annotations

import errno
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

import s3pp
from cli.conftest import Told
from s3pp.args import configured
from s3pp.args.examples import examples_of
from s3pp.args.suggestions import _COMMANDS, _OPTIONS, suggest_option
from s3pp.args.verbs import VERBS, build_job, parser
from s3pp.cli.main import COMMANDS, main
from s3pp.errors import FatalError
from s3pp.report.outlet import Streams

ROOT = Path(__file__).parents[3]
HEAVY = {"boto3", "botocore", "pycurl", "rich", "multiprocessing", "uvloop", "asyncio", "moto"}

LOADED = """
import sys
from s3pp.cli.main import main
from s3pp.report.outlet import Streams
code = main(sys.argv[1:], Streams.of(None, None))
print(int(code), *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--version"], 0),
        (["--help"], 0),
        ([], 2),
        (["put", "--help"], 0),
        (["put", "--version"], 0),
        (["put", "--mode", "x", "a", "s3://bucket"], 2),
        (["put", "a"], 2),
        (["put", "--newer-than", "soon", "a", "s3://bucket"], 2),
        (["sandbox", "--help"], 0),
        (["sandbox", "--port", "x"], 2),
    ],
)
def test_what_needs_no_store_imports_none_of_it(words: list[str], code: int) -> None:
    told = subprocess.run(
        [sys.executable, "-c", LOADED, *words], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ended, *modules = told.stdout.split()
    assert int(ended) == code
    assert HEAVY.isdisjoint(modules)
    assert ("dataclasses" in modules) == (len(words) > 1)  # no Job without a verb


def test_version(command: Callable[..., Told]) -> None:
    for words in (["--version"], ["-V"], ["put", "--version"], ["put", "-V"], ["sandbox", "-V"]):
        assert command(*words) == (0, f"s3pp {s3pp.__version__}\n", "")


def test_help(command: Callable[..., Told]) -> None:
    overview = command("--help")
    assert (overview.code, overview.err) == (0, "")
    assert all(word in overview.out for word in ("put", "sandbox", "--version"))
    shown = command("put", "-h").out
    groups = [
        "filters:",
        "source:",
        "objects:",
        "speed:",
        "S3:",
        "retries and timeouts:",
        "output:",
    ]
    assert sorted(groups, key=shown.index) == groups
    for option in ("--put", "--grant", "--gzip-type", "--null", "--worker-timeout", "--sandbox"):
        assert option in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize("verb", ["put", "get", "copy", "list", "clean"])
def test_help_describes_each_option_for_the_verb(verb: str, command: Callable[..., Told]) -> None:
    shown = " ".join(command(verb, "--help").out.partition("general:")[2].split())
    assert ("SOURCE" in shown) == (verb == "put")
    assert ("--files-from" in shown) == ("relative to" in shown) == (verb != "clean")
    assert ("relative to PREFIX" in shown) == (verb in ("get", "copy", "list"))
    assert ("magic" in shown) == ("directories are not entered" in shown) == (verb == "put")
    assert ("started before" in shown) == ("aborted" in shown) == (verb == "clean")
    assert ("DIRECTORY" in shown) == (verb == "get")
    for default in ("(default: 8)", "(default: 600)", "(default: 10)", "(default: 60)"):
        assert default in shown
    assert "{" not in shown
    assert "==SUPPRESS==" not in shown


def test_no_command(command: Callable[..., Told]) -> None:
    told = command()
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("usage: s3pp")


@pytest.mark.parametrize("word", ["frob", "--frob", "get", "put\n", ""])
def test_no_such_command(command: Callable[..., Told], word: str) -> None:
    told = command(word, "x")
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)


def test_errors_become_exit_codes(
    command: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(error: BaseException) -> Callable[..., NoReturn]:
        def build_configured(*_: object) -> NoReturn:
            raise error

        return build_configured

    words = ["put", "a", "s3://bucket"]
    monkeypatch.setattr(configured, "build_configured", raising(FatalError("the disk\nis full")))
    assert command(*words) == (3, "", "s3pp: the disk\\nis full\n")
    monkeypatch.setattr(configured, "build_configured", raising(KeyboardInterrupt()))
    assert command(*words) == (130, "", "s3pp: interrupted\n")
    monkeypatch.setattr(configured, "build_configured", raising(ZeroDivisionError("by zero")))
    told = command(*words)
    assert (told.code, told.err.count("\n")) == (3, 1)
    assert "internal error: ZeroDivisionError: by zero" in told.err
    assert "-vv" in told.err
    for error, line in (
        (MemoryError(), "s3pp: out of memory: raise ulimit -v, or lower --processes and"),
        (OSError(errno.ENOSPC, "No space left", "/tmp/x"), "s3pp: No space left: '/tmp/x'"),
    ):
        monkeypatch.setattr(configured, "build_configured", raising(error))
        told = command(*words)
        assert (told.code, told.out) == (3, "")
        assert told.err.startswith(line)
    caused = ZeroDivisionError("by zero, of 's3://bucket'")
    caused.__cause__ = ValueError("a-value-of-the-user")
    monkeypatch.setattr(configured, "build_configured", raising(caused))
    loud = command(*words, "-vv")
    assert loud.code == 3
    assert "ValueError at:\nZeroDivisionError at:\n" in loud.err
    assert "in build_configured" in loud.err
    assert "a-value-of-the-user" not in loud.err
    assert "ZeroDivisionError: by zero, of '…'\n" in loud.err


@pytest.mark.parametrize(
    "program",
    [[sys.executable, "-m", "s3pp"], [sys.executable, str(ROOT / "bin" / "s3pp")]],
    ids=str,
)
def test_ways_to_start(program: list[str], tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)} if "-m" in program else dict(os.environ)
    told = subprocess.run(
        [*program, "--version"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert told.stdout == f"s3pp {s3pp.__version__}\n"


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)], ids=str)
def test_closed_standard_streams(closed: tuple[int, ...], tmp_path: Path) -> None:
    def close() -> None:
        for descriptor in closed:
            os.close(descriptor)

    ended = subprocess.run(
        [sys.executable, "-m", "s3pp", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=close,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def run_into(write: int, *words: str) -> tuple[int, str]:
    """The exit code and stderr of a command whose stdout is the descriptor ``write``."""
    words = (sys.executable, "-m", "s3pp", *words)
    ended = subprocess.run(
        words, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    return ended.returncode, ended.stderr


def test_nobody_reads() -> None:
    read, write = os.pipe()
    os.close(read)
    assert run_into(write, "put", "--help") == (0, "")


def test_output_that_a_full_disk_loses_is_an_error() -> None:
    why = "s3pp: standard output cannot be written: No space left on device\n"
    assert run_into(os.open("/dev/full", os.O_WRONLY), "put", "--help") == (3, why)
    for words in (("help",), ("--version",), ("completion", "fish"), ("config", "--no-config")):
        with open("/dev/full", "w") as full:
            err = io.StringIO()
            assert main(words, Streams.of(full, err)) == 3, words
        assert err.getvalue() == why


def test_help_is_a_command_too(command: Callable[..., Told]) -> None:
    assert command("help") == command("--help")
    assert command("help", "get") == command("get", "--help")
    assert command("help", "sandbox") == command("sandbox", "--help")
    assert command("help", "frob").code == 2


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("puut", "did you mean put?"),
        ("lits", "did you mean list?"),
        ("sync", "use put, get or copy, which transfer what is new or differs, and with --delete"),
        ("ls", "use list"),
        ("rm", "use remove"),
        ("frobnicate", "use one of put, get, copy,"),
        ("hlep put", "did you mean help?"),
        ("--profile x put", "'--profile' is before the command: write s3pp COMMAND [OPTIONS]"),
        ("put --dryrun", "did you mean --dry-run?"),
        ("put --exlude=*.o", "did you mean --exclude?"),
        ("put --size-only", "use --compare size"),
        (
            "put --recursive",
            "leave it out, as what is below a directory or a prefix is always incl",
        ),
        ("list --size-only", "--size-only is not an option of it (see s3pp list --help)"),
        ("get --frobnicate", "--frobnicate is not an option of it (see s3pp get --help)"),
    ],
)
def test_what_does_not_exist_leads_to_what_does(
    command: Callable[..., Told], words: str, remedy: str
) -> None:
    told = command(*words.split())
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert remedy in told.err


@pytest.mark.parametrize("flag", [*_OPTIONS])
def test_words_of_other_tools_lead_to_options_that_exist(flag: str) -> None:
    flags = {each for verb in VERBS for each in parser(verb)._option_string_actions}
    assert flag not in flags
    assert flag == "--bwlimit" or suggest_option(flag, flags) == f"use {_OPTIONS[flag]}"


@pytest.mark.parametrize("word", [*_COMMANDS])
def test_words_of_other_tools_are_no_commands(word: str) -> None:
    assert word not in COMMANDS


@pytest.mark.parametrize("verb", [*COMMANDS])
def test_examples_end_each_help_text_and_are_right(command: Callable[..., Told], verb: str) -> None:
    shown = command(verb, "--help").out
    assert examples_of(verb)
    for example in examples_of(verb):
        assert f"  {example.command}\n" in shown
        for part in re.split(r" && | \| ", example.command):
            program, *words = shlex.split(part)
            if program == "s3pp" and verb in {*VERBS} - {"retry"}:  # whose options are in a file
                assert build_job(words[0], words[1:])
        assert f"s3pp {verb} " in f"{example.command} "
