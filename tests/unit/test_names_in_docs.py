"""The docs name only what exists: paths, modules, and what is defined in them."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "s3pp"
PAGES = [ROOT / "README.rst", ROOT / "CONTRIBUTING.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
MODULES = {
    path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in PACKAGE.rglob("*.py")
}
ROOMS = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
TOP = {"s3pp", "tests", "docs", "benchmarks", "bin", ".ci"}  # not what a build leaves there
SUFFIXES = {"py", "rst", "cfg", "toml", "xml", "jpg", "txt", "db", "gz"}  # of files, no names
DOTTED = re.compile(r"(?:s3pp[/.])?((?:\w+/)*\w+)(?:\.py)?((?:\.\w+)*)")


@cache
def defined(path: Path) -> frozenset[str]:
    """Every name that a module defines, at whatever depth."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(node.attr)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {each.asname or each.name for each in node.names}
    return frozenset(names)


def made_up(literal: str) -> bool:
    """Whether a literal is of the form of a path, a module or a name in one, and there is none."""
    if re.fullmatch(r"[\w.]+/[\w/.-]+", literal) and literal.partition("/")[0] in TOP:
        return not (ROOT / literal).exists()
    found = DOTTED.fullmatch(literal)
    if not found:
        return False
    module, names = found[1], set(filter(None, found[2].split(".")))
    if names & SUFFIXES:
        return False
    if module in MODULES:
        return not names <= defined(MODULES[module])
    if "/" in module:
        return module.partition("/")[0] in ROOMS
    if not names:
        return False
    same_name = [path for name, path in MODULES.items() if name.rpartition("/")[2] == module]
    if not same_name and not module[0].isupper():
        return False  # a method of something else's: ``os.replace``
    places = same_name or [path for path in MODULES.values() if module in defined(path)]
    return not any(names <= defined(path) for path in places)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_exists(page: Path) -> None:
    literals = set(re.findall(r"``([^`]+)``", page.read_text()))
    assert {each for each in literals if made_up(each)} == set()


@pytest.mark.parametrize(
    ("literal", "wrong"),
    [
        ("s3pp/job.py", False),
        ("s3pp/jobs.py", True),
        ("pipeline/ledger.Ledger.assign", False),
        ("pipeline/ledger.Ledger.consign", True),
        ("pipeline/ledgers", True),
        ("Ledger.assign", False),
        ("Ledgers.assign", True),
        ("os.replace", False),
        ("--include", False),
    ],
)
def test_what_is_made_up_is_seen(literal: str, wrong: bool) -> None:
    assert made_up(literal) is wrong


NAMED_TEST = re.compile(r"``((?:\w+/)*test_\w+\.py)::(test_\w+)``")


def absent_tests(text: str) -> list[str]:
    """The tests that ``text`` names, by their paths below ``tests/``, and that do not exist."""
    absent = []
    for file, test in NAMED_TEST.findall(text):
        path = ROOT / "tests" / file
        if not path.exists() or test not in defined(path):
            absent.append(f"{file}::{test}")
    return absent


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tests_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    assert absent_tests(text) == []
    assert len(NAMED_TEST.findall(text)) == len(re.findall(r"::test_", text))


def test_a_test_that_does_not_exist_is_seen() -> None:
    here = f"unit/{Path(__file__).name}::test_a_test_that_does_not_exist_is_seen"
    assert absent_tests(f"``{here}``, ``{here}_at_all``, ``unit/test_none.py::test_it``") == [
        f"{here}_at_all",
        "unit/test_none.py::test_it",
    ]


def test_each_capability_of_the_older_tools_has_a_test_or_is_not_offered() -> None:
    text = (ROOT / "docs" / "migrating.rst").read_text().partition(".. list-table::")[2]
    _, *rows = text.partition("\n\n\n")[0].split("\n   * - ")
    cells = [row.split("\n     -") for row in rows[1:]]
    assert len(cells) == 70
    for what, _, now, tests in cells:
        assert NAMED_TEST.search(tests) or now.split()[0] == "not", what


def test_each_fault_of_the_catalogue_has_tests() -> None:
    text = (
        (ROOT / "docs" / "guarantees.rst").read_text().partition("The catalogue of faults\n===")[2]
    )
    _, _, *rows = text.partition("\n\n\n")[0].split("\n   * - ")
    cells = [row.split("\n     - ") for row in rows]
    assert [number for number, *_ in cells] == [str(number) for number in range(1, 63)]
    assert [number for number, *_, tests in cells if not NAMED_TEST.search(tests)] == []


def test_each_section_of_the_guarantees_has_tests() -> None:
    """In the table at the end of the page, or beside what it promises."""
    text = (ROOT / "docs" / "guarantees.rst").read_text()
    page, table = text.split("The tests of each promise\n===")
    _, *rows = table.split("\n   * - ")
    cells = [row.split("\n     - ") for row in rows[1:]]
    assert [promise for _, promise, tests in cells if not NAMED_TEST.search(tests)] == []
    titles = re.findall(r"^(.+)\n={4,}$", page, re.MULTILINE)[1:]
    parts = re.split(r"^.+\n={4,}$", page, flags=re.MULTILINE)[2:]
    beside = {title for title, part in zip(titles, parts, strict=True) if NAMED_TEST.search(part)}
    measured = {"Injected faults", "A soak"}
    listed = {title for title, _, _ in cells} - {"\\"}
    assert listed <= set(titles)
    assert set(titles) - measured - beside - listed == set()
