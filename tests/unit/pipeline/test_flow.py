"""The rate of a whole run: what workers report, what each of them is sent, what the user hears."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3pp.access import Access
from s3pp.errors import FailureKind
from s3pp.job import Job
from s3pp.output import Output
from s3pp.pipeline.flow import BALANCE, LOOK, FlowControl, StallWatch
from s3pp.pipeline.messages import Message, Notice
from s3pp.pipeline.shared_pace import SharedPace
from s3pp.report.failures import Cause
from s3pp.report.totals import SILENCE, Flow
from s3pp.s3.congestion import (
    LIFTED,
    NO_LIMIT,
    Count,
    Feedback,
    PrefixLimit,
    RateLimit,
    Refusal,
)
from s3pp.s3.prefixes import BIN, MOST_PREFIXES, PrefixFinder

CONTENT = Feedback(0, accepted=100, refused=0, unanswered=0, lately=100, span=1.0, backlog=5)
THROTTLED = CONTENT._replace(accepted=50, refused=50, lately=50, throttled=50)


class Watched:
    """A flow control, and what it sends: each method returns what has been sent by it."""

    def __init__(self) -> None:
        self._sent: list[tuple[str, Message]] = []
        self.ends: list[tuple[str, Cause]] = []
        self._flow: FlowControl[str] = FlowControl(
            lambda to, what: self._sent.append((to, what)),
            lambda why, cause: self.ends.append((why, cause)),
            Job("put", access=Access(max_throttled=60.0)),
        )
        self.join, self.leave = self._flow.join, self._flow.leave

    def observe(self, worker: str, message: Feedback, now: float) -> list[tuple[str, Message]]:
        self._flow.observe(worker, message, now)
        return self._taken()

    def limits(self) -> list[tuple[str, Message]]:
        self._flow.spread()
        return self._taken()

    def balance(self, now: float) -> list[tuple[str, Message]]:
        self._flow.balance(now, "statter")
        return [(to, what) for to, what in self._taken() if to != "statter"]

    def news(self, now: float) -> Flow | None:
        self._flow.balance(now, "statter")
        told = [what for to, what in self._taken() if to == "statter"]
        last = told[-1] if told else None
        assert last is None or isinstance(last, Flow)
        return last

    def _taken(self) -> list[tuple[str, Message]]:
        taken, self._sent[:] = list(self._sent), []
        return taken


def flow_of(*workers: str) -> Watched:
    flow = Watched()
    for worker in workers:
        flow.join(worker)
    return flow


def limits_of(messages: list[tuple[str, Message]]) -> dict[str, RateLimit]:
    assert {type(message) for _, message in messages} <= {RateLimit}
    found = {to: message for to, message in messages if isinstance(message, RateLimit)}
    assert len(found) == len(messages), "a worker was sent two limits at once"
    return found


def test_limits_are_sent_at_once_when_the_rate_is_lowered_and_only_then() -> None:
    flow = flow_of("a", "b")
    assert flow.observe("a", CONTENT, 1.0) == []
    limits = limits_of(flow.observe("b", THROTTLED, 1.1))
    assert limits.keys() == {"a", "b"}
    assert {limit.epoch for limit in limits.values()} == {1}
    assert 0 < sum(limit.rate(1.1) for limit in limits.values()) < 200
    # What was sent before the limit was known says nothing against it.
    assert flow.observe("a", THROTTLED, 1.2) == []
    assert flow.observe("a", CONTENT._replace(epoch=1), 1.3) == []
    again = limits_of(flow.observe("b", THROTTLED._replace(epoch=1), 1.4))
    assert {limit.epoch for limit in again.values()} == {2}


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20))
def test_the_shares_by_backlog_make_up_the_whole_rate(backlogs: list[int]) -> None:
    workers = [f"worker {number}" for number in range(len(backlogs))]
    flow = flow_of(*workers)
    for worker, backlog in zip(workers, backlogs, strict=True):
        flow.observe(worker, CONTENT._replace(backlog=backlog), 1.0)
    throttled = THROTTLED._replace(backlog=backlogs[0], refused=10_000, throttled=10_000)
    whole = limit_of_one(throttled, len(backlogs))
    limits = limits_of(flow.observe(workers[0], throttled, 1.1))
    ceilings = [limits[worker].ceiling for worker in workers]
    assert sum(ceilings) == pytest.approx(whole.ceiling)
    assert all(ceiling > 0 for ceiling in ceilings)  # who has nothing to do can begin
    ordered = [ceiling for _, ceiling in sorted(zip(backlogs, ceilings, strict=True))]
    assert ordered == pytest.approx(sorted(ceilings))


def limit_of_one(throttled: Feedback, workers: int) -> RateLimit:
    """The limit of one worker that sees what so many would, with one of them throttled."""
    more = 100 * (workers - 1)
    seen = throttled._replace(accepted=throttled.accepted + more, lately=throttled.lately + more)
    ((_, message),) = flow_of("only").observe("only", seen, 1.1)
    assert isinstance(message, RateLimit)
    return message


def test_the_balance_is_looked_at_only_so_often_and_only_under_a_limit() -> None:
    flow = flow_of("a", "b")
    assert flow.balance(99.0) == []
    flow.observe("a", CONTENT, 100.0)
    before = limits_of(flow.observe("b", THROTTLED, 100.1))
    assert flow.balance(100.2)
    idle = CONTENT._replace(epoch=1, backlog=0)
    assert flow.observe("a", idle, 100.3) == []
    assert flow.balance(100.2 + 0.9 * BALANCE) == []
    after = limits_of(flow.balance(100.2 + BALANCE + 0.001))
    assert before["a"].ceiling == pytest.approx(before["b"].ceiling)
    assert after["a"].ceiling < after["b"].ceiling
    assert after["a"].epoch == before["a"].epoch
    assert flow.balance(200.0) == []  # by now there is no limit


def test_a_worker_that_comes_later_obeys_the_limit_too() -> None:
    flow = flow_of("a")
    assert limits_of(flow.limits()) == {"a": NO_LIMIT}
    flow.observe("a", THROTTLED, 1.0)
    flow.join("b")
    limits = limits_of(flow.limits())
    assert limits["b"].epoch == limits["a"].epoch == 1
    assert limits["b"].ceiling > 0


def test_a_worker_that_is_gone_gets_no_limit_and_its_refusals_still_count() -> None:
    flow = flow_of("a", "b")
    flow.observe("a", THROTTLED, 1.0)
    flow.observe("b", THROTTLED._replace(throttled=7), 1.0)
    flow.leave("a")
    flow.leave("a")  # and one that never reported, or has left already, changes nothing
    flow.leave("never there")
    assert limits_of(flow.limits()).keys() == {"b"}
    news = flow.news(1.1)
    assert news is not None
    assert news.throttled == 57


def test_news_are_what_a_user_should_know_and_are_told_once() -> None:
    flow = flow_of("a", "b")
    assert flow.news(1.0) is None
    flow.observe("a", CONTENT._replace(silent=60.0), 2.0)
    flow.observe("b", CONTENT._replace(silent=0.1), 2.0)
    assert flow.news(2.0) is None  # another worker's requests are answered
    flow.observe("b", CONTENT._replace(silent=-1.0), 2.0)  # it expects none
    assert flow.news(3.0) == Flow(silent=60.0)
    assert flow.news(4.0) is None
    flow.observe("a", CONTENT._replace(silent=SILENCE / 2), 5.0)
    assert flow.news(5.0) == Flow(silent=SILENCE / 2)  # it is over
    flow.observe("b", THROTTLED, 6.0)
    news = flow.news(6.0)
    assert news is not None
    assert news.throttled == 50
    assert news.rate > 0
    later = flow.news(100.0)
    assert later is not None
    assert later.rate == 0.0  # there is no limit any more


# A store that limits a prefix

HOT, FREE = ("b/hot/", Count(50, 50)), ("b/z/", Count(100, 0))


def test_a_limited_prefix_is_limited_instead_of_all_until_nothing_is_refused() -> None:
    flow = flow_of("a", "b")
    flow.observe("a", THROTTLED, 1.0)
    sent = flow.observe("b", THROTTLED._replace(epoch=1, evidence=(HOT, FREE)), 1.05)
    below = {to: what.limit for to, what in sent if isinstance(what, PrefixLimit)}
    assert sum(limit.ceiling for limit in below.values()) == pytest.approx(50 / BIN)
    assert sent.index(("a", PrefixLimit("b/hot/", below["a"]))) < sent.index(("a", sent[-1][1]))
    assert isinstance(sent[-1][1], RateLimit)
    assert sent[-1][1].ceiling == 0.0  # all others have no limit any more
    news = flow.news(1.1)
    assert news is not None
    (fact,) = news.facts
    assert fact.text.startswith("s3://b/hot/ limited to 24")
    # From then on it is followed by itself; who comes later has a part of it.
    refused = THROTTLED._replace(epoch=1, prefix="b/hot/", throttled=90)
    lowered = flow.observe("a", refused, 1.3)
    assert any(isinstance(what, PrefixLimit) for _, what in lowered)
    flow.join("c")
    assert [to for to, what in flow.limits() if isinstance(what, PrefixLimit)] == ["a", "b", "c"]
    flow.leave("c")
    ended = flow.balance(1.3 + LIFTED + BALANCE)
    assert ended == [(worker, PrefixLimit("b/hot/", NO_LIMIT)) for worker in "ab"]
    assert flow.observe("a", refused, 9.0) == []  # sent before it knew
    assert not any(isinstance(what, PrefixLimit) for _, what in flow.limits())


def test_prefixes_are_searched_for_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many workers report refusals, each several times a second."""
    searches: list[int] = []

    def find(_: PrefixFinder) -> dict[str, float]:
        searches.append(1)
        return {}

    monkeypatch.setattr(PrefixFinder, "find", find)
    workers = [f"w{number}" for number in range(100)]
    flow = flow_of(*workers)
    for number in range(1000):  # in a second
        refused = CONTENT._replace(evidence=(HOT, FREE))
        flow.observe(workers[number % 100], refused, 1.0 + number / 1000)
    assert 1 <= len(searches) <= 1 / LOOK + 1


