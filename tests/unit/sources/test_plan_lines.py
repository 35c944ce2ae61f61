"""Lines of a plan: what is written is read again, and nothing else is read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.deletion import Deletion
from s3pp.job import Job
from s3pp.places import Place, Source, parse_origin
from s3pp.records import (
    CopyTask,
    Deleted,
    DeleteReason,
    DeleteTask,
    Dest,
    Done,
    Entry,
    Foreseen,
    GetTask,
    Planned,
    PutTask,
    SendReason,
    Task,
)
from s3pp.sources.plan_lines import BadLine, PlanLines

MIRROR = Deletion(extraneous=True)
PUT = Job(
    "put",
    sources=(Source("/data"), Source("/data/in"), Source("one.txt")),
    dest=Place("into", "p"),
    deletion=MIRROR,
)
FROM = (parse_origin("s3://from/p"), parse_origin("s3://other/q*"))
GET = Job("get", origins=FROM, directory="out", deletion=MIRROR)
COPY = Job("copy", origins=FROM[:1], dest=Place("into"), deletion=MIRROR)

NAMES = st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=9)
SIZES, TIMES = st.integers(0, 2**50), st.integers(0, 2**62)
ETAGS = st.text("0123456789abcdef-", min_size=1, max_size=34)
REASONS = st.sampled_from(SendReason)
OBJECTS = st.none() | st.builds(Dest, SIZES, ETAGS, st.none() | TIMES)


def written(job: Job, outcome: Done | Deleted) -> dict[str, Any]:
    """The line of an outcome, after its way through a file."""
    line: dict[str, Any] = json.loads(json.dumps(PlanLines(job).encode(outcome)))
    return line


def done(task: Task, source: str, reason: SendReason, dest: Dest | None) -> Done:
    return Done(
        source, task.target, task.size, 3, "etag", reason, foreseen=Foreseen((), task, dest)
    )


@given(st.sampled_from(["/data/", "/data/in/", ""]), NAMES, SIZES, TIMES, REASONS, OBJECTS)
def test_put(top: str, name: str, size: int, time: int, reason: SendReason, dest: Any) -> None:
    path = f"{top}{name}" if top else "one.txt"
    task = PutTask(Entry(f"p/{name}", path, size, time), None)
    line = written(PUT, done(task, path, reason, dest))
    planned = Planned(reason, dest, Dest(3, "etag"))
    entry = task.entry._replace(pinned_ns=time)
    assert PlanLines(PUT).decode(line) == PutTask(entry, None, planned=planned)


@given(NAMES, SIZES, TIMES, REASONS, st.none() | st.builds(Dest, SIZES, st.just(""), TIMES))
def test_get(name: str, size: int, time: int, reason: SendReason, dest: Dest | None) -> None:
    target = f"d/x{name}y"
    task = GetTask(f"p/{name}", target, size, "etag", "2026-11-20T08:30:00.000Z")
    line = written(GET, done(task, f"from/p/{name}", reason, dest))
    read = PlanLines(GET).decode(line)
    assert read == task._replace(source=f"from/p/{name}", planned=Planned(reason, dest))


@given(NAMES, SIZES, REASONS, OBJECTS)
def test_copy(name: str, size: int, reason: SendReason, dest: Dest | None) -> None:
    task = CopyTask(f"p/{name}", name, size, "etag", "GLACIER", dest)
    line = written(COPY, done(task, f"p/{name}", reason, dest))
    planned = Planned(reason, dest, Dest(3, "etag"))
    assert PlanLines(COPY).decode(line) == task._replace(dest=None, planned=planned)


@pytest.mark.parametrize(
    ("job", "task"),
    [
        (PUT, DeleteTask("p/k", 5, "etag", "2026", DeleteReason.EXCLUDED)),
        (GET, DeleteTask("a/b", 5, "", "", DeleteReason.NOT_IN_SOURCE, (5, 6, 7))),
        (COPY, DeleteTask("k", 5, "", "", DeleteReason.NOT_IN_SOURCE)),
        (Job("remove", origins=FROM[:1]), DeleteTask("p/k", 5, "e", "", DeleteReason.SELECTED)),
    ],
    ids=lambda each: each.verb if isinstance(each, Job) else "",
)
def test_deletions(job: Job, task: DeleteTask) -> None:
    deleted = Deleted(task.target, task.size, task.reason, foreseen=Foreseen((), task))
    assert PlanLines(job).decode(written(job, deleted)) == task


LINE = written(PUT, done(PutTask(Entry("p/k", "/data/k", 5, 6), None), "", SendReason.NEW, None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"operation": "get"},
        {"operation": "remove"},
        {"operation": 1},
        {"source": "../x"},
        {"source": "/x"},
        {"source": "a\0"},
        {"of": 3},
        {"of": -1},
        {"destination": "p/k"},
        {"destination": "s3://into/q/k"},
        {"destination": "s3://into/pp"},
        {"destination": "s3://into2/p/k"},
        {"destination": "s3://into/p/" + "x" * 1024},
        {"size": -1},
        {"size": True},
        {"size": "5"},
        {"reason": "no"},
        {"seen": {}},
        {"seen": {"source": {"mtime_ns": "6"}}},
        {"seen": {"source": {"mtime_ns": 6}, "destination": {"size": 5}}},
        {"result": 5},
    ],
    ids=repr,
)
def test_anything_else_is_refused(wrong: dict[str, Any]) -> None:
    lines = PlanLines(PUT)
    lines.decode(LINE)
    with pytest.raises(BadLine):
        lines.decode({**LINE, **wrong})


@given(st.dictionaries(st.sampled_from(sorted(LINE)), st.none() | st.text() | st.integers()))
def test_no_line_breaks_the_reader(wrong: dict[str, Any]) -> None:
    try:
        task = PlanLines(PUT).decode({**LINE, **wrong})
    except BadLine:
        return
    assert isinstance(task, PutTask)
    assert task.entry.key.startswith("p/")
    assert task.entry.path.startswith(("/data", "one.txt"))


def test_a_deletion_is_refused_where_the_run_had_none() -> None:
    job = Job("put", sources=PUT.sources, dest=PUT.dest)
    task = DeleteTask("p/k", 5, "etag", "", DeleteReason.NOT_IN_SOURCE)
    deleted = Deleted("p/k", 5, task.reason, foreseen=Foreseen((), task))
    with pytest.raises(BadLine, match="its operation is 'delete'"):
        PlanLines(job).decode(written(PUT, deleted))
