from __future__ import annotations

import fcntl
import io
import os
import re
import select
import struct
import termios
from collections.abc import Iterator
from json import loads

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.output import Output
from s3pp.report.forecast import PER_OBJECT, Throughput, percentage
from s3pp.report.outlet import Outlet, Streams
from s3pp.report.progress import (
    PlainProgress,
    TerminalProgress,
    capable,
    erase_display,
    open_progress,
    wanted,
)
from s3pp.report.progress_text import (
    Forecast,
    binary,
    event,
    extent_facts,
    fit,
    line,
    rate_facts,
    trouble_facts,
)
from s3pp.report.recorder import Recorder
from s3pp.report.screen import ERASE, columns, shorten
from s3pp.report.totals import ActiveObject, Extent, Fact, Flow, Totals

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


def sampled(*samples: tuple[float, Totals]) -> Throughput:
    throughput = Throughput()
    for now, totals in samples:
        throughput.add(now, totals)
    return throughput


def test_throughput_is_of_the_last_seconds() -> None:
    assert sampled((0.0, Totals())).rates() == (0, 0)
    moved = Totals(done=10, bytes=900, sent=100)
    assert sampled((0.0, Totals()), (2.0, moved)).rates() == (5, 50)
    still = [(float(second), moved) for second in range(2, 40)]  # nothing happens any more
    assert sampled((0.0, Totals()), *still).rates() == (0, 0)


def test_the_time_left_is_that_of_objects_and_of_bytes() -> None:
    small = Totals(listed=120, walk_done=True, done=20)
    assert sampled((0.0, Totals()), (2.0, small)).seconds_left(small) == 10
    large = Totals(listed=2, listed_bytes=1 << 30, walk_done=True, in_parts=1 << 28)
    left = sampled((0.0, Totals()), (60.0, large)).seconds_left(large)
    assert left is not None
    assert abs(left - 180) < 1
    assert sampled((0.0, Totals()), (0.5, small)).seconds_left(small) is None  # too early
    assert sampled((0.0, small), (5.0, small)).seconds_left(small) is None  # nothing moves


def test_many_small_objects_before_a_large_one_do_not_make_its_bytes_slow() -> None:
    """By bytes alone an hour would be left, as the small objects have so few."""
    totals = Totals(listed=10_001, listed_bytes=(1 << 30) + 10_000, walk_done=True)
    totals.done, totals.bytes = 5_000, 5_000
    left = sampled((0.0, Totals()), (5.0, totals)).seconds_left(totals)
    assert left is not None
    assert left == pytest.approx(5 + 5 * (1 << 30) / (5_000 * PER_OBJECT), rel=0.01)


@given(
    *(st.integers(0, 1 << 40) for _ in range(8)),
    st.booleans(),
)
def test_more_than_was_counted_is_never_above_100_percent(
    listed: int, size: int, ahead: int, ahead_size: int, done: int, moved: int, skipped: int,
    failed: int, walk_done: bool,
) -> None:  # fmt: skip
    totals = Totals(listed, size, walk_done, done=done, skipped=skipped, failed=failed)
    totals.bytes, totals.counted = moved, Extent(ahead, ahead_size, complete=True)
    percent = percentage(totals)
    assert percent is None or 0 <= percent <= 100
    assert percent != 100 or totals.finished >= totals.extent.objects
    left = sampled((0.0, Totals()), (5.0, totals)).seconds_left(totals)
    assert left is None or left >= 0


def texts(facts: list[Fact]) -> list[str]:
    return [each.text for each in facts]


