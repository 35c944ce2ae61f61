"""The program that writes the tables of docs/stores.rst."""

from __future__ import annotations

import pytest

from stores.table import (
    Notes,
    Outcome,
    answer,
    cell,
    check_table,
    outcome_table,
    read_outcomes,
    replace_between,
    row_of,
)

REPORT = """<testsuites><testsuite>
<testcase classname="tests.e2e.test_list" name="test_a[rgw]"/>
<testcase classname="tests.e2e.test_list" name="test_a[x-rgw-y]"><failure message="m"/></testcase>
<testcase classname="tests.e2e.test_put_large" name="test_b[z-rgw]">
<skipped type="pytest.xfail" message="rgw: no ETag"/></testcase>
<testcase classname="tests.e2e.test_list" name="test_a[moto]"/>
<testcase classname="tests.e2e.test_list" name="test_c[rgw]">
<skipped type="pytest.skip" message="m"/></testcase>
</testsuite></testsuites>"""
GOOD, LACKING = Outcome("tests/e2e/test_get", True), Outcome("tests/e2e/test_get", False, "no x")


def test_outcomes_are_those_of_one_store() -> None:
    assert read_outcomes(REPORT, "rgw") == [
        Outcome("tests/e2e/test_list", True),
        Outcome("tests/e2e/test_list", False),
        Outcome("tests/e2e/test_put_large", False, "no ETag"),
    ]


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([], "-"),
        ([GOOD, GOOD], "all 2"),
        ([GOOD, LACKING, LACKING], "1 of 3: a"),
        ([LACKING, GOOD._replace(passed=False)], "0 of 2: a unexpected"),
    ],
)
def test_a_cell(outcomes: list[Outcome], said: str) -> None:
    assert cell(outcomes, "RGW", Notes()) == said


def test_the_table_of_the_tests() -> None:
    found = {"one": [GOOD, LACKING], "two": [GOOD]}
    assert outcome_table(found, {"one": "1.0", "two": "2"}) == [
        "========  =========  =====",
        "tests of  one        two",
        "========  =========  =====",
        "version   1.0        2",
        "**get**   1 of 2: a  all 1",
        "========  =========  =====",
        "",
        "| a: one: no x",
    ]
    assert row_of("tests/e2e/test_put_large") == "**put** of large objects"
    assert row_of("tests/e2e/test_put_tree") == "**put**"


def test_the_table_of_the_doctor() -> None:
    assert answer("put object", "ok", "allowed") == "yes"
    assert answer("put if absent", "warning", "no: it is ignored") == "no"
    kept = "CRC64NVME is not verified, and kept"
    assert answer("checksums", "ok", kept) == "not verified, kept"
    table = check_table({"one": {"a": "yes", "b": "no"}, "two": {"a": "yes", "b": "yes"}})
    assert table[3:] == [
        "b                   no   yes",
        "==================  ===  ===",
        "",
        "``yes`` for all of them: a.",
    ]


def test_a_table_is_replaced_and_nothing_else() -> None:
    page = "x\n\n.. begin of t\n\nold\n\n.. end of t\n\ny\n"
    assert replace_between(page, "t", ["new"]) == page.replace("old", "new")
    again = replace_between(replace_between(page, "t", ["1", "2"]), "t", ["old"])
    assert again == page
