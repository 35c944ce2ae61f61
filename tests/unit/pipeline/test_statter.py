"""The statter: what it folds, what it says once, and when it calls a run off."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

import pytest

from s3pp.errors import ExitStatus, FailureKind, FatalError
from s3pp.job import Job
from s3pp.output import Output
from s3pp.pipeline.messages import (
    Fatal,
    Message,
    Notice,
    RunDone,
    StatterReport,
    batch_report,
)
from s3pp.pipeline.pipes import MessageReader, MessageWriter
from s3pp.pipeline.progress_messages import WalkProgress
from s3pp.pipeline.statter import Statter, run_statter
from s3pp.places import Place, Source
from s3pp.records import Done, Failed, Outcome, SendReason, Skipped, SkipReason
from s3pp.report.totals import Extent, Totals

DONE = Done("/src/a", "a", 1, 1, "etag", SendReason.NEW)
REFUSED = Failed("/src/a", "a", FailureKind.ACCESS, "AccessDenied: no")


class Recorder:
    """Keeps what it is told; ``broken`` says where its disk is full."""

    def __init__(self, broken: str = "") -> None:
        self.totals = Totals()
        self.notices: list[str] = []
        self.reasons: list[str] = []
        self.walk_done = False
        self.refusal: str | None = None
        self._broken = broken

    def set_listed(self, count: int, done: bool, *, size: int | None = None) -> None:
        self.totals.listed, self.totals.listed_bytes = count, size or 0
        self.walk_done = done

    def record(self, outcomes: Sequence[Outcome]) -> None:
        self.totals.fold_all(outcomes)
        if self._broken == "outcomes":
            raise FatalError("journal: no space left")

    def count_unchanged(self, count: int, size: int) -> None:
        self.totals.skipped += count
        self.totals.skipped_bytes += size

    def count_requests(self, count: int) -> None:
        self.totals.requests += count

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def hide_message(self, why: str) -> None:
        self.reasons.append(why)

    def close(
        self, not_attempted: int = 0, *, error: str | None = None, signal: ExitStatus | None = None
    ) -> Totals:
        if self._broken == "close":
            raise FatalError("journal: no space left")
        self.totals.not_attempted = not_attempted
        return self.totals


class Scene:
    """A statter between a fake recorder and a list of messages."""

    def __init__(self, broken: str = "") -> None:
        self.recorder = Recorder(broken)
        self.sent: list[Message] = []
        self.statter = Statter(self.recorder, self)  # type: ignore[arg-type]

    def send(self, sent: Message) -> None:
        self.sent.append(sent)

    def report(self, *outcomes: Outcome, requests: int = 0) -> None:
        self.statter.receive(batch_report(outcomes, requests))

    def verdict(self, listed: int = 0, left: int = 0, walked: bool = True) -> StatterReport:
        return self.statter.end(RunDone(listed, left, walked))

    @property
    def fatal(self) -> list[str]:
        return [each.text for each in self.sent if isinstance(each, Fatal)]


def test_it_sums_up() -> None:
    scene = Scene()
    scene.report(DONE, DONE, REFUSED, requests=5)
    scene.report(Skipped("/src/b", "b", 1, SkipReason.EXISTS), requests=2)
    totals, refused = scene.verdict(listed=6, left=2)
    assert (totals.done, totals.skipped, totals.failed, totals.requests) == (2, 1, 1, 7)
    assert (totals.listed, totals.not_attempted, totals.balanced) == (6, 2, True)
    assert refused is None
    assert scene.recorder.walk_done
    scene.verdict(listed=6, left=2, walked=False)
    assert not scene.recorder.walk_done


def test_unchanged_objects_count_as_skipped() -> None:
    scene = Scene()
    report = batch_report([DONE], 2, unchanged=3)
    scene.statter.receive(report._replace(unchanged_bytes=70))
    totals, _ = scene.verdict(listed=4)
    assert totals.ended_bytes == 71
    assert (totals.done, totals.skipped, totals.requests, totals.balanced) == (1, 3, 2, True)


def test_how_far_the_walker_is_passes_through() -> None:
    scene = Scene()
    scene.statter.receive(WalkProgress(7, walk_done=False, size=70))
    assert scene.recorder.totals.extent == Extent(7, 70)
    assert (scene.recorder.totals.listed, scene.recorder.walk_done) == (7, False)
    scene.statter.receive(WalkProgress(9, walk_done=True))
    assert (scene.recorder.totals.listed, scene.recorder.walk_done) == (9, True)


def test_what_several_workers_find_out_is_told_once() -> None:
    scene = Scene()
    for text in ("the store é", "another", "the store é"):
        scene.statter.receive(Notice(text))
    assert scene.recorder.notices == ["the store é", "another"]


def test_what_is_for_the_end_is_told_then() -> None:
    scene = Scene()
    for notice in (Notice("a pattern", at_end=True), Notice("the store")):
        scene.statter.receive(notice)
    assert scene.recorder.notices == ["the store"]
    scene.verdict(listed=0, left=0, walked=True)
    assert scene.recorder.notices == ["the store", "a pattern"]


def test_why_a_run_ends_is_known_before_the_failures_it_explains() -> None:
    scene = Scene()
    scene.statter.receive(Fatal("no room é"))
    assert (scene.recorder.reasons, scene.recorder.notices) == (["no room é"], [])


def test_a_run_that_was_refused_whole_says_why() -> None:
    scene = Scene()
    scene.recorder.refusal = "the store refuses access: AccessDenied: no"
    assert scene.verdict().refusal == "the store refuses access: AccessDenied: no"


def test_what_the_recorder_gives_up_for_ends_the_run() -> None:
    scene = Scene(broken="outcomes")
    scene.report(DONE)
    assert scene.fatal == ["journal: no space left"]
    assert scene.verdict().totals.done == 1


def test_a_journal_that_cannot_be_closed_ends_the_run() -> None:
    scene = Scene(broken="close")
    assert scene.verdict(listed=3).totals.listed == 3  # for the summary
    assert scene.fatal == ["journal: no space left"]


JOB = Job("put", (Source("/src"),), Place("bucket"), output=Output(verbosity=-2, progress=False))


@pytest.mark.parametrize("told", [True, False], ids=["RunDone", "supervisor gone"])
def test_the_process_ends_when_it_is_told_or_alone(told: bool) -> None:
    (to_read, to_write), (back_read, back_write) = os.pipe(), os.pipe()
    arguments = (MessageReader(to_read), MessageWriter(back_write), JOB, time.monotonic())
    running = threading.Thread(target=run_statter, args=arguments)
    running.start()
    writer = MessageWriter(to_write)
    writer.send(batch_report([DONE], 1, batch=3))
    if told:
        writer.send(RunDone(1, 0, walk_done=True))
        last = MessageReader(back_read).receive()
        assert last is not None
        assert last.totals.balanced
    os.close(to_write)
    running.join(10)
    assert not running.is_alive()
    for fd in (to_read, back_read, back_write):
        os.close(fd)
