"""When the counter is started and ended, and what it sends."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s3pp.errors import FatalError
from s3pp.job import Job
from s3pp.output import Output
from s3pp.pipeline import counting
from s3pp.pipeline.counter import run_counter
from s3pp.pipeline.counting import AFTER, CountAhead, is_counted
from s3pp.pipeline.messages import Setup
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.places import Place, Source
from s3pp.report.totals import Extent

JOB = Job("put", (Source("/src"),), Place("bucket"), output=Output(progress=True))


def test_what_is_counted_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(**output: Any) -> bool:
        return is_counted(replace(JOB, output=Output(**output)))

    monkeypatch.setattr(counting, "_is_terminal", lambda _: False)  # as in cron
    assert counted(progress=True)
    assert not counted()
    assert not counted(progress=True, precount=False)
    monkeypatch.setattr(counting, "_is_terminal", lambda _: True)
    assert not counted(progress=False)
    assert not is_counted(replace(JOB, walk="tar"))


class Crew:
    """Starts children that only remember what happened to them."""

    def __init__(self, *, full: bool = False) -> None:
        self.events: list[str] = []
        self._full = full

    def launch(self, name: str, role: object, arguments: tuple[object, ...]) -> Any:
        if self._full:
            raise FatalError("cannot start the counter")
        self.events.append(f"start {name}")
        process = SimpleNamespace(is_alive=lambda: "kill" not in self.events)
        return SimpleNamespace(process=process, kill=lambda: self.events.append("kill"))

    def send(self, child: object, message: object) -> None:
        self.events.append(f"send {message}")


def ahead(crew: Crew, job: Job = JOB) -> CountAhead:
    return CountAhead(job, 10.0, crew.launch, crew.send)


def advance(count: CountAhead, now: float, *, wanted: bool = True) -> None:
    count.advance(now, lambda: "setup", wanted=wanted)  # type: ignore[arg-type,return-value]


def test_the_counter_starts_late_and_once_and_ends_with_the_walk() -> None:
    crew = Crew()
    count = ahead(crew)
    advance(count, 10.0 + AFTER - 0.1)
    assert crew.events == []
    advance(count, 10.0 + AFTER)
    advance(count, 12.0)
    assert crew.events == ["start counter", "send setup"]
    advance(count, 13.0, wanted=False)
    advance(count, 14.0, wanted=False)
    advance(count, 15.0)
    assert crew.events == ["start counter", "send setup", "kill"]


def test_a_short_run_has_no_counter() -> None:
    crew = Crew()
    count = ahead(crew)
    advance(count, 10.1, wanted=False)
    advance(count, 12.0)
    assert crew.events == []


def test_without_room_for_a_process_the_run_goes_on() -> None:
    count = ahead(Crew(full=True))
    advance(count, 11.0)
    assert count.counter is None


def counted(job: Job) -> list[Extent]:
    """What the counter sends for ``job``, whose supervisor stays."""
    (to_read, to_write), (back_read, back_write) = os.pipe(), os.pipe()
    MessageWriter(to_write).send(Setup(job, {}))
    arguments = (MessageReader(to_read), MessageWriter(back_write))
    running = threading.Thread(target=run_counter, args=arguments)
    running.start()
    running.join(30)
    assert not running.is_alive()
    os.close(back_write)
    reader, found = MessageReader(back_read), []
    while (message := reader.receive()) is not None:
        found.append(message)
    os.close(back_read)
    return found  # the other pipe stays open: its end would end this process


def test_the_last_count_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "nice", lambda _: 0)
    for name in "abc":
        (tmp_path / name).write_bytes(b"12345")
    found = counted(replace(JOB, sources=(Source(str(tmp_path)),)))
    assert found[-1] == Extent(3, 15, complete=True)
    assert not any(each.complete for each in found[:-1])


def test_a_count_that_fails_stays_a_lower_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "nice", lambda _: 0)
    assert counted(Job("put", applies=str(tmp_path / "no plan"))) == []
