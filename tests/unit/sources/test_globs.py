"""Patterns: what they match, what alternatives mean, and which ones are refused."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.sources.globs import MAX_CHOICES, MAX_NESTING, Glob, parse_glob

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
    ("*.{js,css}", "x/a.css"),
    ("{a,b}.txt", "b.txt"),
    ("a{,.old}", "a"),
    ("a{,.old}", "a.old"),
    ("{a,{b,c}d}e", "cde"),
    ("{src/a,b}", "src/a"),
    ("{src/a,b}", "x/y/b"),  # each alternative as if it stood alone
    ("{src,lib}/*.js", "lib/a.js"),
    ("a/{b/,}c", "a/b/c"),
    ("a/{b/,}c", "a/c"),
    ("{build,out}/", "x/out/f"),
    ("{*,x}*", "a/b"),  # two stars together
    (r"\{a,b\}", "{a,b}"),
    (r"{a\,b,c}", "a,b"),
    ("{[,}],x}", "}"),  # in brackets they are characters
    ("a,b", "a,b"),
    ("a}", "a}"),
    ("{a}", "a"),
    ("[!]]at", "cat"),
    ("[a[.]", "."),
    (r"a\/b", "a/b"),
]
MISMATCHES = [
    ("*.js", "a.jsx"),
    ("a*z", "a/z"),
    ("a?z", "a/z"),
    ("a[!x]z", "a/z"),
    ("x/a[+-9]z", "x/a/z"),  # the range holds the slash
    ("[!b]at", "bat"),
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
    ("*.{js,css}", "a.jsx"),
    ("{src/a,b}", "x/src/a"),
    ("/{a,b}", "x/a"),
    ("{build,out}/", "build"),
    (r"\{a,b\}", "a"),
    ("{a}", "{a}"),
]


@pytest.mark.parametrize(("pattern", "path"), MATCHES)
def test_matches(pattern: str, path: str) -> None:
    assert parse_glob(pattern).matches(path)


@pytest.mark.parametrize(("pattern", "path"), MISMATCHES)
def test_does_not_match(pattern: str, path: str) -> None:
    assert not parse_glob(pattern).matches(path)


@pytest.mark.parametrize("pattern", ["", "/", "//", ".", "../a", "a/../b"])
def test_what_can_match_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="can match nothing: paths are relative to SOURCE"):
        parse_glob(pattern)


MALFORMED = {
    "a[": "'[' at position 2 is not closed before a / or the end",
    "[a/b]": "'[' at position 1 is not closed",
    "[]": "'[' at position 1 is not closed",
    "x[!]": "'[' at position 2 is not closed",
    "a{b": "'{' at position 2 is not closed",
    "{a,{b}": "'{' at position 1 is not closed",
    "{a,[b,}": "'[' at position 4 is not closed",
    "ab\\": "'\\\\' at position 3 is the last character",
    "x[z-a]": "'[z-a]' at position 2 contains z-a, which is no range: write a-z",
    "[[:alpha:]]": "'[[:alpha:]]' at position 1 contains a class such as [:alpha:]",
    "x[^[:alpha:][:digit:]_]y": "'[^[:alpha:][:digit:]_]' at position 2 contains a class",
    "[[:alpha:]": "'[[:alpha:]' at position 1 contains a class",
    "a**b**c**d**e": "'**' at position 11 is one ** too many within names: at most 3 are allowed",
    "a" + "{" * 5000: "'{' at position 22 is nested too deeply: at most 20 are allowed",
    "{..,a}/b": "it can match nothing, as its alternative '../b'",
    "{,a}": "it can match nothing, as its alternative ''",
    "{0,1,2,3,4,5,6,7,8,9}" * 4: "'}' at position 84 closes alternatives that make 10000 patterns",
}


@pytest.mark.parametrize("pattern", MALFORMED)
def test_what_is_malformed_is_refused_and_its_position_named(pattern: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(MALFORMED[pattern])):
        parse_glob(pattern)


def test_many_alternatives_and_deep_ones() -> None:
    assert parse_glob("{" + ",".join(map(str, range(MAX_CHOICES))) + "}").matches("999")
    assert parse_glob("{" * MAX_NESTING + "a" + "}" * MAX_NESTING).matches("a")


def written_out(pattern: str) -> list[str]:
    """The patterns that the alternatives of ``pattern`` result in, the innermost first."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    return [
        each
        for choice in found[1].split(",")
        for each in written_out(pattern[: found.start()] + choice + pattern[found.end() :])
    ]


def outcome(pattern: str, path: str) -> str:
    """What a pattern says of a path, or that it is none."""
    try:
        glob = parse_glob(pattern)
    except ValueError:
        return "refused"
    above, _, _ = path.rpartition("/")
    assert not (above and glob.covers(above)) or glob.matches(path)
    assert not above or glob.reaches(above) or not glob.matches(path)
    return "matches" if glob.matches(path) else "other"


ALTERNATIVES = st.text("ab*/{},", min_size=1, max_size=12).filter(lambda text: "{" in text)


@settings(max_examples=examples(300), deadline=None)
@given(ALTERNATIVES, st.lists(st.text("ab,}", min_size=1, max_size=2), min_size=1, max_size=3))
def test_alternatives_mean_what_each_means_written_out(pattern: str, path: list[str]) -> None:
    each = {outcome(one, "/".join(path)) for one in written_out(pattern)}
    worst = next(what for what in ("refused", "matches", "other") if what in each)
    assert outcome(pattern, "/".join(path)) == worst


PATTERNS = st.text("ab*?/[]!-\\{},", min_size=1, max_size=8)
GLOB_PATHS = st.lists(st.text("ab]", min_size=1, max_size=2), min_size=1, max_size=4)


@given(PATTERNS, GLOB_PATHS, GLOB_PATHS)
def test_what_covers_a_directory_matches_all_below_it(
    pattern: str, above: list[str], below: list[str]
) -> None:
    glob = compiled(pattern)
    if glob.covers("/".join(above)):
        assert glob.matches("/".join([*above, *below]))


@given(PATTERNS, GLOB_PATHS, GLOB_PATHS)
def test_what_matches_below_a_directory_reaches_it(
    pattern: str, above: list[str], below: list[str]
) -> None:
    glob = compiled(pattern)
    if glob.matches("/".join([*above, *below])):
        assert glob.reaches("/".join(above))


def compiled(pattern: str) -> Glob:
    """The glob, or one that matches all where this one can match nothing."""
    try:
        return parse_glob(pattern)
    except ValueError:
        return parse_glob("**")


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
    assert parse_glob(pattern).reaches(directory) is reached


STARRED = st.text("ab*?/", min_size=1, max_size=12)


@settings(max_examples=examples(600), deadline=None)
@given(STARRED, st.text("ab/", max_size=14))
def test_the_first_place_is_as_good_as_any(pattern: str, path: str) -> None:
    """What is matched without trying other places is matched with them, too."""
    whole = compiled(pattern).whole
    patient = re.compile(whole.pattern.replace("(?>", "(?:"), whole.flags)
    assert bool(whole.fullmatch(path)) is bool(patient.fullmatch(path))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="has no atomic groups")
@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("*a" * 20 + "b", "a" * 250),
        ("*a" * 9 + "**b", "a" * 250),
        ("**/a/" * 9 + "b", "a/" * 2000),
        ("x*a?*[ab]*a*c", "a" * 250),
    ],
)
def test_no_name_keeps_a_pattern_busy(pattern: str, path: str) -> None:
    glob = parse_glob(pattern)
    assert not glob.matches(path)
    assert not glob.covers(path)
    glob.reaches(path)