def test_facts() -> None:
    totals = Totals(done=1234, skipped=3, failed=2, bytes=5 << 20, sent=3 << 20, in_parts=2 << 20)
    totals.listed, totals.listed_bytes, totals.skipped_bytes = 12345, 70 << 20, 1 << 20
    totals.causes, totals.retries = {"access": 1, "name": 1}, {"503": 1200, "no answer": 14}
    forecast = Forecast.of(job(), totals, sampled((0.0, Totals()), (2.0, totals)))
    assert texts(extent_facts(totals, forecast)) == [
        "at most 10%",
        "1,239 of at least 12,345 objects",
        "8.0 of at least 70.0 MiB",
        "at least 0:18 left",
    ]
    assert [each.short for each in extent_facts(totals, forecast)] == [
        "≤10%",
        "1,239 of 12,345+",
        "8.0 of 70.0 MiB+",
        "0:18+ left",
    ]
    assert texts(rate_facts(totals, forecast)) == ["620 objects/s", "2.5 MiB/s", "3 skipped"]
    failures = [
        "2 failed: access × 1, name × 1",
        "1,214 attempts failed: 503 × 1,200, no answer × 14",
    ]
    assert texts(trouble_facts(totals)) == failures
    totals.standstill = "retrying: 503 × 9"
    assert texts(trouble_facts(totals)) == [failures[0], "retrying: 503 × 9"]
    totals.counted = Extent(20000, 70 << 30, complete=True)  # ahead of the walk
    assert line(totals, Forecast(forecast.rates, 7999.0)) == (
        "0%, 1,239 of 20,000 objects, 8.0 MiB of 70.0 GiB, 620 objects/s, 2.5 MiB/s, 3 skipped,"
        f" {failures[0]}, retrying: 503 × 9, 2:13:19 left"
    )
    whole = Totals(done=4, listed=4, walk_done=True)
    for left in (None, 0.0):
        ended = Forecast(forecast.rates, left)
        assert texts(extent_facts(whole, ended)) == ["100%", "4 of 4 objects"]
        assert line(whole, ended) == "100%, 4 of 4 objects, 620 objects/s"


def test_a_listing_and_a_stream_have_no_percentage() -> None:
    totals = Totals(done=7, bytes=14, listed=7)
    forecast = Forecast(Throughput().rates(), None, "objects", is_open=True)
    assert texts(extent_facts(totals, forecast)) == ["7 objects", "14 bytes"]
    begun = Totals()
    assert texts(extent_facts(begun, Forecast(forecast.rates, None))) == ["no objects found yet"]
    assert rate_facts(begun, forecast) == []
    stream = Totals(listed=1, walk_done=True, in_parts=5 << 20)
    assert texts(extent_facts(stream, Forecast(forecast.rates, None))) == [
        "0 of 1 objects",
        "5.0 MiB",
    ]


def test_events_have_exact_bytes() -> None:
    totals = Totals(done=2, bytes=5_000_001, listed=3, listed_bytes=9_000_001, causes={"name": 1})
    told = event(totals, Forecast.of(job(), totals, Throughput()), "put")
    assert (told["bytes"], told["total_bytes"], told["total_complete"]) == (
        5_000_001,
        9_000_001,
        False,
    )
    assert told["failures"] == {"name": 1}
    assert told["seconds_left"] is None


def test_binary() -> None:
    assert [binary(size) for size in (0, 1, 1023, 1024, 5 << 30, 3 << 50, 1 << 70)] == [
        "0 bytes",
        "1 byte",
        "1023 bytes",
        "1.0 KiB",
        "5.0 GiB",
        "3.0 PiB",
        "1048576.0 PiB",
    ]


def throttled_facts(walk_done: bool = True) -> list[Fact]:
    """What a narrow terminal has to choose from, all in one line."""
    flow = Flow(throttled=1234, rate=192.0, silent=6.0)
    totals = Totals(3000, 0, walk_done, done=240, failed=3, bytes=14_000, sent=14_000, flow=flow)
    forecast = Forecast.of(job(), totals, sampled((0.0, Totals()), (2.0, totals)))
    facts = extent_facts(totals, forecast)
    return [*facts[:-1], *rate_facts(totals, forecast), *trouble_facts(totals), facts[-1]]


def test_what_matters_is_in_80_columns_while_the_store_throttles() -> None:
    text = fit(throttled_facts(), 80)
    assert len(text) <= 80
    assert text == "8%, 243 of 3,000, limit 192/s (1,234 throttled), no answer for 6 s, 0:23 left"
    assert fit(throttled_facts(), 95).count("failed") == 1
    assert "0:23+ left" in fit(throttled_facts(walk_done=False), 85)
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


