"""``verify JOURNAL``: what a journal calls done is there, and is what was recorded."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import s3pp
from commands import Run
from conftest import MakeRecorder, Tree
from outcomes import verdicts
from stores.store import Bucket, Store
from trees import Content, read_tree

MIB = 1 << 20
FILES: dict[str, Content] = {"a": b"1", "b c/é": b"22", "empty": b"", "d/e": b"333", "l": 6 * MIB}
SMALL_PARTS = ("--part-size=5MiB", "--multipart-threshold=5MiB")
EACH_DEPTH = pytest.mark.parametrize("options", [(), ("--deep",)], ids=["", "deep"])


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def write_lines(path: Path, lines: Iterable[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def start_of(bucket: Bucket, **others: Any) -> dict[str, Any]:
    host = bucket.store.url.removeprefix("http://").replace("127.0.0.1", "localhost")
    return {"event": "start", "verb": "put", "dest_endpoint": host, "directory": "/", **others}


def done_of(bucket: Bucket, key: str, **facts: Any) -> dict[str, Any]:
    place = {"verb": "put", "source": key, "bucket": bucket.name, "key": key}
    return {"event": "done", **place, "reason": "new", "attempts": 1, **facts}


END = {"event": "summary", "verb": "put", "done": 1}


@EACH_DEPTH
def test_what_was_put(
    s3pp: Run, bucket: Bucket, tree: Tree, journal: Path, options: tuple[str, ...]
) -> None:
    source, place = tree(FILES), f"{bucket.url}/p"
    assert s3pp("put", *SMALL_PARTS, f"--journal={journal}", source, place).code == 0
    before = bucket.tree()
    result = s3pp("verify", "-v", *options, *SMALL_PARTS[:1], journal)
    by = "bytes" if options else "size and etag"
    assert (result.code, result.err) == (0, ""), result
    assert f"verify {place}/b c/é ({by})" in result.lines
    assert result.summary.startswith(f"verify {6 * MIB + 6} bytes in 5 files in ")
    assert result.summary.endswith(f", 5 by {by}")

    bucket.put("p/a", b"2")
    bucket.put("p/d/e", b"longer")
    bucket.client.delete_object(Bucket=bucket.name, Key="p/empty")
    broken = s3pp("verify", "--json", *options, *SMALL_PARTS[:1], journal)
    assert broken.code == 1
    good = {"p/b c/é": by, "p/l": by}
    wrong = {"p/a": "differs", "p/d/e": "differs", "p/empty": "missing"}
    assert verdicts(broken) == {**good, **wrong}
    end = broken.events[-1]
    assert (end["missing"], end["differs"], end["failed"], end["done"]) == (1, 2, 3, 2)
    assert bucket.tree() == {**before, "p/a": b"2", "p/d/e": b"longer"} or "p/empty" in before
    text = s3pp("verify", *options, *SMALL_PARTS[:1], journal)
    assert f"s3pp: verify {place}/empty: it does not exist" in text.err
    assert f"s3pp: verify {place}/d/e: it has 6 bytes, and 3 are recorded" in text.err


@EACH_DEPTH
def test_what_was_got(
    s3pp: Run, moto_bucket: Bucket, tmp_path: Path, journal: Path, options: tuple[str, ...]
) -> None:
    names = "abcdef"
    moto_bucket.fill({f"p/{name}": name.encode() * 3 for name in names} | {"p/dir/": b""})
    body = os.urandom(6 * MIB)
    moto_bucket.put_multipart("p/parts", body[: 5 * MIB], body[5 * MIB :])
    here = tmp_path / "here"
    got = s3pp("get", f"--journal={journal}", f"{moto_bucket.url}/p", "here", cwd=tmp_path)
    assert got.code == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = s3pp("verify", *options, "--part-size=5MiB", journal, store=None, cwd=elsewhere)
    assert result.code == 0, result
    (here / "a").write_bytes(b"aaaa")
    (here / "b").unlink()
    (here / "c").unlink()
    (here / "c").mkdir()
    (here / "d").unlink()
    (here / "d").symlink_to("e")
    (here / "f").write_bytes(b"gff")
    os.utime(here / "f", (2, 2))  # else it might be the second in which the object was stored
    os.utime(here / "e", (1, 1))
    before = read_tree(here)
    broken = s3pp("verify", "--json", *options, "--part-size=5MiB", journal, store=None)
    by = "bytes" if options else "size and time"
    found = {os.path.relpath(name, here): what for name, what in verdicts(broken).items()}
    assert broken.code == 1
    assert found.pop("f") in (("differs", "undecided") if options else ("undecided",))
    assert found.pop("dir") in ("size", "bytes")
    wrong = {"a": "differs", "b": "missing", "c": "differs", "d": "differs"}
    assert found == {**wrong, "e": by if options else "undecided", "parts": by}
    assert read_tree(here) == before


@EACH_DEPTH
def test_copies_and_moves(
    s3pp: Run, bucket: Bucket, tree: Tree, journal: Path, options: tuple[str, ...]
) -> None:
    """What a move deletes at its source is meant to be gone."""
    source = tree({"a": b"1", "b": b"22"})
    other = bucket.store.bucket()
    assert s3pp("move", f"--journal={journal}", source, f"{bucket.url}/p").code == 0
    assert s3pp("copy", f"--journal={journal}", f"{bucket.url}/p", f"{other.url}/q").code == 0
    assert s3pp("move", f"--journal={journal}", f"{other.url}/q/a", f"{other.url}/r/a").code == 0
    result = s3pp("verify", "--json", *options, journal)
    by = "bytes" if options else "size and etag"
    assert result.code == 0, result
    moved = {"q/a": "deleted later", "r/a": by}
    assert verdicts(result) == {"p/a": by, "p/b": by, "q/b": by, **moved}
    other.client.delete_object(Bucket=other.name, Key="q/b")
    assert verdicts(s3pp("verify", "--json", *options, journal))["q/b"] == "missing"


def test_the_last_line_counts(s3pp: Run, moto_bucket: Bucket, tree: Tree, journal: Path) -> None:
    source, place = tree({"a": b"1", "b": b"2", "c": b"3", "d": b"4"}), moto_bucket.url
    assert s3pp("put", f"--journal={journal}", source, place).code == 0
    (source / "a").write_bytes(b"5")
    (source / "d").unlink()
    again = s3pp("put", f"--journal={journal}", "--delete", source, place)
    assert (again.code, again.counts.done, again.counts.skipped) == (0, 1, 2)
    result = s3pp("verify", "--json", journal)
    by = "size and etag"
    assert (result.code, verdicts(result)) == (
        0,
        {**dict.fromkeys("abc", by), "d": "deleted later"},
    )
    assert s3pp("remove", f"--journal={journal}", f"{place}/b").code == 0
    result = s3pp("verify", "--json", journal)
    assert (result.code, verdicts(result)["b"]) == (0, "deleted later")
    assert s3pp("put", "--dry-run", f"--journal={journal}", source, place).code == 0
    assert s3pp("verify", "--json", journal).code == 0


def test_what_failed_is_not_done(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    moto_bucket.fill({"a": b"1", "b": b"2"})
    etags = {key: moto_bucket.head(key)["ETag"].strip('"') for key in "ab"}
    facts = {key: {"size": 1, "sent": 1, "etag": etags[key]} for key in "ab"}
    failed = {**done_of(moto_bucket, "b"), "event": "failed", "kind": "network", "message": "no"}
    lines = [start_of(moto_bucket), *(done_of(moto_bucket, key, **facts[key]) for key in "ab")]
    path = write_lines(tmp_path / "j", [*lines, failed, END])
    result = s3pp("verify", path)
    assert result.code == 1
    assert f"verify {moto_bucket.url}/b: the journal has it as failed (network)" in result.err
    assert "(--retry-from)" in result.err
    assert ", 1 by size and etag, 1 undecided, 1 failed" in result.summary


def test_a_run_that_did_not_end(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    moto_bucket.put("a", b"1")
    etag = moto_bucket.head("a")["ETag"].strip('"')
    done = done_of(moto_bucket, "a", size=1, sent=1, etag=etag)
    path = write_lines(tmp_path / "j", [start_of(moto_bucket), done])
    with path.open("a") as file:
        file.write('{"event":"done","verb":"put","sour')
    result = s3pp("verify", path)
    assert result.code == 1
    assert f"verify {path}: its last run did not come to its end" in result.err
    assert result.counts.done == 1
    path = write_lines(path, [start_of(moto_bucket), done, {**END, "not_attempted": 3}])
    assert "its last run did not come to its end" in s3pp("verify", path).err
    assert s3pp("verify", write_lines(path, [start_of(moto_bucket), done, END])).code == 0


def test_lines_that_make_no_sense_are_counted(
    s3pp: Run, moto_bucket: Bucket, tmp_path: Path
) -> None:
    moto_bucket.put("a", b"1")
    etag = moto_bucket.head("a")["ETag"].strip('"')
    good = done_of(moto_bucket, "a", size=1, sent=1, etag=etag)
    path = tmp_path / "j"
    bad = [
        "\0" * 40,
        "[]",
        '{"event":"dine"}',
        json.dumps({**good, "key": 3}),
        json.dumps({**good, "size": "many"}),
        json.dumps({**good, "etag": []}),
        json.dumps({**good, "key": "b", "verb": ["put"]}),
        '{"event":"done","verb":"put"',
        "x" * 300_000,
    ]
    lines = [json.dumps(start_of(moto_bucket)), *bad, json.dumps(good), json.dumps(END)]
    path.write_text("\n".join(lines) + "\n")
    result = s3pp("verify", "--json", path)
    assert result.code == 1
    found = verdicts(result)
    assert found.pop("a") == "size and etag"
    named = {f"{path}:{number}": "undecided" for number in range(2, 11)}
    assert {name: found.get(name) for name in named} == named
    path.write_text("\n".join([lines[0], *["nonsense"] * 500, *lines[-2:]]) + "\n")
    many = s3pp("verify", path)
    assert many.code == 1
    assert f"verify {path}: 490 more lines cannot be read" in many.err


def test_a_thousand_objects_cost_few_listings(
    s3pp: Run,
    moto: Store,
    moto_bucket: Bucket,
    tree: Tree,
    journal: Path,
    recorder: MakeRecorder,
) -> None:
    source = tree({f"{number:04}": b"%d" % number for number in range(1500)})
    assert s3pp("put", f"--journal={journal}", source, f"{moto_bucket.url}/p").code == 0
    moto_bucket.client.delete_object(Bucket=moto_bucket.name, Key="p/0700")
    seen = recorder(moto)
    result = s3pp("verify", journal, store=seen.store, env={"AWS_ENDPOINT_URL": seen.url})
    assert "is asked: name the store" in result.err, "a relay is another store"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    lines[0].pop("dest_endpoint")
    write_lines(journal, lines)
    seen.clear()
    result = s3pp("verify", journal, store=seen.store)
    assert (result.code, result.counts.done, result.counts.failed) == (1, 1499, 1)
    assert (seen.heads, seen.count("PUT"), seen.count("DELETE")) == (1, 0, 0)
    assert len(seen.requests) <= 7


def test_etags_of_sse_and_checksums(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    """What was not replaced has its ETag, whatever it is computed from; else a checksum decides."""
    client, name = moto_bucket.client, moto_bucket.name
    kms: dict[str, Any] = {"ServerSideEncryption": "aws:kms", "ChecksumAlgorithm": "SHA256"}
    etags, sums = {}, {}
    for key in ("same", "again", "other"):
        put = client.put_object(Bucket=name, Key=key, Body=b"1234", **kms)
        etags[key], sums[key] = put["ETag"].strip('"'), put["ChecksumSHA256"]
    lines = [
        done_of(moto_bucket, key, size=4, sent=4, etag=etags[key], checksum=f"sha256:{sums[key]}")
        for key in etags
    ]
    lines.append(done_of(moto_bucket, "blank", size=4, sent=4, etag="0" * 32 + "-9"))
    client.put_object(Bucket=name, Key="blank", Body=b"1234")
    path = write_lines(tmp_path / "j", [start_of(moto_bucket), *lines, END])
    parts = client.create_multipart_upload(Bucket=name, Key="again")
    upload: dict[str, Any] = {"Bucket": name, "Key": "again", "UploadId": parts["UploadId"]}
    part = client.upload_part(PartNumber=1, Body=b"1234", **upload)
    completed = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(MultipartUpload=completed, **upload)
    client.put_object(Bucket=name, Key="other", Body=b"1235", **kms)
    shallow = s3pp("verify", "--json", path)
    assert verdicts(shallow) == {
        "same": "size and etag",
        "again": "undecided",
        "other": "differs",
        "blank": "undecided",
    }
    deep = s3pp("verify", "--json", "--deep", path)
    assert verdicts(deep) == {
        "same": "bytes",
        "again": "bytes",
        "other": "differs",
        "blank": "undecided",
    }
    assert "--deep reads them" in s3pp("verify", path).err


def test_compressed_objects(s3pp: Run, bucket: Bucket, tree: Tree, journal: Path) -> None:
    source = tree({"a.html": b"text " * 1000, "b.bin": b"\0" * 10})
    assert s3pp("put", "--gzip", f"--journal={journal}", source, bucket.url).code == 0
    assert gzip.decompress(bucket.get("a.html")) == b"text " * 1000
    assert s3pp("verify", journal).code == 0
    assert s3pp("verify", "--deep", journal).code == 0


def test_versions(s3pp: Run, moto_bucket: Bucket, tmp_path: Path) -> None:
    client, name = moto_bucket.client, moto_bucket.name
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    lines = []
    for key in ("kept", "deleted", "replaced", "purged"):
        put = client.put_object(Bucket=name, Key=key, Body=b"1")
        facts = {"size": 1, "sent": 1, "etag": put["ETag"].strip('"')}
        lines.append(done_of(moto_bucket, key, version_id=put["VersionId"], **facts))
    client.delete_object(Bucket=name, Key="deleted")
    client.put_object(Bucket=name, Key="replaced", Body=b"2")
    purged = lines[-1]["version_id"]
    client.delete_object(Bucket=name, Key="purged", VersionId=purged)
    path = write_lines(tmp_path / "j", [start_of(moto_bucket), *lines, END])
    result = s3pp("verify", path)
    assert (result.code, result.counts.done) == (1, 1)
    for key, why in (("deleted", "it does not exist"), ("replaced", "its ETag is ")):
        (line,) = (each for each in result.err.splitlines() if f"/{key}: " in each)
        assert why in line
        assert line.endswith(" is still there")
    assert f"nor does its version {purged} show" in result.err


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty: there is nothing to verify"),
        (b"hello\n", "is not a journal: name a file of --journal"),
        (b"\x1f\x8b\0\0", "is compressed: unpack it with gunzip, and name what that makes of it"),
        (b'{"plan":1}\n', "is not a journal: name a file of --journal"),
    ],
    ids=["none", "empty", "text", "gzip", "plan"],
)
def test_what_is_no_journal(s3pp: Run, tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "j"
    if content is not None:
        path.write_bytes(content)
    result = s3pp("verify", path)
    assert (result.code, len(result.err.splitlines())) == (2, 1)
    assert why in result.err


def test_several_stores_accounts_and_standard_output(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, journal: Path
) -> None:
    """What is in another store is named, and its buckets are not looked for in this one."""
    source, log = tree({"a": b"1"}), f"--journal={journal}"
    elsewhere = {"event": "start", "schema": 2, "run": "aaaaaaaaaaaa", "verb": "put"}
    far = {**done_of(moto_bucket, "k", size=1, etag="e"), "run": "aaaaaaaaaaaa", "bucket": "far"}
    write_lines(journal, [{**elsewhere, "dest_endpoint": "far.example"}, far, END])
    assert s3pp("put", log, source, f"{moto_bucket.url}/p").code == 0
    first = ("verify", "--json", "--max-requests=500", "--lock=l", journal)
    result = s3pp(*first)
    assert (result.code, verdicts(result)) == (
        1,
        {"s3://far/k": "undecided", "p/a": "size and etag"},
    )
    assert "it is in the store far.example" in result.out
    assert "another access key" not in result.err
    other = s3pp("verify", journal, env={"AWS_ACCESS_KEY_ID": "other"})
    assert f"verify {journal}: its last run had another access key" in other.err
    streamed = journal.with_name("streamed")
    assert s3pp("get", f"--journal={streamed}", f"{moto_bucket.url}/p/a", "-").out == "1"
    result = s3pp("verify", streamed)
    assert result.code == 1
    assert "s3pp: verify -: it was written to standard output" in result.err


def test_a_pipe_is_no_journal(s3pp: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    result = s3pp("verify", tmp_path / "pipe")
    assert (result.code, "is a pipe, and is read twice" in result.err) == (2, True)


def test_the_store_is_the_journals(
    s3pp: Run, moto: Store, moto_bucket: Bucket, tree: Tree, journal: Path
) -> None:
    """Its options are those of the last run, and what is given goes before them."""
    source = tree({"a": b"1"})
    assert s3pp("put", f"--journal={journal}", source, moto_bucket.url).code == 0
    keys = {"AWS_ACCESS_KEY_ID": moto.access_key, "AWS_SECRET_ACCESS_KEY": moto.secret_key}
    assert s3pp("verify", journal, store=None, env=keys).code == 0
    other = "--endpoint-url=http://127.0.0.1:9"
    refused = s3pp("verify", other, "--max-attempts=1", journal, store=None, env=keys)
    assert (refused.code, "127.0.0.1:9" in refused.err) == (3, True)


def test_its_own_journal(s3pp: Run, moto_bucket: Bucket, tree: Tree, journal: Path) -> None:
    source = tree({"a": b"1"})
    assert s3pp("put", f"--journal={journal}", source, moto_bucket.url).code == 0
    refused = s3pp("verify", f"--journal={journal}", journal)
    assert (refused.code, "name another file" in refused.err) == (2, True)
    other = journal.with_name("other")
    assert s3pp("verify", f"--journal={other}", journal).code == 0
    start, line, end = map(json.loads, other.read_text().splitlines())
    assert (start["verb"], start["sources"]) == ("verify", [str(journal)])
    assert (line["event"], line["key"], line["reason"]) == ("done", "a", "size and etag")
    assert end["verified"] == {"size and etag": 1}


def test_the_library(moto: Store, moto_bucket: Bucket, tree: Tree, journal: Path) -> None:
    source = tree({"a": b"1", "b": b"22"})
    at: dict[str, Any] = {
        "endpoint_url": moto.url,
        "credentials": s3pp.Keys(moto.access_key, moto.secret_key),
        "region": moto.region,
    }
    s3pp.put(source, moto_bucket.url, journal=journal, **at).check()
    assert s3pp.verify(journal, **at).verified == {"size and etag": 2}
    moto_bucket.client.delete_object(Bucket=moto_bucket.name, Key="b")
    seen: list[dict[str, Any]] = []
    result = s3pp.verify(journal, deep=True, on_event=seen.append, **at)
    assert (result.ok, result.missing, result.verified) == (False, 1, {"bytes": 1})
    assert [(each.key, each.kind.value) for each in result.failures] == [("b", "missing")]
    assert [event["event"] for event in seen] == ["failed", "done", "summary"] or len(seen) == 3