def test_no_more_prefixes_are_limited_than_are_tracked() -> None:
    flow = flow_of("a")
    for number in range(MOST_PREFIXES + 2):
        evidence = ((f"b/{number}/", Count(50, 50)), FREE)
        flow.observe("a", CONTENT._replace(evidence=evidence), 1.0 + number)
    below = [what for _, what in flow.limits() if isinstance(what, PrefixLimit)]
    assert len(below) == MOST_PREFIXES


def test_that_limits_are_not_shared_is_said_once_if_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    why = "'/run/lock/s3pp-1' is not a directory of this user"
    monkeypatch.setattr(SharedPace, "of", lambda _: (None, why))
    for verbosity, count in ((0, 0), (1, 1)):
        sent: list[Message] = []
        job = Job("put", access=Access(), output=Output(verbosity=verbosity))
        flow: FlowControl[str] = FlowControl(
            lambda _, what, sent=sent: sent.append(what),  # type: ignore[misc]
            lambda *_: None,
            job,
        )
        flow.share("store")
        for second in range(3):
            flow.balance(float(second + 1), "statter")
        notices = [each.text for each in sent if isinstance(each, Notice)]
        assert (
            notices
            == [
                "this run does not share the rate of a store that throttles with others on this"
                f" machine: {why}"
            ]
            * count
        )


