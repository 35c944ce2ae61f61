"""A configuration in Python is data: what Python would calculate, and nothing is ever executed."""

from __future__ import annotations

import ast
import builtins
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.compat import python_config
from s3pp.compat.python_config import NotLiteral, evaluate, read_assignments
from s3pp.errors import UsageError

NAMES: dict[str, python_config.Scalar] = {
    "Megabytes": 1024 * 1024,
    "base": "dir",
    "flag": True,
    "half": 0.5,
}
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "<<", ">>"]

leaves = st.one_of(
    st.integers(-(2**70), 2**70).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["True", "False", "None", *NAMES]),
    st.text(max_size=6).map(repr),
)


def joined(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.tuples(children, st.sampled_from(OPERATORS), children).map(
        lambda each: f"({each[0]} {each[1]} {each[2]})"
    )
    return binary | st.tuples(st.sampled_from("+-"), children).map(
        lambda each: f"({''.join(each)})"
    )


expressions = st.recursive(leaves, joined, max_leaves=8)


def parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@given(expressions)
def test_a_value_is_what_python_calculates(text: str) -> None:
    """Or it is refused: it may be no number, or one that would fill the memory."""
    try:
        value = evaluate(parsed(text), NAMES)
    except NotLiteral:
        return
    expected = eval(text, {"__builtins__": {}}, NAMES)
    assert (value, type(value)) == (expected, type(expected)) or value != value  # noqa: PLR0124


@given(
    left=st.integers(-(2**40), 2**40),
    right=st.integers(-1000, 1000),
    operation=st.sampled_from(["+", "-", "*", "//", "%"]),
)
def test_plain_arithmetic_is_never_refused(left: int, right: int, operation: str) -> None:
    text = f"{left} {operation} {right}"
    if right or operation not in ("//", "%"):
        assert evaluate(parsed(text), {}) == eval(text)


CALLS = [
    "spring()",
    "spring",
    "[spring()]",
    "{**spring()}",
    "(lambda: spring())()",
    "f'{spring()}'",
    "spring().real",
    "spring()[0]",
    "spring() if spring() else 1",
    "(x := spring())",
    "spring() and 1",
    "1 < spring() < 3",
    "[each for each in spring()]",
    "not spring()",
    "~spring()",
    "spring() @ 1",
    "*spring()",
    "__import__('os')",
]


@given(before=expressions, call=st.sampled_from(CALLS), operation=st.sampled_from(OPERATORS))
def test_nothing_is_executed(before: str, call: str, operation: str) -> None:
    """Whatever is not data is refused, wherever it stands, and names its line."""
    called: list[str] = []
    fakes: dict[str, Any] = {"spring": lambda: called.append("called"), **NAMES}
    text = "\n".join([*(f"{name} = {value!r}" for name, value in NAMES.items()), "", ""])
    value = call if call.startswith("*") else f"({before}) {operation} ({call})"
    with pytest.MonkeyPatch.context() as patch:
        for name, fake in fakes.items():
            patch.setattr(builtins, name, fake, raising=False)
        with pytest.raises(UsageError, match=rf"^'c.py', line {len(NAMES) + 2}: "):
            read_assignments(f"{text}DesBucket = {value}\n".encode(), "c.py")
    assert called == []


@pytest.mark.parametrize(
    "statement",
    [
        "import os",
        "from os import *",
        "spring()",
        "if True: DesBucket = 'b'",
        "for DesBucket in 'ab': pass",
        "def f(): pass",
        "class C: pass",
        "del base",
        "assert True",
        "a.b = 1",
        "a[0] = 1",
        "a, b = 1, 2",
        "a += 1",
        "a: int",
        "with a: pass",
        "try: pass\nfinally: pass",
        "raise E",
        "while 1: pass",
    ],
)
def test_a_statement_that_is_no_assignment_is_refused(statement: str) -> None:
    with pytest.raises(UsageError, match=r"^'c.py', line 2: .*write NAME = VALUE$"):
        read_assignments(f"base = 1\n{statement}\n".encode(), "c.py")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (b"a = (1", "'c.py', line 1: this is not valid Python"),
        (b"x = 1\na = 'b\n", "'c.py', line 2: this is not valid Python"),
        (b"a = 'b\0c'", "'c.py'"),
        (b"a = '\xff'", "'c.py'"),
        (b"# coding: klingon\na = 1", "'c.py'"),
        (b"a = " + b"(" * 100_000 + b"1" + b")" * 100_000, "'c.py'"),
        (b"a = " + b"-" * 5_000 + b"1", "'c.py'"),
        (b"a = 9**9**9", "line 1: a: the number is too large"),
        (b"a = 1 << 10000000000", "line 1: a: the number is too large"),
        (b"a = 'x' * 10**9", "line 1: a: only numbers can be calculated with"),
        (b"a = '%099999999d' % 1", "line 1: a: only numbers can be calculated with"),
        (b"a = 1 / 0", "line 1: a: the value cannot be calculated: division by zero"),
        (b"a = 2j", "line 1: a: the value is neither text, a number, True nor False"),
        (b"a = [1]", "line 1: a: the value is not a literal"),
        (b"a = b", "line 1: a: b is not assigned above this line"),
        (b"\n".join([b"a = 'x'", *[b"a = a + a"] * 60]), "a: the text is too long"),
    ],
)
def test_what_cannot_be_read_is_one_line(source: bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_assignments(source, "c.py")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_last_assignment_counts_and_names_may_be_used(recwarn: Any) -> None:
    source = (
        b'\xef\xbb\xbf"""Basic"""\nMB = 1024 * 1024\na = b = 50 * MB\nc: str = "C:\\d"\na = 1\n'
    )
    found = read_assignments(source, "c.py")
    assert {name: tuple(each) for name, each in found.items()} == {
        "MB": (1 << 20, 2, True),
        "a": (1, 5, False),
        "b": (50 << 20, 3, False),
        "c": ("C:\\d", 4, False),
    }
    assert not recwarn.list


def test_the_module_calls_nothing_that_executes() -> None:
    """``eval``, ``exec``, ``compile`` and ``literal_eval`` are not even mentioned."""
    tree = ast.parse(open(python_config.__file__).read())  # noqa: SIM115
    names = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(tree)}
    assert not names & {"eval", "exec", "compile", "__import__", "importlib", "runpy"}
