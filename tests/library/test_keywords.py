"""Keywords: each option and no other, the same values, and messages that name keywords."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from traceback import TracebackException
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import s3pp
from library.option_types import TARGET, text
from s3pp.access import Keys
from s3pp.args import building, verbs
from s3pp.args.verbs import VERBS, parser
from s3pp.errors import S3ppError, UsageError
from s3pp.job import Compare, Job, Mode
from s3pp.library.keywords import (
    COMMAND_ONLY,
    Keyword,
    build_job,
    credentials_of,
    in_python,
    keywords_of,
)

PLACES = {
    "put": ["photos", "s3://bucket/p"],
    "get": ["s3://bucket/p", "photos"],
    "copy": ["s3://bucket/p", "s3://other/q"],
    "move": ["s3://bucket/p", "s3://other/q"],
    "remove": ["s3://bucket/p"],
    "verify": ["s3://bucket/p", "s3://other/q"],
    "retry": [str(Path(__file__).parent / "journal.jsonl")],  # of a copy
    "apply": ["plan"],
    "list": ["s3://bucket/p"],
    "du": ["s3://bucket/p"],
    "clean": ["s3://bucket/p"],
}
GENERAL = {"--help", "--version"}
RULES = Path(__file__).parent / "rules.toml"
NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)

# Of each reader: a value of Python's, and what the command is given for it.
SAMPLES: dict[str, list[tuple[Any, str]]] = {
    "whole": [(3, "3")],
    "max_delete": [(100, "100"), ("10%", "10%")],
    "size": [(4096, "4096"), ("16MiB", "16MiB")],
    "part_size": [(8 << 20, "8MiB"), ("8MiB", "8MiB")],
    "max_bandwidth": [
        (10 << 20, "10M"),
        ("1.5M", "1.5M"),
        ("08:00,1M Sat-08:00,off", "08:00,1M Sat-08:00,off"),
    ],
    "max_requests": [(100, "100"), ("08:00,10 18:00,off", "08:00,10 18:00,off")],
    "seconds": [(2, "2"), (2.5, "2.5"), (timedelta(minutes=5), "5m"), ("5m", "5m")],
    "shard": [("2/4", "2/4")],
    "dask_address": [("local:2", "local:2")],
    "lock_wait": [(2, "2"), (timedelta(minutes=5), "5m"), ("forever", "forever")],
    "moment": [
        (NOON, "2026-11-20T12:00:00Z"),
        (NOON.timestamp(), "2026-11-20T12:00:00Z"),
        (int(NOON.timestamp()), "2026-11-20T12:00:00+00:00"),
        (NOON.replace(tzinfo=None), "2026-11-20T12:00:00"),
        (date(2026, 11, 20), "2026-11-20"),
    ],
    "path": [(Path("a/b"), "a/b"), ("a/b", "a/b")],
    "mode": [(each.value, each.value) for each in Mode] + [(Mode.ADD, "add")],
    "compare": [(each.value, each.value) for each in Compare],
    "include": [("*.jpg", "*.jpg")],
    "exclude": [("*.tmp", "*.tmp")],
    "header": [({"Cache-Control": "no-cache"}, "Cache-Control:no-cache")],
    "metadata": [({"k": "v=w"}, "k=v=w"), ("k=v", "k=v"), ([("k", "")], "k=")],
    "tag": [({"k": "v"}, "k=v")],
    "grant": [([("read", "someone@example.org")], "READ:someone@example.org")],
    "content_type": [("text/plain; charset=utf-8", "text/plain; charset=utf-8")],
    "gzip_type": [("all", "all")],
    "gzip_suffix": [(".gz", ".gz")],
    "endpoint": [("https://s3.example.org:9000", "https://s3.example.org:9000")],
    "token": [("eu-west-1", "eu-west-1")],
    "visible": [("a profile", "a profile")],
    "delimiter": [("/", "/")],
}
# What an option needs beside itself, as keywords.
NEEDS: dict[str, dict[str, Any]] = {
    "null": {"files_from": "names"},
    "sse_kms_key_id": {"sse": "aws:kms"},
    "gzip_type": {"gzip": True},
    "max_delete": {"delete": True},
    "delete_from_empty": {"delete": True},
    "delete_excluded": {"delete": True},
    "lock_wait": {"lock": "auto"},
    "max_ratio": {"gunzip": True},
    "if_locked": {"lock": "auto"},
    "dask_security": {"dask": "tls://scheduler:8786"},
    "dask_send_credentials": {"dask": "tls://scheduler:8786"},
    "dask_send_unencrypted": {"dask": "scheduler:8786", "dask_send_credentials": True},
}
# Of what is moved or verified, on files or objects alone: a verb with such places.
ELSEWHERE = {
    ("move", "gzip"): "put",
    ("move", "gzip_type"): "put",
    ("verify", "gzip"): "put",
    ("verify", "gzip_type"): "put",
    ("verify", "follow_symlinks"): "put",
    ("verify", "gunzip"): "get",
}
REPLACED = {"content_type", "header", "metadata"}  # of a copy, which needs a directive for them


def samples_of(keyword: Keyword) -> list[tuple[Any, str | None]]:
    """Values for a keyword, and of its option; None: none."""
    if keyword.value is None:
        return [(keyword.option.sets, None)]
    if keyword.name == "rules":  # the only file that is read when a job is built
        return [(RULES, str(RULES))]
    if keyword.value.reader == "one_of":
        return [(choice, choice) for choice in keyword.value.bounds]
    return [*SAMPLES[keyword.value.reader]]


def options_of(verb: str) -> set[str]:
    return {flag for each in parser(verb)._actions for flag in each.option_strings}


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_a_keyword_and_no_other(verb: str) -> None:
    named = {flag for each in keywords_of(verb).values() for flag in each.option.flags}
    flags = {flag for flag in options_of(verb) - named - GENERAL if flag.startswith("--")}
    # What is left switches off what a keyword switches on, or is a command's.
    others = {flag.removeprefix("--").removeprefix("no-").replace("-", "_") for flag in flags}
    assert others - set(COMMAND_ONLY) <= {*keywords_of(verb), "insecure"}
    assert named <= options_of(verb)
    assert all(re.fullmatch("[a-z][a-z_]*", name) for name in keywords_of(verb))


@pytest.mark.parametrize("verb", VERBS)
def test_a_keyword_means_what_its_option_means(verb: str) -> None:
    for name, keyword in keywords_of(verb).items():
        for value, argument in samples_of(keyword):
            needed = NEEDS.get(name, {}).items()
            given = {k: v for k, v in needed if k in keywords_of(verb)} | {name: value}
            places = PLACES[ELSEWHERE.get((verb, name), verb)]
            if verb in ("copy", "move") and name in REPLACED:
                given["metadata_directive"] = "replace"
            job = build_job(verb, places, given)
            assert same(job, command(verb, given | {name: argument}, places)), (name, value)
            assert job != build_job(verb, places, {}) or is_default(keyword, value), name


def is_default(keyword: Keyword, value: object) -> bool:
    """Whether nothing changes, as the value is the default."""
    return value in (
        *("update", "key", "filesystem", "md5", "copy", "auto", "guess", "etag", "skip"),
        True,
    )


def command(verb: str, given: dict[str, Any], places: list[str]) -> Job:
    """The job of a command line with the options of these keywords."""
    words: list[str] = []
    for name, value in given.items():
        flag = next(each for each in keywords_of(verb)[name].option.flags if each[:2] == "--")
        words += [flag] if isinstance(value, bool) or value is None else [flag, value]
    return verbs.build_job(verb, [*words, *places])


def same(one: Job, other: Job) -> bool:
    """Whether two jobs are equal, but for ages, which were read a moment apart, and spellings."""
    times = ("newer_than", "older_than")
    for name in times:
        a, b = (getattr(each.choosing, name) for each in (one, other))
        if (a is None) != (b is None) or abs((a or 0) - (b or 0)) > 60:
            return False
    blank: dict[str, Any] = dict.fromkeys(times)
    jobs = [
        replace(
            each,
            choosing=replace(each.choosing, **blank),
            output=replace(each.output, invocation=None),  # how the call was written
        )
        for each in (one, other)
    ]
    return jobs[0] == jobs[1]


@pytest.mark.parametrize("verb", VERBS)
def test_none_is_as_if_not_given(verb: str) -> None:
    nothing = dict.fromkeys([*keywords_of(verb), *credentials_of(verb)])
    assert build_job(verb, PLACES[verb], nothing) == build_job(verb, PLACES[verb], {})


def test_the_types_of_the_keywords_are_those_of_the_declarations() -> None:
    written = TARGET.read_text()
    assert written == text(), "write it anew: python tests/library/option_types.py"


def put(**keywords: Any) -> Job:
    return build_job("put", PLACES["put"], keywords)


def test_flags_switch_on_and_off() -> None:
    assert put(resume=False).parts.resume is False
    assert put(resume=True) == put()
    assert put(follow_symlinks=False).choosing.follow_symlinks is False
    assert put(secure=False, endpoint_url="host").access.endpoint_url == "http://host"
    assert put(verify_ssl=False, sign_request=False).access.sign is False


def test_patterns_hold_in_the_order_of_the_keywords() -> None:
    one = put(exclude="*", include=["*.jpg", "*.png"])
    assert one.choosing.rules == (("exclude", "*"), ("include", "*.jpg"), ("include", "*.png"))
    assert put(include="*.jpg", exclude="*").choosing.rules[0] == ("include", "*.jpg")


def test_names_may_be_given_in_memory() -> None:
    assert put(files_from=["a", "b/c"]).choosing.names == ("a", "b/c")
    assert put(files_from=iter("ab")).choosing.names == ("a", "b")
    assert put(files_from=[]).choosing.names == ()
    for wrong in (["a", 1], b"a", 1):
        with pytest.raises(TypeError, match="files_from must be a path or names, not "):
            put(files_from=wrong)


def test_names_in_memory_need_not_be_unicode_but_possible() -> None:
    assert put(files_from=["\udcff"]).choosing.names == ("\udcff",)
    with pytest.raises(
        UsageError, match=r"files_from: no file has the name .*, nor a key: drop it"
    ):
        put(files_from=["a", "\ud800"])


def test_an_age_is_before_now() -> None:
    job = put(newer_than=timedelta(days=7))
    assert same(job, put(newer_than="7d"))


def test_credentials_are_no_option_and_are_shown_nowhere() -> None:
    job = put(credentials=("AKIA", "secret"))
    assert job.access.credentials == Keys("AKIA", "secret")
    assert put(credentials=("AKIA", "secret", "token")).access.credentials == Keys(
        "AKIA", "secret", "token"
    )
    assert put(credentials=Keys("AKIA", "secret")) == job
    assert "secret" not in repr(job)
    fields = building.declared_fields()
    for verb in VERBS:
        assert set(credentials_of(verb).values()) <= {*fields}
    assert [*credentials_of("list")] == ["credentials"]
    given: dict[str, Any] = {"credentials": Keys("a", "b"), "source_credentials": ("c", "d")}
    copy = build_job("copy", PLACES["copy"], given)
    assert copy.source_access is not None
    assert copy.source_access.credentials == Keys("c", "d")
    for wrong in ("AKIA:secret", ("secret",), ("AKIA", b"secret"), {"AKIA": "secret"}):
        with pytest.raises(TypeError, match="credentials must be") as raised:
            put(credentials=wrong)
        assert "secret" not in str(raised.value).replace("secret_key", "")
    with pytest.raises(TypeError, match="source_credentials'"):
        put(source_credentials=("a", "b"))
    for also in ("source_profile", "sign_request"):
        given = {"source_credentials": ("c", "d"), also: False if also == "sign_request" else "p"}
        with pytest.raises(UsageError, match=f"source_credentials and {also}.* contradict each"):
            build_job("copy", PLACES["copy"], given)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    "wrong",
    [
        {},  # but the run cannot start
        {"mode": "zz", "part_sise": 1},
        {"endpoint_url": 5},
        {"sign_request": False},
        {"credential": ("AKIA", "a-secret")},
        {"credentials": ("a-secret",)},
        {"credentials": {"AKIA": "a-secret"}},
        {"credentials": b"a-secret"},
    ],
)
def test_no_frame_of_a_failed_call_shows_credentials(
    verb: str, wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "multiprocessing.spawn", raising=False)
    monkeypatch.setattr(sys, "executable", "")
    given: dict[str, Any] = {"credentials": ("AKIA", "a-secret", "a-secret-token")}
    with pytest.raises((TypeError, S3ppError)) as raised:
        getattr(s3pp, verb)(*PLACES[verb], **given | wrong)
    frames = raised.value.__traceback__
    assert frames is not None
    shown = TracebackException(TypeError, raised.value, frames.tb_next, capture_locals=True)
    assert "a-secret" not in "".join(shown.format())
    assert "AKIA" not in "".join(shown.format())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("part_sise", "did you mean 'part_size'?"),
        ("tags", "did you mean 'tag'?"),
        ("no_resume", "write resume=False"),
        ("insecure", "write secure=False"),
        ("grant", "write acl=…"),
        ("put", "write mode=…"),
        ("gunzip", "it is one of get"),
        ("metadata_directive", "it is one of copy"),
        ("quiet", "nothing is printed: on_event gets every record"),
        ("zzzzzzz", "unexpected keyword argument 'zzzzzzz'"),
    ],
)
def test_an_unknown_keyword_gets_the_one_that_is_meant(name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=re.escape(hint)) as raised:
        put(**{name: 1})
    assert str(raised.value).startswith(f"put() got an unexpected keyword argument {name!r}")


@pytest.mark.parametrize(
    ("keywords", "type_", "message"),
    [
        ({"part_size": 1}, UsageError, "part_size: '1' is not what S3 allows: from 5MiB to 5GiB"),
        ({"min_size": -1}, UsageError, "min_size: '-1' is not a size: write bytes"),
        ({"limit": True}, TypeError, "limit cannot be of type bool: True"),
        ({"limit": 1.5}, TypeError, "limit cannot be of type float: 1.5"),
        ({"resume": "no"}, TypeError, "resume must be True or False, not 'no'"),
        ({"read_timeout": float("nan")}, UsageError, "read_timeout: 'nan' is not a length"),
        ({"newer_than": float("inf")}, UsageError, "newer_than: "),
        ({"newer_than": timedelta(days=-1)}, UsageError, "newer_than: '-86400"),
        ({"include": ["a", 1]}, TypeError, "include cannot be of type int: 1"),
        ({"tag": {"a=b": "c"}}, UsageError, "tag: 'a=b' contains '='"),
        ({"header": {"A:B": "c"}}, UsageError, "header: 'A:B' contains ':'"),
        ({"tag": {"a": 1}}, TypeError, "tag must be pairs of a name and a text, not ('a', 1)"),
        ({"mode": "new"}, UsageError, "mode: 'new' is unknown; choose from add"),
        ({"null": True}, UsageError, "null needs files_from: it says how the names"),
        (
            {"null": True, "files_from": ["a"]},
            UsageError,
            "null says how names end in a file, and these are in memory; drop it",
        ),
        (
            {"list_profile": "a", "list_credentials": ("b", "c")},
            UsageError,
            "list_credentials and list_profile contradict each other; drop one",
        ),
        (
            {"sign_request": False, "list_credentials": ("b", "c")},
            UsageError,
            "list_credentials and sign_request=False contradict each other; drop one",
        ),
        ({"gzip_type": "all"}, UsageError, "gzip_type needs gzip: it says"),
        (
            {"walk": "tar", "follow_symlinks": False},
            UsageError,
            "walk tar does not follow links; drop follow_symlinks",
        ),
        (
            {"sandbox": True, "sign_request": False},
            UsageError,
            "sandbox and sign_request=False contradict each other",
        ),
        ({"journal": b"x"}, TypeError, "journal cannot be of type bytes"),
    ],
)
def test_what_is_refused(keywords: dict[str, Any], type_: type[Exception], message: str) -> None:
    with pytest.raises(type_, match=re.escape(message)):
        put(**keywords)


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("put", (None, "s3://b"), "sources must be a path, not None"),
        ("put", (5, "s3://b"), "sources must be a path, not 5"),
        ("put", (["a", None], "s3://b"), "each of sources must be a path, not None"),
        ("put", ({"n": ["a"]}, "s3://b"), "sources['n'] must be a path, not ['a']"),
        ("put", ({1: "a"}, "s3://b"), "the name of a source must be text, not 1"),
        ("put", ("a", Path("s3:/b")), "dest must be text, s3://BUCKET[/PREFIX], not PosixPath"),
        ("get", (Path("s3:/b"), "d"), "sources must be text, s3://BUCKET[/PREFIX], not PosixPath"),
        ("get", (["s3://b", 5], "d"), "each of sources must be text, s3://BUCKET[/PREFIX], not 5"),
        ("get", ({"n": {}}, "d"), "sources['n'] must be text, s3://BUCKET[/PREFIX], not {}"),
        ("get", ("s3://b", None), "directory must be a path, not None"),
        ("get", ("s3://b", ["d"]), "directory must be a path, not ['d']"),
        ("copy", (None, "s3://b"), "sources must be text, s3://BUCKET[/PREFIX], not None"),
        ("copy", ("s3://b", None), "dest must be text, s3://BUCKET[/PREFIX], not None"),
        ("list", (["s3://b"],), "source must be text, s3://BUCKET[/PREFIX], not ['s3://b']"),
        ("apply", (None,), "plan must be a path, not None"),
        ("clean", (None,), "place must be text, s3://BUCKET[/PREFIX], not None"),
    ],
)
def test_a_wrong_type_of_an_argument_is_named(
    verb: str, arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(TypeError) as raised:
        getattr(s3pp, verb)(*arguments)
    assert str(raised.value).startswith(message)


# Of no file, unlike surrogates that stand for bytes.
NUL, SURROGATE = "has a NUL byte, and", "has a surrogate that stands for no byte, and"


@pytest.mark.parametrize(("text_", "fault"), [("a\0b", NUL), ("\ud800", SURROGATE)])
def test_a_path_that_no_file_can_have(text_: str, fault: str) -> None:
    for name in ("journal", "log_file", "ca_bundle", "files_from", "retry_from"):
        given = Path(text_) if name == "files_from" else text_
        with pytest.raises(UsageError) as raised:
            put(**{name: given})
        assert str(raised.value).startswith(f"{name}: {text_!r} {fault} no path can: ")
    for verb, arguments, argument in (
        ("put", (text_, "s3://bucket"), "SOURCE"),
        ("put", ({"name": text_}, "s3://bucket"), "SOURCE"),
        ("get", ("s3://bucket", text_), "DIRECTORY"),
    ):
        with pytest.raises(UsageError) as raised:
            getattr(s3pp, verb)(*arguments)
        assert str(raised.value).startswith(f"{argument} {text_!r} {fault} no path can: ")


@pytest.mark.parametrize(
    ("verb", "name", "fault"),
    [
        *[(verb, "\udcff", "it is not UTF-8, as keys must be") for verb in ("put", "get", "copy")],
        ("put", "\ud800", "it is not UTF-8, as keys must be"),
        *[
            ("get", name, "no downloaded file can have it")
            for name in ("a\0", "/etc/x", "../x", "a//b", "a/", "", "x" * 256, "a/./b")
        ],
    ],
)
def test_a_name_that_no_source_can_have_is_the_callers_fault(
    verb: str, name: str, fault: str
) -> None:
    place, *_, last = PLACES[verb]
    with pytest.raises(UsageError) as raised:
        getattr(s3pp, verb)({"fine": place, name: place}, last)
    assert str(raised.value) == f"the name {name!r} of a source: {fault}: choose another"


def test_messages_name_keywords_and_leave_other_texts_alone() -> None:
    assert in_python("raise ulimit -u, or lower --processes") == (
        "raise ulimit -u, or lower processes"
    )
    assert (
        in_python("drop --no-verify-ssl, (--insecure)") == "drop verify_ssl=False, (secure=False)"
    )
    for text_ in ("'a/--mode' is missing", "--unknown", "x--mode", "--mode=1", "s3://b/--mode"):
        assert in_python(text_) == text_


@given(st.integers(0, 2**60))
def test_sizes_are_exact(size: int) -> None:
    assert put(min_size=size).choosing.min_size == size


@given(st.floats(0.001, 1e9))
def test_times_are_exact_to_a_microsecond(seconds: float) -> None:
    read = put(read_timeout=seconds).access.read_timeout
    assert abs(read - seconds) <= 1e-6
    assert put(read_timeout=timedelta(seconds=seconds)).access.read_timeout > 0


def test_paths_that_are_no_unicode(tmp_path: Path) -> None:
    path = os.fsdecode(b"\xff.jsonl")
    assert put(journal=Path(path)).output.journal == path
