"""--retry-from: only what the journals of earlier runs say failed, or lack."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import Result, Run, as_anybody
from conftest import MakeRecorder, Tree
from outcomes import failures, reasons
from stores.store import Bucket, Store

PAST = "done in an earlier run"


def test_put_sends_what_failed_and_what_is_missing(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path, recorder: MakeRecorder
) -> None:
    src, journal = tree({"a": b"1", "b": b"2", "d/c": b"3"}), tmp_path / "journal"
    (src / "b").chmod(0)
    words = ("put", "--json", "--journal", journal, src, f"{moto_bucket.url}/p")
    seen = recorder(moto)
    assert s3pp(*words, "--sandbox", store=None).code == 0  # a trial, which does not count
    first = s3pp(*words, preexec_fn=as_anybody, store=seen.store)
    assert (first.code, failures(first)) == (1, {"p/b": "unreadable"})
    assert s3pp(*words, "--mode", "stupid", "-n").code == 0  # a dry run, which does not count
    (src / "b").chmod(0o600)
    (src / "d/e").write_bytes(b"4")
    with open(journal, "a") as file:
        file.write('{"event":"failed","verb":"put","sou')  # of a run that was killed
    seen.clear()
    again = s3pp(*words, "--retry-from", journal, "--limit", "2", store=seen.store)
    assert (again.code, reasons(again)) == (
        0,
        {"p/a": PAST, "p/b": "new", "p/d/c": PAST, "p/d/e": "new"},
    )
    assert seen.puts == 2
    assert moto_bucket.tree() == {"p/a": b"1", "p/b": b"2", "p/d/c": b"3", "p/d/e": b"4"}
    last = s3pp(*words, "--retry-from", journal, store=seen.store)
    assert reasons(last) == dict.fromkeys(("p/a", "p/b", "p/d/c", "p/d/e"), PAST)
    trial = ("put", "-n", "--json", "--retry-from", journal)
    other = s3pp(*trial, src, f"{moto_bucket.url}/q", store=seen.store)
    assert set(reasons(other).values()) == {"new"}
    elsewhere = s3pp(*trial, src, f"{moto_bucket.url}/p")  # the same store, by another address
    assert set(reasons(elsewhere).values()) == {"same etag"}
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [e["event"] for e in events].count("cut") == 1


def test_get_and_copy(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    out, other, journal = tree({}, "out"), moto.bucket(), tmp_path / "journal"
    for name in ("a", "b", "c"):
        moto_bucket.put(f"p/{name}", name.encode())
    (out / "b").mkdir()
    get = ("get", "--json", "--journal", journal, f"{moto_bucket.url}/p", out)
    copy = ("copy", "--json", "--journal", journal, f"{moto_bucket.url}/p", f"{other.url}/q")
    assert failures(s3pp(*get)) == {"p/b": "conflict"}
    assert s3pp(*copy, "--limit", "1").code == 0
    (out / "b").rmdir()
    (out / "a").unlink()
    assert reasons(s3pp(*get, "--retry-from", journal)) == {"p/a": PAST, "p/b": "new", "p/c": PAST}
    again = s3pp(*copy, "--retry-from", journal)
    assert reasons(again) == {"q/a": PAST, "q/b": "new", "q/c": "new"}
    assert tree.read(out) == {"b": b"b", "c": b"c"}
    assert other.tree() == {"q/a": b"a", "q/b": b"b", "q/c": b"c"}


def test_what_has_changed_since_is_transferred_again(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path, recorder: MakeRecorder
) -> None:
    """Files by size and time, objects by size and ETag; what is unchanged takes no request."""
    src, out, journal = tree({"a": b"1", "b": b"2", "c": b"3"}), tree({}, "out"), tmp_path / "j"
    seen = recorder(moto)
    log = ("--json", "--mode", "stupid", "--journal", journal)
    put = ("put", *log, src, f"{moto_bucket.url}/p")
    get = ("get", *log, f"{moto_bucket.url}/p", out)
    retry = ("--retry-from", journal)
    for words in (put, get):
        assert s3pp(*words, store=seen.store).code == 0
    (src / "a").write_bytes(b"7")  # of the same size
    (src / "b").write_bytes(b"22")
    seen.clear()
    again = s3pp(*put, *retry, store=seen.store)
    assert reasons(again) == {"p/a": "always", "p/b": "always", "p/c": PAST}
    assert seen.puts == 2
    assert reasons(s3pp(*get, *retry, store=seen.store)) == reasons(again)
    assert tree.read(out) == {"a": b"7", "b": b"22", "c": b"3"}
    assert set(reasons(s3pp(*put, *retry, store=seen.store)).values()) == {PAST}
    assert set(reasons(s3pp(*get, *retry, store=seen.store)).values()) == {PAST}
    below = f"{moto_bucket.url}/p/"
    removed = s3pp("remove", "--limit=2", "--journal", journal, below, store=seen.store)
    assert removed.code == 0
    deleted = reasons(s3pp(*put, *retry, store=seen.store))
    assert deleted == {"p/a": "always", "p/b": "always", "p/c": PAST}


@pytest.mark.parametrize("content", ["put a -> s3://b/a (new)\n", '{"event":"x"}\n[]\n', None])
def test_what_is_no_journal_is_refused(
    content: str | None, s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "j").write_text(content)
    result: Result = s3pp("put", "--retry-from", tmp_path / "j", tree({"a": b""}), moto_bucket.url)
    assert (result.code, result.out, moto_bucket.keys()) == (2, "", [])
    (line,) = result.err.splitlines()
    assert line.startswith(f"s3pp: --retry-from '{tmp_path}/j' ")
