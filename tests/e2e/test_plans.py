"""--plan and apply: exactly what was decided, unless it has changed since; and again until done."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commands import Run
from conftest import MakeRecorder, Tree
from outcomes import snapshot
from stores.store import Bucket, Store

LARGE = ("--multipart-threshold", "5MiB", "--part-size", "5MiB")


def lines_of(plan: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in plan.read_text().splitlines()]


def test_put(
    s3pp: Run, bucket: Bucket, store: Store, tree: Tree, recorder: MakeRecorder, tmp_path: Path
) -> None:
    large = os.urandom(6 << 20)
    files = {"same": b"1", "size": b"22", "bytes": b"3", "d/new": b"4" * 9000, "t.txt": b"a" * 999}
    src = tree({**files, "large": large})
    for key, body in {"same": b"1", "size": b"2", "bytes": b"x"}.items():
        bucket.put(f"p/{key}", body)
    before, plan, record = bucket.tree(), tmp_path / "plan", recorder(store)
    shape = (*LARGE, "--gzip", "--metadata", "k=v")
    words = ("put", *shape, "--plan", plan, src, f"{bucket.url}/p")
    planned = s3pp(*words, store=record.store)
    assert {each.method for each in record.requests} <= {"GET", "HEAD"}
    assert (planned.code, planned.err, bucket.tree()) == (0, "", before)
    assert planned.decisions == []
    assert planned.table["new"][:2] == ["put", "3"]
    assert plan.stat().st_mode & 0o777 == 0o600
    settings, *lines, end = lines_of(plan)
    assert (settings["plan"], settings["verb"]) == (1, "put")
    assert [each["source"] for each in lines] == ["bytes", "d/new", "large", "size", "t.txt"]
    assert lines[0]["destination"] == f"s3://{bucket.name}/p/bytes"
    assert (lines[0]["reason"], lines[1]["seen"]["destination"]) == ("etag differs", None)
    assert end["totals"]["lines"] == 5
    elsewhere = s3pp("apply", plan)
    assert (elsewhere.code, elsewhere.out) == (2, "")
    assert f"the plan is for the store localhost:{record.port}, and this is" in elsewhere.err
    preview = s3pp("apply", "-n", plan, store=record.store)
    assert (preview.err, preview.code, len(preview.decisions)) == ("", 0, 5)
    assert bucket.tree() == before
    applied = s3pp("apply", "-v", plan, cwd="/", store=record.store)
    assert applied.code == 0
    assert applied.counts.done == 5
    assert f"put {src}/bytes -> s3://{bucket.name}/p/bytes (etag differs)" in applied.lines
    assert bucket.head("p/t.txt")["ContentEncoding"] == "gzip"
    assert bucket.head("p/large")["Metadata"] == {"k": "v"}
    after = bucket.tree()
    record.clear()
    again = s3pp("apply", "-vv", plan, store=record.store)
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 0, 5)
    assert all("(already applied)" in line for line in again.lines[:-1])
    assert record.puts == record.count("POST") == 0
    assert bucket.tree() == after


def test_what_has_changed_since_fails(
    s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    names = ("a-same", "b-edited", "c-touched", "d-gone", "e-there", "f-other", "g-deleted")
    src = tree(dict.fromkeys(names, b"new"))
    for key in ("f-other", "g-deleted"):
        bucket.put(key, b"old")
    plan = tmp_path / "plan"
    assert s3pp("put", "--plan", plan, src, bucket.url).code == 0
    (src / "b-edited").write_bytes(b"longer")
    os.utime(src / "c-touched", (1, 1))
    (src / "d-gone").unlink()
    bucket.put("e-there", b"another's")
    bucket.put("f-other", b"another's")
    bucket.client.delete_object(Bucket=bucket.name, Key="g-deleted")
    before = bucket.tree()
    result = s3pp("apply", "--json", plan)
    assert result.code == 1
    failed = {each["key"]: each["kind"] for each in result.events if each["event"] == "failed"}
    outdated = ("b-edited", "c-touched", "e-there", "f-other", "g-deleted")
    assert failed == {**dict.fromkeys(outdated, "outdated"), "d-gone": "not-found"}
    assert bucket.tree() == {**before, "a-same": b"new"}
    assert "has been removed since the plan was made: plan it again" in result.err


def test_get(s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    large = os.urandom(6 << 20)
    objects = {"same": b"1", "size": b"22", "bytes": b"3", "d/e/new": b"4", "m/": b"", "old": b"5"}
    for key, body in {**objects, "gone": b"6", "large": large}.items():
        moto_bucket.put(f"p/{key}", body)
    files = {"same": b"1", "size": b"2", "bytes": b"x"}
    out, plan = tree(files, "out"), tmp_path / "plan"
    before = snapshot(out)
    planned = s3pp("get", *LARGE, "--plan", plan, f"{moto_bucket.url}/p", out)
    assert (planned.code, snapshot(out)) == (0, before)
    moto_bucket.put("p/old", b"replaced")
    moto_bucket.client.delete_object(Bucket=moto_bucket.name, Key="p/gone")
    (out / "bytes").write_bytes(b"mine")
    result = s3pp("apply", "--json", plan)
    failed = {each["key"]: each["kind"] for each in result.events if each["event"] == "failed"}
    assert (result.code, failed) == (
        1,
        {"p/old": "outdated", "p/gone": "not-found", "p/bytes": "outdated"},
    )
    new = {"size": b"22", "d/e/new": b"4", "large": large}
    assert tree.read(out) == {**files, "bytes": b"mine", **new}
    assert (out / "m").is_dir()
    again = s3pp("apply", "--json", plan)
    skipped = {each["key"]: each["reason"] for each in again.events if each["event"] == "skipped"}
    applied = ("p/size", "p/d/e/new", "p/m/", "p/large")
    assert skipped == dict.fromkeys(applied, "already applied")


def test_copy(s3pp: Run, moto: Store, moto_bucket: Bucket, tmp_path: Path) -> None:
    other, plan = moto.bucket(), tmp_path / "plan"
    large = os.urandom(6 << 20)
    for key, body in {"a": b"1", "b": b"22", "c": b"3", "d": b"4", "large": large}.items():
        moto_bucket.put(f"p/{key}", body)
    for key in ("b", "d"):
        other.put(f"q/{key}", b"old")
    planned = s3pp("copy", *LARGE, "--plan", plan, f"{moto_bucket.url}/p", f"{other.url}/q")
    assert (planned.code, other.tree()) == (0, {"q/b": b"old", "q/d": b"old"})
    moto_bucket.put("p/c", b"replaced")
    other.put("q/d", b"another's")
    result = s3pp("apply", "--json", plan)
    failed = {each["key"]: each["kind"] for each in result.events if each["event"] == "failed"}
    assert (result.code, failed) == (1, {"q/c": "outdated", "q/d": "outdated"})
    assert other.tree() == {"q/a": b"1", "q/b": b"22", "q/d": b"another's", "q/large": large}
    again = s3pp("apply", "--json", plan)
    skipped = {each["key"]: each["reason"] for each in again.events if each["event"] == "skipped"}
    assert skipped == dict.fromkeys(("q/a", "q/b", "q/large"), "already applied")


def test_deletions_wait_until_all_is_transferred(
    s3pp: Run, bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, plan = tree({"a": b"1", "b": b"2"}), tmp_path / "plan"
    old = {"p/a": b"1", "p/c": b"old", "p/d/e": b"old", "p/f": b"old", "x": b"other"}
    bucket.fill(old)
    planned = s3pp("put", "--delete", "--plan", plan, src, f"{bucket.url}/p")
    assert (planned.code, bucket.tree()) == (0, old)
    assert planned.table["not in source"][:2] == ["delete", "3"]
    operations = [each["operation"] for each in lines_of(plan)[1:-1]]
    assert operations == ["put", "delete", "delete", "delete"]
    bucket.put("p/f", b"replaced")
    (src / "b").write_bytes(b"edited")
    failed = s3pp("apply", plan)
    assert (failed.code, failed.counts.failed) == (1, 1)
    assert "1 object failed: plan again, or apply again once the cause is removed" in failed.err
    assert s3pp("put", "--delete", "--plan", plan, src, f"{bucket.url}/p").code == 0
    bucket.put("p/f", b"another's")
    result = s3pp("apply", "-v", plan)
    assert (result.code, result.counts.done, result.counts.failed) == (1, 1, 1)
    replaced = f"s3pp: delete s3://{bucket.name}/p/f: it has changed since the plan was made"
    assert f"{replaced}: plan it again\n" in result.err
    assert f"delete s3://{bucket.name}/p/c (not in source)" in result.lines
    left = {"p/a": b"1", "p/b": b"edited", "p/f": b"another's", "x": b"other"}
    assert bucket.tree() == left
    again = s3pp("apply", "--json", plan)
    failures = [each for each in again.events if each["event"] == "failed"]
    assert [(each["key"], each["kind"]) for each in failures] == [("p/f", "outdated")]
    reasons = {each["key"]: each["reason"] for each in again.events if each["event"] == "skipped"}
    assert reasons["p/b"] == "already applied"
    assert reasons["p/c"] == reasons["p/d/e"] == "gone already"
    assert bucket.tree() == left


def test_files_are_deleted_as_planned(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    moto_bucket.put("a", b"1")
    out, plan = tree({"a": b"1", "b": b"2", "d/c": b"3"}, "out"), tmp_path / "plan"
    before = snapshot(out)
    planned = s3pp("get", "--delete", "--plan", plan, moto_bucket.url, out)
    assert (planned.code, snapshot(out)) == (0, before)
    (out / "b").write_bytes(b"mine")
    result = s3pp("apply", plan)
    assert (result.code, tree.read(out)) == (1, {"a": b"1", "b": b"mine"})
    assert f"delete {out}/b: it has changed since the plan was made: plan it again" in result.err
    lines = plan.read_text().splitlines(keepends=True)
    for outside in ("../x", "/etc/x"):
        plan.write_text("".join([lines[0], edited(lines[1], destination=outside), *lines[2:]]))
        assert s3pp("apply", plan).code == 2


def test_a_removal_is_planned(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    plan = tmp_path / "plan"
    moto_bucket.fill({"p/a": b"1", "p/b": b"2", "q": b"3"})
    planned = s3pp("remove", "--plan", plan, f"{moto_bucket.url}/p")
    assert (planned.code, len(moto_bucket.keys())) == (0, 3)
    assert planned.table["selected"] == ["delete", "2", "2", "1"]
    moto_bucket.put("p/new", b"4")
    moto_bucket.put("p/b", b"replaced")
    assert s3pp("apply", plan).code == 1
    assert moto_bucket.tree() == {"p/b": b"replaced", "p/new": b"4", "q": b"3"}
    lines = plan.read_text().splitlines(keepends=True)
    outside = edited(lines[1], destination=f"{moto_bucket.url}/q")
    plan.write_text("".join([lines[0], outside, *lines[2:]]))
    refused = s3pp("apply", plan)
    assert (refused.code, "where the plan reads" in refused.err) == (2, True)


def test_rules_and_grants_are_in_the_plan(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, plan, rules = tree({"a.css": b"1", "b.js": b"2"}), tmp_path / "plan", tmp_path / "rules"
    rules.write_text('[[rule]]\nmatch = "*.css"\ncache-control = "max-age=60"\n')
    everyone = "http://acs.amazonaws.com/groups/global/AllUsers"
    shape = ("--rules", rules, "--tag", "k=v", "--grant-to", f"READ:{everyone}")
    assert s3pp("put", *shape, "--plan", plan, src, moto_bucket.url).code == 0
    rules.unlink()
    assert s3pp("apply", plan).code == 0
    assert moto_bucket.head("a.css")["CacheControl"] == "max-age=60"
    assert "CacheControl" not in moto_bucket.head("b.js")
    assert moto_bucket.tags("b.js") == {"k": "v"}
    assert ("AllUsers", "READ") in moto_bucket.acl("b.js")
    assert s3pp("put", "--plan", plan, src, moto_bucket.url).code == 0
    nothing = s3pp("apply", plan)
    assert (nothing.code, nothing.counts.done, nothing.err) == (0, 0, "")


def test_a_single_file_or_object_keeps_its_name(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, plan, other = tree({"a": b"1"}), tmp_path / "plan", moto.bucket()
    (tmp_path / "there").mkdir()
    for words in (
        ("put", src / "a", f"{moto_bucket.url}/p/new"),
        ("put", src / "a", f"{moto_bucket.url}/p/"),
        ("get", f"{moto_bucket.url}/p/new", tmp_path / "file"),
        ("get", f"{moto_bucket.url}/p/new", tmp_path / "there"),
        ("copy", f"{moto_bucket.url}/p/new", f"{other.url}/x"),
        ("copy", f"{moto_bucket.url}/p/new", f"{other.url}/d/"),
    ):
        verb, *places = words
        assert s3pp(verb, "--plan", plan, *places).code == 0, words
        applied = s3pp("apply", plan, cwd="/")
        assert (applied.code, applied.counts.done) == (0, 1), (words, applied)
    assert moto_bucket.keys() == ["p/a", "p/new"]
    assert other.keys() == ["d/new", "x"]
    assert (tmp_path / "file").read_bytes() == (tmp_path / "there" / "new").read_bytes() == b"1"


def test_files_that_are_compressed_are_known_again(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    moto_bucket.fill({"a": b"1" * 99, "b.gz": b"2", "c/d": b"3"})
    plan, out = tmp_path / "plan", tmp_path / "out"
    planned = s3pp("get", "--gzip-suffix", ".gz", "--plan", plan, moto_bucket.url, out)
    assert planned.code == 0
    assert s3pp("apply", plan).counts.done == 3
    assert sorted(tree.read(out)) == ["a.gz", "b.gz", "c/d.gz"]
    assert s3pp("apply", plan).counts.skipped == 3


def test_several_sources(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    one, two = tree({"a": b"1", "in/x": b"2"}, "one"), tree({"b": b"3"}, "two")
    other, plan, out = moto.bucket(), tmp_path / "plan", tmp_path / "out"
    sources = (one, two, one / "in")
    assert s3pp("put", "--plan", plan, *sources, moto_bucket.url).code == 0
    assert s3pp("apply", plan).counts.done == 4
    assert moto_bucket.tree() == {"a": b"1", "in/x": b"2", "b": b"3", "x": b"2"}
    other.put("c", b"4")
    assert s3pp("get", "--plan", plan, moto_bucket.url, other.url, out).code == 0
    assert s3pp("apply", plan).counts.done == 5
    assert tree.read(out) == {**moto_bucket.tree(), "c": b"4"}
    assert s3pp("apply", plan).counts.skipped == 5


@pytest.fixture
def planned(s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> tuple[Path, list[str]]:
    """A plan of three objects, and its lines."""
    src, plan = tree({"a": b"1", "b": b"2", "c": b"3"}), tmp_path / "plan"
    assert s3pp("put", "--plan", plan, src, f"{moto_bucket.url}/p").code == 0
    return plan, plan.read_text().splitlines(keepends=True)


def edited(line: str, **fields: Any) -> str:
    return json.dumps({**json.loads(line), **fields}) + "\n"


BAD_EDITS: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "truncated": (lambda p: p[:-1], "it is incomplete"),
    "cut amid a line": (lambda p: [*p[:-1], p[-1][:-9]], "it is incomplete"),
    "empty": (lambda _: [], "it is incomplete"),
    "no plan": (lambda p: p[1:], "its first line is not that of a plan"),
    "of a later version": (
        lambda p: [edited(p[0], plan=2), *p[1:]],
        "its format is 2, and this version has 1",
    ),
    "no json": (lambda p: [*p[:2], "oops\n", *p[3:]], "line 3: it is not a JSON object"),
    "unknown operation": (
        lambda p: [*p[:2], edited(p[2], operation="rm"), *p[3:]],
        "line 3: its operation is 'rm', and the plan is one of put",
    ),
    "unknown reason": (
        lambda p: [*p[:2], edited(p[2], reason="because"), *p[3:]],
        "line 3: its reason 'because' is unknown",
    ),
    "absolute path": (
        lambda p: [*p[:2], edited(p[2], source="/etc/passwd"), *p[3:]],
        "line 3: its source '/etc/passwd' is not a path in SOURCE",
    ),
    "path that leads out": (
        lambda p: [*p[:2], edited(p[2], source="x/../../y"), *p[3:]],
        "line 3: its source 'x/../../y' is not a path in SOURCE",
    ),
    "another bucket": (
        lambda p: [*p[:2], edited(p[2], destination="s3://other-bucket/p/b"), *p[3:]],
        "line 3: its destination 's3://other-bucket/p/b' is not in s3://",
    ),
    "outside the prefix": (
        lambda p: [
            *p[:2],
            edited(p[2], destination=json.loads(p[2])["destination"].replace("/p/", "/px/")),
            *p[3:],
        ],
        "where the plan writes",
    ),
    "twice": (lambda p: [*p[:2], p[1], *p[2:]], "line 3: its destination 'p/a' is that of the"),
    "moved": (lambda p: [p[0], p[2], p[1], *p[3:]], "line 3: its destination 'p/a' is not in"),
    "size is text": (lambda p: [*p[:3], edited(p[3], size="5"), p[4]], "line 4: its 'size' is '5'"),
    "two plans joined": (
        lambda p: [*p, *p],
        "line 5: it has totals, and more follows: apply each plan by itself",
    ),
    "a field that is misspelt": (
        lambda p: [*p[:2], edited(p[2], reson="new"), *p[3:]],
        "line 3: it has 'reson', which no line of a plan has",
    ),
    "settings that are misspelt": (
        lambda p: [edited(p[0], objects={"alc": "private"}), *p[1:]],
        "its first line is not as it was written: there is no setting 'alc'",
    ),
    "settings removed": (
        lambda p: [p[0].replace('"parts":', '"part":'), *p[1:]],
        "its first line is not as it was written: it lacks 'parts'",
    ),
    "settings of another kind": (
        lambda p: [edited(p[0], objects={"tags": 5}), *p[1:]],
        "its first line is not as it was written: tags is 5",
    ),
}


def test_a_plan_that_is_edited_badly_does_nothing(
    s3pp: Run, moto_bucket: Bucket, planned: tuple[Path, list[str]]
) -> None:
    plan, lines = planned
    for what, (edit, fault) in BAD_EDITS.items():
        plan.write_text("".join(edit(lines)))
        result = s3pp("apply", plan)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1), what
        assert f"PLAN '{plan}'" in result.err
        assert fault in result.err, what
    assert moto_bucket.keys() == []
    plan.write_text("".join([*lines[:2], *lines[3:]]))
    assert s3pp("apply", plan).code == 0
    assert moto_bucket.keys() == ["p/a", "p/c"], "lines may be removed"


def test_a_plan_replaces_nothing_but_a_plan(
    s3pp: Run, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src, put = tree({"a": b"1"}), ("put", "--plan")
    mine, plan, link, fifo = (tmp_path / name for name in ("mine", "plan", "link", "fifo"))
    mine.write_bytes(b"important")
    os.mkfifo(fifo)
    link.symlink_to("plan")
    for path, fault in {mine: "it is no plan", fifo: "it is not a regular file"}.items():
        result = s3pp(*put, path, src, moto_bucket.url)
        assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
        assert f"--plan '{path}': {fault}" in result.err
    assert (mine.read_bytes(), fifo.is_fifo()) == (b"important", True)
    for other in ("--journal", "--log-file", "--etag-cache"):
        result = s3pp(*put, plan, other, link, src, moto_bucket.url)
        assert (result.code, "are the same file; name another" in result.err) == (2, True)
    plan.write_bytes(b"")
    for _ in range(2):  # an empty file is replaced, as of mktemp, and then the plan
        assert s3pp(*put, link, src, moto_bucket.url).code == 0
    assert (link.is_symlink(), len(lines_of(plan))) == (True, 3)


def test_what_cannot_be_a_plan(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    src = tree({"a": b"1"})
    os.mkfifo(tmp_path / "fifo")
    for words, fault in {
        (tmp_path / "none",): "it cannot be read: No such file or directory",
        (tmp_path,): "it cannot be read: Is a directory",
        (): "apply needs one PLAN",
        ("-",): "PLAN '-' would be a standard stream",
    }.items():
        result = s3pp("apply", *words)
        assert (result.code, fault in result.err) == (2, True), result.err
    put = ("put", src, moto_bucket.url, "--plan")
    for words, fault in {
        ("-",): "--plan '-' would be a standard stream",
        (tmp_path / "plan", "--mode", "stupid"): "--plan contradicts --mode stupid",
        (tmp_path / "plan", "--sandbox"): "contradict",
        (src / "plan",): "lies in SOURCE",
        (tmp_path / "no" / "plan",): "is not a directory: name a file",
        (tmp_path,): "it is a directory: name a file",
    }.items():
        result = s3pp(*put, *words)
        assert (result.code, fault in result.err) == (2, True), result.err
