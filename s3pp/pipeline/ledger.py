"""The ledgers: which batches and parts are assigned to which worker, and which are waiting.

The contents of a batch are not unpickled here. A batch leaves the ledger when its report arrives.
If its worker dies first, it is halved and queued again, since any of its objects may have killed
the worker::

    lost once         both halves go to the head of those that wait
    lost again        they are suspects: tried by workers that have nothing else, one batch after a
                      death, and one more at a time for each that came to its end since
    an object alone   given up after ``MOST_LOSSES`` workers that had nothing else

So an object that kills workers is found within some ten deaths, and no object fails because its
neighbours, or another program, killed their worker.

``PartScheduler`` has a ledger for the parts of large objects. A part assigned to a worker that dies
goes to another; the parts of a lead that dies are dropped, since the next lead of the object finds
those already transferred in the store or on disk. Parts in progress then continue, and the next
lead must not look before they have ended: it would not find them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from s3pp.errors import FailureKind
from s3pp.pipeline.messages import Assignable, PartRequest, PartResult, pickled
from s3pp.records import PartFailed

MOST_LOSSES = 3  # workers that may die with only this object before it is given up
PATIENCE = 5  # times as many, if each of them transferred parts of the object
AHEAD = 2  # tasks assigned to a worker, as a multiple of those it runs concurrently
AHEAD_BYTES = 256 * 1024 * 1024  # bytes of sources assigned to a worker, unless one batch
ENOUGH = 32  # tasks of each worker with which another worker pays; or its slots, if fewer
ENOUGH_BYTES = 4 * 1024 * 1024  # the same of the sources of its tasks

W = TypeVar("W")
A = TypeVar("A", bound=Assignable)


class Losses(NamedTuple):
    """How often a batch, or one that it was split from, was lost."""

    workers: int = 0  # number that died with it
    blame: int = 0  # for those that had nothing else: ``PATIENCE`` each, or 1 after progress

    @property
    def suspect(self) -> bool:
        """Whether it must be tried alone."""
        return self.workers > 1

    @property
    def enough(self) -> bool:
        """Whether to give it up."""
        return self.blame >= MOST_LOSSES * PATIENCE


@dataclass
class Workload(Generic[W, A]):
    """One worker's batches."""

    worker: W
    batches: dict[int, A] = field(default_factory=dict)
    tasks: int = 0
    size: int = 0  # bytes
    trial: bool = False  # its batches are suspects
    progress: bool = False  # a part of what it leads has arrived

    def take(self, batch: A) -> None:
        """Add a batch assigned to the worker."""
        self.batches[batch.number] = batch
        self.tasks += batch.load
        self.size += batch.size

    def drop(self, number: int) -> None:
        """Remove a batch."""
        batch = self.batches.pop(number)
        self.tasks -= batch.load
        self.size -= batch.size
        self.trial = self.trial and bool(self.batches)