@given(st.text(st.characters(exclude_categories=["C", "Z"])), st.integers(0, 30))
def test_shortened_text_has_room(text: str, width: int) -> None:
    short = shorten(text, width)
    assert columns(short) <= width
    assert (short == text) == (columns(text) <= width)


def test_a_name_keeps_its_beginning_and_its_end() -> None:
    assert shorten("some/long/directory/name.tar", 13) == "some/l…me.tar"
    assert (columns("日本"), shorten("日本語日本語", 6)) == (4, "日…語")


@pytest.mark.parametrize("json", [False, True])
def test_plain_lines_come_now_and_then(json: bool) -> None:
    now = [0.0]
    err = io.StringIO()
    progress = PlainProgress(Outlet(err), job(json=json), clock=lambda: now[0])
    for tenth in range(221):
        now[0] = tenth / 10
        progress.update(Totals(200 + tenth, done=tenth))
    progress.clear()
    progress.close()
    lines = err.getvalue().splitlines()
    if json:
        assert [loads(line)["objects"] for line in lines] == [100, 200]
        return
    assert [line.partition(" objects")[0] for line in lines] == [
        "s3pp: at most 33%, 100 of at least 300",
        "s3pp: at most 50%, 200 of at least 400",
    ]


def test_what_one_update_brings_has_a_rate() -> None:
    now = [0.0]
    err = io.StringIO()
    progress = PlainProgress(Outlet(err), job(progress=True), clock=lambda: now[0])
    now[0] = 2.0
    progress.update(Totals(200, done=200))  # the only page of a listing
    progress.close()
    assert "100 objects/s" in err.getvalue()


def test_progress_that_was_asked_for_shows_in_short_runs_too() -> None:
    err = io.StringIO()
    recorder = Recorder.open(job(progress=True), io.StringIO(), err)
    recorder.set_listed(1, True, size=5)
    recorder.record([DONE])
    recorder.close()
    assert re.fullmatch(r"s3pp: 100%, 1 of 1 objects, 5 of 5 bytes, .*\n", err.getvalue())


