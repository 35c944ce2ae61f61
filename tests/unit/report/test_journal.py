from __future__ import annotations

import json
import os
import pickle
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Access
from s3pp.attributes import Objects
from s3pp.errors import ExitStatus, FatalError, UsageError
from s3pp.job import Job
from s3pp.places import Place, Stores, parse_origin
from s3pp.report.appender import MOST_CUT, Appender, check_appendable
from s3pp.report.journal import open_journal
from s3pp.report.run_records import RunRecords
from s3pp.report.totals import Totals

from .samples import ALL, DONE, job


def opened(path: str, run: Job) -> RunRecords:
    """The records of a run that has a journal alone."""
    return RunRecords(replace(run, output=replace(run.output, journal=path)))


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_run(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = opened(str(path), job())
    journal.record(ALL[:2])
    journal.record(ALL[2:])
    assert [e["event"] for e in events(path)] == ["start", "done", "skipped", "skipped", "failed"]
    journal.close(Totals(listed=4, done=1, skipped=2, failed=1, bytes=5), ExitStatus.OK)
    start, *_, end = events(path)
    assert (start["verb"], start["sources"], start["dest"]) == ("put", ["a"], "s3://bkt/p")
    assert start["mode"] == "update"
    assert start["time"].endswith("Z")
    assert (end["event"], end["listed"], end["failed"]) == ("summary", 4, 1)
    assert (end["exit_code"], end["failures"]) == (0, {"unreadable": 1})
    assert {event["run"] for event in events(path)} == {journal.run}
    assert len(journal.run) == 12
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_dry_run_cannot_be_taken_for_a_real_one(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = opened(str(path), job(dry_run=True))
    journal.record([DONE])
    journal.close(Totals(), ExitStatus.OK)
    assert [event["dry_run"] for event in events(path)] == [True] * 3


def test_a_torn_line_is_made_a_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_text('{"event":"start"}\n{"event":"do')
    opened(str(path), job()).close(Totals(), ExitStatus.OK)
    first, torn, start, end = events(path)
    assert first == {"event": "start"}
    assert torn == {"event": "cut", "text": '{"event":"do'}
    assert (start["event"], end["event"]) == ("start", "summary")


@pytest.mark.parametrize(
    "torn", ["no line of ours", "{" + "x" * MOST_CUT], ids=["other", "too long"]
)
def test_what_is_no_line_of_ours_is_ended_and_left(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "journal"
    path.write_text(torn)
    opened(str(path), job()).close(Totals(), ExitStatus.OK)
    first, start, _ = path.read_text().splitlines()
    assert first == torn
    assert json.loads(start)["event"] == "start"


def test_a_line_is_never_taken_from_a_run_that_still_writes(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    other = open_journal(str(path))
    other.append('{"event":"do')
    opened(str(path), job()).close(Totals(), ExitStatus.OK)
    other.close()
    assert path.read_text().startswith('{"event":"do\n{"event":"start"')
    assert events_from(path, 1)[0]["concurrent"] is True


def events_from(path: Path, first: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()[first:]]


def test_the_start_says_which_objects_are_meant(tmp_path: Path) -> None:
    """Where, and from where: as ``--retry-from`` must know, of a run that was settled first."""
    path = tmp_path / "journal"
    for verb, stores in (("put", Stores(dest="h:1/x")), ("copy", Stores("a", "b"))):
        run = replace(job(), verb=verb, sandbox=verb == "put")
        journal = opened(str(path), run)
        journal.start(replace(run, stores=stores))
        journal.start(run)
        journal.close(Totals(), ExitStatus.OK)
    put, _, copy, _ = events(path)
    assert (put["dest_endpoint"], put["directory"], put["sandbox"]) == ("h:1/x", os.getcwd(), True)
    assert (copy["source_endpoint"], copy["dest_endpoint"]) == ("a", "b")
    assert "concurrent" not in copy


@given(st.binary(max_size=40), st.sampled_from([b"", b"\n", b'{"event":"start"}\n']))
def test_each_run_begins_a_line_and_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, before: bytes
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    path.write_bytes(before + tail)
    journal = open_journal(str(path))
    journal.append("{}\n")
    journal.close()
    text = path.read_bytes()
    assert text.startswith(before)
    assert text.endswith(b"{}\n")
    rest = text[len(before) : -3]
    assert rest in (tail, tail + b"\n") or tail.rpartition(b"\n")[2].startswith(b"{")


def test_nothing_secret_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    run = replace(
        job(),
        objects=Objects(headers=(("X-Key", "s3cr3t"),), sse="aws:kms", sse_kms_key_id="s3cr3t"),
        access=Access(endpoint_url="http://s3cr3t", profile="s3cr3t"),
    )
    journal = opened(str(path), run)
    journal.record(ALL)
    journal.close(Totals(), ExitStatus.OK)
    assert "s3cr3t" not in path.read_text()


def test_a_full_disk_stops_the_run() -> None:
    with pytest.raises(FatalError, match=r"--journal '/dev/full': .*No space left"):
        opened("/dev/full", job()).start(job())


def test_one_write_per_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(str(tmp_path / "journal"), job())
    journal.start(job())
    writes: list[int] = []
    real = os.write

    def noted(fd: int, data: bytes) -> int:
        writes.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", noted)
    journal.record(ALL * 50)
    assert len(writes) == 1


def test_short_writes_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    appender = Appender(str(path), "--journal")
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:7]))
    appender.append("grün " * 20)
    monkeypatch.undo()
    appender.close()
    assert path.read_text() == "grün " * 20


def test_names_that_are_no_utf8_do_not_break_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    appender = Appender(str(path), "--log-file")
    appender.append("\udcff\n")
    appender.close()
    assert path.read_text() == "\\udcff\n"


def test_an_empty_name_is_said_to_be_empty() -> None:
    with pytest.raises(UsageError, match=r"^--log-file '' is empty: name a file"):
        check_appendable("", "--log-file")


def test_check(tmp_path: Path) -> None:
    path = tmp_path / "new"
    check_appendable(str(path), "--journal")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for bad in (tmp_path, tmp_path / "no" / "where"):
        with pytest.raises(UsageError, match=r"--journal .* cannot be written"):
            check_appendable(str(bad), "--journal")


def test_a_pipe_will_do() -> None:
    read, write = os.pipe()
    journal = opened(f"/dev/fd/{write}", job())
    journal.close(Totals(), ExitStatus.OK)
    os.close(write)
    with os.fdopen(read) as stream:
        assert [json.loads(line)["event"] for line in stream] == ["start", "summary"]


@pytest.mark.parametrize("pickled", [False, True], ids=["forked", "spawned"])
@pytest.mark.parametrize(
    ("run", "sources", "dest"),
    [
        (Job("get", origins=(parse_origin("s3://from/p*"),), directory="d"), ["s3://from/p*"], "d"),
        (
            Job("copy", origins=(parse_origin("s3://from/p"),), dest=Place("into")),
            ["s3://from/p"],
            "s3://into/",
        ),
    ],
    ids=["get", "copy"],
)
def test_the_other_directions_say_what_they_read_and_write(
    tmp_path: Path, run: Job, sources: list[str], dest: str, pickled: bool
) -> None:
    """The statter is a child, and gets its job pickled where it was not forked."""
    path = tmp_path / "journal"
    journal = opened(str(path), pickle.loads(pickle.dumps(run)) if pickled else run)
    journal.close(Totals(), ExitStatus.OK)
    start, _ = events(path)
    assert (start["verb"], start["sources"], start["dest"]) == (run.verb, sources, dest)