class Ledger(Generic[W, A]):
    """Assigns batches to workers; ``slots`` is the number of tasks a worker runs concurrently.

    A worker is assigned up to ``ahead`` times as many tasks, and up to ``ahead_bytes`` of sources
    (None: any number) unless they are one batch. ``split`` makes two batches of one; it is not
    called for a single object.
    """

    def __init__(
        self,
        slots: int,
        *,
        ahead: int = AHEAD,
        ahead_bytes: int | None = AHEAD_BYTES,
        split: Callable[[A], Sequence[A]] = lambda batch: [batch],
    ) -> None:
        self._enough = min(ENOUGH, slots)
        self._most = ahead * slots
        self._most_bytes = ahead_bytes
        self._split = split
        self._loads: dict[W, Workload[W, A]] = {}
        self._waiting: deque[A] = deque()
        self._suspects: deque[A] = deque()
        self._together = 1  # suspects tried at a time
        self._losses: dict[int, Losses] = {}  # of lost batches, by number

    def join(self, worker: W) -> None:
        """Add a worker that is ready for batches."""
        self._loads[worker] = Workload(worker)

    def leave(self, worker: W, *, busy: bool = False) -> list[A]:
        """Remove a dead worker and queue its batches again, halved. Returns those given up.

        ``busy``: it had other work too, which may have killed it.
        """
        load = self._loads.pop(worker, Workload(worker))
        self._together = 1 if load.trial else self._together
        given_up: list[A] = []
        again: list[A] = []
        for batch in load.batches.values():
            losses = self._count_loss(batch, load, busy=busy)
            if losses.enough:
                given_up.append(batch)
                continue
            for part in self._split(batch) if batch.objects > 1 else (batch,):
                self._losses[part.number] = losses
                (self._suspects if losses.suspect else again).append(part)
        self._waiting.extendleft(reversed(again))
        return given_up

    def _count_loss(self, batch: A, load: Workload[W, A], *, busy: bool) -> Losses:
        """The losses of a batch, including the death of ``load``'s worker."""
        workers, blame = self._losses.pop(batch.number, Losses())
        if batch.objects == 1 and len(load.batches) == 1 and not busy:
            blame += 1 if load.progress else PATIENCE
        return Losses(workers + 1, blame)

    def progress(self, worker: W) -> None:
        """Record that a part of an object that the worker leads was transferred."""
        if worker in self._loads:
            self._loads[worker].progress = True

    def batches_of(self, worker: W) -> list[A]:
        """The batches assigned to a worker."""
        load = self._loads.get(worker)
        return list(load.batches.values()) if load else []

    def add(self, batch: A) -> None:
        """Queue a new batch."""
        self._waiting.append(batch)

    def assign(self) -> Iterable[tuple[W, A]]:
        """Assign waiting batches to workers with room, least loaded first; yields each pair."""
        if self._suspects:
            yield from self._assign_suspects()
        while self._waiting:
            roomy = [load for load in self._loads.values() if self._room(load)]
            if not roomy:
                return
            load = min(roomy, key=lambda load: (load.tasks, load.size))
            batch = self._waiting.popleft()
            load.take(batch)
            yield load.worker, batch

    def _assign_suspects(self) -> Iterable[tuple[W, A]]:
        """Assign suspects to workers that have no batches, and give these no others.

        Other workers continue. Replacements of dead workers have no batches, so suspects neither
        delay the others nor wait for the end of the run.
        """
        for load in [load for load in self._loads.values() if not load.batches]:
            load.trial, load.progress = bool(self._suspects), False
            for _ in range(min(self._together, len(self._suspects))):
                if not self._fits(load):
                    break
                batch = self._suspects.popleft()
                load.take(batch)
                yield load.worker, batch

    def close(self, worker: W, number: int) -> None:
        """Remove a batch that was reported."""
        load = self._loads[worker]
        self._together += load.trial
        load.drop(number)
        self._losses.pop(number, None)

    def drop_waiting(self, numbers: Container[int] | None = None) -> None:
        """Drop unassigned batches: all of them, or those with these numbers."""
        for waiting in (self._waiting, self._suspects):
            kept = [] if numbers is None else [b for b in waiting if b.number not in numbers]
            waiting.clear()
            waiting.extend(kept)

    @property
    def out(self) -> set[int]:
        """The numbers of all assigned batches."""
        return {number for load in self._loads.values() for number in load.batches}

    @property
    def wants_more(self) -> bool:
        """Whether some worker has room and no batch is waiting."""
        return not self._waiting and any(self._room(load) for load in self._loads.values())

    @property
    def crowded(self) -> bool:
        """Whether batches wait, and each worker has enough that another worker would pay."""
        return bool(self._waiting) and all(
            load.tasks >= self._enough or load.size >= ENOUGH_BYTES for load in self._loads.values()
        )

    @property
    def waiting(self) -> bool:
        """Whether a batch is not assigned."""
        return bool(self._waiting)

    @property
    def workers(self) -> list[W]:
        """The workers that are ready for batches."""
        return list(self._loads)

    @property
    def empty(self) -> bool:
        """Whether no batch is waiting or assigned."""
        waiting = self._waiting or self._suspects
        return not waiting and not any(load.batches for load in self._loads.values())

    def _room(self, load: Workload[W, A]) -> bool:
        return self._fits(load) and not load.trial

    def _fits(self, load: Workload[W, A]) -> bool:
        """Whether a worker's limits allow another batch."""
        if not load.batches:
            return True
        small = self._most_bytes is None or load.size < self._most_bytes
        return small and load.tasks < self._most


