"""A clean: how many at a time, in which order, and what ends it."""

from __future__ import annotations

import asyncio
import io
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from s3pp.errors import ExitStatus, FailureKind, FatalError, ObjectError
from s3pp.job import Job
from s3pp.output import Output
from s3pp.pipeline.cleaner import ABORTS_AT_ONCE, Cleaner, Sweep
from s3pp.pipeline.connect import Pause, new_loop
from s3pp.pipeline.signals import Signals
from s3pp.places import Origin
from s3pp.report.failures import ENOUGH_REFUSALS, ENOUGH_SILENCE
from s3pp.report.outlet import Streams
from s3pp.report.recorder import Recorder
from s3pp.report.totals import RunReport, Totals
from s3pp.s3.listing import ListingError
from s3pp.s3.retry import StoreError
from s3pp.s3.upload_listing import Part, Upload
from s3pp.sources.incomplete_uploads import Selection, select
from s3pp.transfer.aborter import Aborter

OLD = "2020-01-01T00:00:00Z"
JOB = Job("clean", origins=(Origin("bucket"),), output=Output(verbosity=1))
Act = Callable[[int], Any]


class Store:
    """So many uploads, of which ``act`` decides what an abort does."""

    def __init__(self, count: int, act: Act = lambda at: None) -> None:
        self.listed = self.under_way = self.most = 0
        self.lead = 0  # uploads listed beyond those that were brought to their end
        self.aborted: list[int] = []
        self.broken: Exception | None = None
        self._count, self._act = count, act

    def store_time(self) -> float:
        return time.time()

    async def list_uploads(self, prefix: str) -> AsyncIterator[Upload]:
        for at in range(self._count):
            self.listed += 1
            self.lead = max(self.lead, self.listed - len(self.aborted))
            yield Upload(f"{at:06}", "id", OLD)
        if self.broken:
            raise self.broken

    async def list_parts(self, key: str, upload_id: str) -> AsyncIterator[Part]:
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


class Cleaning:
    """A clean of a store, with what it prints."""

    def __init__(self, store: Store) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.store: Any = store

    def run(self, loop: asyncio.AbstractEventLoop | None = None) -> RunReport:
        return (loop or new_loop()).run_until_complete(asyncio.wait_for(self._run(), 20))

    async def _run(self) -> RunReport:
        pause = Pause()
        found = select(self.store, Selection(JOB, Origin("bucket"), time.time))
        sweep = Sweep(found, Aborter(self.store, dry_run=False, sleep=pause), pause)
        with Signals() as signals:
            signals.calm = True
            cleaner = Cleaner(sweep, Recorder(JOB, Streams.of(self.out, self.err)), signals)
            await cleaner.run()
            return cleaner.end()

    @property
    def told(self) -> list[int]:
        return [int(line.split("/")[3].split()[0]) for line in self.out.getvalue().splitlines()]


