"""What a glob matches: the table of the docstring, and the properties pruning rests on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import UsageError
from s3pp.sources.globs import Glob, parse

MATCHES = [
    ("*.js", "a.js"),
    ("*.js", "x/y/a.js"),
    ("*.js", "lib.js/readme"),  # a directory of that name, and so everything in it
    ("a.txt", "a.txt"),
    ("a.txt", "deep/down/a.txt"),
    ("node_modules", "x/node_modules/y/z"),
    ("?at", "cat"),
    ("[bc]at", "cat"),
    ("[!b]at", "cat"),
    ("[^b]at", "cat"),
    ("[a-d]at", "cat"),
    ("[]x]", "]"),
    ("[a-]", "-"),
    ("[z-ac]", "c"),  # the backward range holds nothing, the c is still there
    ("a[", "a["),
    ("**/x", "x"),
    ("**/x", "a/b/x"),
    ("a/**", "a/b"),
    ("a/**", "a/b/c"),
    ("a/**/b", "a/b"),
    ("a/**/b", "a/x/y/b"),
    ("a/**/**/b", "a/b"),
    ("**", "a"),
    ("**", "a/b"),
    ("**/", "a/b"),
    ("a/**/", "a/b/c"),
    ("a**z", "a/b/z"),
    ("/top", "top"),
    ("a/b", "a/b"),
    ("a/*", "a/b"),
    ("a/*", "a/b/c"),
    ("a/*/c", "a/b/c"),
    ("./a/b", "a/b"),
    ("a//b", "a/b"),
    ("logs/", "logs/x"),
    ("logs/", "a/logs/x"),
    ("/logs/", "logs/x"),
    (r"\*", "*"),
    (r"a\[1]", "a[1]"),
    ("a.b", "a.b"),
    ("é*", "école"),
    ("*", "new\nline"),
    ("*\udce9", "caf\udce9"),
]
MISMATCHES = [
    ("*.js", "a.jsx"),
    ("a*z", "a/z"),
    ("a?z", "a/z"),
    ("a[!x]z", "a/z"),
    ("x/a[+-9]z", "x/a/z"),  # the range holds the slash
    ("[!b]at", "bat"),
    ("[z-a]", "m"),
    ("a/**", "a"),
    ("a/**/", "a/b"),
    ("**/", "a"),
    ("/top", "a/top"),
    ("a/b", "x/a/b"),
    ("a/*/c", "a/c"),
    ("logs/", "logs"),
    ("/logs/", "a/logs/x"),
    (r"\*", "x"),
    ("a.b", "axb"),
    ("A", "a"),
]


@pytest.mark.parametrize(("pattern", "path"), MATCHES)
def test_matches(pattern: str, path: str) -> None:
    assert parse(pattern).matches(path)


@pytest.mark.parametrize(("pattern", "path"), MISMATCHES)
def test_does_not_match(pattern: str, path: str) -> None:
    assert not parse(pattern).matches(path)


@pytest.mark.parametrize("pattern", ["", "/", "//", ".", "../a", "a/../b"])
def test_what_can_match_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match="can match nothing"):
        parse(pattern)


PATTERNS = st.text("ab*?/[]!-\\", min_size=1, max_size=8)
PATHS = st.lists(st.text("ab]", min_size=1, max_size=2), min_size=1, max_size=4)


@given(PATTERNS, PATHS, PATHS)
def test_what_covers_a_directory_matches_all_below_it(
    pattern: str, above: list[str], below: list[str]
) -> None:
    glob = compiled(pattern)
    if glob.covers("/".join(above)):
        assert glob.matches("/".join([*above, *below]))


@given(PATTERNS, PATHS, PATHS)
def test_what_matches_below_a_directory_reaches_it(
    pattern: str, above: list[str], below: list[str]
) -> None:
    glob = compiled(pattern)
    if glob.matches("/".join([*above, *below])):
        assert glob.reaches("/".join(above))


def compiled(pattern: str) -> Glob:
    """The glob, or one that matches all where this one can match nothing."""
    try:
        return parse(pattern)
    except UsageError:
        return parse("**")


@pytest.mark.parametrize(
    ("pattern", "directory", "reached"),
    [
        ("/src/*.js", "docs", False),
        ("/src/*.js", "src", True),
        ("src/**", "src/deep", True),
        ("*.js", "docs", True),
        ("**/x", "docs", True),
        ("a/b/c", "a/x", False),
    ],
)
def test_reaches(pattern: str, directory: str, reached: bool) -> None:
    assert parse(pattern).reaches(directory) is reached
