r"""Patterns for names relative to SOURCE or PREFIX, compiled to regular expressions.

====================  ==============================================================
``*``  ``?``          any characters, any one character, but never ``/``
``[abc]`` ``[!a-z]``  one of them, none of them; never ``/``
``{a,b}``             one of the alternatives: the pattern with ``a``, or with ``b``
``**``                any characters, ``/`` too; ``**/x`` matches ``x`` at the top as well
``a/**``              everything below ``a``
``name``              without a slash: the base name, at any depth
``a/b``  ``/name``    with a slash at the front or inside: from SOURCE down
``name/``             with a slash at the end: directories only
``\*``                a backslash takes the next character as it is
====================  ==============================================================

A pattern that matches a directory matches everything in it.

Alternatives may be empty, nested, and contain slashes. A pattern with them means what the patterns
mean that result from writing out each choice: ``{src/a,b}`` is ``src/a``, relative to SOURCE, or
``b`` at any depth. In ``[…]`` braces and commas are characters as all others.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

MAX_CHOICES = 1000  # patterns that alternatives may result in
MAX_NESTING = 20  # alternatives within alternatives
MAX_INNER = 3  # ``**`` within names: ``a**b``
ACROSS = "**"


@dataclass(frozen=True)
class Glob:
    """One pattern, compiled."""

    whole: re.Pattern[str]
    # For each way to choose among alternatives: one per leading segment, up to the first ``**``.
    heads: tuple[tuple[re.Pattern[str], ...], ...]

    def matches(self, path: str) -> bool:
        """Return whether the pattern matches the file at ``path`` (relative, no leading slash)."""
        return self.whole.fullmatch(path) is not None

    def covers(self, directory: str) -> bool:
        """Return true only if the pattern matches every path below ``directory``."""
        return self.whole.fullmatch(directory + "/") is not None

    def reaches(self, directory: str) -> bool:
        """Return false only if the pattern can match no path below ``directory``."""
        names = directory.split("/")
        return any(
            all(head.fullmatch(name) for head, name in zip(heads, names, strict=False))
            for heads in self.heads
        )


def parse_glob(pattern: str) -> Glob:
    """Compile ``pattern``; raises ``ValueError`` if it is malformed, or no path could match it."""
    choices = [_Choice.of(_join_stars(each), pattern) for each in _write_out(_tokens(pattern))]
    bodies = dict.fromkeys(choice.body for choice in choices)
    heads = dict.fromkeys(choice.heads for choice in choices)
    return Glob(
        re.compile("|".join(bodies), re.DOTALL),
        tuple(tuple(re.compile(each, re.DOTALL) for each in head) for head in heads),
    )


# Tokens


class _Token(NamedTuple):
    kind: str
    text: str
    at: int  # position in the pattern, from 0


_STARS = ("star", "across")
_TOKEN = re.compile(
    r"(?P<across>\*\*+)|(?P<star>\*)|(?P<one>\?)|(?P<slash>/)"
    r"|(?P<open>\{)|(?P<comma>,)|(?P<close>\})"
    r"|(?P<set>\[(?:[!^]|(?![!^]))(?:\][^\]/]*|[^\]/]+)\])"
    r"|\\(?P<escaped>.)|(?P<unclosed>\[)|(?P<nothing>\\)|(?P<plain>[^][*?/{},\\]+|\])",
    re.DOTALL,
)


def _tokens(pattern: str) -> Iterator[_Token]:
    """Yield the tokens of a pattern. Raises ``ValueError`` for what is malformed."""
    for found in _TOKEN.finditer(pattern):
        kind = str(found.lastgroup)
        token = _Token(kind, found[kind], found.start())
        if kind == "unclosed":
            raise _malformed(
                token, "is not closed before a / or the end: write \\[ for the bracket"
            )
        if kind == "nothing":
            raise _malformed(token, "is the last character: write \\\\ for a backslash")
        if kind == "set":
            _check_set(token, pattern[found.end() :])
        yield token


def _check_set(token: _Token, rest: str) -> None:
    """Raise ``ValueError`` for a set that is malformed; ``rest``: what follows it."""
    if re.search(r"\[([:=.])[^]]*\1", token.text[1:]):
        meant = re.match(r"(?:\[[^]]*\]|[^]/[])*\]", rest)  # it ends at the next bracket
        whole = token._replace(text=token.text + (meant[0] if meant else ""))
        raise _malformed(whole, "contains a class such as [:alpha:]: write ranges, such as a-z")
    for low, high, _ in _members(token.text):
        if low > high:
            raise _malformed(token, f"contains {low}-{high}, which is no range: write {high}-{low}")


def _malformed(token: _Token, what: str) -> ValueError:
    return ValueError(f"{token.text!r} at position {token.at + 1} {what}")


# Alternatives


_Tokens = tuple[_Token, ...]


def _write_out(tokens: Iterable[_Token]) -> list[_Tokens]:
    """Return the tokens of every choice among alternatives, without braces."""
    around: list[tuple[list[_Tokens], list[_Tokens], _Token]] = []  # of the braces that are open
    before: list[_Tokens] = []  # alternatives that are complete
    last: list[_Tokens] = [()]  # the last one, in each way to choose in it
    for token in tokens:
        if token.kind == "open":
            if len(around) == MAX_NESTING:
                raise _malformed(token, f"is nested too deeply: at most {MAX_NESTING} are allowed")
            around.append((before, last, token))
            before, last = [], [()]
        elif token.kind == "comma" and around:
            before, last = before + last, [()]
        elif token.kind == "close" and around:
            inner = before + last
            before, last, _ = around.pop()
            _check_number(len(inner) * len(last), token)
            last = [one + other for one in last for other in inner]
        else:
            last = [(*one, token) for one in last]
    if around:
        raise _malformed(around[-1][2], "is not closed: write \\{ for the brace")
    return last


def _check_number(number: int, token: _Token) -> None:
    if number > MAX_CHOICES:
        what = f"closes alternatives that make {number} patterns, and {MAX_CHOICES} are allowed"
        raise _malformed(token, f"{what}: use several patterns")


def _join_stars(tokens: _Tokens) -> _Tokens:
    """Return ``tokens`` with ``**`` where alternatives bring two stars together: ``{*,a}*``."""
    joined: list[_Token] = []
    for token in tokens:
        if joined and token.kind in _STARS and joined[-1].kind in _STARS:
            first = joined.pop()
            joined.append(_Token("across", first.text + token.text, first.at))
        else:
            joined.append(token)
    return tuple(joined)


# Regular expressions


class _Choice(NamedTuple):
    """The regular expressions of a pattern without alternatives."""

    body: str
    heads: tuple[str, ...]

    @classmethod
    def of(cls, tokens: _Tokens, pattern: str) -> _Choice:
        """Raises ``ValueError`` if no path could match."""
        parts = list(_split(tokens))
        segments = [each for each in parts if _text(each) not in ("", ".")]
        if not segments or any(_text(each) == ".." for each in segments):
            text = _text(tokens)
            where = "" if text == pattern else f", as its alternative {text!r}"
            raise ValueError(f"it can match nothing{where}: paths are relative to SOURCE")
        _check_inner(segments)
        expressions = [_expression(each) for each in segments]
        if parts[0] and not any(parts[1:]):  # no slash, or only at the end
            expressions.insert(0, _ACROSS)
        directories = len(parts) > 1 and not parts[-1]
        expressions, directories = _simplify(expressions, directories)
        tail = "/.*" if directories else "(?:/.*)?"
        return cls(_body(expressions) + tail, tuple(_heads(expressions)))


def _check_inner(segments: Sequence[_Tokens]) -> None:
    """Refuse many ``**`` within names, which all have to be tried at every place."""
    inner = [t for each in segments if len(each) > 1 for t in each if t.kind == "across"]
    if len(inner) > MAX_INNER:
        raise _malformed(
            inner[MAX_INNER], f"is one ** too many within names: at most {MAX_INNER} are allowed"
        )


def _split(tokens: _Tokens) -> Iterator[_Tokens]:
    """Yield the segments between slashes."""
    start = 0
    for number, token in enumerate(tokens):
        if token.kind == "slash" or (token.kind == "escaped" and token.text == "/"):
            yield tokens[start:number]
            start = number + 1
    yield tokens[start:]


def _text(tokens: Sequence[_Token]) -> str:
    return "".join(token.text for token in tokens)


class _Expression(NamedTuple):
    """The regular expression of one segment."""

    text: str
    is_across: bool  # it is ``**``
    crosses: bool  # it contains ``**``


_ACROSS = _Expression("", is_across=True, crosses=True)


_ANY = "[^/]*"
_LAZY = {"star": (_ANY, "[^/]*?"), "across": (".*", ".*?")}


def _expression(segment: _Tokens) -> _Expression:
    kinds = [token.kind for token in segment]
    text = "".join(_pieces(segment))
    is_across = kinds == ["across"] and segment[0].text == ACROSS
    return _Expression(text, is_across, crosses="across" in kinds)


def _pieces(segment: _Tokens) -> Iterator[str]:
    """Yield the expressions of a segment: what precedes the stars, and each star with what follows.

    Where what follows a star is found first is as good a place as any later one, as the next star
    matches what is between them. Trying them all would take for ever with ``*a*a*a*a*b`` and a name
    of many ``a``. It is not so of ``**`` before ``*``, which does not match a slash.
    """
    stars = [number for number, token in enumerate(segment) if token.kind in _STARS]
    for start, end in pairwise(sorted({0, *stars, len(segment)})):
        text = "".join(map(_translate, segment[start:end]))
        next_kind = segment[end].kind if end < len(segment) else ""
        kind = segment[start].kind if start in stars else ""
        if next_kind and (kind == "star" or kind == next_kind == "across"):
            star, lazy = _LAZY[kind]
            text = _first_of(lazy + text.removeprefix(star))
        yield text


def _first_of(expression: str) -> str:
    """Match ``expression`` only where it matches first. Python 3.10 tries all places."""
    return f"(?>{expression})" if sys.version_info >= (3, 11) else f"(?:{expression})"


def _translate(token: _Token) -> str:
    fixed = {"across": ".*", "star": _ANY, "one": "[^/]"}
    if token.kind in fixed:
        return fixed[token.kind]
    return _set(token.text) if token.kind == "set" else re.escape(token.text)


def _set(text: str) -> str:
    """Return the regular expression of a bracket expression."""
    parts = [
        re.escape(single) if single else f"{re.escape(low)}-{re.escape(high)}"
        for low, high, single in _members(text)
    ]
    if text[1] in "!^":
        return f"[^/{''.join(parts)}]"
    return f"(?!/)[{''.join(parts)}]"


def _members(text: str) -> list[tuple[str, str, str]]:
    """Return the members of ``[…]``: the ends of a range, or a single character."""
    inside = text[2:-1] if text[1] in "!^" else text[1:-1]
    return re.findall(r"(.)-(.)|(.)", inside, re.DOTALL)


def _simplify(segments: list[_Expression], directories: bool) -> tuple[list[_Expression], bool]:
    """Fold repeated ``**``, and turn a closing one into a directory: ``a/**`` is ``/a/``."""
    folded = [
        segment
        for before, segment in zip([None, *segments], segments, strict=False)
        if not (before is not None and before.is_across and segment.is_across)
    ]
    if folded[-1].is_across and directories:
        return [*folded, _Expression("[^/]*", is_across=False, crosses=False)], True
    if folded[-1].is_across and len(folded) > 1:
        return folded[:-1], True
    return folded, directories


def _body(segments: list[_Expression]) -> str:
    *leading, last = segments
    blocks: list[str] = [""]  # each but the first begins with ``**``
    for each in leading:
        if each.is_across:
            blocks.append("(?:.*?/)??")
        else:
            blocks[-1] += each.text + "/"
    whole = all(each.is_across or not each.crosses for each in segments)
    # As with stars in a segment: the first place is as good as any other, except for the last one.
    middle = [_first_of(each) if whole else each for each in blocks[1:-1]]
    ends = [blocks[0], *middle, *blocks[1:][-1:]]
    return "".join(ends) + (".*" if last.is_across else last.text)


def _heads(segments: list[_Expression]) -> Iterator[str]:
    for segment in segments:
        if segment.crosses:
            return
        yield segment.text
