"""What is counted ahead is what the walk finds: objects, and their bytes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from s3pp.job import Choosing, Job
from s3pp.pipeline.connect import LoopThread
from s3pp.places import Place, Side, Source, parse_origin
from s3pp.records import Entry
from s3pp.sources import counting
from s3pp.sources.counting import (
    Counted,
    CountWay,
    TreeCount,
    count_listings,
    count_local,
    way_to_count,
)
from s3pp.sources.filters import NameChoice, Scope, filters_of

from .listings import Store
from .test_objects import Distant
from .test_recorded_objects import END, START, line, write
from .trees import job, plant, walked


def total(counts: Iterable[Counted]) -> tuple[int, int]:
    each = list(counts)
    return sum(one.objects for one in each), sum(one.size for one in each)


def found(*sources: object, **settings: Any) -> tuple[int, int]:
    records = walked(*sources, **settings)
    return len(records), sum(each.size for each in records if isinstance(each, Entry))


def crowded(top: Path) -> Path:
    """A tree with everything that a walk may meet."""
    plant(top, {f"d/{n}": "x" * n for n in range(5)} | {"a.txt": "abc", "e/f/g.js": "{}"})
    plant(top, {"build/x.js": "1", "build/y.txt": "22", ".part.s3pp-0123456789abcdef": "3"})
    (top / "empty").mkdir()
    os.mkfifo(top / "fifo")
    os.symlink("nowhere", top / "broken")
    os.symlink("..", top / "d" / "loop")
    os.symlink("e", top / "linked")
    os.symlink("a.txt", top / "link")
    (top / os.fsdecode(b"no-utf-8-\xff")).write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as special:
        special.bind(os.path.relpath(top / "socket"))
    return top


@pytest.mark.parametrize(
    "choosing",
    [
        {},
        {"follow_symlinks": False},
        {"linked_directories": False},
        {"rules": (("include", "*.js"),)},
        {"rules": (("exclude", "build"), ("exclude", "l*"))},
        {"rules": (("exclude", "build"), ("include", "**/*.js"))},
        {"matching": "fnmatch", "rules": (("exclude", "*.txt"),)},
        {"min_size": 2},
        {"max_size": 2, "rules": (("exclude", "build"),)},
        {"older_than": 1.0},
        {"limit": 4},
        {"names": ("a.txt", "d/1", "missing")},
    ],
    ids=lambda choosing: "-".join(choosing) or "all",
)
def test_files_are_counted_as_they_are_walked(
    choosing: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    monkeypatch.setattr(counting, "CHUNK", 3)
    top = crowded(tmp_path / "top")
    for sources in ([top], [top / "d", top / "a.txt", top / "gone"], [Source(str(top), "n")]):
        made = job(*sources, prefix="p", **choosing)
        assert total(count_local(made)) == found(*sources, prefix="p", **choosing)


def test_deep_directories_are_counted_with_few_of_them_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_OPEN", 2)
    plant(tmp_path, {f"{'d/' * depth}f": "12" for depth in range(9)})
    assert total(count_local(job(tmp_path))) == (9, 18)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every directory")
def test_a_directory_that_cannot_be_read_counts_as_the_failure_that_it_is(tmp_path: Path) -> None:
    plant(tmp_path, {"a": "1", "d/b": "2"})
    (tmp_path / "d").chmod(0)
    assert total(count_local(job(tmp_path))) == (2, 1)
    (tmp_path / "d").chmod(0o700)


def test_what_vanishes_while_it_is_counted_is_found_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, {"a": "1", "b": "22"})
    made = job(tmp_path)
    count = TreeCount(str(tmp_path), Scope.of(made, filters_of(made.choosing))).count
    real = os.scandir

    def vanishing(path: str) -> Any:
        names = [*real(path)]
        (tmp_path / "a").unlink()
        return iter(names)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert total(count()) == (2, 2)


def test_a_journal_counts_the_objects_that_a_verify_reports_on(tmp_path: Path) -> None:
    lines = [line("done", "a"), line("done", "b"), line("done", "b"), line("failed", "c")]
    journal = write(tmp_path / "journal", START, *lines, END)
    made = Job("verify", verified=journal, verifies=True)
    assert way_to_count(made) is CountWay.JOURNAL
    assert total(count_local(made))[0] == 3


@pytest.fixture(scope="module")
def thread() -> LoopThread:
    return LoopThread(pytest.fail)


def test_listings_are_counted_with_their_filters(thread: LoopThread) -> None:
    names = [f"p/{n}.txt" for n in range(5)] + ["p/a.js", "q/b.js", "r"]
    bucket = Distant(Store(names, 3), thread)

    def counted(*origins: str, **choosing: Any) -> tuple[int, int]:
        made = Job("get", origins=tuple(map(parse_origin, origins)), directory="d")
        made = Job("get", origins=made.origins, directory="d", choosing=Choosing(**choosing))
        choice = NameChoice(filters_of(made.choosing))
        return total(count_listings(made, {Side("source", 0): bucket}, choice))

    assert counted("s3://bkt/p/")[0] == 6
    assert counted("s3://bkt/p/", "s3://bkt/q/")[0] == 7
    assert counted("s3://bkt/p/", rules=(("include", "*.js"),)) == (1, len("p/a.js"))
    assert counted("s3://bkt/p/", "s3://bkt/q/", limit=3)[0] == 3


PUT = Job("put", (Source("a"),), Place("bkt"))
GET = Job("get", origins=(parse_origin("s3://bkt/p"),), directory="d")


@pytest.mark.parametrize(
    ("made", "way"),
    [
        (PUT, CountWay.TREES),
        (Job("put", (Source("-"),), Place("bkt", "k")), CountWay.NOT),
        (Job("put", (Source("a"),), Place("bkt"), walk="tar"), CountWay.NOT),
        (job("a", files_from="list"), CountWay.ENTRIES),
        (job("a", files_from="-"), CountWay.NOT),
        (job("a", limit=3), CountWay.ENTRIES),
        (GET, CountWay.LISTINGS),
        (Job("get", origins=GET.origins, directory="-"), CountWay.NOT),
        (Job("copy", origins=GET.origins, choosing=Choosing(manifest="m")), CountWay.LISTINGS),
        (Job("get", origins=GET.origins, choosing=Choosing(files_from="list")), CountWay.NOT),
        (Job("remove", origins=GET.origins), CountWay.LISTINGS),
        (Job("put", applies="plan"), CountWay.PLAN),
    ],
)
def test_the_way_to_count(made: Job, way: CountWay) -> None:
    assert way_to_count(made) is way
