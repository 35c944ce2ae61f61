"""The file of ``--rules``: what its rules set, and which line is at fault."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.args.toml_lines import line_of
from s3pp.args.verbs import build_job
from s3pp.attributes import Objects
from s3pp.errors import UsageError
from s3pp.report.own_files import check_own_files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PUT = ["put", "src", "s3://bucket"]
COPY = ["copy", "s3://one", "s3://other"]


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``rules(text, *words, verb=…)``: the attributes of the job with that file."""
    monkeypatch.chdir(tmp_path)

    def build(text: str | bytes, *words: str, command: list[str] = PUT) -> Objects:
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "r.toml").write_bytes(content)
        verb, *places = command
        return build_job(verb, ["--rules", "r.toml", *words, *places]).objects

    return build


WHOLE = """
[[rule]]  # a comment
match = ["*.html", "/index*"]
content-type = "text/html; charset=utf-8"
cache-control = "max-age=60"
headers = { Content-Language = "en", "x-amz-meta-kind" = "page" }
tags = { project = "a b", "two words" = "" }
storage-class = "STANDARD_IA"
acl = "public-read"
gzip = true
metadata.team = "web"

[[rule]]
match = "*.{js,css}"
gzip = ["text/css", "guess"]

[[rule]]
match = "*"
gzip = false
"""


def test_a_rule_sets_what_it_names_and_the_command_line_the_rest(rules: Any) -> None:
    made = rules(
        WHOLE,
        *("--gzip", "--gzip-type", "text/x", "--storage-class", "GLACIER", "--acl", "private"),
        *("--header", "cache-control:no-store", "--header", "Content-Type:text/x"),
        *("--header", "Expires:never", "--metadata", "team=one", "--metadata", "who=me"),
        *("--tag", "project=x", "--tag", "cost=1", "--sse", "AES256"),
    )
    first, second, third = made.rules
    assert [(each.patterns, each.line) for each in made.rules] == [
        (("*.html", "/index*"), 2), (("*.{js,css}",), 13), (("*",), 17)
    ]  # fmt: skip
    page = first.objects
    assert page.content_type == "text/html; charset=utf-8"
    assert dict(page.headers) == {
        "Cache-Control": "max-age=60", "Content-Language": "en", "Expires": "never"
    }  # fmt: skip
    assert dict(page.metadata) == {"team": "web", "who": "me", "kind": "page"}
    assert dict(page.tags) == {"project": "a b", "cost": "1", "two words": ""}
    assert (page.storage_class, page.acl, page.sse) == ("STANDARD_IA", "public-read", "AES256")
    assert page.gzip_types == {"all"}
    assert {"text/css", "text/html"} < second.objects.gzip_types
    assert third.objects.gzip_types == frozenset()
    plain = third.objects
    assert (plain.content_type, plain.storage_class, plain.acl) == ("text/x", "GLACIER", "private")
    assert made.gzip_types == {"text/x"}  # of what no rule matches
    assert (page.rules, page.rules_file) == ((), None)


