"""The report of a run: what it counts, in which memory, and that no name breaks it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages import read_page
from s3pp.errors import ExitStatus, FailureKind, FatalError, UsageError
from s3pp.report.page import figures
from s3pp.report.page.advice import ADVICE, EXITS, advice_on
from s3pp.report.page.aggregate import CAUSES, OTHER, SAMPLES, SLOWEST, RunAggregate
from s3pp.report.page.charts import ceiling, moments
from s3pp.report.page.histogram import Histogram
from s3pp.report.page.journals import Journals, choose
from s3pp.report.page.render import ReportPage, render
from s3pp.report.page.timeline import MOST_BUCKETS, Series, Timeline

Event = dict[str, Any]
HOSTILE = "\"><script>alert('1')</script>&amp;\x1b[31m\u202e\udcff</code></title>"
RUN = "0123456789ab"


def at(seconds: float, hour: int = 8) -> str:
    return f"2026-11-20T{hour:02d}:{int(seconds) // 60:02d}:{seconds % 60:06.3f}Z"


def start(run: str = RUN, hour: int = 8, **more: Any) -> Event:
    event: Event = {"event": "start", "run": run, "schema": 2, "time": at(0, hour), "verb": "put"}
    return event | {"sources": ["photos"], "dest": "s3://bucket/p"} | more


def done(
    name: str, *, size: int = 1000, took: float = 1.0, ended: float = 2.0, **more: Any
) -> Event:
    event: Event = {"event": "done", "run": RUN, "verb": "put", "source": name, "key": name}
    event |= {"size": size, "source_size": size, "sent": size, "attempts": 1, "reason": "new"}
    return event | {"began": at(ended - took), "ended": at(ended)} | more


def failed(name: str, kind: str = "store", code: str = "SlowDown", message: str = "why") -> Event:
    event: Event = {"event": "failed", "run": RUN, "source": name, "kind": kind, "code": code}
    return event | {"message": message, "began": at(1), "ended": at(2)}


def summary(run: str = RUN, **more: Any) -> Event:
    event: Event = {
        "event": "summary",
        "run": run,
        "verb": "put",
        "listed": 2,
        "done": 1,
        "skipped": 0,
    }
    return event | {"done": 1, "failed": 1, "bytes": 1000, "seconds": 10.0, "exit_code": 1} | more


def aggregate(*events: Event) -> RunAggregate:
    run = RunAggregate()
    for event in events:
        run.add(event)
    return run


@given(st.lists(st.floats(1e-4, 1e5), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_percentile_is_that_of_the_values_to_the_width_of_a_class(
    values: list[float], share: float
) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    ordered = sorted(values)
    wanted = share * len(values)
    exact = next(value for n, value in enumerate(ordered, 1) if n >= wanted)
    assert histogram.percentile(share) == pytest.approx(exact, rel=0.025)
    assert histogram.largest == max(values)


SPANS = st.tuples(st.floats(0, 1e5), st.floats(0, 1e4), st.floats(0, 1e6))


@given(st.lists(SPANS, max_size=30))
def test_nothing_is_lost_over_time_however_long_a_run_is(
    spans: list[tuple[float, float, float]],
) -> None:
    line = Timeline()
    for began, took, amount in spans:
        line.add(began, began + took, [(Series.BYTES, amount)])
    assert len(line) <= MOST_BUCKETS
    assert line.total(Series.BYTES) == pytest.approx(sum(amount for *_, amount in spans))


def test_amounts_lie_where_they_belong() -> None:
    line = Timeline()
    line.add(10.0, 30.0, [(Series.BYTES, 200.0)])
    line.add(40.0, 40.0, [(Series.FAILED, 1.0)])
    line.add(-5.0, -1.0, [(Series.BYTES, 9.0)])  # before the run: a clock was wrong
    line.add(0.0, 1e12, [(Series.BYTES, 9.0)])
    assert line.width == 0.25
    rates = line.rates(Series.BYTES, 40.1)
    assert rates[39:41] == [0.0, pytest.approx(10.0)]
    assert [n for n, count in enumerate(line.values(Series.FAILED)) if count] == [160]


@given(st.floats(0, 1e15), st.sampled_from([1000, 1024]))
def test_an_axis_holds_its_values_and_wastes_little(most: float, step: int) -> None:
    assert most <= ceiling(most, step) * (1 + 1e-9)
    assert ceiling(most, step) <= max(4.0, 2.6 * most)


@pytest.mark.parametrize("seconds", [0.1, 3.0, 59.0, 4000.0, 86400.0, 40 * 86400.0])
def test_an_axis_of_time_has_few_round_times(seconds: float) -> None:
    shown = moments(seconds)
    assert shown[0] == 0
    assert 2 <= len(shown) <= 8
    assert shown[-1] <= seconds


def test_memory_is_bounded_by_what_is_named() -> None:
    run = aggregate(start(), *(failed(f"f{n}", code=f"c{n}") for n in range(3 * CAUSES)))
    for n in range(100):
        run.add(done(f"a{n}", took=n / 50))
        run.add(failed(f"g{n}", code="c0"))
    assert len(run.causes) <= CAUSES + 1
    assert run.causes[OTHER, ""].count == 2 * CAUSES
    assert len(run.causes["store", "c0"].samples) == SAMPLES
    assert [each.name for each in run.slowest] == [f"a{n}" for n in range(99, 99 - SLOWEST, -1)]


def test_the_page_of_a_run() -> None:
    """The figures, the advice, and what does not show in a number."""
    pace: Event = {"event": "pace", "run": RUN, "time": at(4), "seconds": 2.0, "bytes": 4096}
    pace |= {"in_flight": 300.5, "requests": 9, "throttled": 5, "retries": {"503": 7}}
    run = aggregate(
        start(
            command=["s3pp", "put", "a b"], settings={"mode": "update", "filters": ["--include=x"]}
        ),
        done("photos/a.jpg", size=2048, took=0.25, attempts=3),
        done("photos/b.jpg", took=3.5, ended=4.0),
        {"event": "skipped", "reason": "same etag", "size": 4, "began": at(1), "ended": at(1)},
        failed("photos/c.jpg", message="503 SlowDown from host"),
        pace,
        summary(done=2, skipped=1, retries={"503": 7}),
    )
    page = read_page(render(ReportPage(run)))
    for text in (
        "s3pp put: photos → s3://bucket/p",
        "Completed, 1 failed (exit code 1)",
        "1 × store (SlowDown)",
        "503 SlowDown from host",
        advice_on("store").remedy,
        "1 object needed more than one attempt",
        "s3pp put 'a b'",
        "--include=x",
        "duration",
    ):
        assert text in page.text
    assert page.values("desc")[0].startswith("throughput: ")
    assert "300.5" not in page.text  # on the scale of the chart it is 300
    assert "at most 300" in "".join(page.values("desc"))
    assert [text for text in page.values("strong") if text.startswith("Retries")]


def test_the_difference_from_the_run_before() -> None:
    before = aggregate(
        start(settings={"concurrency": 64}), done("a"), summary(seconds=10.0, failed=0)
    )
    now = aggregate(
        start(settings={"concurrency": 512}), done("a"), failed("b"), summary(seconds=5.0)
    )
    text = read_page(render(ReportPage(now, before))).text
    assert "duration 10.0 s 5.00 s -50%" in text
    assert "--concurrency 64 512" in text
    assert "store (SlowDown) 0 1 new" in text
    assert "latency, median 1.00 s 1.00 s" in text
    idle = aggregate(start(), summary(done=0, skipped=1, failed=0))
    text = read_page(render(ReportPage(idle, before))).text
    assert "objects done 1 0 -100%" in text
    assert "latency, " not in text  # nothing was transferred: it is not 0


@pytest.mark.parametrize("field", ["source", "message", "kind", "code", "reason", "dest", "verb"])
def test_no_name_breaks_the_page(field: str) -> None:
    hostile = {field: HOSTILE}
    run = aggregate(
        start(command=[HOSTILE]) | hostile,
        done(HOSTILE) | hostile,
        failed("a") | hostile,
        summary(retries={HOSTILE: 3}),
    )
    written = render(ReportPage(run, run))
    page = read_page(written)
    assert "<script" not in written
    assert "<script>alert('1')</script>&amp;\\x1b[31m\\u202e\\xff" in page.text
    written.encode()  # and is UTF-8


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
FIELDS = sorted({*done("a"), *failed("a"), *summary(retries={}), *start(settings={}, command=[])})
EVENTS = st.fixed_dictionaries(
    {
        "event": st.sampled_from(
            ["start", "done", "skipped", "failed", "deleted", "pace", "summary"]
        )
    },
    optional={name: JSON for name in FIELDS if name != "event"},
)


@given(st.lists(EVENTS, max_size=6))
def test_whatever_a_journal_holds_makes_a_page(events: list[Event]) -> None:
    run = aggregate(start(), *events)
    read_page(render(ReportPage(run, aggregate(*events))))


def journal(path: Path, events: Iterable[Event], rest: str = "") -> str:
    path.write_text(
        "".join(f"{json.dumps(each, separators=(',', ':'))}\n" for each in events) + rest
    )
    return str(path)


def test_runs_are_found_by_their_ends_and_compared_with_the_one_before(tmp_path: Path) -> None:
    """Of one journal, of two, of one that was rotated, and one that was cut by a kill."""
    first, second = start("a" * 12, 8), start("b" * 12, 9)
    other = start("c" * 12, 10, verb="get", dest="d")
    both = [first, summary("a" * 12), other, summary("c" * 12), second]
    one = journal(tmp_path / "one", both, '{"event":"do')
    journals = Journals([one])
    runs = journals.find()
    assert [run.id[0] for run in runs] == ["a", "b", "c"]
    assert [run.exit_code for run in runs] == [1, None, 1]
    run, before = choose(runs, "b")
    assert before is not None
    assert (run.id[0], before.id[0]) == ("b", "a")
    assert choose(runs) == (runs[2], None)  # nothing else was got
    (found,) = journals.aggregate([run])
    assert found.summary is None
    assert journals.faults == 0  # a line that is being written is none
    assert "No end" in read_page(render(ReportPage(found, None, runs, run))).text
    two = journal(tmp_path / "two", [start("d" * 12, 11, verb="copy")])
    runs = Journals([two, one]).find()
    last, before = choose(runs)
    assert before is not None
    assert (last.id[0], before.id[0]) == ("d", "c")  # of another journal that was named
    rest = [second | {"continued": True}, done("z") | {"run": "b" * 12}, summary("b" * 12)]
    runs = Journals([one, journal(tmp_path / "rotated", rest)]).find()
    assert [(run.id[0], run.exit_code) for run in runs] == [("a", 1), ("b", 1), ("c", 1)]
    with pytest.raises(UsageError, match="no run has an id"):
        choose(runs, "x")
    middle, empty = journal(tmp_path / "middle", [done("y")]), journal(tmp_path / "new", [])
    assert len(Journals([one, middle, empty]).find()) == 3  # rotated twice in a run, and just now
    with pytest.raises(UsageError, match="no run is in there"):
        Journals([journal(tmp_path / "none", [])]).find()
    with pytest.raises(FatalError, match="cannot be read: No such file"):
        Journals([str(tmp_path / "missing")]).find()


def test_a_journal_of_schema_1_has_no_times(tmp_path: Path) -> None:
    old: list[Event] = [{"event": "start", "time": at(0), "verb": "put", "dest": "s3://b/"}]
    old += [{"event": "done", "source": "a", "size": 5, "sent": 5, "reason": "new"}]
    old += [{"event": "summary", "done": 1, "failed": 0, "seconds": 2.0}]
    journals = Journals([journal(tmp_path / "old", [*old, *old])])
    runs = journals.find()
    run, before = choose(runs)
    assert before is not None
    now, earlier = journals.aggregate([run, before])
    assert now.counts["done"] == earlier.counts["done"] == 1
    text = read_page(render(ReportPage(now, earlier, runs, run))).text
    assert "written by an earlier version" in text


def test_there_is_advice_on_every_failure_and_exit() -> None:
    assert set(ADVICE) == set(FailureKind)
    assert set(EXITS) == set(ExitStatus) - {ExitStatus.LOCKED}  # of which there is no run
    assert advice_on("later").meaning


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (figures.size(1023), "1023 B"),
        (figures.size(1 << 20), "1.00 MiB"),
        (figures.rate(10.5 * (1 << 30)), "10.5 GiB/s"),
        (figures.duration(0.0042), "4.2 ms"),
        (figures.duration(59.97), "1 min 0 s"),
        (figures.duration(7260), "2 h 1 min"),
        (figures.clock(3723.5), "1:02:03.5"),
        (figures.change(0, 3), "new"),
        (figures.change(2, 8), "×4.00"),
        (figures.change(100, 99.9), "same"),
        (figures.moment("2026-11-20T08:30:00.125Z"), "2026-11-20 08:30:00 UTC"),
        (figures.moment("yesterday"), "unknown"),
    ],
)
def test_figures(text: str, wanted: str) -> None:
    assert text == wanted