@pytest.fixture(autouse=True)
def _terminable() -> Iterator[None]:
    """Who was told to stop hears no other signal, and this process goes on."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


def ended(result: RunReport) -> tuple[ExitStatus, Totals, str]:
    assert isinstance(result.totals, Totals)
    assert result.totals.balanced
    return result.status, result.totals, result.error or ""


def test_some_at_a_time_however_many_there_are() -> None:
    store = Store(3000)
    cleaning = Cleaning(store)
    status, totals, _ = ended(cleaning.run())
    assert status is ExitStatus.OK
    assert (totals.listed, totals.done, totals.bytes) == (3000, 3000, 30000)
    assert store.most == ABORTS_AT_ONCE
    assert store.lead <= ABORTS_AT_ONCE + 1
    assert cleaning.told == list(range(3000))


def test_told_in_order_though_the_first_takes_longest() -> None:
    cleaning = Cleaning(Store(40, lambda at: asyncio.sleep(0.05 if at == 0 else 0)))
    cleaning.run()
    assert cleaning.told == list(range(40))
    assert cleaning.store.aborted[0] != 0


def test_a_list_that_breaks_off_leaves_nothing_half_done() -> None:
    store = Store(10)
    store.broken = ListingError("a marker repeats")
    status, totals, error = ended(Cleaning(store).run())
    assert (status, totals.done, totals.not_attempted) == (ExitStatus.ABORTED, 10, 0)
    assert "a marker repeats" in error


def test_what_is_active_comes_to_its_end_when_keys_run_out() -> None:
    """And the upload at which that was found out has failed, though no other line says why."""

    def act(at: int) -> Any:
        if at == 20:
            raise FatalError("the credentials are no longer accepted")

    cleaning = Cleaning(Store(1000, act))
    status, totals, error = ended(cleaning.run())
    assert (status, error) == (ExitStatus.ABORTED, "the credentials are no longer accepted")
    assert 20 <= totals.done == len(cleaning.store.aborted) <= 20 + ABORTS_AT_ONCE
    assert (totals.failed, totals.not_attempted, cleaning.err.getvalue()) == (1, 0, "")


SILENCE = ObjectError(FailureKind.NETWORK, "timed out")
DENIED = StoreError(403, "AccessDenied", "")


@pytest.mark.parametrize(
    ("error", "enough", "why"),
    [
        (SILENCE, ENOUGH_SILENCE, "the store does not answer any more: timed out"),
        (DENIED, ENOUGH_REFUSALS, "the store refuses every abort, and the rest is not tried: Acc"),
    ],
    ids=["gone", "denied"],
)
def test_a_store_that_does_nothing_ends_the_run(error: ObjectError, enough: int, why: str) -> None:
    def act(at: int) -> Any:
        raise error

    status, totals, told = ended(Cleaning(Store(1000, act)).run())
    assert (status, told[: len(why)]) == (ExitStatus.ABORTED, why)
    assert enough <= totals.failed <= enough + ABORTS_AT_ONCE + 1


def test_a_store_that_refuses_the_only_one() -> None:
    def act(at: int) -> Any:
        raise DENIED

    cleaning = Cleaning(Store(1, act))
    status, _, error = ended(cleaning.run())
    assert (status, cleaning.err.getvalue()) == (ExitStatus.ABORTED, "")
    assert error.startswith("the store refuses every abort: AccessDenied")


@pytest.mark.parametrize("error", [SILENCE, DENIED], ids=["gone", "denied"])
def test_a_store_that_does_something_goes_on(error: ObjectError) -> None:
    def act(at: int) -> Any:
        if at % 90:
            raise error

    status, totals, _ = ended(Cleaning(Store(1000, act)).run())
    assert (status, totals.done, totals.failed) == (ExitStatus.SOME_FAILED, 12, 988)


LOOPS = pytest.mark.parametrize("loop", [new_loop, asyncio.new_event_loop], ids=["any", "asyncio"])


@LOOPS
def test_a_signal_begins_nothing_more(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    def act(at: int) -> Any:
        if at == 30:
            signal.raise_signal(signal.SIGTERM)

    cleaning = Cleaning(Store(1000, act))
    status, totals, _ = ended(cleaning.run(loop()))
    assert status is ExitStatus.TERMINATED
    assert 31 <= totals.done == totals.listed <= 30 + ABORTS_AT_ONCE + 1
    assert cleaning.told == sorted(cleaning.store.aborted)
    assert cleaning.err.getvalue().startswith("s3pp: terminated: finishing active requests")


@LOOPS
def test_a_second_signal_leaves_what_is_active(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """And still tells of all that is over."""

    async def stop_twice() -> None:
        while len(cleaning.store.aborted) < ABORTS_AT_ONCE - 1:
            await asyncio.sleep(0.001)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0.01)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(1000)

    cleaning = Cleaning(Store(100, lambda at: stop_twice() if at == 0 else None))
    status, totals, _ = ended(cleaning.run(loop()))
    assert status is ExitStatus.TERMINATED
    assert totals.done == len(cleaning.store.aborted) == ABORTS_AT_ONCE - 1
    assert totals.not_attempted == 1
