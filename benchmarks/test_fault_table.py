"""The table of faults must be one that can be trusted; three of its rows, with the real command."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import fault_table
from faultrows import peers
from faultrows.judging import Impossible, Place, Row, Verdict, judged

DOCUMENT = Path(__file__).parent.parent / "docs" / "guarantees.rst"
RIGHT = {"a": b"1", "b": b"2"}


@pytest.mark.parametrize(
    ("code", "arrived", "result"),
    [
        (0, RIGHT, "OK"),
        (0, {"a": b"1"}, "X"),  # lost, and nobody was told
        (0, RIGHT | {"a": b"2"}, "X"),
        (0, RIGHT | {"c": b""}, "X"),
        (1, {"a": b"1"}, "r1"),
        (3, {}, "r3"),
        (1, {"a": b"2"}, "X"),  # told, but what is wrong stands there
    ],
)
def test_what_a_run_may_leave(code: int, arrived: dict[str, bytes], result: str) -> None:
    assert judged(code, arrived, RIGHT).result == result


def test_three_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert fault_table.main(["--rows", "U1,D3,D6"]) == 0
    out = capsys.readouterr().out
    found = dict(re.findall(r"^(\w+)  .*?  (OK|r\d|X|H|-) ", out, re.MULTILINE))
    assert found == {"U1": "OK", "D3": "r1", "D6": "r1"}


@pytest.mark.parametrize(("result", "code"), [("OK", 0), ("r1", 0), ("X", 1), ("H", 1)])
def test_a_broken_promise_fails_the_script(
    monkeypatch: pytest.MonkeyPatch, result: str, code: int
) -> None:
    monkeypatch.setattr(fault_table, "verdict", lambda row, stores: Verdict(result))
    assert fault_table.main(["--rows", "U1"]) == code


def test_a_row_that_cannot_be_tried_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mount(place: Place) -> Verdict:
        raise Impossible("nothing can be mounted here")

    monkeypatch.setattr(fault_table, "ROWS", (Row("D9", "disk full", mount),))
    assert fault_table.main(["--rows", "D9"]) == 0
    assert "nothing can be mounted here" in capsys.readouterr().out


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fault_table.main(["--rows", "U1,X9"])
    assert "no such row: X9" in capsys.readouterr().err


def test_the_document_has_each_row() -> None:
    text = DOCUMENT.read_text()
    for row in fault_table.ROWS:
        others = " +".join(map(re.escape, peers.RESULTS[row.number]))
        line = rf"^{row.number} +{re.escape(row.fault)} +(OK|r\d+) +\d+ +{others}( |$)"
        assert re.search(line, text, re.MULTILINE), row


def test_other_tools_have_a_result_in_each_row() -> None:
    assert [*peers.RESULTS] == [row.number for row in fault_table.ROWS]
    assert {len(results) for results in peers.RESULTS.values()} == {len(peers.VERSIONS)}
