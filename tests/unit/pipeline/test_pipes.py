"""Messages on pipes: whole and in order, wherever the pipe cuts them and whoever dies."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.errors import FailureKind
from s3pp.facts import Facts
from s3pp.pipeline.messages import (
    BatchReport,
    Heartbeat,
    Message,
    NewKeys,
    NoMoreTasks,
    Notice,
    TaskBatch,
    batch_report,
    encode,
    task_batch,
)
from s3pp.pipeline.pipes import MessageReader, MessageWriter, Outbox, widen
from s3pp.places import Side
from s3pp.records import (
    CopyTask,
    Dest,
    Done,
    Entry,
    Failed,
    Foreseen,
    GetTask,
    Outcome,
    Planned,
    PutTask,
    SendReason,
    Skipped,
    SkipReason,
    Task,
)

WORD = st.integers(0, 2**64 - 1)
MESSAGES = st.one_of(
    st.builds(TaskBatch, WORD, WORD, WORD, st.binary(max_size=300)),
    st.builds(Notice, st.text(max_size=100)),
    st.just(Heartbeat()),
)


class Pipe(NamedTuple):
    """The two ends of a pipe, closed when the block ends."""

    read: int
    write: int

    def close_write(self) -> None:
        os.close(self.write)


@contextmanager
def pipe(*, blocking: bool = True) -> Iterator[Pipe]:
    ends = Pipe(*os.pipe())
    os.set_blocking(ends.read, blocking)
    os.set_blocking(ends.write, blocking)
    try:
        yield ends
    finally:
        for fd in ends:
            with suppress(OSError):  # a test may have closed it
                os.close(fd)


@given(st.lists(MESSAGES, max_size=8), st.lists(st.integers(1, 200), max_size=40))
@settings(deadline=None, max_examples=examples(200))
def test_messages_arrive_whole_and_in_order_wherever_they_are_cut(
    messages: list[Message], cuts: list[int]
) -> None:
    stream = b"".join(encode(each) for each in messages)
    got: list[Message] = []
    with pipe(blocking=False) as ends:
        reader = MessageReader(ends.read)
        for at in [*cuts, len(stream)]:
            os.write(ends.write, stream[:at])
            stream = stream[at:]
            got += reader.once()
            assert got == messages[: len(got)]
        assert not reader.closed
    assert got == messages


@given(st.lists(MESSAGES, max_size=4), MESSAGES, st.data())
@settings(deadline=None)
def test_what_a_killed_writer_left_unfinished_is_dropped(
    messages: list[Message], last: Message, data: st.DataObject
) -> None:
    part = encode(last)[: data.draw(st.integers(0, len(encode(last)) - 1))]
    stream = b"".join(encode(each) for each in messages) + part
    for blocking in (True, False):
        with pipe(blocking=blocking) as ends:
            reader = MessageReader(ends.read)
            os.write(ends.write, stream)
            ends.close_write()
            if blocking:
                assert list(iter(reader.receive, None)) == messages
                assert reader.receive() is None
            else:
                assert reader.available() == messages
            assert reader.closed


def test_receive_waits_for_the_rest_of_a_message() -> None:
    sent = Notice("x" * 1000)
    with pipe() as ends:
        raw = encode(sent)
        os.write(ends.write, raw[:10])
        rest = threading.Thread(target=os.write, args=(ends.write, raw[10:]))
        reader = MessageReader(ends.read)
        rest.start()
        assert reader.receive() == sent
        rest.join()


def test_reading_what_is_there_waits_for_nothing() -> None:
    with pipe(blocking=False) as ends:
        reader = MessageReader(ends.read)
        assert reader.once() == reader.available() == []
        assert not reader.closed


def test_a_message_larger_than_the_pipe() -> None:
    sent = TaskBatch(7, 1, 3, os.urandom(3_000_000))
    with pipe() as ends:
        writer = threading.Thread(target=MessageWriter(ends.write).send, args=(sent,))
        writer.start()
        assert MessageReader(ends.read).receive() == sent
        writer.join()


def test_threads_that_share_a_writer_do_not_mix_their_messages() -> None:
    messages = [Notice(letter * 100_000) for letter in "abcd"]
    with pipe() as ends:
        writer = MessageWriter(ends.write)
        threads = [threading.Thread(target=writer.send, args=(each,)) for each in messages]
        for thread in threads:
            thread.start()
        reader = MessageReader(ends.read)
        got = [reader.receive() for _ in messages]
        for thread in threads:
            thread.join()
    assert sorted(got) == sorted(messages)


def test_a_child_whose_supervisor_is_gone_exits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pipe() as ends:
        os.close(ends.read)
        with pytest.raises(SystemExit, match="1"):
            MessageWriter(ends.write).send(Heartbeat())


def test_an_outbox_never_blocks_and_keeps_order() -> None:
    messages = [TaskBatch(at, 1, 1, bytes([at]) * 50_000) for at in range(40)]
    with pipe(blocking=False) as ends:
        outbox, reader = Outbox(ends.write), MessageReader(ends.read)
        for each in messages:
            outbox.send(each)  # nobody reads: were it to block, this test would end here
        assert len(outbox) > 0
        got: list[Message] = []
        while len(got) < len(messages):
            got += reader.once()
            outbox.flush()
        assert got == messages
        assert len(outbox) == 0


@given(st.lists(st.one_of(st.integers(1, 70_000), st.none()), max_size=30))
@settings(deadline=None, max_examples=examples(50))
def test_sending_and_reading_in_any_order(steps: list[int | None]) -> None:
    """A number sends a message of about that many bytes, None reads once."""
    sent: list[Message] = []
    got: list[Message] = []
    with pipe(blocking=False) as ends:
        outbox, reader = Outbox(ends.write), MessageReader(ends.read)
        for step in steps:
            if step is None:
                got += reader.once()
                outbox.flush()
            else:
                sent.append(TaskBatch(len(sent), 1, 1, os.urandom(step)))
                outbox.send(sent[-1])
        while len(outbox):
            got += reader.once()
            outbox.flush()
        got += reader.available()
    assert got == sent


def test_an_outbox_whose_reader_is_gone_takes_everything() -> None:
    with pipe(blocking=False) as ends:
        outbox = Outbox(ends.write)
        for _ in range(10):
            outbox.send(TaskBatch(1, 1, 1, bytes(50_000)))
        os.close(ends.read)
        outbox.flush()
        outbox.send(NoMoreTasks())
        assert len(outbox) == 0


def test_widening_what_cannot_be_widened_is_no_error() -> None:
    with open(os.devnull) as stream:
        widen(stream.fileno())


# What messages carry

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
PATHS = st.one_of(NAMES, st.just(os.fsdecode(b"/src/\xff\xfe")))  # not UTF-8: surrogates
NUMBERS = st.integers(0, 2**63)
ENTRIES = st.builds(
    Entry,
    NAMES,
    PATHS,
    NUMBERS,
    NUMBERS,
    st.none() | NUMBERS,
    st.none() | NAMES,
    st.booleans(),
)
DESTS = st.none() | st.builds(Dest, NUMBERS, NAMES)
PLANS = st.none() | st.builds(Planned, st.sampled_from(SendReason), DESTS, DESTS)
PUTS = st.builds(PutTask, ENTRIES, DESTS, st.booleans(), PLANS)
GETS = st.builds(GetTask, NAMES, NAMES, NUMBERS, NAMES, NAMES, st.booleans(), PLANS)
COPIES = st.builds(
    CopyTask, NAMES, NAMES, NUMBERS, NAMES, NAMES, DESTS, st.booleans(), planned=PLANS
)
FORESEEN = st.none() | st.builds(
    Foreseen, st.just((("PutObject", 1),)), st.none() | PUTS | GETS | COPIES, DESTS
)
TIMES = st.floats(allow_nan=False)
FACTS = st.none() | st.builds(Facts, NAMES, NAMES, NUMBERS, began=TIMES, ended=TIMES)
# A batch holds tasks of one kind, and at least one.
TASKS = st.one_of(*(st.lists(each, min_size=1, max_size=4) for each in (PUTS, GETS, COPIES)))
OUTCOMES = st.lists(
    st.one_of(
        st.builds(
            Done,
            *(PATHS, NAMES, NUMBERS, NUMBERS, NAMES, st.sampled_from(SendReason), NUMBERS),
            foreseen=FORESEEN,
            facts=FACTS,
        ),
        st.builds(Skipped, PATHS, NAMES, NUMBERS, st.sampled_from(SkipReason), facts=FACTS),
        st.builds(Failed, PATHS, NAMES, st.sampled_from(FailureKind), PATHS, facts=FACTS),
    ),
    max_size=4,
)


def travelled(sent: Message) -> Any:
    with pipe() as ends:
        os.write(ends.write, encode(sent))
        got = MessageReader(ends.read).receive()
    assert got is not None
    return got


def kinds(task: Task) -> list[type]:
    """The types of a task and its parts: a plain tuple equals a named one."""
    return [type(part) for part in (task, *task)]


@given(TASKS, st.integers(1, 2**63), NUMBERS)
@settings(deadline=None)
def test_tasks_travel(tasks: list[Task], batch: int, size: int) -> None:
    got = travelled(task_batch(tasks, batch, size=size, large=1 << 80))
    assert got.tasks == tasks
    assert (type(got), got[:3]) == (TaskBatch, (batch, len(tasks), size))
    assert [kinds(task) for task in got.tasks] == [kinds(task) for task in tasks]


@given(OUTCOMES, NUMBERS, NUMBERS)
@settings(deadline=None)
def test_outcomes_travel(outcomes: list[Outcome], requests: int, batch: int) -> None:
    got = travelled(batch_report(outcomes, requests, batch=batch))
    assert got.outcomes == outcomes
    assert [type(each) for each in got.outcomes] == [type(each) for each in outcomes]
    assert (type(got), got[:3]) == (BatchReport, (batch, len(outcomes), requests))


def test_other_contents_travel() -> None:
    for sent in (NewKeys(Side.DEST, None), Notice("é \udcff"), Heartbeat()):
        got = travelled(sent)
        assert (type(got), got) == (type(sent), sent)
