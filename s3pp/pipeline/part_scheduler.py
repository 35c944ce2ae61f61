"""The part scheduler: assigns parts of large objects to any worker with room.

Owned by the supervisor. A part assigned to a worker that dies goes to another; the parts of a lead
that dies are dropped, since the next lead of the object finds those already transferred in the
store or on disk. Parts in progress then continue, and the next lead must not look before they have
ended: it would not find them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from s3pp.errors import FailureKind
from s3pp.pipeline.ledger import MOST_LOSSES, Ledger
from s3pp.pipeline.messages import PartRequest, PartResult, pickled
from s3pp.records import PartFailed

W = TypeVar("W")


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
        lost = [_crashed(part) for part in given_up]
        return [routed for each in lost if (routed := self._routed(each))]

    def offer(self, lead: W, request: PartRequest) -> None:
        """Queue a part that ``lead`` wants transferred."""
        self._number += 1
        self._offers[self._number] = _Offer(lead, request.number)
        self._ledger.add(request._replace(number=self._number))

    @property
    def settled(self) -> bool:
        """Whether no part is in progress whose lead is gone."""
        return not self._stray

    def assign(self) -> Iterable[tuple[W, PartRequest]]:
        """Assign queued parts to workers with room; yields each assignment."""
        return self._ledger.assign()

    def ended(self, worker: W, result: PartResult) -> tuple[W, PartResult] | None:
        """Remove an ended part. Returns the lead and the result to send it; None: it is gone."""
        self._ledger.close(worker, result.number)
        self._stray.discard(result.number)
        return self._routed(result)

    def serves_others(self, worker: W) -> bool:
        """Whether a worker has parts of objects that it does not lead."""
        offers = (self._offers.get(part.number) for part in self._ledger.batches_of(worker))
        return any(offer is None or offer.lead != worker for offer in offers)

    def drop(self) -> None:
        """Drop all unassigned parts."""
        self._ledger.drop_waiting()

    def _routed(self, result: PartResult) -> tuple[W, PartResult] | None:
        offer = self._offers.pop(result.number, None)
        return offer and (offer.lead, result._replace(number=offer.number))

    def _forget(self, lead: W) -> None:
        gone = {number for number, offer in self._offers.items() if offer.lead == lead}
        for number in gone:
            del self._offers[number]
        gone |= self._stray
        self._ledger.drop_waiting(gone)
        self._stray = gone & self._ledger.out


def _crashed(request: PartRequest) -> PartResult:
    number = request.open().span.number
    message = f"{MOST_LOSSES} workers died while they had only part {number} of it"
    failed = PartFailed(number, FailureKind.CRASHED, message)
    return PartResult(request.number, 0, 0, pickled(failed))
