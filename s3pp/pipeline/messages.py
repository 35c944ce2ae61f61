"""What the processes say to each other, who says it and who listens.

A message is a frame: a fixed head that the supervisor reads, and a pickled payload that it hands
on without looking. Exceptions never travel; they are records by then.

==========  =====================  =======================================================
kind        from → to              payload
==========  =====================  =======================================================
SETUP       supervisor → walker,   ``s3.session.Opened``: endpoint, keys
            worker
TASKS       walker → worker        ``PutTask`` of one batch, by ``tasks_frame``
SPOOL       walker → supervisor    path of the file the next batch reads, to delete after it
OUTCOMES    walker, worker →       ``Report``, by ``report_frame``: how tasks ended; from a
            statter                worker, one whole batch
NOTICE      anyone → statter       str: one line for people, said once
LISTED      supervisor → statter   nothing; the head's number of objects: objects listed so far
NEED_KEYS   worker, walker →       nothing: the store calls our keys expired
            supervisor
KEYS        supervisor → worker,   ``Keys``, or None when there are no others
            walker
BEAT        worker → supervisor    nothing: I am alive
FINISH      supervisor → worker    nothing: begin no other task
FATAL       anyone → supervisor    str: why the run cannot go on
END         walker → supervisor    nothing: the head's number of objects is all there are
END         supervisor → worker,   nothing: no more will come
            statter
TOTALS      statter → supervisor   ``report.totals.Totals``: the sums, as the last word
==========  =====================  =======================================================
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

from s3pp.records import Dest, Done, Entry, Failed, Outcome, PutTask, Skipped


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


def tasks_frame(tasks: Sequence[PutTask], batch: int, size: int) -> Frame:
    """One batch of tasks on its way to a worker."""
    rows = [(tuple(entry), dest and tuple(dest), ask) for entry, dest, ask in tasks]
    return frame(Kind.TASKS, rows, batch=batch, objects=len(rows), size=size)


def tasks_of(message: Frame) -> list[PutTask]:
    """The tasks of a batch."""
    return [
        PutTask(Entry(*entry), Dest(*dest) if dest else None, ask)
        for entry, dest, ask in message.open()
    ]


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
