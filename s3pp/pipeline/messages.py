"""The messages between the processes; ``MESSAGES`` lists them all.

The first line of each docstring says who sends a message and who receives it. All travel through
the supervisor, which routes most of them by their readable fields; content that it does not need is
``bytes``, pickled once by the producer and unpickled once by the consumer. Exceptions are never
sent: they are converted to records first.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from s3pp.access import Keys
from s3pp.errors import ExitStatus
from s3pp.job import Job
from s3pp.pipeline.progress_messages import ActiveObjects as ActiveObjects  # noqa: PLC0414  # exported
from s3pp.pipeline.progress_messages import PartProgress as PartProgress  # noqa: PLC0414  # exported
from s3pp.pipeline.progress_messages import WalkProgress as WalkProgress  # noqa: PLC0414  # exported
from s3pp.places import Side
from s3pp.records import (
    CopyTask,
    Deleted,
    DeleteTask,
    Dest,
    Done,
    Entry,
    Failed,
    GetTask,
    Outcome,
    PartOutcome,
    PartTask,
    PutTask,
    Skipped,
    Task,
    VerifyTask,
)
from s3pp.records import OpenUpload as OpenUpload  # noqa: PLC0414  # exported
from s3pp.report.failures import Cause
from s3pp.report.totals import Extent, Flow, Totals
from s3pp.report.totals import Retries as Retries  # noqa: PLC0414  # exported
from s3pp.s3.congestion import Demand as Demand  # noqa: PLC0414  # exported
from s3pp.s3.congestion import Feedback as Feedback  # noqa: PLC0414  # exported
from s3pp.s3.congestion import Permit, PrefixLimit, RateLimit
from s3pp.s3.endpoint import Opened

if TYPE_CHECKING:
    from s3pp.localfs.file_state import FileDigest

DELETES_PER_SLOT = 8  # tasks of a batch of deletes, of which one request has up to 1,000


class Setup(NamedTuple):
    """supervisor → walker, worker, statter, counter: the endpoints, and the keys, once known."""

    job: Job  # as ``OpenBuckets`` has settled it
    opened: dict[Side, Opened]


class TaskBatch(NamedTuple):
    """walker → worker: tasks of one kind. The ledger decides which worker."""

    number: int  # from 1
    objects: int  # tasks in it
    size: int  # bytes of all sources; 0 for one large object, which all workers share
    rows: bytes  # by ``task_batch``
    deletes: bool = False  # True: its tasks are ``DeleteTask``, and executed as a unit
    listed_bytes: int = 0  # of all sources, of a large object too; 0: none are transferred

    @property
    def load(self) -> int:
        """The number of slots that it occupies, for the ledger."""
        return 1 + self.objects // DELETES_PER_SLOT if self.deletes else self.objects

    @property
    def tasks(self) -> list[Task]:
        """The tasks."""
        tag, rows = pickle.loads(self.rows)
        return [_UNPACK[tag](row) for row in rows]


class SpoolFile(NamedTuple):
    """walker → supervisor: the file that a batch reads, to be removed once that has ended."""

    batch: int  # its number; the batch itself follows
    path: str


class BatchReport(NamedTuple):
    """worker, walker → statter: how tasks ended; of a worker, one whole batch."""

    batch: int  # its number; 0 for what the walker, or the supervisor, reports itself
    objects: int  # outcomes in it, and ``unchanged``
    requests: int  # made since the sender's last report
    rows: bytes  # by ``batch_report``
    deletions: TaskBatch | None = None  # of a move: what it has moved, for the supervisor
    unchanged: int = 0  # objects skipped as ``SAME_ETAG``, which nobody wants named
    unchanged_bytes: int = 0  # of them
    listed_bytes: int = 0  # of all in it; of a walker's

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes."""
        return [_OUTCOMES[tag](fields) for tag, fields in pickle.loads(self.rows)]


class PartRequest(NamedTuple):
    """worker → worker: a part to transfer, of an object that the sender leads.

    The scheduler in the supervisor decides which worker, and numbers the request anew.
    """

    number: int  # the sender's, or the scheduler's
    size: int  # bytes
    part: bytes  # a pickled ``PartTask``

    @property
    def objects(self) -> int:
        """The number of tasks, for the ledger: 1."""
        return 1

    @property
    def load(self) -> int:
        """The number of places that it occupies, for the ledger: 1."""
        return 1

    def open(self) -> PartTask:
        """The part."""
        part: PartTask = pickle.loads(self.part)
        return part