# A store that accepts nothing of the whole run


REFUSAL = Refusal("SlowDown", "http://127.0.0.1:9: SlowDown: made up")
QUIET = Feedback(0, accepted=0, refused=0, unanswered=0, lately=0, span=1.0, backlog=0)


def test_a_run_of_which_nothing_is_accepted_ends_for_all_workers() -> None:
    flow = flow_of("a", "b", "idle")
    for second in range(1, 62):
        for worker in "ab":
            refused = QUIET._replace(throttled=second, refusal=REFUSAL)
            flow.observe(worker, refused, float(second))
            assert (flow.ends == []) == (second < 61)
        flow.observe("idle", QUIET, float(second))
    assert flow.ends[0] == (
        "http://127.0.0.1:9: SlowDown: made up (throttled for 60 s in which no request succeeded,"
        " and the rest is not tried: see --max-throttled)",
        Cause(FailureKind.STORE, "SlowDown"),
    )


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.floats(0.1, 9.0)), max_size=60))
def test_whatever_one_worker_has_accepted_keeps_the_run_going(
    reports: list[tuple[int, int, float]],
) -> None:
    """It ends by a refusal, and then only if nothing was accepted for the whole of the bound."""
    watch, bound, now = StallWatch(20.0), 20.0, 0.0
    last = dict.fromkeys(range(3), QUIET)
    refused_since: float | None = None
    for worker, taken, pause in reports:
        now += pause
        seen = last[worker]._replace(
            throttled=last[worker].throttled + 1, taken=last[worker].taken + taken
        )
        stall = watch.see(last[worker], seen, now)
        last[worker] = seen
        refused_since = None if taken else (now if refused_since is None else refused_since)
        due = refused_since is not None and now - refused_since >= bound
        assert (stall is not None) == due
        # Where nothing is sent nothing is refused.
        assert watch.see(seen, seen, now + 1000.0) is None
