"""What a journal says of each destination: the last line counts, and none is just believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Access
from s3pp.errors import UsageError
from s3pp.job import Job
from s3pp.places import Origin
from s3pp.recorded import Recorded
from s3pp.sources.journal_places import settle_journal
from s3pp.sources.recorded_objects import Latest, RecordedObjects, State

START: dict[str, Any] = {
    "event": "start",
    "verb": "put",
    "dest_endpoint": "store",
    "directory": "/d",
}
END: dict[str, Any] = {"event": "summary", "verb": "put"}
PUT: dict[str, Any] = {"verb": "put", "source": "s", "bucket": "bucket", "size": 3}


def line(event: str, key: str = "k", **facts: Any) -> dict[str, Any]:
    return {"event": event, **PUT, "key": key, **facts}


def write(path: Path, *events: dict[str, Any] | str) -> str:
    lines = (each if isinstance(each, str) else json.dumps(each) for each in events)
    path.write_text("".join(f"{each}\n" for each in lines))
    return str(path)


def read(path: Path, *events: dict[str, Any] | str) -> tuple[RecordedObjects, list[Latest]]:
    found = RecordedObjects(write(path, *events))
    return found, list(found)


def states(latest: list[Latest]) -> dict[str, State]:
    return {each.row.name: each.row.state for each in latest}


def test_facts_of_both_schemas(tmp_path: Path) -> None:
    one = line("done", "a", etag="e", checksum="md5", sent=3)
    packed = line("done", "b", etag="e", encoding="gzip", sent=2)
    two = line("done", "c", etag="e", checksum="crc64nvme:AAAA", version_id="v", source_size=9)
    md5 = line("done", "d", etag="", checksum=f"md5:{'00' * 16}", source_size=3)
    found, latest = read(tmp_path / "j", START, one, packed, two, md5, END)
    assert (found.bad_count, found.reader.is_complete) == (0, True)
    assert [each.recorded for each in latest] == [
        Recorded(3, "e"),
        Recorded(None, "e"),
        Recorded(3, "e", ("crc64nvme", "AAAA"), "v"),
        Recorded(3, "", ("md5", "AAAAAAAAAAAAAAAAAAAAAA==")),
    ]
    assert {each.row.store for each in latest} == {"store"}


def test_files(tmp_path: Path) -> None:
    """Names are relative to the directory of the run; what was unpacked has another ETag."""
    got = {**line("done", etag="e"), "verb": "get", "path": "x"}
    plain, unpacked = {**START, "verb": "get"}, {**START, "settings": {"gunzip": True}}
    _, (first,) = read(tmp_path / "j", plain, got, END)
    assert (first.row.bucket, first.row.name, first.recorded) == ("", "/d/x", Recorded(3, "e"))
    _, (second,) = read(tmp_path / "j", unpacked, got, END)
    assert second.recorded == Recorded(3, "")
    found, none = read(tmp_path / "j", {**plain, "concurrent": True}, got, END)
    assert (none, found.bad) == ([], [(2, "the directory that 'x' is relative to is not known")])


@pytest.mark.parametrize(
    ("others", "state", "etag"),
    [
        (["done"], State.DONE, "e1"),
        (["done", "done"], State.DONE, "e2"),
        (["done", "skipped"], State.SKIPPED, "e1"),
        (["done", "failed"], State.FAILED, ""),
        (["failed", "done"], State.DONE, "e2"),
        (["done", "deleted"], State.DELETED, ""),
        (["done", "deleted", "skipped"], State.SKIPPED, ""),
        (["done", "deleted", "done"], State.DONE, "e3"),
    ],
)
def test_the_last_line_counts(tmp_path: Path, others: list[str], state: State, etag: str) -> None:
    lines = [
        line(event, reason="same etag", **({"etag": f"e{number}"} if event == "done" else {}))
        for number, event in enumerate(others, 1)
    ]
    _, (latest,) = read(tmp_path / "j", START, *lines, END)
    assert (latest.row.state, latest.recorded.etag) == (state, etag)


@pytest.mark.parametrize("others", [["done", "conflict"], ["conflict", "done"], ["conflict"]])
def test_a_source_that_did_not_get_a_name_says_nothing_of_the_one_that_did(
    tmp_path: Path, others: list[str]
) -> None:
    conflict = line("failed", kind="conflict", message="key conflict")
    lines = [conflict if each == "conflict" else line("done", etag="e") for each in others]
    _, (latest,) = read(tmp_path / "j", START, *lines, END)
    state = State.DONE if "done" in others else State.FAILED
    assert (latest.row.state, latest.recorded.etag) == (state, "e" if "done" in others else "")


def test_the_time_of_a_file_is_that_of_the_last_look(tmp_path: Path) -> None:
    got = {**line("done", etag="e"), "verb": "get", "path": "x"}
    first = {**got, "checksum": f"md5:{'00' * 16}", "mtime": "2026-11-20T08:30:00.000000000Z"}
    later = {**got, "event": "skipped", "reason": "same etag", "etag": ""}
    seen = {**later, "mtime": "2026-11-20T08:30:01.500000000Z"}
    for last, ns in ((first, 0), (later, 0), (seen, 1_500_000_000)):
        _, (latest,) = read(tmp_path / "j", {**START, "verb": "get"}, first, last, END)
        assert latest.recorded.modified_ns == 1_795_163_400_000_000_000 + ns
        assert latest.recorded.checksum is not None


def test_what_says_nothing(tmp_path: Path) -> None:
    lines: list[dict[str, Any] | str] = [
        line("skipped", "fifo", reason="not a regular file"),
        line("done", "dry", dry_run=True),
        line("failed", "kept", deleting=True, kind="access"),
        {**line("done", "upload"), "verb": "clean", "upload_id": "i"},
        {**line("done", "verified"), "verb": "verify"},
        {"event": "cut", "text": "{"},
        "",
    ]
    found, latest = read(tmp_path / "j", START, *lines, END)
    assert (latest, found.bad_count) == ([], 0)
    sandbox = {**START, "sandbox": True}
    assert read(tmp_path / "j", sandbox, line("done"), END)[1] == []


def test_runs_are_told_apart(tmp_path: Path) -> None:
    """Those of schema 2 by their ids; one key in two stores is two objects."""
    ids = [{**START, "run": each, "dest_endpoint": each} for each in ("one", "two")]
    lines = [line("done", run=each, etag=each) for each in ("two", "one", "two")]
    ends = [{**END, "run": each} for each in ("two", "one")]
    found, latest = read(tmp_path / "j", *ids, *lines, *ends)
    assert [(each.row.store, each.recorded.etag) for each in latest] == [("one",) * 2, ("two",) * 2]
    assert found.reader.is_complete
    unended, _ = read(tmp_path / "j", *ids, *lines, ends[1])
    assert not unended.reader.is_complete
    retried, _ = read(tmp_path / "j", ids[0], lines[0], ids[1], lines[0], ends[0])
    assert retried.reader.is_complete, "the run that was killed was repeated"


EVENT = st.fixed_dictionaries(
    {},
    optional={
        "event": st.sampled_from(
            ["start", "done", "skipped", "failed", "deleted", "summary", 1, []]
        ),
        "verb": st.sampled_from(["put", "get", "copy", "move", "clean", "verify", None, []]),
        "bucket": st.sampled_from(["bucket", "", "\ud800", 3]),
        "key": st.one_of(st.text(max_size=3), st.none(), st.just("\ud800")),
        "path": st.one_of(st.text(max_size=3), st.booleans()),
        "size": st.one_of(st.integers(-2, 5), st.floats(), st.text(max_size=1)),
        "etag": st.one_of(st.text(max_size=2), st.lists(st.none())),
        "checksum": st.sampled_from(["md5", "md5:zz", "md5:00", "crc32:AA", "x:y", ":", 5]),
        "run": st.sampled_from(["a", "b", 7]),
        "reason": st.sampled_from(["same etag", "exists", "symbolic link", []]),
        "directory": st.sampled_from(["/d", 5, None]),
        "settings": st.sampled_from([{}, [], {"gunzip": True, "endpoint-url": 3}]),
        "encoding": st.just("gzip"),
        "deleting": st.booleans(),
        "kind": st.one_of(st.text(max_size=2), st.integers()),
    },
)


WHOLE = [line("done", etag="e"), line("skipped", reason="exists"), line("failed"), START]
CHANGED = st.builds(
    lambda whole, change, gone: {k: v for k, v in {**whole, **change}.items() if k not in gone},
    st.sampled_from(WHOLE),
    EVENT,
    st.sets(st.sampled_from(["event", "verb", "key", "bucket", "size"]), max_size=1),
)


@given(
    st.lists(
        st.one_of(
            CHANGED.map(json.dumps), EVENT.map(json.dumps), st.text(max_size=9), st.just("[" * 5000)
        )
    )
)
def test_any_lines_are_read_or_counted(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    found = RecordedObjects(str(path))
    rows = list(found)
    assert len({(each.row.bucket, each.row.order, each.row.store) for each in rows}) == len(rows)
    assert len(found.bad) == min(found.bad_count, 10)
    try:
        job = settle_journal(Job("verify", verified=str(path)))
    except UsageError:
        return
    assert {each.bucket for each in job.origins} <= {"bucket"}


# Where they are


def settled(path: Path, *events: dict[str, Any] | str, **access: Any) -> Job:
    job = Job("verify", verified=write(path, *events), access=Access(**access))
    return settle_journal(job)


@pytest.mark.parametrize(
    ("keys", "prefix"),
    [(["a/b", "a/c"], "a/"), (["a/b"], "a/"), (["a", "b"], ""), (["p/é/1", "p/è/2"], "p/")],
)
def test_buckets_and_what_their_keys_begin_with(
    tmp_path: Path, keys: list[str], prefix: str
) -> None:
    lines = [line("done", key) for key in keys]
    got = {**line("done", "z"), "verb": "get", "bucket": "other", "path": "x"}
    for dump in (json.dumps, lambda event: json.dumps(event, separators=(",", ":"))):
        job = settled(tmp_path / "j", START, *map(dump, [*lines, got]))
        assert job.origins == (Origin("bucket", prefix),)


def test_bytes_that_are_no_text_name_no_bucket(tmp_path: Path) -> None:
    start = json.dumps(START).encode()
    bad = b'{"event":"done","verb":"put","source":"s","bucket":"%s","key":"%s","size":1}'
    strange = [bad % (b"\xff\xfe", b"k"), bad % (b"other", b"\xff/k"), bad % (b"\\ud800", b"k")]
    other = b'{"run":"\\ud800","event":"done","verb":"put","bucket":"\\ud800","key":"k"}'
    path = tmp_path / "j"
    path.write_bytes(b"\n".join([start, *strange, other, b""]))
    job = settle_journal(Job("verify", verified=str(path)))
    assert job.origins == (Origin("other", ""),)
    assert RecordedObjects(str(path)).bad_count == 0


def test_buckets_of_other_stores_are_not_looked_for(tmp_path: Path) -> None:
    def run(name: str, store: str, bucket: str, key: str) -> list[dict[str, Any]]:
        start = {**START, "run": name, "dest_endpoint": store}
        return [start, {**line("done", key), "run": name, "bucket": bucket}]

    one = [*run("a", "localhost:9000", "ours", "p/a"), *run("b", "amazonaws.com", "both", "p/b/1")]
    lines = [*one, *run("c", "localhost:9000", "both", "p/b/2"), *run("d", "x", "far", "p/c")]
    interleaved = {**line("done", "p/d"), "run": "a", "bucket": "ours"}
    local = settled(tmp_path / "j", *lines, interleaved, endpoint_url="http://127.0.0.1:9000/")
    assert local.origins == (Origin("both", "p/b/"), Origin("ours", "p/"))
    aws = settled(tmp_path / "j", *lines, endpoint_url="https://s3.eu-west-1.amazonaws.com")
    assert aws.origins == (Origin("both", "p/b/"),)
    assert settled(tmp_path / "j", *lines).origins == (Origin("far", "p/"),)


@pytest.mark.parametrize("others", [{"dry_run": True}, {"sandbox": True}, {"verb": "verify"}])
def test_a_journal_of_nothing_is_refused(tmp_path: Path, others: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="has no run that has transferred anything"):
        settled(tmp_path / "j", {**START, **others}, line("done"), END)
    settled(tmp_path / "j", {**START, **others}, END, START, END)


def test_how_the_store_was_reached(tmp_path: Path) -> None:
    settings = {
        "endpoint-url": "http://h:1",
        "region": None,
        "profile": "p",
        "sign-request": False,
        "verify-ssl": "no",
        "ca-bundle": "ca.pem",
    }
    start = {**START, "run": "a", "settings": settings}
    job = settled(tmp_path / "j", start, line("done"))
    assert job.access == Access("http://h:1", profile="p", sign=False, ca_bundle="/d/ca.pem")
    given_first = settled(tmp_path / "j", start, line("done"), endpoint_url="http://other")
    assert given_first.access.endpoint_url == "http://other"
    dry = {**START, "run": "b", "dry_run": True, "settings": {"profile": "other"}}
    assert settled(tmp_path / "j", start, dry).access.profile == "p"
