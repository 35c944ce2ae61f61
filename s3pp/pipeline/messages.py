"""What the processes say to each other, who says it and who listens.

A message is a frame: a fixed head that the supervisor reads, and a pickled payload that it hands
on without looking. Exceptions never travel; they are records by then.

==========  =====================  =======================================================
kind        from → to              payload
==========  =====================  =======================================================
SETUP       supervisor → walker,   ``Opened`` by ``Side``: endpoints, keys
            worker
TASKS       walker → worker        tasks of one kind, one batch of them, by ``tasks_frame``
SPOOL       walker → supervisor    path of the file the next batch reads, to delete after it
OFFER       worker → supervisor    a part of an object that this worker leads, for anybody to
                                   move; the head's batch is the worker's own number for it
PART        supervisor → worker    likewise; the head's batch is the supervisor's number for it
PART_ENDED  worker → supervisor    ``PartOutcome``; the head's number as it came with ``PART``, its
                                   size and objects as of ``MOVED``
PART_ENDED  supervisor → worker    likewise, to the worker that leads; its own number
MOVED       supervisor → statter   nothing: a part has ended; the head's size is the bytes that
                                   moved, its number of objects the requests it took
MOVED       worker → supervisor,   likewise, of a part that the worker leads and has moved by
            statter                itself; its requests are told with the batch
OUTCOMES    walker, worker →       ``Report``, by ``report_frame``: how tasks ended; from a
            statter                worker, one whole batch
UPLOAD      worker → supervisor    ``OpenUpload``: one was begun, or is complete or aborted
UPLOAD      supervisor → worker    likewise: one that is open, and whose own worker has died
NOTICE      anyone → statter       str: one line for people, said once
LISTED      supervisor → statter   nothing; the head's number of objects: objects listed so far
NEED_KEYS   worker, walker →       ``Side`` whose store calls our keys expired
            supervisor
KEYS        supervisor → worker,   ``Side``, and its ``Keys``, or None when there are no others
            walker
BEAT        worker → supervisor    nothing: I am alive
FEEDBACK    worker → supervisor    ``s3.congestion.Feedback``: how the store takes the requests
LIMIT       supervisor → worker    ``s3.congestion.RateLimit``: that worker's share of the rate
FLOW        supervisor → statter   ``report.totals.Flow``: whether the store throttles, or is silent
FINISH      supervisor → worker    nothing: begin no other task
FATAL       anyone → supervisor,   str: why the run cannot go on
            statter
END         walker → supervisor    nothing: the head's number of objects is all there are
END         supervisor → worker    nothing: no more will come
END         supervisor → statter   nothing; the head's number of objects were listed, its size is
                                   how many were not attempted, its batch 0 if the walk was stopped
TOTALS      statter → supervisor   ``report.totals.Totals``: the sums, as the last word
==========  =====================  =======================================================
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

from s3pp.records import (
    CopyTask,
    Dest,
    Done,
    Entry,
    Failed,
    GetTask,
    Outcome,
    PutTask,
    Skipped,
    Task,
)


class Kind(IntEnum):
    """What a frame is; the table above says the rest."""

    SETUP = 1
    TASKS = 2
    SPOOL = 3
    OUTCOMES = 4
    NOTICE = 5
    LISTED = 6
    NEED_KEYS = 7
    KEYS = 8
    BEAT = 9
    FINISH = 10
    FATAL = 11
    END = 12
    TOTALS = 13
    OFFER = 14
    PART = 15
    PART_ENDED = 16
    MOVED = 17
    UPLOAD = 18
    FEEDBACK = 19
    LIMIT = 20
    FLOW = 21


class Report(NamedTuple):
    """How tasks ended, and the requests it took since the last report."""

    outcomes: list[Outcome]
    requests: int


class Frame(NamedTuple):
    """One message; ``batch``, ``objects`` and ``size`` are for the supervisor's ledger."""

    kind: Kind
    payload: bytes = b""
    batch: int = 0  # number of the batch, from 1
    objects: int = 0  # tasks or outcomes in it, or objects listed
    size: int = 0  # bytes of all sources in the batch

    def encode(self) -> bytes:
        """The frame as it travels."""
        head = HEAD.pack(len(self.payload), self.kind, self.batch, self.objects, self.size)
        return head + self.payload

    def open(self) -> Any:
        """The payload as an object."""
        return pickle.loads(self.payload)


HEAD = Struct("!IBQQQ")  # payload length in bytes, kind, batch, objects, size


def frame(kind: Kind, content: object, *, batch: int = 0, objects: int = 0, size: int = 0) -> Frame:
    """A frame whose payload is ``content``."""
    return Frame(kind, pickle.dumps(content, pickle.HIGHEST_PROTOCOL), batch, objects, size)


# Plain tuples pickle in a tenth of the time that named ones take (0.4 µs a task against 6), and
# every object of a run passes here four times.


def tasks_frame(tasks: Sequence[Task], batch: int, size: int) -> Frame:
    """One batch of tasks, all of one kind, on its way to a worker."""
    tag = _TASK_TAGS[type(tasks[0])]
    rows = (tag, [_PACK[tag](task) for task in tasks])
    return frame(Kind.TASKS, rows, batch=batch, objects=len(tasks), size=size)


def tasks_of(message: Frame) -> list[Task]:
    """The tasks of a batch."""
    tag, rows = message.open()
    return [_UNPACK[tag](row) for row in rows]


def _pack_put(task: Any) -> tuple[Any, ...]:
    entry, dest, ask = task
    return tuple(entry), dest and tuple(dest), ask


def _unpack_put(row: tuple[Any, ...]) -> PutTask:
    entry, dest, ask = row
    return PutTask(Entry(*entry), Dest(*dest) if dest else None, ask)


def _pack_copy(task: Any) -> tuple[Any, ...]:
    return tuple(task._replace(dest=task.dest and tuple(task.dest)))


def _unpack_copy(row: tuple[Any, ...]) -> CopyTask:
    task = CopyTask(*row)
    return task._replace(dest=Dest(*task.dest)) if task.dest else task


_TASK_KINDS: tuple[type[Task], ...] = (PutTask, GetTask, CopyTask)
_TASK_TAGS = {kind: tag for tag, kind in enumerate(_TASK_KINDS)}
_PACK: tuple[Callable[[Any], tuple[Any, ...]], ...] = (_pack_put, tuple, _pack_copy)
_UNPACK: tuple[Callable[[Any], Task], ...] = (_unpack_put, GetTask._make, _unpack_copy)


def report_frame(outcomes: Sequence[Outcome], requests: int, *, batch: int = 0) -> Frame:
    """How a batch ended, or what the walker could tell at once, on its way to the statter."""
    rows = [(_TAGS[type(outcome)], tuple(outcome)) for outcome in outcomes]
    return frame(Kind.OUTCOMES, (rows, requests), batch=batch, objects=len(rows))


def report_of(message: Frame) -> Report:
    """The report in a message."""
    rows, requests = message.open()
    return Report([_OUTCOMES[tag](*fields) for tag, fields in rows], requests)


_OUTCOMES: tuple[type[Outcome], ...] = (Done, Skipped, Failed)
_TAGS = {kind: tag for tag, kind in enumerate(_OUTCOMES)}
