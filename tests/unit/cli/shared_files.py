"""Writes the files below ``share/`` anew: ``python tests/unit/cli/shared_files.py``."""

from __future__ import annotations

from pathlib import Path

from s3pp.cli.command_lines import command_lines
from s3pp.cli.completion import script
from s3pp.cli.main import COMMANDS
from s3pp.cli.man_page import man_page

SHARE = Path(__file__).parents[3] / "share"


def shared_files() -> dict[Path, str]:
    """The content of each file, by its path."""
    return {
        SHARE / "bash-completion" / "completions" / "s3pp": script("bash"),
        SHARE / "fish" / "vendor_completions.d" / "s3pp.fish": script("fish"),
        SHARE / "man" / "man1" / "s3pp.1": man_page(command_lines(COMMANDS)),
        SHARE / "zsh" / "site-functions" / "_s3pp": script("zsh"),
    }


if __name__ == "__main__":
    for path, content in shared_files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
