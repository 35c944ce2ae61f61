"""What journals and old logs say is done: the last outcome for the same source and destination."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FatalError, UsageError
from s3pp.facts import mtime_text
from s3pp.job import Choosing, Job
from s3pp.places import Origin, Place, Stores
from s3pp.records import Entry
from s3pp.report.run_events import start_event
from s3pp.s3.listing import Listed
from s3pp.sources.earlier_runs import (
    EarlierRuns,
    Past,
    check_earlier_runs,
    has_nothing_sent,
    sent_key,
    unknown_runs,
)
from s3pp.sources.filters import key_bytes

from .trees import job, outcomes, plant, walked

SIZE, MTIME, ETAG, MODIFIED = 4, 1_767_323_045_123_456_789, "0cc1", "2026-01-02T03:04:05.000Z"
FILE: dict[str, Any] = {"source_size": SIZE, "source_mtime": mtime_text(MTIME)}
OBJECT: dict[str, Any] = {"source_size": SIZE, "source_etag": ETAG}
PUT = {"verb": "put", "source": "a", "bucket": "bucket", "key": "k", **FILE}
GET = {
    "verb": "get", "source": "s3://bucket/k", "bucket": "bucket", "key": "k", "path": "out/k",
    **OBJECT,
}  # fmt: skip
COPY = {"verb": "copy", "source": "s3://other/k", "bucket": "bucket", "key": "k", **OBJECT}
ENTRY, LISTED = Entry("k", "a", SIZE, MTIME), Listed("k", SIZE, ETAG, MODIFIED, "")
DONE, SKIPPED, FAILED = ({"event": each} for each in ("done", "skipped", "failed"))


def journal(path: Path, *events: dict[str, Any] | str) -> str:
    lines, run = [], {}
    for each in events:
        if isinstance(each, str):
            lines.append(each)
            continue
        if each.get("event") == "start":
            run = {"run": each["run"]} if "run" in each else {}
        lines.append(json.dumps(run | each) + "\n")
    path.write_text("".join(lines))
    return str(path)


def start(work: Job, **other: Any) -> dict[str, Any]:
    return start_event(work, RUN) | other


def covers(
    work: Job,
    *journals: str,
    target: str = "k",
    source: str = "a",
    found: Entry | Listed | None = None,
) -> bool:
    earlier = EarlierRuns.of(replace(work, choosing=Choosing(retry_from=journals)))
    assert earlier is not None
    if work.verb == "get":
        target = os.path.join(os.getcwd(), target)
    found = found or (ENTRY if work.verb == "put" else LISTED)
    name = os.path.join(os.getcwd(), source) if source == "a" else source
    return earlier.covers(target, name, found)


RUN = "5ca1ab1e0000"


def old(work: Job, **other: Any) -> dict[str, Any]:
    """The line of a run in version 1."""
    begun = start(work) | {"time": "2026-03-01T00:00:00+00:00"} | other
    return {name: value for name, value in begun.items() if name not in ("run", "schema")}


PUTS = Job("put", dest=Place("bucket"), stores=Stores(dest="here"))
GETS = Job("get", origins=(Origin("bucket"),), directory="out", stores=Stores("here"))
COPIES = Job(
    "copy", origins=(Origin("other"),), dest=Place("bucket"), stores=Stores("there", "here")
)


@pytest.mark.parametrize(
    ("events", "done"),
    [
        ([], False),
        ([DONE | PUT], True),
        ([SKIPPED | PUT], True),
        ([FAILED | PUT], False),
        ([FAILED | PUT, DONE | PUT], True),
        ([DONE | PUT, FAILED | PUT], False),
        ([DONE | PUT, {"event": "summary"}, {"event": "cut"}], True),
        ([DONE | PUT, "garbage\n", "[1]\n", '{"event":"fai'], True),
        ([DONE | PUT | {"dry_run": True}], False),
        ([FAILED | PUT | {"dry_run": True}, DONE | PUT], True),
        ([DONE | PUT, FAILED | PUT | {"dry_run": True}], True),
        ([DONE | PUT | {"bucket": "another"}], False),
        ([DONE | PUT | {"key": "p/k"}], False),
        ([DONE | PUT | {"source": "b"}], False),
        ([DONE | PUT, DONE | PUT | {"source": "b"}], False),  # which replaced it
        ([DONE | PUT, DONE | COPY], False),  # likewise
        ([DONE | PUT, DONE | GET], True),
        ([DONE | PUT | {"key": "\ud800"}, DONE | PUT | {"key": None}, DONE], False),
    ],
)
def test_the_last_outcome_counts(events: list[Any], done: bool, tmp_path: Path) -> None:
    assert covers(PUTS, journal(tmp_path / "j", start(PUTS), *events)) is done


ELSEWHERE = {"dest_endpoint": "elsewhere"}


@pytest.mark.parametrize(
    ("events", "done"),
    [
        ([DONE | PUT], False),  # of a journal that has lost its beginning
        ([{"event": "start"}, DONE | PUT], False),  # of an older version
        ([start(PUTS), DONE | PUT, {"event": "start"}, DONE | PUT], False),
        ([start(PUTS, **ELSEWHERE), DONE | PUT], False),
        ([start(PUTS), DONE | PUT, start(PUTS, **ELSEWHERE), FAILED | PUT], True),
        ([start(PUTS, sandbox=True), DONE | PUT], False),
        ([start(PUTS), DONE | PUT, start(PUTS, sandbox=True), FAILED | PUT], True),
        ([start(PUTS, directory="/elsewhere"), DONE | PUT], False),
        ([start(PUTS), DONE | PUT, start(PUTS, directory="/elsewhere"), DONE | PUT], False),
        ([start(PUTS, directory="/"), DONE | PUT | {"source": f"{os.getcwd()}/a"}], True),
        ([start(PUTS), start(PUTS, concurrent=True), DONE | PUT], True),
        ([start(PUTS), start(PUTS, run="another"), DONE | PUT | {"run": RUN}], True),
        ([start(PUTS), start(PUTS, run="another", sandbox=True), DONE | PUT | {"run": RUN}], True),
        ([start(PUTS), DONE | PUT | {"run": "unknown"}], False),
        ([start(PUTS), DONE | PUT | {"run": []}, FAILED | PUT | {"run": "unknown"}], False),
        ([start(PUTS, dest_account="another"), DONE | PUT], False),
        ([old(PUTS), DONE | PUT | {"source_mtime": None}], True),
        ([old(PUTS, time="2026-01-02T03:04:06+00:00"), DONE | PUT | {"source_mtime": ""}], False),
        ([old(PUTS, concurrent=True), DONE | PUT], False),
        ([old(PUTS, time="never"), DONE | PUT | {"source_mtime": None}], False),
        ([start(COPIES), DONE | COPY | {"source": f"{os.getcwd()}/a"}], False),
    ],
)
def test_only_runs_with_the_same_store_and_directory_count(
    events: list[Any], done: bool, tmp_path: Path
) -> None:
    assert covers(PUTS, journal(tmp_path / "j", *events)) is done


def test_of_several_journals_the_last_counts(tmp_path: Path) -> None:
    one, two = (
        journal(tmp_path / each["event"], start(PUTS), each | PUT) for each in (DONE, FAILED)
    )
    assert [covers(PUTS, one, two), covers(PUTS, two, one)] == [False, True]


def test_gets_and_copies(tmp_path: Path) -> None:
    here: dict[str, Any] = {"target": "out/k", "source": "s3://bucket/k"}
    there: dict[str, Any] = {"source": "s3://other/k"}
    all_of_it = journal(tmp_path / "j", start(GETS), DONE | GET, start(COPIES), DONE | COPY)
    assert covers(GETS, all_of_it, **here)
    assert covers(COPIES, all_of_it, **there)
    assert not covers(GETS, all_of_it, target="out2/k", source="s3://bucket/k")
    assert not covers(GETS, all_of_it, target="out/k", source="s3://bucket/p/k")
    assert not covers(COPIES, all_of_it, source="s3://another/k")
    for stores in (Stores("x", "here"), Stores("there", "x"), Stores()):
        assert not covers(replace(COPIES, stores=stores), all_of_it, **there)
    assert not covers(replace(GETS, stores=Stores("x")), all_of_it, **here)
    moved = journal(tmp_path / "j", start(GETS, directory="/elsewhere"), DONE | GET)
    assert not covers(GETS, moved, **here)


def test_a_journal_of_an_older_version_is_announced(tmp_path: Path) -> None:
    def said(*events: dict[str, Any]) -> list[str]:
        path = journal(tmp_path / "j", *events)
        return [*unknown_runs(Choosing(retry_from=(path,)))]

    (notice,) = said({"event": "start", "verb": "put"}, DONE | PUT)
    assert notice.startswith(f"--retry-from '{tmp_path}/j' has runs of an older version")
    assert said(start(PUTS)) == said(start(COPIES)) == said() == []
    assert said({"event": "start", "verb": "clean"}) == []


NAMES = st.text("ab/\udcff\xff", min_size=1, max_size=3)
OUTCOMES = st.lists(st.tuples(NAMES, st.sampled_from(["a", "b"]), st.booleans()))


@given(OUTCOMES, st.sets(NAMES))
def test_what_is_covered_is_what_came_last(
    past: list[tuple[str, str, bool]], asked: set[str]
) -> None:
    seen = (SIZE, mtime_text(MTIME))
    earlier = EarlierRuns(Past(key_bytes(name), source, done, *seen) for name, source, done in past)
    last = {name: (source, done) for name, source, done in past}
    for name in sorted(asked, key=key_bytes):
        assert earlier.covers(name, "a", ENTRY) == (last.get(name) == ("a", True))


def test_what_has_changed_since_is_not_done(tmp_path: Path) -> None:
    path = journal(tmp_path / "j", start(PUTS), DONE | PUT, start(COPIES), DONE | COPY)
    for entry in (ENTRY._replace(size=5), ENTRY._replace(mtime_ns=MTIME + 1)):
        assert not covers(PUTS, journal(tmp_path / "p", start(PUTS), DONE | PUT), found=entry)
    there = "s3://other/k"
    assert covers(
        COPIES, path, source=there, found=LISTED._replace(modified="2030-01-01T00:00:00Z")
    )
    for listed in (LISTED._replace(size=5), LISTED._replace(etag="0cc2")):
        assert not covers(COPIES, path, source=there, found=listed)
    unknown = journal(tmp_path / "u", start(COPIES), DONE | COPY | {"source_etag": ""})
    assert not covers(COPIES, unknown, source=there, found=LISTED._replace(etag=""))


@given(st.data())
def test_a_journal_cut_at_any_byte_says_only_what_it_said(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """As ``kill -9`` leaves it, a copy of a part of it, or an editor."""
    top = tmp_path_factory.mktemp("journal")
    keys = ["k", "k\udcff", "k1"]
    whole = Path(journal(top / "j", start(PUTS), *(DONE | PUT | {"key": key} for key in keys)))
    text = whole.read_bytes()
    first, last = sorted(data.draw(st.tuples(*[st.integers(0, len(text))] * 2)))
    garbage = data.draw(st.binary(max_size=20))
    whole.write_bytes(text[first:last] + garbage)
    lines = (text[first:last] + garbage).split(b"\n")
    known = [json.loads(line).get("key") for line in text.splitlines() if line in lines]
    begun = text.splitlines()[0] in lines
    for key in keys:
        assert covers(PUTS, str(whole), target=key) == (begun and key in known)


def seen(path: str, key: str) -> dict[str, Any]:
    """What a journal has of a file."""
    found = os.stat(path)
    facts = {"source_size": found.st_size, "source_mtime": mtime_text(found.st_mtime_ns)}
    return {"source": path, "key": key, **facts}


def test_a_walk_skips_what_is_done_before_the_limit_counts(tmp_path: Path) -> None:
    top = plant(tmp_path / "src", {"a": "1", "b": "2", "c/d": "3", "e": "4"})
    done = [DONE | PUT | seen(f"{top}/{name}", f"p/{name}") for name in ("a", "c/d")]
    files = (journal(tmp_path / "j", start(PUTS), *done),)
    past = "done in an earlier run"
    assert outcomes(walked(top, prefix="p", retry_from=files)) == [
        ("p/a", past), ("p/b", "entry"), ("p/c/d", past), ("p/e", "entry"),
    ]  # fmt: skip
    some = walked(top, prefix="p", retry_from=files, limit=1)
    assert outcomes(some) == [("p/a", past), ("p/b", "entry")]


LOG = "INFO:s3-parallel-put[putter-123]:"
ESCAPED = "INFO:s3-parallel-put[escaped-putter-123]:"


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (f"{LOG}src/a/b -> p/a/b", "p/a/b"),
        (f"{LOG}src/a.css z> p//a.css", "p/a.css"),
        (f"{LOG}src/a -> /a", "a"),
        (f"{LOG}src/with a space -> p/with a space", "p/with a space"),
        (f"{LOG}src/x -> y -> p/x -> y", "p/x -> y"),
        (f"{LOG}src/x z> y z> /x z> y", "x z> y"),
        (f"{LOG}skipping src/a -> p/a", None),
        (f"{LOG}src/a -> p/a (HTTP Error 503)", None),
        ("ERROR:s3-parallel-put[putter-1]:src/a -> p/a", None),
        ("INFO:s3-parallel-put[statter-9]:put 5 bytes in 1 files in 0.1 seconds", None),
        ("INFO:sync-script[putter-7]:src/a -> a", "a"),  # its file had been renamed
        (f"2014-01-01 {LOG}src/a -> a", None),
        (f"{LOG}a.tgz:x -> tq/x", "tq/x"),
        (f"{LOG}a.tgz:d/x -> d/x", "d/x"),
        (f"{LOG}s3://b/x//y -> x//y", "x//y"),
        (f"{LOG}x:  -> d/", None),
        (rf"{LOG}src/x\ty -> p/x\ty", None),  # which of the two programs wrote it is not known
        (f"{LOG}src/x\ty -> p/x\ty", "p/x\ty"),
        (rf"{ESCAPED}src/x\ty -> p/x\ty", "p/x\ty"),
        (rf"{ESCAPED}src/x\\ty -> p/x\\ty", r"p/x\ty"),
        (rf"{ESCAPED}src\x1b/x -> p/x", "p/x"),
        (rf"{ESCAPED}src/\xc3\xa9 -> p/\xc3\xa9", None),  # no name is escaped so
        (rf"{ESCAPED}skipping src/x\ty -> p/x\ty", None),
        (f"{LOG}d/a -> a/a -> p/a", None),  # a directory "a -> a", or a prefix "a -> p"
        (f"{LOG}d/-> -> -> p/-> ->", "p/-> ->"),
        ("", None),
    ],
)
def test_lines_of_old_logs(line: str, key: str | None) -> None:
    assert sent_key(line) == key


def test_logs_cover_whatever_the_source_is_called(tmp_path: Path) -> None:
    top = plant(tmp_path / "src", {"a b": "1", "b": "2"})
    lines = f"{LOG}./a b -> /p//a b\r\n{LOG}./b -> p/b"  # the last was cut off
    (tmp_path / "log").write_bytes(lines.encode())
    records = walked(top, prefix="p", resume_logs=(str(tmp_path / "log"),))
    assert outcomes(records) == [("p/a b", "done in an earlier run"), ("p/b", "entry")]


@pytest.mark.parametrize("content", ["put a -> b\n", "{}\n", "[]\n", '{"event":"x"}\n', "\0\1"])
def test_what_is_no_journal_is_refused(content: str, tmp_path: Path) -> None:
    path = journal(tmp_path / "j", content)
    with pytest.raises(UsageError, match="is not a journal: name a file of --journal"):
        check_earlier_runs(Choosing(retry_from=(path,)))


@pytest.mark.parametrize("content", ["put a -> b\n", "src/a -> p/a\n" * 5000, "\0\1"])
def test_what_is_no_log_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(content)
    chosen = Choosing(resume_logs=(str(tmp_path / "log"),))
    with pytest.raises(UsageError, match="is not a log of s3-parallel-put: it has no line of one"):
        check_earlier_runs(chosen)
    assert not has_nothing_sent(str(tmp_path / "log"))
    with (tmp_path / "log").open("a") as log:
        log.write(f"\n{LOG}skipping src/a -> p/a\n")
    check_earlier_runs(chosen)
    assert has_nothing_sent(str(tmp_path / "log"))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for argument, chosen in (
        ("--retry-from", Choosing(retry_from=("/nonexistent/j",))),
        ("--resume", Choosing(resume_logs=(str(tmp_path),))),
    ):
        with pytest.raises(UsageError, match=f"{argument} '.*' cannot be read: "):
            check_earlier_runs(chosen)
        with pytest.raises(FatalError, match=f"{argument} '.*' cannot be read: "):
            EarlierRuns.of(replace(PUTS, choosing=chosen))
    (tmp_path / "empty").touch()  # of a run that was killed before its first line
    check_earlier_runs(Choosing(retry_from=(str(tmp_path / "empty"),)))
    assert job(tmp_path).choosing.retry_from == ()
