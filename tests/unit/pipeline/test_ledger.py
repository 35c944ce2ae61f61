"""The ledger: each batch ends once, whoever comes and goes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3pp.pipeline.ledger import AHEAD, AHEAD_BYTES, MOST_LOSSES, Ledger
from s3pp.pipeline.messages import Frame, Kind

LANES = 4


def batch(number: int, objects: int = 1, size: int = 0) -> Frame:
    return Frame(Kind.TASKS, b"payload %d" % number, number, objects, size)


class Model:
    """The ledger under test beside what it ought to hold."""

    def __init__(self) -> None:
        self.ledger: Ledger[str] = Ledger(LANES)
        self.out: dict[str, dict[int, Frame]] = {}
        self.ends: Counter[int] = Counter()  # how often a batch was closed or given up
        self.added = 0

    def join(self) -> None:
        name = f"worker {len(self.out)}-{self.added}-{sum(self.ends.values())}"
        if name not in self.out:
            self.out[name] = {}
            self.ledger.join(name)

    def add(self, objects: int, size: int) -> None:
        self.added += 1
        self.ledger.add(batch(self.added, objects, size))

    def assign(self) -> None:
        for worker, given_out in self.ledger.assign():
            assert self.room(worker), "it has enough"
            others = [self.tasks(each) for each in self.out if self.room(each)]
            assert self.tasks(worker) == min(others), "another has less"
            self.out[worker][given_out.batch] = given_out

    def close(self, worker: str) -> None:
        for number in list(self.out[worker])[:1]:
            self.ledger.close(worker, number)
            del self.out[worker][number]
            self.ends[number] += 1

    def leave(self, worker: str) -> None:
        for given_up in self.ledger.leave(worker):
            assert given_up == self.out[worker][given_up.batch]
            self.ends[given_up.batch] += 1
        del self.out[worker]

    def tasks(self, worker: str) -> int:
        return sum(each.objects for each in self.out[worker].values())

    def room(self, worker: str) -> bool:
        size = sum(each.size for each in self.out[worker].values())
        few = self.tasks(worker) < AHEAD * LANES and size < AHEAD_BYTES
        return few or not self.out[worker]


STEPS = st.lists(
    st.one_of(
        st.just(("join", 0, 0)),
        st.just(("assign", 0, 0)),
        st.tuples(st.sampled_from(["close", "leave"]), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("add"), st.integers(1, 20), st.sampled_from([1, AHEAD_BYTES])),
    ),
    max_size=60,
)


def played(steps: list[tuple[str, int, int]]) -> Model:
    model = Model()
    for step, number, size in steps:
        if step == "join":
            model.join()
        elif step == "add":
            model.add(number, size)
        elif step == "assign":
            model.assign()
        elif model.out:
            getattr(model, step)(list(model.out)[number % len(model.out)])
    return model


@given(STEPS)
@settings(deadline=None, max_examples=200)
def test_every_batch_ends_exactly_once(steps: list[tuple[str, int, int]]) -> None:
    model = played(steps)
    model.join()
    for _ in range(10 * len(steps)):
        model.assign()
        for worker in model.out:
            model.close(worker)
    assert model.ledger.empty
    assert model.ends == Counter(range(1, model.added + 1))


@given(STEPS)
@settings(deadline=None)
def test_nothing_waits_while_somebody_has_room(steps: list[tuple[str, int, int]]) -> None:
    """A worker busy with one huge source must not keep the others idle."""
    model = played(steps)
    model.assign()
    waiting = model.added - sum(model.ends.values()) - sum(map(len, model.out.values()))
    room = any(model.room(worker) for worker in model.out)
    assert not (waiting and room)
    assert model.ledger.wants_more == (room and not waiting)


@given(STEPS)
@settings(deadline=None)
def test_it_knows_when_all_is_done(steps: list[tuple[str, int, int]]) -> None:
    model = played(steps)
    assert model.ledger.empty == (sum(model.ends.values()) == model.added)


def test_batches_leave_as_the_bytes_they_came_as() -> None:
    ledger: Ledger[str] = Ledger(LANES)
    ledger.join("a")
    sent = batch(1, 3, 5)
    ledger.add(sent)
    ((_, got),) = ledger.assign()
    assert got is sent


def test_a_lost_workers_batches_go_first_and_in_order() -> None:
    ledger: Ledger[str] = Ledger(LANES)
    ledger.join("a")
    for number in (1, 2, 3):
        ledger.add(batch(number))
    assert len(list(ledger.assign())) == 3
    ledger.add(batch(4))
    assert ledger.leave("a") == []
    ledger.join("b")
    assert [got.batch for _, got in ledger.assign()] == [1, 2, 3, 4]


def test_a_batch_that_kills_its_workers_is_given_up() -> None:
    ledger: Ledger[int] = Ledger(LANES)
    ledger.add(batch(1))
    ledger.add(batch(2))
    for worker in range(MOST_LOSSES):
        ledger.join(worker)
        given_out = list(ledger.assign())
        assert [got.batch for _, got in given_out] == ([1, 2] if worker == 0 else [1])
        if worker == 0:
            ledger.close(worker, 2)
        given_up = ledger.leave(worker)
        assert [each.batch for each in given_up] == ([1] if worker == MOST_LOSSES - 1 else [])
    assert ledger.empty


def test_what_waits_can_be_dropped_and_what_is_out_stays() -> None:
    ledger: Ledger[str] = Ledger(1)
    ledger.join("a")
    ledger.add(batch(1, objects=100))
    ledger.add(batch(2))
    list(ledger.assign())
    ledger.drop_waiting()
    assert not ledger.empty
    ledger.close("a", 1)
    assert ledger.empty
    assert list(ledger.assign()) == []


def test_a_worker_that_was_never_ready_loses_nothing() -> None:
    assert Ledger[str](LANES).leave("a") == []


def test_without_workers_nothing_is_wanted() -> None:
    ledger: Ledger[str] = Ledger(LANES)
    assert not ledger.wants_more
    ledger.join("a")
    assert ledger.wants_more


@pytest.mark.parametrize("size", [0, AHEAD_BYTES * 4])
def test_an_idle_worker_takes_a_batch_of_any_size(size: int) -> None:
    ledger: Ledger[str] = Ledger(LANES)
    ledger.join("a")
    ledger.add(batch(1, 10_000, size))
    assert [got.batch for _, got in ledger.assign()] == [1]
    assert not ledger.wants_more


# As the exchange of parts uses it


def test_no_more_ahead_than_it_is_told() -> None:
    ledger: Ledger[str] = Ledger(LANES, ahead=1)
    ledger.join("a")
    for number in range(1, 2 * LANES + 1):
        ledger.add(batch(number))
    assert len(list(ledger.assign())) == LANES


def test_bytes_need_not_count() -> None:
    """8 parts of 5 GiB are no more work to hold than 8 small ones."""
    for ahead_bytes, given_out in ((AHEAD_BYTES, 1), (None, LANES)):
        ledger: Ledger[str] = Ledger(LANES, ahead=1, ahead_bytes=ahead_bytes)
        ledger.join("a")
        for number in range(1, 2 * LANES + 1):
            ledger.add(batch(number, 1, AHEAD_BYTES))
        assert len(list(ledger.assign())) == given_out


def test_what_waits_can_be_dropped_by_number() -> None:
    ledger: Ledger[str] = Ledger(1, ahead=1)
    ledger.join("a")
    for number in (1, 2, 3, 4):
        ledger.add(batch(number))
    ((_, first),) = ledger.assign()
    ledger.drop_waiting({1, 3})
    ledger.close("a", first.batch)
    left = []
    while found := list(ledger.assign()):
        left += [each.batch for _, each in found]
        ledger.close("a", left[-1])
    assert (first.batch, left) == (1, [2, 4]), "what a worker has is not dropped"
    assert ledger.empty
    ledger.add(batch(5))
    ledger.drop_waiting()
    assert ledger.empty
