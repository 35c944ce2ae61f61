"""``s3pp retry JOURNAL``: the same run again, without what it has done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import s3pp as library
from commands import Run, as_anybody
from conftest import MakeRecorder, Tree
from outcomes import failures, reasons
from stores.store import Bucket, Store

pytestmark = pytest.mark.timeout(120)

PAST = "done in an earlier run"


def first_line(journal: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(journal.read_text().splitlines()[0])
    return found


def test_what_failed_or_changed_is_done_with_the_settings_of_the_first_run(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path, recorder: MakeRecorder
) -> None:
    """From another directory, with relative names, and filters and metadata that are kept."""
    src = tree({"a.x": b"1", "b.x": b"2", "c.y": b"3", "d.x": b"4"}, "src")
    (src / "b.x").chmod(0)
    seen, elsewhere = recorder(moto), tree({}, "elsewhere")
    words = ("put", "--json", "--include", "*.x", "--exclude", "d*", "--mode", "stupid")
    put = (*words, "--metadata", "owner=me", "--journal", "j", "src", f"{moto_bucket.url}/p")
    first = s3pp(*put, store=seen.store, preexec_fn=as_anybody, env={"AWS_PROFILE": None})
    assert (first.code, failures(first)) == (1, {"p/b.x": "unreadable"})
    (src / "b.x").chmod(0o600)
    (src / "a.x").write_bytes(b"11")
    (src / "e.x").write_bytes(b"5")

    again = ("retry", "--json", tmp_path / "j")
    at = {"store": seen.store, "cwd": elsewhere}
    told = s3pp(*again, **at)
    assert (told.code, told.out) == (2, "")
    assert "it does not have --metadata, as it may be secret: give it again" in told.err
    seen.clear()
    look = s3pp(*again, "--metadata", "owner=me", "-n", "--journal", "look", **at)
    assert (look.code, seen.puts, (elsewhere / "look").exists()) == (0, 0, True)
    done = s3pp(*again, "--metadata", "owner=me", **at)
    assert (done.code, seen.puts) == (0, 3)
    assert reasons(done) == dict.fromkeys(["p/a.x", "p/b.x", "p/e.x"], "always")
    assert moto_bucket.tree() == {"p/a.x": b"11", "p/b.x": b"2", "p/e.x": b"5"}
    assert moto_bucket.head("p/b.x")["Metadata"] == {"owner": "me"}
    last = s3pp(*again, "--metadata", "owner=me", **at)
    assert set(reasons(last).values()) == {PAST}
    starts = [json.loads(line) for line in (tmp_path / "j").read_text().splitlines()]
    runs = [each for each in starts if each["event"] == "start"]
    assert [each["directory"] for each in runs] == [str(tmp_path)] * 3
    assert len({each["run"] for each in runs}) == 3


def test_gets_copies_and_calls(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    out, other, journal = tree({}, "out"), moto.bucket(), tmp_path / "journal"
    for name in ("a", "b"):
        moto_bucket.put(f"p/{name}", name.encode())
    (out / "b").mkdir()
    get = ("get", "--json", "--journal", journal, f"{moto_bucket.url}/p", "out")
    assert failures(s3pp(*get)) == {"p/b": "conflict"}
    (out / "b").rmdir()
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    result = library.retry(journal, processes=1)
    assert (result.verb, result.done, result.skipped) == ("get", 1, 1)
    assert tree.read(out) == {"a": b"a", "b": b"b"}
    copy = ("copy", "--json", "--journal", "j2", f"{moto_bucket.url}/p", f"{other.url}/q")
    assert s3pp(*copy, "--limit", "1").code == 0
    again = s3pp("retry", "--json", "j2", "--endpoint-url", moto.url)
    assert reasons(again) == {"q/a": PAST, "q/b": "new"}
    library.put({"n": out / "a"}, other.url, journal=tmp_path / "j3", endpoint_url=moto.url)
    with pytest.raises(library.UsageError, match="a program has given names to its sources"):
        library.retry(tmp_path / "j3")


OLD = '{"event":"start","version":"0.1.0","verb":"put","sources":["a"],"dest":"s3://b/"}\n'
NOT_RETRIED = {
    "empty": ("", "it has no run: name a journal of put, get or copy"),
    "another program's": ('{"a":1}\n[]\n\0\xff\n', "is not a journal: name a file of --journal"),
    "older": (OLD, "its first run is of an older version, whose settings cannot be read: give"),
    "later": ('{"event":"start","run":"a","schema":3}\n', "its first run is of a later version"),
}


@pytest.mark.parametrize("case", NOT_RETRIED)
def test_what_cannot_be_retried_is_said_in_one_line(
    case: str, s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    content, why = NOT_RETRIED[case]
    (tmp_path / "j").write_text(content, "latin-1")
    result = s3pp("retry", "j")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(f"s3pp: retry 'j': {why}")


def test_runs_of_which_nothing_is_left_are_refused_and_a_changed_journal_too(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, journal = tree({"a": b"1"}), tmp_path / "j"

    def refusal(*words: str) -> str:
        result = s3pp("retry", *words, "j")
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        return result.err.removeprefix("s3pp: ").removeprefix("retry 'j': ")

    for extra, why in (
        (("put", "-n", src), "its first run was a dry run"),
        (("put", "--sandbox", src), "its first run was in a sandbox"),
        (("put", src), "--gzip-suffix is not an option"),
        (("move", src), "its first run is a move: the same command given again does what is left"),
    ):
        journal.unlink(missing_ok=True)
        verb, *words = extra
        store = {"store": None} if "--sandbox" in words else {}
        assert s3pp(verb, "--journal", journal, *words, moto_bucket.url, **store).code == 0
        assert why in refusal(*(["--gzip-suffix=.gz"] if "suffix" in why else []))
    journal.unlink()
    stream = ("put", "--journal", journal, "-", f"{moto_bucket.url}/k")
    assert s3pp(*stream, stdin=b"").code == 0
    assert "its first run is of a standard stream" in refusal()
    start = first_line(journal)
    for changed, why in (
        ({"command": ["s3pp", "put", "--zz"]}, "the command in it was changed"),
        ({"command": ["s3pp", "put", "--help"]}, "the command in it was changed"),
        ({"command": "s3pp put"}, "its first line does not say how its run was called"),
        ({"command": ["s3pp", "zz"]}, "its first line does not say how its run was called"),
        ({"directory": None}, "its first line does not say how its run was called"),
        (
            {"directory": "/nowhere", "command": ["s3pp", "put", "a", moto_bucket.url]},
            "the run was started in '/nowhere', which cannot be entered: No such file",
        ),
        (
            {"withheld": ["credentials"], "command": ["s3pp", "put", "a", moto_bucket.url]},
            "it does not have its credentials, which a program has given: name a --profile",
        ),
    ):
        journal.write_text(json.dumps(start | changed) + "\n")
        assert why in refusal()
    journal.unlink()
    journal.mkdir()
    assert "cannot be read: Is a directory" in refusal()
