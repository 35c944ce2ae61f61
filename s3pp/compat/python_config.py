"""Assignments in a Python file, read as data: the file is parsed, and never executed.

A value is a literal, the name of a value above it, or arithmetic on those; everything else is
refused, with the number of its line.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from s3pp.errors import UsageError

Scalar = str | int | float | None  # a bool is an int

# Limits of a value, far above any setting: a short expression can make a number or a text that
# fills the memory.
MOST_BITS, MOST_CHARACTERS = 256, 65_536

_OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = MappingProxyType(
    {
        ast.UAdd: operator.pos,
        ast.USub: operator.neg,
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv,
        ast.Mod: operator.mod,
        ast.Pow: operator.pow,
        ast.LShift: operator.lshift,
        ast.RShift: operator.rshift,
    }
)


class Assignment(NamedTuple):
    """The last value of a name, and where it is assigned."""

    value: Scalar
    line: int
    used: bool = False  # in the value of another name


class NotLiteral(Exception):
    """An expression that is not read as data; ``str()`` says why."""


def read_assignments(source: bytes, path: str) -> dict[str, Assignment]:
    """Return what ``source``, the content of ``path``, assigns to each name.

    Raises ``UsageError`` naming the path and the line of whatever is not data.
    """
    found: dict[str, Assignment] = {}
    for statement in _parse(source, path):
        try:
            _read(statement, found)
        except NotLiteral as error:
            raise UsageError(f"{path!r}, line {statement.lineno}: {error}") from None
    return found


def _parse(source: bytes, path: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():  # of odd escapes, as in "C:\data"
            warnings.simplefilter("ignore")
            return ast.parse(source).body
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise UsageError(f"{path!r}{where}: this is not valid Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):  # a NUL, or nested too deeply
        raise UsageError(f"{path!r} cannot be parsed as Python: correct or replace it") from None


def _read(statement: ast.stmt, found: dict[str, Assignment]) -> None:
    """Add what ``statement`` assigns to ``found``."""
    match statement:
        case ast.Expr(value=ast.Constant()) | ast.Pass():  # a docstring
            return
        case ast.Assign(targets=targets, value=expression):
            _assign(targets, expression, found)
        case ast.AnnAssign(target=target, value=ast.expr() as expression):
            _assign([target], expression, found)
        case _:
            raise NotLiteral(
                "only assignments of values to names are read, because the file is never executed:"
                " write NAME = VALUE"
            )


def _assign(targets: list[ast.expr], expression: ast.expr, found: dict[str, Assignment]) -> None:
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if len(names) < len(targets):
        raise NotLiteral("only single names can be assigned here: write NAME = VALUE")
    try:
        value = evaluate(expression, {name: each.value for name, each in found.items()})
    except NotLiteral as error:
        raise NotLiteral(f"{names[0]}: {error}") from None
    except RecursionError:
        raise NotLiteral(f"{names[0]}: the expression is nested too deeply") from None
    for node in ast.walk(expression):
        if isinstance(node, ast.Name):
            found[node.id] = found[node.id]._replace(used=True)
    for name in names:
        found[name] = Assignment(value, expression.lineno)


def evaluate(expression: ast.expr, known: Mapping[str, Scalar]) -> Scalar:
    """Return the value of ``expression``, as Python would compute it from ``known`` names.

    Raises ``NotLiteral`` if it is not a literal, a known name or arithmetic on those, or if its
    value is too large.
    """
    match expression:
        case ast.Constant(value=value):
            return _checked(value)
        case ast.Name(id=name) if name in known:
            return known[name]
        case ast.Name(id=name):
            raise NotLiteral(f"{name} is not assigned above this line: write the value itself")
        case ast.UnaryOp(op=operation, operand=operand) if type(operation) in _OPERATORS:
            return _apply(operation, evaluate(operand, known))
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATORS:
            return _apply(operation, evaluate(left, known), evaluate(right, known))
    raise NotLiteral(
        "the value is not a literal, a name or arithmetic on them, and the file is never executed:"
        " write the value itself"
    )


def _apply(operation: ast.AST, *operands: Scalar) -> Scalar:
    """Return the result of an operator on numbers, or of ``+`` on texts."""
    texts = isinstance(operation, ast.Add) and all(isinstance(each, str) for each in operands)
    if not texts and not all(isinstance(each, int | float) for each in operands):
        raise NotLiteral("only numbers can be calculated with, and only texts joined by +")
    if isinstance(operation, ast.Pow | ast.LShift):
        _check_growth(operation, *operands)
    try:
        return _checked(_OPERATORS[type(operation)](*operands))
    except (ArithmeticError, TypeError, ValueError) as error:
        raise NotLiteral(f"the value cannot be calculated: {error}") from None


def _check_growth(operation: ast.AST, base: Any, exponent: Any) -> None:
    """Raise ``NotLiteral`` for a power of whole numbers that would take long to calculate."""
    if not (isinstance(base, int) and isinstance(exponent, int)):
        return
    bits = base.bit_length() if isinstance(operation, ast.Pow) else 1
    if bits * exponent > MOST_BITS:
        raise NotLiteral("the number is too large")


def _checked(value: object) -> Scalar:
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise NotLiteral("the number is too large")
    if isinstance(value, str) and len(value) > MOST_CHARACTERS:
        raise NotLiteral("the text is too long")
    if value is None or isinstance(value, str | int | float):
        return value
    raise NotLiteral("the value is neither text, a number, True nor False")
