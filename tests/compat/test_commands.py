"""Every command that is installed runs from a checkout too, and from a script of its name."""

from __future__ import annotations

import os
import subprocess
import sys
from configparser import ConfigParser
from pkgutil import resolve_name

import pytest

from commands import ROOT, Run
from s3pp import program
from s3pp.compat import main


def console_scripts() -> dict[str, str]:
    """The commands that an installation has, and the functions that they call."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"]["console_scripts"].split("\n")
    return dict(line.split(" = ") for line in lines if line)


@pytest.mark.parametrize("name", console_scripts())
def test_a_command_answers(name: str, front: Run) -> None:
    assert callable(resolve_name(console_scripts()[name]))
    assert os.access(ROOT / "bin" / name, os.X_OK)
    assert front(name, "--version", store=None).out.startswith("s3pp ")


def test_bin_has_every_command() -> None:
    assert {path.name for path in (ROOT / "bin").iterdir()} == set(console_scripts())


def test_little_is_imported_before_a_command_hides_its_arguments() -> None:
    shown = "import s3pp.compat.main, sys; print(*{'argparse', 's3pp.app'} & {*sys.modules})"
    told = subprocess.run(
        [sys.executable, "-c", shown], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert told.stdout == "\n"


def test_an_interruption_before_anything_is_set_up_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    codes: list[int] = []
    monkeypatch.setattr(program, "_fill_standard_descriptors", interrupted)
    monkeypatch.setattr(os, "_exit", codes.append)
    main.run("s3copy")
    assert (codes, capfd.readouterr().err) == ([130], "s3copy: interrupted\n")
