"""The page that compares filters says what those of s3pp select."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from .trees import keys, plant

PAGE = (Path(__file__).parents[3] / "docs" / "filters.rst").read_text()
TABLE = re.compile(r"^=+  [= ]+\n(.*)\n[= ]+\n((?:.+\n)+?)=+  [= ]+\n", re.MULTILINE)
Rules = tuple[tuple[str, str], ...]


def tables(text: str) -> Iterator[list[list[str]]]:
    """The simple tables of a page: the cells of each row, the header first."""
    for found in TABLE.finditer(text):
        lines = [found[1], *found[2].splitlines()]
        yield [re.split(r" {2,}", line.strip()) for line in lines]


FILES, PATTERNS, COMBINED, WRITTEN = tables(PAGE)
NUMBERED = {number: file.strip("`") for number, file in FILES[1:]}


def numbers(cell: str) -> list[str]:
    """The files that a cell selects."""
    return sorted(NUMBERED[each] for each in cell.replace("none", "").split())


def rules_of(cell: str) -> Rules:
    """The rules of a literal such as ``--exclude '*' --include x``."""
    words = shlex.split(cell.strip("`"))
    pairs = zip(words[::2], words[1::2], strict=True)
    return tuple((flag.removeprefix("--"), glob) for flag, glob in pairs)


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("filters")
    plant(root, dict.fromkeys(NUMBERED.values(), ""))
    return root


def test_the_tables_are_found() -> None:
    assert (len(NUMBERED), len(PATTERNS), len(COMBINED), len(WRITTEN)) == (9, 24, 7, 9)
    assert [table[0][-1] for table in (PATTERNS, COMBINED, WRITTEN)] == ["s3pp", "s3pp", "selects"]


def test_each_pattern_selects_and_leaves_out_what_its_row_says(top: Path) -> None:
    pattern, everything = "", sorted(NUMBERED.values())
    for first, *_, cell in PATTERNS[1:]:
        is_second = first.startswith("\\ as ``--exclude``")
        pattern = pattern if is_second else first.strip("`")
        selected = keys(top, rules=(("include", pattern),))
        assert (pattern, sorted(selected)) == (pattern, numbers(cell))
        kept = keys(top, rules=(("exclude", pattern),))
        assert (pattern, sorted({*everything} - {*kept})) == (pattern, numbers(cell))


@pytest.mark.parametrize("row", COMBINED[1:] + WRITTEN[1:], ids=" ".join)
def test_options_together_select_what_their_row_says(top: Path, row: list[str]) -> None:
    options = row[0] if len(row) == 5 else row[1]
    assert (options, sorted(keys(top, rules=rules_of(options)))) == (options, numbers(row[-1]))


@pytest.mark.parametrize(
    ("pattern", "wanted"), [("web/*.js", "``web/*.js``, at any depth"), ("x", "``x``, at the top")]
)
def test_what_is_written_for_s3pp_is_what_the_others_select(pattern: str, wanted: str) -> None:
    """Patterns of the second table are translated by the last one."""
    (_, aws, _, s5cmd, _) = next(row for row in PATTERNS if row[0] == f"``{pattern}``")
    selected = next(row[2] for row in WRITTEN if wanted in row[0])
    assert (aws, s5cmd) == (selected, selected)
