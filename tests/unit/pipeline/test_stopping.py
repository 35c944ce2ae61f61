"""Signals around an event loop: before it, the first, the others."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import pytest

from s3pp.errors import ExitStatus, ObjectError
from s3pp.pipeline.signals import STATUS, Stopped
from s3pp.pipeline.stopping import Pause, Stopping

each_signal = pytest.mark.parametrize(("number", "status"), STATUS.items())


@pytest.fixture(autouse=True)
def _as_a_shell_starts_us() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STATUS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, each in before.items():
        signal.signal(number, each)


@each_signal
def test_before_anything_has_begun(number: signal.Signals, status: ExitStatus) -> None:
    with Stopping() as stopping:
        with pytest.raises(Stopped) as caught:
            signal.raise_signal(number)
        assert caught.value.status is status
    assert stopping.status is None


@each_signal
def test_the_first_and_the_others(number: signal.Signals, status: ExitStatus) -> None:
    came: list[str] = []

    async def main() -> None:
        stopping.watch(
            first=lambda status: came.append(status.name), again=lambda: came.append("again")
        )
        for each in (number, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(each)
            await asyncio.sleep(0.01)

    with Stopping() as stopping:
        asyncio.run(main())
    assert came == [status.name, "again", "again"]
    assert stopping.status is status
    for each in STATUS:
        assert signal.getsignal(each) is signal.SIG_IGN


def test_nohup_stays() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Stopping():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_afterwards_all_is_as_before() -> None:
    before = {number: signal.getsignal(number) for number in STATUS}
    with Stopping() as stopping:
        asyncio.run(watched(stopping))
    assert {number: signal.getsignal(number) for number in STATUS} == before


async def watched(stopping: Stopping) -> None:
    stopping.watch(first=lambda status: None, again=lambda: None)


def test_a_pause_that_the_end_cuts_short() -> None:
    async def main() -> None:
        pause = Pause()
        await pause(0.001)
        waiting = asyncio.ensure_future(pause(1000))
        await asyncio.sleep(0)
        pause.end()
        for resting in (waiting, pause(1000)):
            with pytest.raises(ObjectError, match="the run is ending"):
                await resting

    asyncio.run(asyncio.wait_for(main(), 10))
