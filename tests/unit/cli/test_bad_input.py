"""Bad input: exit code 2, one line on stderr that names it, nothing on stdout."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.conftest import Told

BAD = {
    "unknown option": (["--frobnicate", "SRC", "DEST"], "--frobnicate"),
    "value of a flag": (["--no-resume=1", "SRC", "DEST"], "--no-resume takes no value"),
    "value of a short flag": (["-q=1", "SRC", "DEST"], "-q takes no value"),
    "sizes": (["--min-size=2k", "--max-size=1k", "SRC", "DEST"], "2048 bytes) is larger than"),
    "abbreviation": (["--dry", "SRC", "DEST"], "--dry"),
    "shard": (["--shard", "3/2", "SRC", "DEST"], "--shard"),
    "missing value": (["SRC", "DEST", "--limit"], "--limit"),
    "mode": (["--mode", "smart", "SRC", "DEST"], "--mode"),
    "walk": (["--walk", "zip", "SRC", "DEST"], "--walk"),
    "newline in a value": (["--mode", "a\nb", "SRC", "DEST"], "--mode"),
    "escape in an option": (["--\x1b[31m", "SRC", "DEST"], "\\x1b"),
    "not UTF-8": (["--limit", "\udcff", "SRC", "DEST"], "--limit"),
    "percent": (["--limit", "%s", "SRC", "DEST"], "%s"),
    "header injection": (["--header", "A:b\r\nC: d", "SRC", "DEST"], "--header"),
    "acl": (["--acl", "everybody", "SRC", "DEST"], "--acl"),
    "storage class": (["--storage-class", "a b", "SRC", "DEST"], "--storage-class"),
    "sse": (["--sse", "rot13", "SRC", "DEST"], "--sse"),
    "checksum": (["--checksum", "crc16", "SRC", "DEST"], "--checksum"),
    "processes": (["-P", "0", "SRC", "DEST"], "--processes"),
    "too many processes": (["-P", "100000", "SRC", "DEST"], "1024"),
    "concurrency": (["-c", "many", "SRC", "DEST"], "--concurrency"),
    "limit": (["--limit", "0", "SRC", "DEST"], "--limit"),
    "size": (["--max-size", "big", "SRC", "DEST"], "--max-size"),
    "moment": (["--older-than", "yesterday", "SRC", "DEST"], "--older-than"),
    "empty glob": (["--exclude", "", "SRC", "DEST"], "--exclude"),
    "empty, and not": (
        ["--fail-if-empty", "--delete", "--delete-from-empty", "SRC", "DEST"],
        "--fail-if-empty contradicts --delete-from-empty",
    ),
    "open bracket": (["--include", "a[b", "SRC", "DEST"], "--include 'a[b': '[' at position 2 is"),
    "open brace": (["--exclude", "a/{b", "SRC", "DEST"], "--exclude 'a/{b': '{' at position 3 is"),
    "password in the endpoint": (["--endpoint-url", "http://a:b@c", "SRC", "DEST"], "credentials"),
    "timeout": (["--connect-timeout", "0", "SRC", "DEST"], "--connect-timeout"),
    "start method": (["--start-method", "magic", "SRC", "DEST"], "--start-method"),
    "addressing": (["--addressing", "none", "SRC", "DEST"], "--addressing"),
    "nothing": ([], "s3://"),
    "no destination": (["SRC"], "s3://"),
    "no source": (["DEST"], "SOURCE"),
    "empty source": (["", "DEST"], "SOURCE"),
    "standard input and a file": (["-", "SRC", "DEST"], "no other SOURCE"),
    "standard input without a key": (["-", "s3://bucket/p/"], "s3://bucket/p/NAME"),
    "standard input, and no key": (["-", "s3://bucket"], "s3://bucket/NAME"),
    "standard input as a tar": (["--walk", "tar", "-", "DEST"], "--walk tar"),
    "standard input as a list": (["--files-from", "-", "-", "DEST"], "--files-from"),
    "filters of standard input": (["--exclude", "x", "-", "DEST"], "--include/--exclude"),
    "a key that is too long": (["-", f"s3://bucket/{'k' * 1025}"], "1025 bytes"),
    "journal to a stream": (["--journal", "-", "SRC", "DEST"], "--journal '-'"),
    "log to a stream": (["--log-file", "-", "SRC", "DEST"], "--log-file '-'"),
    "bucket as a source": (["s3://other", "DEST"], "s3://other"),
    "no such source": (["nowhere", "DEST"], "nowhere"),
    "malformed destination": (["SRC", "s3:/bucket"], "s3:/bucket"),
    "bad bucket": (["SRC", "s3://a b"], "a b"),
    "no such list": (["--files-from", "nolist", "SRC", "DEST"], "--files-from"),
    "no such bundle": (["--ca-bundle", "nobundle", "SRC", "DEST"], "--ca-bundle"),
    "empty bundle": (["--ca-bundle", "/dev/null", "SRC", "DEST"], "contains no certificate"),
    "journal nowhere": (["--journal", "no/where", "SRC", "DEST"], "--journal"),
    "log nowhere": (["--log-file", "no/where", "SRC", "DEST"], "--log-file"),
    "journal is a directory": (["--journal", "SRC", "SRC", "DEST"], "--journal"),
    "gzip type without gzip": (["--gzip-type", "a/b", "SRC", "DEST"], "--gzip-type"),
}


@pytest.mark.parametrize("name", BAD)
def test_put(
    name: str, command: Callable[..., Told], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, mention = BAD[name]
    (tmp_path / "src").mkdir()
    monkeypatch.chdir(tmp_path)
    fill = {"SRC": "src", "DEST": "s3://bucket/p"}
    told = command("put", *(fill.get(word, word) for word in words))
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(("s3pp: ", "s3pp put: "))
    assert told.err.endswith("\n")
    assert told.err[:-1].isprintable()
    assert mention in told.err
    assert "Traceback" not in told.err
    assert os.listdir(tmp_path) == ["src"]


@pytest.mark.parametrize(
    ("words", "mention"),
    [
        (["--port", "99999"], "--port"),
        (["--port", "http"], "--port"),
        (["ls"], "after --"),
        (["--frobnicate"], "--frobnicate"),
        (["--"], "no command"),
    ],
)
def test_sandbox(words: list[str], mention: str, command: Callable[..., Told]) -> None:
    told = command("sandbox", *words)
    assert (told.code, told.out) == (2, "")
    assert told.err.count("\n") == 1
    assert mention in told.err


def test_an_unwritable_log_after_a_writable_journal(
    command: Callable[..., Told], tmp_path: Path
) -> None:
    source, log = tmp_path / "source", tmp_path / "log"
    source.mkdir()
    log.mkdir()
    journal = f"{tmp_path}/j"
    told = command("put", "--log-file", str(log), "--journal", journal, str(source), "s3://bucket")
    assert told.code == 2
    assert "--log-file" in told.err


@pytest.mark.parametrize("option", ["--journal", "--log-file", "--etag-cache", "--plan"])
def test_the_name_of_a_file_of_the_run_is_not_empty(
    command: Callable[..., Told], tmp_path: Path, option: str
) -> None:
    told = command("put", option, "", str(tmp_path), "s3://bucket")
    assert told.code == 2
    assert f"{option} '' is empty: name a file, or leave the option out" in told.err


@pytest.mark.parametrize("option", ["--journal", "--log-file"])
def test_a_record_of_the_run_within_what_is_sent(
    command: Callable[..., Told], tmp_path: Path, option: str
) -> None:
    told = command("put", option, f"{tmp_path}/deep/j", str(tmp_path), "s3://bucket")
    assert told.code == 2
    assert f"{option} '{tmp_path}/deep/j' lies in SOURCE" in told.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--journal", "--log-file"])
def test_a_record_of_the_run_in_a_file_that_is_read(
    command: Callable[..., Told], tmp_path: Path, option: str
) -> None:
    read, linked, link = tmp_path / "read", tmp_path / "linked", tmp_path / "link"
    read.write_text("precious")
    os.link(read, linked)
    link.symlink_to(read)
    (tmp_path / "src").mkdir()
    words = [str(read), "s3://bucket"]
    cases = {
        "SOURCE": ["put", *words],
        "SOURCE ": ["put", "--walk", "tar", *words],
        "the list of --files-from": [
            "put", "--files-from", str(read), f"{tmp_path}/src", "s3://bucket",
        ],
        "--ca-bundle": ["get", "--ca-bundle", str(read), "s3://bucket", f"{tmp_path}/out"],
    }  # fmt: skip
    for name, argv in cases.items():
        for own in (read, linked, link):
            told = command(argv[0], option, str(own), *argv[1:])
            assert told.code == 2
            assert f"{option} '{own}' is the same file as {name.strip()}" in told.err
    assert read.read_text() == "precious"


def test_what_ends_the_run_is_in_the_log_too(command: Callable[..., Told], tmp_path: Path) -> None:
    log = tmp_path / "log"
    told = command("put", "--log-file", str(log), "no-such-source", "s3://bucket")
    assert told.code == 2
    assert "no-such-source" in log.read_text()
    assert " ERROR " in log.read_text()