class _Offer(NamedTuple):
    lead: Any  # a W: until Python 3.11 named tuples are not generic
    number: int  # the lead's own


class PartScheduler(Generic[W]):
    """Assigns parts to workers; ``places`` is the number that a worker transfers at a time."""

    def __init__(self, places: int) -> None:
        self._ledger: Ledger[W, PartRequest] = Ledger(places, ahead=1, ahead_bytes=None)
        self._offers: dict[int, _Offer] = {}
        self._number = 0
        self._stray: set[int] = set()  # parts in progress whose lead is gone

    def join(self, worker: W) -> None:
        """Add a worker that is ready for parts."""
        self._ledger.join(worker)

    def leave(self, worker: W, *, busy: bool = False) -> list[tuple[W, PartResult]]:
        """Remove a worker. Returns the leads of abandoned parts, with the results to send them.

        ``busy``: it had batches too.
        """
        given_up = self._ledger.leave(worker, busy=busy)
        self._forget(worker)  # after that: what it moved for itself waits by now
        lost = [_crash_result(part) for part in given_up]
        return [routed for each in lost if (routed := self._route(each))]

    def offer(self, lead: W, request: PartRequest) -> None:
        """Queue a part that ``lead`` wants transferred."""
        self._number += 1
        self._offers[self._number] = _Offer(lead, request.number)
        self._ledger.add(request._replace(number=self._number))

    @property
    def waiting(self) -> bool:
        """Whether a part is not assigned."""
        return self._ledger.waiting

    @property
    def settled(self) -> bool:
        """Whether no part is in progress whose lead is gone."""
        return not self._stray

    def assign(self) -> Iterable[tuple[W, PartRequest]]:
        """Assign queued parts to workers with room; yields each assignment."""
        return self._ledger.assign()

    def close(self, worker: W, result: PartResult) -> tuple[W, PartResult] | None:
        """Remove an ended part. Returns the lead and the result to send it; None: it is gone."""
        self._ledger.close(worker, result.number)
        self._stray.discard(result.number)
        return self._route(result)

    def serves_others(self, worker: W) -> bool:
        """Whether a worker has parts of objects that it does not lead."""
        offers = (self._offers.get(part.number) for part in self._ledger.batches_of(worker))
        return any(offer is None or offer.lead != worker for offer in offers)

    def drop(self) -> None:
        """Drop all unassigned parts."""
        self._ledger.drop_waiting()

    def _route(self, result: PartResult) -> tuple[W, PartResult] | None:
        offer = self._offers.pop(result.number, None)
        return offer and (offer.lead, result._replace(number=offer.number))

    def _forget(self, lead: W) -> None:
        gone = {number for number, offer in self._offers.items() if offer.lead == lead}
        for number in gone:
            del self._offers[number]
        gone |= self._stray
        self._ledger.drop_waiting(gone)
        self._stray = gone & self._ledger.out


def _crash_result(request: PartRequest) -> PartResult:
    number = request.open().span.number
    message = f"{MOST_LOSSES} workers died while they had only part {number} of it"
    failed = PartFailed(number, FailureKind.CRASHED, message)
    return PartResult(request.number, 0, 0, pickled(failed))