class Terminal:
    """A pseudo terminal that remembers what was written to it."""

    def __init__(self) -> None:
        self.near, far = os.openpty()
        self.stream = os.fdopen(far, "w")
        self.outlet = Outlet(self.stream)
        self.resize(120)

    def resize(self, columns: int, lines: int = 24) -> None:
        fcntl.ioctl(self.near, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

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
    progress = open_progress(Streams(Outlet(None), terminal.outlet), job())
    assert isinstance(progress, TerminalProgress)
    progress.update(Totals(10, done=1))
    first = terminal.shown()
    assert "1 of at least 10 objects" in first
    assert first.startswith("\r")
    progress.update(Totals(12, 0, True, done=7))
    second = terminal.shown()
    assert "7 of 12 objects" in second
    assert second.startswith("\r")  # in place of the first
    assert second.endswith("\x1b[J\r\x1b[1A")  # and nothing is left below
    progress.close()
    assert terminal.shown() == ERASE
    progress.close()
    assert terminal.shown() == ""
    erase_display(terminal.outlet, Output())  # of a statter that was killed
    assert terminal.shown() == ERASE
    erase_display(terminal.outlet, Output(progress=False))
    assert terminal.shown() == ""


def lines_of(drawn: str) -> list[str]:
    """The lines of one drawing, without what moves the cursor, clears and colors."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", drawn).strip("\r").split("\r\n")


TROUBLED = Totals(
    30_000, 9 << 30, False, done=12_000, bytes=4 << 30, sent=4 << 30, skipped=120, failed=7,
    causes={"access (AccessDenied)": 6, "name": 1}, retries={"503": 214},
    flow=Flow(throttled=1234, rate=192.0),
)  # fmt: skip


def test_a_terminal_may_be_resized(terminal: Terminal) -> None:
    progress = TerminalProgress(terminal.outlet, job(), clock=iter([0.0, *range(99)]).__next__)
    progress.update(Totals())
    terminal.shown()
    for width in (140, 80, 60, 30, 12, 2):
        terminal.resize(width)
        progress.update(TROUBLED)
        drawn = terminal.shown()
        lines = lines_of(drawn)
        assert len(lines) == 3
        assert all(columns(line) < width for line in lines), lines
        assert drawn.endswith("\x1b[2A")
        if width >= 60:
            assert "12,127 of " in lines[0]
            assert "left" in lines[0]
            assert "limit" in lines[2]
    terminal.resize(80, 3)  # lines
    progress.update(TROUBLED)
    assert len(lines_of(terminal.shown())) == 2


def test_the_largest_active_objects_have_their_own_bars(terminal: Terminal) -> None:
    now = [0.0]
    progress = TerminalProgress(terminal.outlet, job())
    streams = Streams(Outlet(None), terminal.outlet)
    recorder = Recorder(job(), streams, progress=progress, clock=lambda: now[0])
    recorder.set_active(1, [ActiveObject(f"d/{n}\x1b", n << 30, n << 29) for n in (1, 4, 2)])
    now[0] = 4.0
    recorder.set_active(2, [ActiveObject("e" * 200, 3 << 30, 3 << 30)])
    for width in (100, 60, 20, 5):
        terminal.resize(width)
        progress.update(recorder.totals)
        rows = lines_of(terminal.shown().rpartition("\x1b[1A")[2])[-3:]
        assert all(columns(row) < width for row in rows)
        if width >= 60:
            assert [row[row.index("%") - 2 :][:14] for row in rows] == [
                "50% of 4.0 GiB",
                "99% of 3.0 GiB",
                "50% of 2.0 GiB",
            ]
            assert rows[0].endswith(r" d/4\x1b")
    now[0] = 7.0
    recorder.set_active(2, [])  # the other worker has died
    assert recorder.totals.active == ()
    recorder.close()


@pytest.mark.parametrize(("value", "colors"), [("", True), ("1", False)])
def test_colors(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, value: str, colors: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", value)
    progress = TerminalProgress(terminal.outlet, job())
    progress.update(TROUBLED)
    assert ("\x1b[36m" in terminal.shown()) == colors


def test_a_terminal_without_utf_8_has_bars_too(terminal: Terminal) -> None:
    terminal.stream.reconfigure(encoding="ascii")
    progress = TerminalProgress(terminal.outlet, job())
    progress.update(TROUBLED)
    shown = lines_of(terminal.shown())[0]
    assert "####" in shown
    assert "\\u" not in shown


def test_a_dumb_terminal_gets_whole_lines(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    progress = open_progress(Streams(Outlet(None), terminal.outlet), job(progress=True))
    assert progress is not None
    progress.update(TROUBLED)
    progress.close()
    shown = terminal.shown()
    assert "\x1b" not in shown
    assert shown.startswith("s3pp: at most 4")
    assert shown.count("\r\n") == 1


def test_lines_are_not_mixed_into_the_display(terminal: Terminal) -> None:
    progress = TerminalProgress(terminal.outlet, job())
    streams = Streams(Outlet(None), terminal.outlet)
    recorder = Recorder(job(), streams, progress=progress)
    recorder.set_listed(9, False)
    assert "0 of at least 9" in terminal.shown()
    recorder.record([FAILED])
    erase, _, rest = terminal.shown().partition("s3pp: put a/d")
    assert erase == ERASE
    assert rest.startswith(" -> s3://bkt/p/a/d: permission denied\r\n")
    recorder.close()


def test_a_terminal_that_hangs_up_stops_nothing(terminal: Terminal) -> None:
    progress = TerminalProgress(terminal.outlet, job())
    progress.update(Totals())
    os.close(terminal.near)
    terminal.near = os.open(os.devnull, os.O_RDONLY)
    for _ in range(3):
        progress.update(TROUBLED)
    progress.close()


def test_redraws_are_bounded() -> None:
    class Counting:
        updates = 0

        def update(self, totals: Totals) -> None:
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