class PartResult(NamedTuple):
    """worker → worker: how a part ended, back to the worker that leads its object."""

    number: int  # as the request had it
    size: int  # bytes transferred
    requests: int  # made since the sender's last report
    outcome: bytes  # a pickled ``PartOutcome``

    def open(self) -> PartOutcome:
        """The outcome."""
        outcome: PartOutcome = pickle.loads(self.outcome)
        return outcome


class Notice(NamedTuple):
    """walker, worker, supervisor → statter: one line for users, printed once."""

    text: str
    at_end: bool = False  # print it when the run has ended


class FileDigests(NamedTuple):
    """worker, walker → statter: digests of local files, for the ETag cache."""

    rows: bytes  # by ``file_digests``

    @property
    def digests(self) -> list[FileDigest]:
        """The digests."""
        from s3pp.localfs.file_state import FileDigest, FileState  # what few runs need

        rows = pickle.loads(self.rows)
        return [FileDigest(FileState(*state), kind, value) for state, kind, value in rows]


class NamesExcluded(NamedTuple):
    """walker → statter: what the filters have left out, at the end of the walk of a dry run."""

    names: int  # a directory that was not entered is one


class Fatal(NamedTuple):
    """walker, worker, statter, supervisor → supervisor, statter: why the run must end."""

    text: str
    cause: Cause | None = None  # of failures that this explains, as well as those of this text


class KeysExpired(NamedTuple):
    """worker, walker → supervisor: the store has answered that the keys have expired."""

    side: Side


class NewKeys(NamedTuple):
    """supervisor → worker, walker: keys to use from now on."""

    side: Side
    keys: Keys | None  # None: there are no others


class Heartbeat(NamedTuple):
    """worker → supervisor: its event loop is running."""


class StartNothing(NamedTuple):
    """supervisor → worker: finish the tasks in progress, and start no other."""


class WalkDone(NamedTuple):
    """walker → supervisor: every task has been sent, but for deletions of ``--delete``."""

    deletes: int = 0  # that wait for ``SendDeletes``
    held: int = 0  # objects or files that the destination holds, in scope
    empty: bool = False  # the source has none
    fault: str = ""  # why what the destination holds is not known
    irregular: bool = False  # the source has what can be no object


class SendDeletes(NamedTuple):
    """supervisor → walker: every transfer has succeeded; send the deletions, and ``WalkDone``."""


class CountFailures(NamedTuple):
    """supervisor → statter: every report of the transfers has been sent; how many failed?"""


class FailureCount(NamedTuple):
    """statter → supervisor: the answer to ``CountFailures``."""

    failed: int  # objects


class NoMoreTasks(NamedTuple):
    """supervisor → worker: every batch has ended; exit."""


class RunDone(NamedTuple):
    """supervisor → statter: every report has been sent."""

    listed: int  # objects, in all
    not_attempted: int  # objects listed that an interrupted run did not start
    walk_done: bool  # False: the walk did not end, and more objects may exist
    not_deleted: str = ""  # why nothing was deleted, where that was refused
    error: str | None = None  # why the run was aborted
    signal: ExitStatus | None = None  # the exit code of the signal that stopped it


class StatterReport(NamedTuple):
    """statter → supervisor: the totals, which decide the exit code."""

    totals: Totals
    refusal: str | None  # why a run that came to its end counts as aborted, see ``Recorder``


Message = tuple[Any, ...]  # any of ``MESSAGES``
MESSAGES: tuple[type[Any], ...] = (
    Setup,
    TaskBatch,
    SpoolFile,
    BatchReport,
    PartRequest,
    PartResult,
    PartProgress,
    Notice,
    NamesExcluded,
    Fatal,
    WalkProgress,
    KeysExpired,
    NewKeys,
    Heartbeat,
    StartNothing,
    WalkDone,
    SendDeletes,
    CountFailures,
    FailureCount,
    NoMoreTasks,
    RunDone,
    StatterReport,
    FileDigests,
    # Records of other rooms, which are messages as they are; their docstrings name both ends.
    OpenUpload,
    Feedback,
    RateLimit,
    PrefixLimit,
    Flow,
    Demand,
    Permit,
    Retries,
    Extent,
    ActiveObjects,
)
_TAGS = {kind: tag for tag, kind in enumerate(MESSAGES)}
HEAD = Struct("!IB")  # bytes that follow, index in ``MESSAGES``