RULE = '[[rule]]\nmatch = "*"\n'
BAD: dict[str, tuple[str | bytes, int, str]] = {
    "empty": ("", 1, "has no rule: write [[rule]]"),
    "comments only": ("# none\n", 1, "has no rule"),
    "an empty array": ("rule = []", 1, "has no rule: leave out --rules"),
    "a single table": ('[rule]\nmatch = "*"', 1, "write double brackets"),
    "another table": (RULE + "[[rules]]\n", 3, "has 'rules', and only [[rule]] is allowed"),
    "no TOML": (RULE + "acl = public-read\n", 3, "is not TOML"),
    "not closed": (RULE + 'acl = ["x",\n\n', 3, "is not TOML"),
    "JSON": ('{"match": "*"}', 1, "is not TOML"),
    "a key given twice": (RULE + "gzip = true\ngzip = false\n", 4, "is not TOML"),
    "not UTF-8": (RULE.encode() + b'acl = "\xff"', 3, "is not UTF-8"),
    "no match": (RULE + "\n[[rule]]\ngzip = true\n", 4, "has no match"),
    "an empty match": ("[[rule]]\nmatch = []\n", 2, "match is an empty array"),
    "match is a number": ("[[rule]]\nmatch = 5\n", 2, "match is a number, and must be a string"),
    "match has a number": ('[[rule]]\nmatch = ["a", 5]\n', 2, "match is a number"),
    "a bad pattern": ('[[rule]]\n\nmatch = [\n"a",\n"b[",\n]', 3,
                      "match: pattern 'b[': '[' at position 2 is not closed"),
    "a pattern given twice": (RULE + RULE, 4, "the rule in line 1 has the pattern '*' too"),
    "an unknown key": (RULE + "cache_control = 'x'\n", 3, "unknown key 'cache_control': choose"),
    "a boolean type": (RULE + "content-type = true\n", 3, "content-type is a boolean"),
    "a date": (RULE + "acl = 2026-01-01\n", 3, "acl is a date or time, and must be a string"),
    "a type": (RULE + "content-type = 'html'\n", 3, "content-type: 'html' is not a type"),
    "a line end": (RULE + 'cache-control = "a\\nb"\n', 3, "cache-control: value 'a\\nb'"),
    "headers": (RULE + "headers = 'a:b'\n", 3, "headers is a string, and must be a table"),
    "a header": (RULE + "[rule.headers]\nA = 'b'\n'c d' = 'e'", 5, "headers.c d: 'c d' is not a"),
    "an owned header": (RULE + "headers = {x-amz-acl = 'x'}", 3, "is set by --acl"),
    "a header's value": (RULE + "headers = {A = 1}", 3, "headers.A is a number"),
    "a header twice": (RULE + "headers = {A = 'b', a = 'b'}", 3, "a is given twice"),
    "two headers": (RULE + "cache-control = 'a'\nheaders.Cache-Control = 'a'", 3,
                    "cache-control is among the headers too"),
    "encoded twice": (RULE + "gzip = true\nheaders.Content-Encoding = 'br'", 1,
                      "--header Content-Encoding contradicts --gzip"),
    "metadata": (RULE + "metadata = {k = 'é'}", 3, "metadata.k: value 'é': only printable ASCII"),
    "much metadata": (RULE + f"metadata = {{k = '{'x' * 2048}'}}", 1, "--metadata is 2049 bytes"),
    "a reserved tag": (RULE + "tags = {'aws:x' = 'y'}", 3, "tags.aws:x: 'aws:x' begins with aws:"),
    "a tag with a sign": (RULE + "tags = {'a=b' = 'y'}", 3, "contains '='"),
    "many tags": (RULE + "".join(f"tags.k{n} = 'v'\n" for n in range(11)), 1, "given 11 times"),
    "a class": (RULE + "storage-class = 'a b'\n", 3, "storage-class: 'a b' is not a name"),
    "an ACL": (RULE + "acl = 'everybody'\n", 3, "acl: 'everybody' is unknown; choose from"),
    "gzip": (RULE + "gzip = 9\n", 3, "gzip is a number"),
    "a type to compress": (RULE + "gzip = ['text/html; x']\n", 3, "gzip: 'text/html; x'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_named_with_its_line(rules: Any, case: str) -> None:
    text, line, what = BAD[case]
    with pytest.raises(UsageError, match="^" + re.escape(f"--rules 'r.toml', line {line}: ")) as no:
        rules(text)
    assert what in str(no.value)
    assert "\n" not in str(no.value)


@pytest.mark.parametrize(
    ("text", "words", "command", "what"),
    [
        (RULE + "gzip = true", ["--compare", "size"], PUT, "line 3: gzip contradicts --compare"),
        (RULE + "gzip = true", [], COPY, "line 3: gzip is for put"),
        (
            RULE + "cache-control = 'x'",
            [],
            COPY,
            "line 3: cache-control needs --metadata-directive",
        ),
        (RULE + "[rule.metadata]", [], COPY, "line 3: metadata needs --metadata-directive replace"),
        (RULE + "content-type = 'magic'", ["--metadata-directive", "replace"], COPY, "reads files"),
        (RULE, ["--rules", "other"], PUT, "--rules is given as r.toml and as other: drop one of"),
        (RULE + "#" * (1 << 20), [], PUT, "is larger than 1 MiB"),
        (RULE, [], ["put", "-", "s3://bucket/k"], "'-' has none: leave it out"),
    ],
)
def test_what_contradicts_the_command_line(
    rules: Any, text: str, words: list[str], command: list[str], what: str
) -> None:
    with pytest.raises(UsageError) as no:
        rules(text, *words, command=command)
    assert what in str(no.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("-", "would be a standard stream"),
        ("none", "cannot be read: No such file"),
        (".", "cannot be read: Is a directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(name: str, why: str) -> None:
    with pytest.raises(UsageError) as no:
        build_job("put", ["--rules", name, *PUT[1:]])
    assert f"--rules '{name}' {why}" in str(no.value)


def test_copies_have_what_needs_no_replacement(rules: Any) -> None:
    text = RULE + "storage-class = 'GLACIER'\nacl = 'private'\ntags.a = 'b'\n"
    (rule,) = rules(text, command=COPY).rules
    assert (rule.objects.storage_class, rule.objects.acl) == ("GLACIER", "private")
    more = text + "cache-control = 'x'\n"
    (rule,) = rules(more, "--metadata-directive", "replace", command=COPY).rules
    assert rule.objects.headers == (("Cache-Control", "x"),)


def test_a_mark_and_line_ends_of_windows_are_taken(rules: Any) -> None:
    text = b"\xef\xbb\xbf" + (RULE + "acl = 'private'\n").replace("\n", "\r\n").encode()
    assert rules(text).rules[0].objects.acl == "private"
    with pytest.raises(UsageError, match="line 3: acl: 'x' is unknown"):
        rules(text.replace(b"private", b"x"))


def test_the_journal_is_not_the_file_of_rules(rules: Any) -> None:
    rules(RULE)
    job = build_job("put", ["--rules", "r.toml", "--journal", "r.toml", "src", "s3://bucket"])
    with pytest.raises(UsageError, match=r"--journal 'r\.toml' is the same file as --rules"):
        check_own_files(job)


STATEMENTS = st.sampled_from(
    [
        *("# a = 1", "# b = [", "", "y = [\n1,\n\n2]", "z = 'a'", "w = {}", "u = {a = ']'}  # ["),
        *('x = """\n[[rule]]\nmatch = 1\n"""', "s = '''\n]\n'''", 'v = "\\"["'),
        't = [\n"""["", \\"""",\n]',
    ]
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.lists(STATEMENTS, max_size=4, unique=True), min_size=1, max_size=4))
def test_the_line_of_a_value_is_that_of_its_statement(tables: list[list[str]]) -> None:
    """Tables and values are found whatever the strings, arrays and comments around them."""
    lines: list[str] = []
    expected: dict[tuple[str | int, ...], int] = {}
    for number, statements in enumerate(tables):
        expected["rule", number] = len(lines) + 1
        lines.append("[[rule]]")
        for statement in statements:
            key = statement.partition(" = ")[0]
            if key and not key.startswith("#"):
                expected["rule", number, key] = len(lines) + 1
            lines += statement.split("\n")
    text = "\n".join(lines)
    assert len(tomllib.loads(text)["rule"]) == len(tables)
    assert {path: line_of(text, path) for path in expected} == expected


def test_lines_of_a_large_file_are_found_at_once(rules: Any) -> None:
    """Parsing it once for each of its lines would take hours."""
    several = "".join(f"[[rule]]\nmatch = '{number}'\n\n" for number in range(300))
    assert [each.line for each in rules(several).rules][-1] == 3 * 299 + 1
    for fault in ("x", 'x = """', "[[rule]"):
        with pytest.raises(UsageError, match=r"line 901: is not TOML: "):
            rules(several + fault + "\n" * 10_000)
    with pytest.raises(UsageError, match=r"line 1: is not TOML: .* nested too deeply"):
        rules("a = " + "[" * 100_000)
