"""Every command of the documentation is run, page by page, as a reader would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands import ROOT
from shell_pages import Block, World, blocks, pages
from stores.store import Store

# unit/test_batch_servers.py, unit/test_shards_page.py
ELSEWHERE = {"docs/batch-servers.rst", "docs/shards.rst"}
PAGES = {
    name: found
    for page in pages()
    if (name := page.relative_to(ROOT).as_posix()) not in ELSEWHERE
    if (found := [each for each in blocks(page.read_text()) if each.is_run])
}
# Pages that are read from top to bottom: what they show is printed so.
SHOWN = re.compile(r"docs/(?:tutorial|howto/[\w-]+)\.rst")
WHOLE = {"docs/tutorial.rst"}  # and nothing else is printed


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_run(name: str, tmp_path: Path, moto: Store) -> None:
    world = World(tmp_path, moto, (ROOT / name).read_text())
    with world.ready():
        for block in PAGES[name]:
            end = world.run(block.script)
            assert end.returncode == 0, f"{block.script}\n{end.stdout}\n{end.stderr}"
            assert "Traceback" not in end.stderr
            if SHOWN.fullmatch(name):
                check_printed(block, end.stdout + end.stderr, is_whole=name in WHOLE)


def check_printed(block: Block, printed: str, *, is_whole: bool) -> None:
    """Each line that the page shows is printed, but for numbers and times.

    The page shows each line that is printed, where it ``is_whole``.
    """
    lines = {steady(line) for line in printed.splitlines()}
    shown = {steady(line) for line in block.printed.splitlines()}
    assert (shown == lines) if is_whole else (shown <= lines), printed


def steady(line: str) -> str:
    return " ".join(re.sub(r"[0-9a-f]{32}|\d[\d.:TZ-]*", "N", line).split())