class Assignable(Protocol):
    """A message that the ledger gives to a worker, a batch or a part."""

    @property
    def number(self) -> int:
        """The number that identifies it."""

    @property
    def objects(self) -> int:
        """The number of tasks in it."""

    @property
    def load(self) -> int:
        """The number of slots that it occupies."""

    @property
    def size(self) -> int:
        """Bytes of its sources."""


def encode(message: Message) -> bytes:
    """Encode a message for a pipe; the fields as a plain tuple, which pickles fastest."""
    body = pickled(tuple(message))
    return HEAD.pack(len(body), _TAGS[type(message)]) + body


def decode(tag: int, body: bytes | memoryview) -> Any:
    """Decode a message from its tag and body."""
    return MESSAGES[tag](*pickle.loads(body))


def pickled(content: object) -> bytes:
    """Pickle the content of a ``bytes`` field."""
    return pickle.dumps(content, pickle.HIGHEST_PROTOCOL)


# Plain tuples pickle in a tenth of the time of named ones (0.4 µs a task against 6), and every
# object of a run passes through here four times. They are named again without a Python call each.


def _naming(kind: type[Any]) -> Callable[[tuple[Any, ...]], Any]:
    """Return what ``kind._make`` does, three times as fast."""
    return partial(tuple.__new__, kind)


def task_batch(tasks: Sequence[Task], number: int, *, size: int, large: int) -> TaskBatch:
    """Create a batch of tasks, all of one kind; ``size`` is that of all sources in bytes.

    A single object of more than ``large`` bytes is led by one worker, and transferred by all.
    """
    tag = _TASK_TAGS[type(tasks[0])]
    deletes = tag == _DELETES  # which read no bytes
    whole = 0 if deletes else size
    size = 0 if deletes or (len(tasks) == 1 and size > large) else size
    rows = pickled((tag, [_PACK[tag](task) for task in tasks]))
    return TaskBatch(number, len(tasks), size, rows, deletes, whole)


def batch_report(
    outcomes: Sequence[Outcome], requests: int, *, batch: int = 0, unchanged: int = 0
) -> BatchReport:
    """Create the report of a batch, or of outcomes determined by the walker."""
    rows = [(_OUTCOME_TAGS[type(outcome)], tuple(outcome)) for outcome in outcomes]
    objects = len(rows) + unchanged
    return BatchReport(batch, objects, requests, pickled(rows), unchanged=unchanged)


def file_digests(digests: Iterable[tuple[tuple[int, ...], str, str]]) -> FileDigests:
    """Create the message that contains ``digests``."""
    return FileDigests(pickled([(tuple(state), kind, value) for state, kind, value in digests]))


def _pack_put(task: Any) -> tuple[Any, ...]:
    entry, dest, ask, planned = task
    return tuple(entry), dest and tuple(dest), ask, planned


def _unpack_put(row: tuple[Any, ...]) -> PutTask:
    entry, dest, ask, planned = row
    task: PutTask = _PUT((_ENTRY(entry), dest and _DEST(dest), ask, planned))
    return task


def _pack_copy(task: Any) -> tuple[Any, ...]:
    return tuple(task._replace(dest=task.dest and tuple(task.dest)))


def _unpack_copy(row: tuple[Any, ...]) -> CopyTask:
    task = CopyTask(*row)
    return task._replace(dest=_DEST(task.dest)) if task.dest else task


_ENTRY, _DEST, _PUT = map(_naming, (Entry, Dest, PutTask))
_TASK_KINDS: tuple[type[Task], ...] = (PutTask, GetTask, CopyTask, DeleteTask, VerifyTask)
_TASK_TAGS = {kind: tag for tag, kind in enumerate(_TASK_KINDS)}
_DELETES = _TASK_TAGS[DeleteTask]
_PACK: tuple[Callable[[Any], tuple[Any, ...]], ...] = (_pack_put, tuple, _pack_copy, tuple, tuple)
_UNPACK: tuple[Callable[[Any], Task], ...] = (
    _unpack_put,
    _naming(GetTask),
    _unpack_copy,
    _naming(DeleteTask),
    _naming(VerifyTask),
)
_OUTCOME_KINDS: tuple[type[Outcome], ...] = (Done, Skipped, Failed, Deleted)
_OUTCOME_TAGS = {kind: tag for tag, kind in enumerate(_OUTCOME_KINDS)}
_OUTCOMES = tuple(map(_naming, _OUTCOME_KINDS))
