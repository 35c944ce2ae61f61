"""The part scheduler: parts of large objects, from the workers that lead them to any that has room.

It belongs to the supervisor. A part that was out with a worker that dies goes to another; those of
a lead that dies are forgotten, as whoever leads its object next finds out in the store, or on the
disk, what is there. Those at work then go on, and nobody should look before they have ended: it
would not find them.
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
    """Who moves which part for whom; ``places`` is how many one worker moves at a time."""

    def __init__(self, places: int) -> None:
        self._ledger: Ledger[W, PartRequest] = Ledger(places, ahead=1, ahead_bytes=None)
        self._offers: dict[int, _Offer] = {}
        self._number = 0
        self._stray: set[int] = set()  # parts at work whose lead is gone

    def join(self, worker: W) -> None:
        """A worker is ready for parts."""
        self._ledger.join(worker)

    def leave(self, worker: W, *, busy: bool = False) -> list[tuple[W, PartResult]]:
        """A worker is gone. Returns who is to hear of the parts too many have died on, and how.

        ``busy``: it had batches as well.
        """
        given_up = self._ledger.leave(worker, busy=busy)
        self._forget(worker)  # after that: what it moved for itself waits by now
        lost = [_crashed(part) for part in given_up]
        return [routed for each in lost if (routed := self._routed(each))]

    def offer(self, lead: W, request: PartRequest) -> None:
        """Take a part that ``lead`` wants to have moved."""
        self._number += 1
        self._offers[self._number] = _Offer(lead, request.number)
        self._ledger.add(request._replace(number=self._number))

    @property
    def settled(self) -> bool:
        """Whether no part is at work whose lead is gone."""
        return not self._stray

    def assign(self) -> Iterable[tuple[W, PartRequest]]:
        """Give what waits to those with room; yields each assignment."""
        return self._ledger.assign()

    def ended(self, worker: W, result: PartResult) -> tuple[W, PartResult] | None:
        """A part that ``worker`` had has ended. Returns who is to hear it; None: nobody waits."""
        self._ledger.close(worker, result.number)
        self._stray.discard(result.number)
        return self._routed(result)

    def serves_others(self, worker: W) -> bool:
        """Whether a worker has parts of objects that it does not lead."""
        offers = (self._offers.get(part.number) for part in self._ledger.batches_of(worker))
        return any(offer is None or offer.lead != worker for offer in offers)

    def drop(self) -> None:
        """Forget what no worker has."""
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
