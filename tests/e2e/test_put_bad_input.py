"""Bad input: one line that names the argument and the mend, exit code 2, and nothing is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from commands import Run, as_anybody
from conftest import MakeRecorder, Tree
from stores.ports import free_port
from stores.store import Bucket, Store

# Arguments, and what the line must name. SRC and DEST are filled in.
BAD = {
    "no such source": (["nowhere", "DEST"], "nowhere"),
    "one of several missing": (["SRC", "nowhere", "DEST"], "nowhere"),
    "no destination": (["SRC"], "s3://"),
    "nothing": ([], "s3://"),
    "destination first": (["DEST", "SRC"], "s3://"),
    "local destination": (["SRC", "elsewhere"], "elsewhere"),
    "empty bucket": (["SRC", "s3://"], "s3://"),
    "only slashes": (["SRC", "s3:///p"], "s3:///p"),
    "http destination": (["SRC", "http://b/p"], "http://b/p"),
    "bucket of two letters": (["SRC", "s3://ab cd/p"], "ab cd"),
    "mode": (["--mode", "smart", "SRC", "DEST"], "--mode"),
    "walk": (["--walk", "zip", "SRC", "DEST"], "--walk"),
    "acl": (["--acl", "everybody", "SRC", "DEST"], "--acl"),
    "sse": (["--sse", "rot13", "SRC", "DEST"], "--sse"),
    "key without kms": (["--sse-kms-key-id", "k", "SRC", "DEST"], "--sse-kms-key-id"),
    "checksum": (["--checksum", "crc16", "SRC", "DEST"], "--checksum"),
    "processes": (["-P", "0", "SRC", "DEST"], "--processes"),
    "concurrency": (["-c", "many", "SRC", "DEST"], "--concurrency"),
    "negative limit": (["--limit", "-1", "SRC", "DEST"], "--limit"),
    "size": (["--min-size", "big", "SRC", "DEST"], "--min-size"),
    "age": (["--newer-than", "yesterdayish", "SRC", "DEST"], "--newer-than"),
    "date": (["--older-than", "2026-13-45", "SRC", "DEST"], "--older-than"),
    "header without colon": (["--header", "Cache-Control", "SRC", "DEST"], "--header"),
    "header injection": (["--header", "A:b\r\nC: d", "SRC", "DEST"], "--header"),
    "metadata without value": (["--metadata", "novalue", "SRC", "DEST"], "--metadata"),
    "metadata injection": (["--metadata", "a=b\r\nc: d", "SRC", "DEST"], "--metadata"),
    "tag without value": (["--tag", "novalue", "SRC", "DEST"], "--tag"),
    "too many tags": ([w for n in range(11) for w in ("--tag", f"k{n}=v")] + ["SRC", "DEST"],
                      "--tag"),
    "gzip type without gzip": (["--gzip-type", "text/css", "SRC", "DEST"], "--gzip-type"),
    "null without list": (["--null", "SRC", "DEST"], "--null"),
    "list that is not there": (["--files-from", "no-list", "SRC", "DEST"], "no-list"),
    "no bundle": (["--ca-bundle", "no-bundle", "SRC", "DEST"], "no-bundle"),
    "endpoint": (["--endpoint-url", "http://", "SRC", "DEST"], "--endpoint-url"),
    "endpoint scheme": (["--endpoint-url", "ftp://x", "SRC", "DEST"], "--endpoint-url"),
    "attempts": (["--max-attempts", "0", "SRC", "DEST"], "--max-attempts"),
    "timeout": (["--read-timeout", "-3", "SRC", "DEST"], "--read-timeout"),
    "unknown option": (["--frobnicate", "SRC", "DEST"], "--frobnicate"),
}  # fmt: skip


def test_every_bad_argument(
    s3pp: Run, moto_bucket: Bucket, moto: Store, tree: Tree, recorder: MakeRecorder
) -> None:
    """One test for all: each start is cheap, and a list of what is wrong reads best whole."""
    src = tree({"f": b"1"})
    record = recorder(moto)
    wrong = []
    for name, (words, mention) in BAD.items():
        fill = {"SRC": str(src), "DEST": moto_bucket.url}
        result = s3pp("put", *(fill.get(word, word) for word in words), store=record.store)
        lines = result.err.strip().splitlines()
        if (result.code, len(lines), result.out) != (2, 1, "") or mention not in result.err:
            wrong.append(f"{name}: exit {result.code}, {result.out!r}, {result.err!r}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert not [r for r in record.requests if r.method not in ("GET", "HEAD")]
    assert moto_bucket.keys() == []


def test_why_a_source_cannot_be_read(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    top = tree({"f": b"1", "locked/l": b"1"})
    (top / "broken").symlink_to("nothing")
    (top / "locked").chmod(0)
    reasons = {
        "locked/l": "cannot be read: Permission denied",
        "f/": "is not a directory",
        "f/x": "does not exist",
        "broken": "is a broken symbolic link to 'nothing'",
    }
    for source, reason in reasons.items():
        result = s3pp("put", source, moto_bucket.url, cwd=top, preexec_fn=as_anybody)
        assert (result.code, result.err) == (2, f"s3pp: SOURCE '{source}' {reason}\n")
    (top / "locked").chmod(0o700)


def test_a_list_in_utf_16_is_wrong_usage_and_a_mark_of_utf_8_is_skipped(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """From a pipe it shows only when the run has begun: exit code 3."""
    src, names = tree({"f": b"1", "g": b"2"}), tmp_path / "names"
    put = ("put", "--files-from", names, src, moto_bucket.url)
    names.write_text("f\r\n", encoding="utf-16")
    result = s3pp(*put)
    assert (result.code, result.out) == (2, "")
    told = f"s3pp: --files-from '{names}' looks like UTF-16: save it as UTF-8 ("
    assert result.err.startswith(told)
    names.write_text("f\r\n", encoding="utf-16-le")  # without a mark
    result = s3pp(*put)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(told)
    assert moto_bucket.keys() == []
    names.write_text("f\r\n", encoding="utf-8-sig")
    assert s3pp(*put).code == 0
    assert moto_bucket.keys() == ["f"]


def test_no_such_bucket(s3pp: Run, store: Store, tree: Tree) -> None:
    result = s3pp("put", tree({"f": b"1"}), "s3://there-is-no-such-bucket")
    assert (result.code, result.out) == (2, "")
    assert "there-is-no-such-bucket" in result.err
    assert len(result.err.splitlines()) == 1


def test_no_credentials(s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree) -> None:
    none = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    result = s3pp("put", tree({"f": b"1"}), moto_bucket.url, env=none)
    assert (result.code, result.out) == (2, "")
    assert "credentials" in result.err
    assert len(result.err.splitlines()) == 1
    unsigned = s3pp("put", "--no-sign-request", tree({"f": b"1"}), moto_bucket.url, env=none)
    assert (unsigned.code, moto_bucket.keys()) == (0, ["f"])


@pytest.mark.parametrize("verb", ["put", "list"])
def test_an_endpoint_of_the_environment_that_is_no_url(s3pp: Run, tree: Tree, verb: str) -> None:
    words = (*([tree({"f": b"1"})] if verb == "put" else []), "s3://bucket")
    for name, url in (
        ("AWS_ENDPOINT_URL", "localhost:9000"),
        ("AWS_ENDPOINT_URL_S3", "http://[::1"),
        ("AWS_ENDPOINT_URL_S3", "http://localhost:99999"),
    ):
        env: dict[str, str | None] = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}
        result = s3pp(verb, *words, store=None, env=env | {name: url})
        assert (result.code, result.out) == (2, "")
        form = "is not of the form http[s]://HOST[:PORT][/PATH]"
        assert result.err == f"s3pp: {name} {url!r} {form}\n"


def test_no_such_profile(s3pp: Run, moto_bucket: Bucket, tree: Tree) -> None:
    result = s3pp("put", "--profile", "nobody", tree({"f": b"1"}), moto_bucket.url)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert "nobody" in result.err


@pytest.mark.swift
def test_refused_credentials_end_the_run_with_the_stores_own_words(
    s3pp: Run, swift_bucket: Bucket, tree: Tree
) -> None:
    src = tree({f"{n}": b"1" for n in range(30)})
    for change, code in (
        ({"AWS_SECRET_ACCESS_KEY": "not-the-right-secret"}, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "nobody:atall"}, ""),
    ):
        result = s3pp("put", src, swift_bucket.url, env=change, timeout=20)
        assert result.code == 3
        assert len(result.err.splitlines()) == 1
        assert code in result.err
        assert "not-the-right-secret" not in result.err
    assert swift_bucket.keys() == []


def test_nobody_at_the_endpoint(s3pp: Run, moto: Store, tree: Tree) -> None:
    gone = replace(moto, url=f"http://127.0.0.1:{free_port()}")
    src = tree({"f": b"1"})
    result = s3pp("put", "--max-attempts", "3", src, "s3://bucket", store=gone, timeout=30)
    assert (result.code, result.out) == (3, "")
    assert gone.url in result.err
    assert len(result.err.splitlines()) == 1


def test_a_host_that_does_not_exist(s3pp: Run, moto: Store, tree: Tree) -> None:
    gone = replace(moto, url="http://no-such-host.invalid")
    src = tree({"f": b"1"})
    result = s3pp("put", "--max-attempts", "2", src, "s3://bucket", store=gone, timeout=30)
    assert result.code == 3
    assert "no-such-host.invalid" in result.err
