"""The sweep: how many at a time, in which order, and what ends it."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.job import Job, Output
from s3pp.limits import ABORTS_AT_ONCE
from s3pp.pipeline.cleaning import Sweep
from s3pp.pipeline.statter import ENOUGH_SILENCE
from s3pp.pipeline.stopping import Pause
from s3pp.places import Origin
from s3pp.report.abort_record import AbortRecord
from s3pp.report.aborts import AbortTotals
from s3pp.report.failures import ENOUGH_REFUSALS
from s3pp.report.outlet import Streams
from s3pp.s3.listing import ListingError
from s3pp.s3.retry import StoreError
from s3pp.s3.uploads import Part, Upload

OLD = "2020-01-01T00:00:00Z"
JOB = Job("clean", origin=Origin("bucket"))
Act = Callable[[int], Any]


class Store:
    """So many uploads, of which ``act`` decides what an abort does."""

    def __init__(self, count: int, act: Act = lambda at: None) -> None:
        self.listed = self.under_way = self.most = 0
        self.lead = 0  # uploads listed beyond those that were brought to their end
        self.aborted: list[int] = []
        self.broken: Exception | None = None
        self._count, self._act = count, act

    def clock(self) -> float:
        return time.time()

    async def unfinished(self, prefix: str) -> AsyncIterator[Upload]:
        for at in range(self._count):
            self.listed += 1
            self.lead = max(self.lead, self.listed - len(self.aborted))
            yield Upload(f"{at:06}", "id", OLD)
        if self.broken:
            raise self.broken

    async def parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
        if int(key) in self.aborted:
            raise StoreError(404, "NoSuchUpload", "")
        yield Part(1, 10, "", None)

    async def abort(self, key: str, upload_id: str) -> bool:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            wait = self._act(int(key))
            await (wait if wait is not None else asyncio.sleep(0))
        finally:
            self.under_way -= 1
        self.aborted.append(int(key))
        return True


class Sweeping:
    """A sweep over a store, with what it says."""

    def __init__(self, store: Store) -> None:
        self.out = io.StringIO()
        self.store = store
        streams = Streams.of(self.out, io.StringIO())
        self.record = AbortRecord(
            Job("clean", origin=JOB.origin, output=Output(verbosity=1)), streams
        )
        self.sweep = Sweep(JOB, store, record=self.record, pause=Pause())  # type: ignore[arg-type]

    def run(self) -> AbortTotals:
        asyncio.run(asyncio.wait_for(self.sweep.run(Origin("bucket")), 20))
        return self.record.close(0)

    @property
    def told(self) -> list[int]:
        return [int(line.split("/")[3].split()[0]) for line in self.out.getvalue().splitlines()]


def test_some_at_a_time_however_many_there_are() -> None:
    store = Store(3000)
    sweeping = Sweeping(store)
    totals = sweeping.run()
    assert (totals.listed, totals.done, totals.bytes) == (3000, 3000, 30000)
    assert totals.balanced
    assert store.most == ABORTS_AT_ONCE
    assert store.lead <= ABORTS_AT_ONCE + 1
    assert sweeping.told == list(range(3000))


def test_told_in_order_though_the_first_takes_longest() -> None:
    sweeping = Sweeping(Store(40, lambda at: asyncio.sleep(0.05 if at == 0 else 0)))
    sweeping.run()
    assert sweeping.told == list(range(40))
    assert sweeping.store.aborted[0] != 0


def test_a_list_that_breaks_off_leaves_nothing_half_done() -> None:
    store = Store(10)
    store.broken = ListingError("a marker repeats")
    sweeping = Sweeping(store)
    with pytest.raises(FatalError, match="a marker repeats"):
        sweeping.run()
    totals = sweeping.record.close(0)
    assert (totals.done, totals.not_attempted) == (10, 0)


def test_what_is_under_way_comes_to_its_end_when_keys_run_out() -> None:
    def act(at: int) -> Any:
        if at == 20:
            raise FatalError("the credentials are no longer accepted")

    sweeping = Sweeping(Store(1000, act))
    with pytest.raises(FatalError, match="credentials"):
        sweeping.run()
    totals = sweeping.record.close(0)
    assert 20 <= totals.done == len(sweeping.store.aborted) <= 20 + ABORTS_AT_ONCE + 1
    assert totals.not_attempted == 1


SILENCE = ObjectError(FailureKind.NETWORK, "timed out")
DENIED = StoreError(403, "AccessDenied", "")


@pytest.mark.parametrize(
    ("error", "enough", "why"),
    [
        (SILENCE, ENOUGH_SILENCE, "does not answer any more"),
        (DENIED, ENOUGH_REFUSALS, "refuses every abort"),
    ],
    ids=["gone", "denied"],
)
def test_a_store_that_does_nothing_ends_the_run(error: ObjectError, enough: int, why: str) -> None:
    def act(at: int) -> Any:
        raise error

    sweeping = Sweeping(Store(1000, act))
    with pytest.raises(FatalError, match=why):
        sweeping.run()
    totals = sweeping.record.close(0)
    assert enough <= totals.failed <= enough + ABORTS_AT_ONCE + 1
    assert totals.balanced


def test_a_store_that_refuses_the_only_one() -> None:
    def act(at: int) -> Any:
        raise DENIED

    sweeping = Sweeping(Store(1, act))
    with pytest.raises(FatalError, match="refuses every abort"):
        sweeping.run()


@pytest.mark.parametrize("error", [SILENCE, DENIED], ids=["gone", "denied"])
def test_a_store_that_does_something_goes_on(error: ObjectError) -> None:
    def act(at: int) -> Any:
        if at % 90:
            raise error

    totals = Sweeping(Store(1000, act)).run()
    assert (totals.done, totals.failed) == (12, 988)


def test_a_stop_begins_nothing_more() -> None:
    def act(at: int) -> Any:
        if at == 30:
            sweeping.sweep.stop()

    sweeping = Sweeping(Store(1000, act))
    totals = sweeping.run()
    assert 31 <= totals.done == totals.listed <= 30 + ABORTS_AT_ONCE + 1
    assert sweeping.told == sorted(sweeping.store.aborted)


def test_a_second_stop_leaves_what_is_under_way() -> None:
    """And still tells of all that is over."""

    async def main() -> None:
        running = asyncio.ensure_future(sweeping.sweep.run(Origin("bucket")))
        while len(sweeping.store.aborted) < ABORTS_AT_ONCE - 1:
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        sweeping.sweep.stop()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    sweeping = Sweeping(Store(100, lambda at: asyncio.sleep(1000) if at == 0 else None))
    asyncio.run(asyncio.wait_for(main(), 20))
    totals = sweeping.record.close(0)
    assert totals.done == len(sweeping.store.aborted) == ABORTS_AT_ONCE - 1
    assert (totals.not_attempted, totals.balanced) == (1, True)
