from __future__ import annotations

import fcntl
import io
import os
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.output import Output
from s3pp.report.outlet import Outlet, Streams
from s3pp.report.progress import (
    PlainProgress,
    TerminalProgress,
    Throughput,
    capable,
    facts,
    fit,
    open_progress,
    seconds_left,
    wanted,
)
from s3pp.report.recorder import Recorder
from s3pp.report.totals import Fact, Flow, Totals

from .samples import DONE, FAILED, job


@pytest.mark.parametrize(
    ("output", "terminal", "listing", "shown"),
    [
        (Output(), True, False, True),
        (Output(), False, False, False),
        (Output(), True, True, False),
        (Output(verbosity=1), True, False, True),
        (Output(verbosity=-1), True, False, False),
        (Output(progress=False), True, False, False),
        (Output(progress=True), False, False, True),
        (Output(progress=True, verbosity=-1), True, True, True),
    ],
)
def test_wanted(output: Output, terminal: bool, listing: bool, shown: bool) -> None:
    assert wanted(output, terminal=terminal, listing=listing) == shown


def test_capable() -> None:
    assert capable({"TERM": "xterm-256color"})
    assert not any(map(capable, ({}, {"TERM": "dumb"}, {"TERM": ""}, {"TERM": "unknown"})))


def test_without_a_display_rich_is_not_imported() -> None:
    script = (
        "import sys, io; from s3pp.report.recorder import Recorder; from s3pp.job import *;"
        "r = Recorder.open(Job('put', (Source('a'),), Place('b')), io.StringIO(), io.StringIO());"
        "r.set_listed(1, True); r.close(); sys.exit('rich' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_throughput_is_of_the_last_seconds() -> None:
    throughput = Throughput()
    assert throughput.rates(0.0, Totals()) == (0, 0)
    assert throughput.rates(2.0, Totals(done=10, bytes=900, sent=100)) == (5, 50)
    for second in range(3, 40):  # nothing happens any more
        rates = throughput.rates(float(second), Totals(done=10, bytes=900, sent=100))
    assert rates == (0, 0)


def test_seconds_left() -> None:
    assert seconds_left(Totals(done=10, skipped=5, failed=5), 120, 10.0) == 10
    assert seconds_left(Totals(done=10), 120, 0.0) is None


def texts(*arguments: Any, **settings: Any) -> list[str]:
    return [each.text for each in facts(*arguments, **settings)]


def test_facts() -> None:
    throughput = Throughput()
    throughput.rates(0.0, Totals())
    totals = Totals(done=1234, skipped=3, failed=2, bytes=5 << 20, sent=3 << 20, in_parts=2 << 20)
    assert texts(totals, 12345, False, throughput=throughput, now=2.0) == [
        "1,239 of 12,345+ objects",
        "7.0 MiB",
        "620 objects/s",
        "2.5 MiB/s",
        "3 skipped",
        "2 failed",
        "at least 0:18 left",
    ]
    assert texts(Totals(done=4), 4, True, throughput=Throughput(), now=0.0) == [
        "4 of 4 objects",
        "0 bytes",
        "0 objects/s",
        "0 bytes/s",
    ]
    slow = Throughput()
    slow.rates(0.0, Totals())
    assert texts(Totals(done=1), 8000, True, throughput=slow, now=1.0)[-1] == "2:13:19 left"


def throttled_facts(walk_done: bool = True) -> list[Fact]:
    throughput = Throughput()
    throughput.rates(0.0, Totals())
    flow = Flow(throttled=1234, rate=192.0, silent=6.0)
    totals = Totals(done=240, failed=3, bytes=14_000, sent=14_000, flow=flow)
    return facts(totals, 3000, walk_done, throughput=throughput, now=2.0)


def test_what_matters_is_in_80_columns_while_the_store_throttles() -> None:
    text = fit(throttled_facts(), 80)
    assert len(text) <= 80
    assert text == "243 of 3,000, limit 192/s (1,234 throttled), no answer for 6 s, 0:23 left"
    assert fit(throttled_facts(), 90).count("failed") == 1
    assert "0:23+ left" in fit(throttled_facts(walk_done=False), 80)
    assert fit(throttled_facts(), 1000) == ", ".join(each.text for each in throttled_facts())


@given(st.integers(1, 250), st.booleans())
def test_what_fits_is_shown_and_the_least_is_left_out_first(width: int, walk_done: bool) -> None:
    parts = throttled_facts(walk_done)
    text = fit(parts, width)
    words = text.split(", ")
    shown = [each for each in parts if each.text in words or each.short in words]
    assert len(shown) == len(words)
    assert len(text) <= width or len(shown) == 1
    left_out = [each.rank for each in parts if each not in shown]
    assert max(each.rank for each in shown) <= min(left_out, default=9)


def test_plain_lines_come_now_and_then() -> None:
    now = [0.0]
    err = io.StringIO()
    progress = PlainProgress(Outlet(err), clock=lambda: now[0])
    for tenth in range(121):
        now[0] = tenth / 10
        progress.update(Totals(done=tenth), 200, True)
    progress.clear()
    progress.close()
    lines = err.getvalue().splitlines()
    assert [line.partition(" objects")[0] for line in lines] == [
        "s3pp: 50 of 200",
        "s3pp: 100 of 200",
    ]


def test_progress_that_was_asked_for_shows_in_short_runs_too() -> None:
    err = io.StringIO()
    recorder = Recorder.open(job(progress=True), io.StringIO(), err)
    recorder.set_listed(1, True)
    recorder.record([DONE])
    recorder.close()
    assert re.fullmatch(r"s3pp: 1 of 1 objects, 5 bytes, .*\n", err.getvalue())


class Terminal:
    """A pseudo terminal that remembers what was written to it."""

    def __init__(self) -> None:
        self.near, far = os.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        self.stream = os.fdopen(far, "w")
        self.outlet = Outlet(self.stream)

    def shown(self) -> str:
        """What came since the last call; a terminal takes a moment to hand it on."""
        chunks = []
        while select.select([self.near], [], [], 0.1)[0]:
            chunks.append(os.read(self.near, 1 << 16))
        return b"".join(chunks).decode()

    def close(self) -> None:
        self.stream.close()
        os.close(self.near)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm-256color")
    made = Terminal()
    yield made
    made.close()


def test_a_terminal_is_redrawn_and_left_clean(terminal: Terminal) -> None:
    progress = open_progress(terminal.outlet, Output(), listing=False)
    assert isinstance(progress, TerminalProgress)
    progress.update(Totals(done=1), 10, False)
    first = terminal.shown()
    assert "1 of 10+ objects" in first
    progress.update(Totals(done=7), 12, True)
    second = terminal.shown()
    assert "7 of 12 objects" in second
    assert "\x1b[2K" in second  # in place of the first
    progress.close()
    assert "\x1b[2K" in terminal.shown()
    progress.close()
    assert terminal.shown() == ""


def test_a_narrow_terminal_shows_that_the_store_throttles(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    progress = TerminalProgress(terminal.outlet, clock=iter([0.0, 2.0]).__next__)
    progress.update(Totals(), 3000, True)
    terminal.shown()
    flow = Flow(throttled=1234, rate=192.0)
    progress.update(Totals(done=240, bytes=14_000, sent=14_000, flow=flow), 3000, True)
    shown = terminal.shown()
    assert "limit 192/s (1,234 throttled)" in shown
    assert "0:23 left" in shown
    assert "…" not in shown


def test_the_cursor_stays_visible(terminal: Terminal) -> None:
    progress = TerminalProgress(terminal.outlet)
    progress.update(Totals(), 1, False)
    shown = terminal.shown()
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


def test_lines_are_not_mixed_into_the_display(terminal: Terminal) -> None:
    progress = TerminalProgress(terminal.outlet)
    streams = Streams(Outlet(None), terminal.outlet)
    recorder = Recorder(job(), streams, progress=progress)
    recorder.set_listed(9, False)
    assert "0 of 9+" in terminal.shown()
    recorder.record([FAILED])
    erase, _, rest = terminal.shown().partition("s3pp: put a/d")
    assert "\x1b[2K" in erase
    assert rest.startswith(" -> s3://bkt/p/a/d: permission denied\r\n")
    recorder.close()


def test_a_terminal_that_hangs_up_stops_nothing(terminal: Terminal) -> None:
    progress = TerminalProgress(terminal.outlet)
    progress.update(Totals(), 1, False)
    os.close(terminal.near)
    terminal.near = os.open(os.devnull, os.O_RDONLY)
    for _ in range(3):
        progress.update(Totals(done=1), 1, True)
    progress.close()


def test_redraws_are_bounded() -> None:
    class Counting:
        updates = 0

        def update(self, totals: Totals, listed: int, walk_done: bool) -> None:
            self.updates += 1

        def clear(self) -> None:
            pass

        close = clear

    now = [0.0]
    counting = Counting()
    recorder = Recorder(job(), Streams.of(None, None), progress=counting, clock=lambda: now[0])
    for millisecond in range(1000):
        now[0] = millisecond / 1000
        recorder.record([DONE])
    assert 9 <= counting.updates <= 11
