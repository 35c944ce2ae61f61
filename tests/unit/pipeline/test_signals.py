"""Signals: they stop what has not begun, and are collected once something has."""

from __future__ import annotations

import os
import select
import signal
from collections import deque
from collections.abc import Iterator

import pytest

from s3pp.errors import ExitStatus
from s3pp.pipeline.signals import Signals, Stopped

STATUS = [
    (signal.SIGINT, ExitStatus.INTERRUPTED),
    (signal.SIGTERM, ExitStatus.TERMINATED),
    (signal.SIGHUP, ExitStatus.HANGUP),
]
each_signal = pytest.mark.parametrize(("number", "status"), STATUS)


@pytest.fixture(autouse=True)
def _as_a_shell_starts_us() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number, _ in STATUS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, each in before.items():
        signal.signal(number, each)


def raised(number: signal.Signals) -> None:
    signal.raise_signal(number)


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


@each_signal
def test_before_anything_has_begun_a_signal_stops_at_once(
    number: signal.Signals, status: ExitStatus
) -> None:
    with Signals():
        with pytest.raises(Stopped) as caught:
            raised(number)
        assert caught.value.status is status


@each_signal
def test_once_calm_a_signal_is_collected(number: signal.Signals, status: ExitStatus) -> None:
    with Signals() as signals:
        signals.calm = True
        assert not readable(signals.fd)
        assert signals.take() == []
        raised(number)
        assert readable(signals.fd)
        assert signals.take() == [status]
        assert signals.take() == []
        assert not readable(signals.fd)


def test_signals_keep_their_order_and_number() -> None:
    with Signals() as signals:
        signals.calm = True
        raised(signal.SIGINT)
        raised(signal.SIGINT)
        raised(signal.SIGTERM)
        assert signals.take() == [STATUS[0][1], STATUS[0][1], STATUS[1][1]]


def test_stopped_is_not_taken_for_an_error() -> None:
    """``except Exception`` somewhere on the way must not swallow a Ctrl-C."""
    assert not issubclass(Stopped, Exception)


def test_afterwards_everything_is_as_before() -> None:
    before = [signal.getsignal(number) for number, _ in STATUS]
    descriptors = len(os.listdir("/dev/fd"))
    with Signals():
        pass
    assert [signal.getsignal(number) for number, _ in STATUS] == before
    assert signal.set_wakeup_fd(-1) == -1
    assert len(os.listdir("/dev/fd")) == descriptors


def test_after_an_error_too() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match="x"), Signals():
        raise ValueError("x")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_hangup_that_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    with Signals() as signals:
        raised(signal.SIGHUP)
        signals.calm = True
        raised(signal.SIGHUP)
        assert signals.take() == []


def test_a_signal_that_comes_while_others_are_taken_is_not_lost() -> None:
    came: list[ExitStatus] = []

    class Busy(deque[ExitStatus]):
        """Another signal comes in the moment after what was there has been read."""

        def append(self, status: ExitStatus) -> None:
            came.append(status)
            super().append(status)

        def __iter__(self) -> Iterator[ExitStatus]:
            yield from [self[at] for at in range(len(self))]
            raised(signal.SIGTERM)

        def popleft(self) -> ExitStatus:
            if len(came) == 1:
                raised(signal.SIGTERM)
            return super().popleft()

    with Signals() as signals:
        signals.calm = True
        signals._came = Busy()
        raised(signal.SIGINT)
        assert [*signals.take(), *signals.take()] == came
        assert came == [ExitStatus.INTERRUPTED, ExitStatus.TERMINATED]
