"""Every command that is installed runs from a checkout too, and from a script of its name."""

from __future__ import annotations

import os
from configparser import ConfigParser
from pkgutil import resolve_name

import pytest

from commands import ROOT, Run


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
