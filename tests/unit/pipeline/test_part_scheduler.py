"""The part scheduler: each part is answered once, to its lead, whoever comes and goes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.pipeline.ledger import MOST_LOSSES, PartScheduler
from s3pp.pipeline.messages import PartRequest, PartResult, pickled
from s3pp.records import PartDone, PartFailed, PutPart, Span

PLACES = 2


def part(number: int) -> PutPart:
    return PutPart("/src/a", "/src/a", 0, (1, 2, 3), Span(number, 0, 10), "a", "id")


def offer(number: int) -> PartRequest:
    return PartRequest(number, 10, pickled(part(number)))


def ended(given_out: PartRequest) -> PartResult:
    done = PartDone(given_out.open().span.number, 10, "etag")
    return PartResult(given_out.number, 10, 1, pickled(done))


def exchange(*workers: str) -> PartScheduler[str]:
    made: PartScheduler[str] = PartScheduler(PLACES)
    for worker in workers:
        made.join(worker)
    return made


def test_a_part_goes_to_any_and_its_end_to_the_lead_under_its_own_number() -> None:
    here = exchange("lead", "other")
    for number in (7, 8, 9):
        here.offer("lead", offer(number))
    out = list(here.assign())
    assert {worker for worker, _ in out} == {"lead", "other"}
    assert {type(each) for _, each in out} == {PartRequest}
    for worker, each in out:
        heard = here.close(worker, ended(each))
        assert heard is not None
        lead, answer = heard
        assert (lead, type(answer)) == ("lead", PartResult)
        assert answer.number == answer.open().number == each.open().span.number


def test_no_worker_gets_more_than_it_has_places() -> None:
    here = exchange("a", "b")
    for number in range(10):
        here.offer("a", offer(number))
    out = [worker for worker, _ in here.assign()]
    assert sorted(out) == ["a", "a", "b", "b"]
    assert list(here.assign()) == []


def test_two_leads_may_use_the_same_numbers() -> None:
    here = exchange("a", "b")
    here.offer("a", offer(1))
    here.offer("b", offer(1))
    heard = [here.close(worker, ended(each)) for worker, each in here.assign()]
    assert sorted(each[0] for each in heard if each) == ["a", "b"]
    assert [each[1].number for each in heard if each] == [1, 1]


def test_it_is_settled_when_no_part_is_at_work_of_a_lead_that_is_gone() -> None:
    here = exchange("lead", "other", "third")
    for number in range(1, 9):  # of which two have to wait
        here.offer("lead", offer(number))
    out: dict[str, list[PartRequest]] = {"lead": [], "other": [], "third": []}
    for worker, each in here.assign():
        out[worker].append(each)
    assert here.settled
    here.leave("lead")
    assert list(here.assign()) == []  # neither what it had, nor what waited
    assert not here.settled
    assert here.close("other", ended(out["other"][0])) is None
    assert here.leave("third") == []
    assert list(here.assign()) == []  # nobody would hear of it
    assert not here.settled
    assert here.close("other", ended(out["other"][1])) is None
    assert here.settled


def test_a_dead_workers_parts_go_to_others() -> None:
    here = exchange("lead", "dead")
    for number in (1, 2, 3, 4):
        here.offer("lead", offer(number))
    out = dict.fromkeys(each.open().span.number for who, each in here.assign() if who == "dead")
    assert here.leave("dead") == []
    here.join("new")
    again = {each.open().span.number: who for who, each in here.assign()}
    assert again == dict.fromkeys(out, "new")


def test_what_a_dead_lead_wanted_is_forgotten_wherever_it_is() -> None:
    """Its own parts too: whoever leads next sends them, and must not do so beside somebody."""
    here = exchange("lead", "other")
    for number in range(1, 8):
        here.offer("lead", offer(number))
    out = [each for who, each in here.assign() if who == "other"]
    assert here.leave("lead") == []
    assert [here.close("other", ended(each)) for each in out] == [None, None]
    here.join("new")
    assert list(here.assign()) == []


def test_a_part_that_kills_is_given_up_and_its_lead_told() -> None:
    here: PartScheduler[str] = PartScheduler(1)  # the lead is no worker here: it only waits
    here.offer("lead", offer(5))
    told: list[tuple[str, PartResult]] = []
    for number in range(MOST_LOSSES):
        assert told == []
        here.join(f"worker {number}")
        assert [who for who, _ in here.assign()] == [f"worker {number}"]
        told = here.leave(f"worker {number}")
    ((lead, answer),) = told
    failed = answer.open()
    assert (lead, answer.number, type(answer)) == ("lead", 5, PartResult)
    assert isinstance(failed, PartFailed)
    assert (failed.number, failed.kind) == (5, FailureKind.CRASHED)
    assert "part 5" in failed.message


def test_dropping_forgets_what_nobody_has() -> None:
    here = exchange("a")
    for number in range(5):
        here.offer("a", offer(number))
    out = list(here.assign())
    here.drop()
    assert [here.close(who, ended(each)) is not None for who, each in out] == [True, True]
    assert list(here.assign()) == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["offer", "end", "leave", "assign"]), st.integers(0, 2)), max_size=80
)


@given(STEPS)
@settings(deadline=None)
def test_every_offer_of_a_living_lead_is_answered_once(steps: list[tuple[str, int]]) -> None:
    here, alive, offers = exchange("0", "1", "2"), ["0", "1", "2"], 0
    open_: set[tuple[str, int]] = set()
    out: dict[str, list[PartRequest]] = {name: [] for name in alive}
    lives = 3

    def hear(heard: tuple[str, PartResult] | None) -> None:
        if heard:
            assert heard[0] in alive
            open_.remove((heard[0], heard[1].number))

    def assign() -> None:
        for who, each in here.assign():
            out[who].append(each)
            assert len(out[who]) <= PLACES

    def end(who: str) -> None:
        if out[who]:
            hear(here.close(who, ended(out[who].pop(0))))

    for step, place in steps:
        who = alive[place]
        if step == "offer":
            offers += 1
            here.offer(who, offer(offers))
            open_.add((who, offers))
        elif step == "end":
            end(who)
        elif step == "assign":
            assign()
        else:
            alive[place] = str(lives)
            lives += 1
            for routed in here.leave(who):
                if routed[0] != who:
                    hear(routed)
            open_ -= {each for each in open_ if each[0] == who}
            del out[who]
            out[alive[place]] = []
            here.join(alive[place])
    for _ in range(offers + 1):
        assign()
        for who in alive:
            end(who)
    assert open_ == set(), "somebody waits for ever"
