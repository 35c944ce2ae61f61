"""The ledger: each batch ends once, whoever comes and goes."""

from __future__ import annotations

from collections import Counter
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import examples
from s3pp.pipeline.ledger import (
    AHEAD,
    AHEAD_BYTES,
    ENOUGH,
    ENOUGH_BYTES,
    MOST_LOSSES,
    PATIENCE,
    Ledger,
)
from s3pp.pipeline.messages import TaskBatch

SLOTS = 4


def batch(number: int, objects: int = 1, size: int = 0) -> TaskBatch:
    """A batch whose rows name its objects."""
    return framed(number, [f"{number}.{each}" for each in range(objects)], size)


def framed(number: int, names: list[str], size: int = 0) -> TaskBatch:
    return TaskBatch(number, len(names), size, " ".join(names).encode())


def names_of(batch: TaskBatch) -> list[str]:
    return batch.rows.decode().split()


class Splitter:
    """Halves batches as the supervisor does, under numbers of its own."""

    def __init__(self) -> None:
        self.numbers = count(1000)

    def __call__(self, whole: TaskBatch) -> list[TaskBatch]:
        assert whole.objects > 1
        names = names_of(whole)
        middle = len(names) // 2
        parts = (names[:middle], names[middle:])
        return [framed(next(self.numbers), part, whole.size // 2) for part in parts]


class Model:
    """The ledger under test beside what it ought to hold."""

    def __init__(self) -> None:
        self.ledger: Ledger[str, TaskBatch] = Ledger(SLOTS, split=Splitter())
        self.out: dict[str, dict[int, TaskBatch]] = {}
        self.ends: Counter[str] = Counter()  # how often an object was closed or given up
        self.added: list[str] = []
        self.deaths = 0

    def join(self) -> None:
        name = f"worker {len(self.out)}-{len(self.added)}-{self.deaths}"
        if name not in self.out:
            self.out[name] = {}
            self.ledger.join(name)

    def add(self, objects: int, size: int) -> None:
        new = batch(len(self.added) + 1, objects, size)
        self.added += names_of(new)
        self.ledger.add(new)

    def assign(self) -> None:
        for worker, given_out in self.ledger.assign():
            assert self.room(worker), "it has enough"
            assert given_out.number not in self.out[worker]
            self.out[worker][given_out.number] = given_out

    def close(self, worker: str) -> None:
        for number in list(self.out[worker])[:1]:
            self.ledger.close(worker, number)
            self.ends.update(names_of(self.out[worker].pop(number)))

    def leave(self, worker: str) -> None:
        self.deaths += 1
        had = self.out.pop(worker)
        for given_up in self.ledger.leave(worker):
            assert had == {given_up.number: given_up}, "it is blamed for what another may have done"
            assert given_up.objects == 1
            self.ends.update(names_of(given_up))

    def tasks(self, worker: str) -> int:
        return sum(each.objects for each in self.out[worker].values())

    def room(self, worker: str) -> bool:
        size = sum(each.size for each in self.out[worker].values())
        few = self.tasks(worker) < AHEAD * SLOTS and size < AHEAD_BYTES
        return few or not self.out[worker]

    @property
    def open(self) -> int:
        """Objects that have not ended."""
        return len(self.added) - sum(self.ends.values())

    @property
    def waiting(self) -> int:
        """Objects that no worker has."""
        return self.open - sum(map(self.tasks, self.out))


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
@settings(deadline=None, max_examples=examples(200))
def test_every_batch_ends_exactly_once(steps: list[tuple[str, int, int]]) -> None:
    model = played(steps)
    model.join()
    while model.open:
        before = model.open
        model.assign()
        for worker in model.out:
            model.close(worker)
        assert model.open < before, "nothing is given out"
    assert model.ledger.empty
    assert model.ends == Counter(model.added)


@given(STEPS)
@settings(deadline=None)
def test_nothing_waits_while_somebody_is_idle(steps: list[tuple[str, int, int]]) -> None:
    """A worker busy with one huge source must not keep the others idle."""
    model = played(steps)
    model.assign()
    idle = not all(model.out.values())
    assert not (idle and model.waiting)
    assert not model.ledger.wants_more or any(model.room(worker) for worker in model.out)


@given(STEPS)
@settings(deadline=None)
def test_it_knows_when_all_is_done(steps: list[tuple[str, int, int]]) -> None:
    model = played(steps)
    assert model.ledger.empty == (not model.open)


@pytest.mark.parametrize(
    ("assigned", "crowded"),
    [
        ([], True),  # no worker was started
        ([batch(1, ENOUGH - 1)], False),
        ([batch(1, ENOUGH)], True),
        ([batch(1, 1, ENOUGH_BYTES)], True),
        ([batch(1, ENOUGH), batch(2)], False),  # the second worker has few
        ([batch(1, ENOUGH), batch(2, 1, ENOUGH_BYTES)], True),
    ],
)
def test_another_worker_pays_where_each_has_enough(
    assigned: list[TaskBatch], crowded: bool
) -> None:
    ledger: Ledger[int, TaskBatch] = Ledger(2 * ENOUGH)
    for worker, each in enumerate(assigned):
        ledger.join(worker)
        ledger.add(each)
        assert len([*ledger.assign()]) == 1
    assert not ledger.crowded, "no batch waits"
    ledger.add(batch(100))
    assert ledger.crowded is crowded


def test_a_worker_with_few_slots_has_enough_when_all_are_taken() -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(1)
    ledger.join("w")
    ledger.add(batch(1))
    assert len([*ledger.assign()]) == 1
    ledger.add(batch(2))
    assert ledger.crowded


def test_batches_leave_as_the_bytes_they_came_as() -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(SLOTS)
    ledger.join("a")
    sent = batch(1, 3, 5)
    ledger.add(sent)
    ((_, got),) = ledger.assign()
    assert got is sent


def test_a_lost_workers_batches_go_first_and_in_order() -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(SLOTS)
    ledger.join("a")
    for number in (1, 2, 3):
        ledger.add(batch(number))
    assert len(list(ledger.assign())) == 3
    ledger.add(batch(4))
    assert ledger.leave("a") == []
    ledger.join("b")
    assert [got.number for _, got in ledger.assign()] == [1, 2, 3, 4]


# What kills workers


class Trial:
    """A run of workers on a ledger, where the objects in ``poison`` kill whoever has them."""

    def __init__(self, workers: int, *poison: str) -> None:
        self.ledger: Ledger[int, TaskBatch] = Ledger(SLOTS, split=Splitter())
        self.poison = set(poison)
        self.names = count()
        self.out: dict[int, list[TaskBatch]] = {}
        self.done: list[str] = []
        self.failed: list[str] = []
        self.deaths = self.deaths_in_a_row = self.most_in_a_row = 0
        for _ in range(workers):
            self.hire()

    def hire(self) -> None:
        self.out[worker := next(self.names)] = []
        self.ledger.join(worker)

    def run(self, killed: int = 0) -> None:
        """Until all has ended; the first ``killed`` deaths are somebody else's doing."""
        while not self.ledger.empty:
            for worker, each in self.ledger.assign():
                self.out[worker].append(each)
            worker = max(self.out, key=lambda worker: len(self.out[worker]))
            names = {name for each in self.out[worker] for name in names_of(each)}
            if killed or names & self.poison:
                killed -= killed > 0
                self.die(worker)
            else:
                self.finish(worker)

    def die(self, worker: int) -> None:
        self.deaths += 1
        self.deaths_in_a_row += 1
        self.most_in_a_row = max(self.most_in_a_row, self.deaths_in_a_row)
        given_up = self.ledger.leave(worker)
        del self.out[worker]
        for each in given_up:
            self.failed += names_of(each)
            self.deaths_in_a_row = 0
        self.hire()

    def finish(self, worker: int) -> None:
        for each in self.out[worker]:
            self.ledger.close(worker, each.number)
            self.done += names_of(each)
        self.out[worker] = []
        self.deaths_in_a_row = 0


@pytest.mark.parametrize("workers", [1, 2, 5])
@given(st.data())
@settings(deadline=None)
def test_only_objects_that_kill_are_given_up(workers: int, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(1, 128), min_size=1, max_size=12))
    batches = [batch(number, objects) for number, objects in enumerate(sizes, 1)]
    names = [name for each in batches for name in names_of(each)]
    poison = data.draw(st.sets(st.sampled_from(names), max_size=3))
    trial = Trial(workers, *poison)
    for each in batches:
        trial.ledger.add(each)
    # As many deaths of one object alone would be its own fault for all that can be known.
    trial.run(data.draw(st.integers(0, MOST_LOSSES - 1)))
    assert sorted(trial.failed) == sorted(poison)
    assert sorted(trial.done) == sorted(set(names) - poison)


@pytest.mark.parametrize("at", [0, 60, 127])
@pytest.mark.parametrize("workers", [1, 4])
def test_one_object_that_kills_is_found_before_the_run_is_given_up(workers: int, at: int) -> None:
    trial = Trial(workers, f"3.{at}")
    for number in range(1, 40):
        trial.ledger.add(batch(number, 128))
    trial.run()
    assert (trial.failed, len(trial.done)) == ([f"3.{at}"], 39 * 128 - 1)
    assert trial.deaths <= 2 + 7 + MOST_LOSSES
    assert trial.most_in_a_row <= MOST_LOSSES + 3


def test_no_object_fails_because_others_are_killed_beside_it() -> None:
    """Whoever kills the workers: two objects are never blamed at once."""
    ledger: Ledger[int, TaskBatch] = Ledger(SLOTS, split=Splitter())
    ledger.add(batch(1))
    ledger.add(batch(2))
    for worker in range(3 * MOST_LOSSES):
        ledger.join(worker)
        list(ledger.assign())
        assert ledger.leave(worker, busy=True) == []


def test_an_object_whose_parts_arrive_is_tried_longer() -> None:
    """Its workers are killed, but each of them has moved something; and it does not go on so."""
    ledger: Ledger[int, TaskBatch] = Ledger(SLOTS)
    ledger.add(batch(1))
    given_up: list[TaskBatch] = []
    tries = 0
    while not given_up:
        ledger.join(tries)
        list(ledger.assign())
        ledger.progress(tries)
        given_up = ledger.leave(tries)
        tries += 1
    assert tries == MOST_LOSSES * PATIENCE


def test_whoever_has_work_goes_on_with_it_while_others_try_suspects() -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(SLOTS, split=Splitter())

    def given_out() -> list[tuple[str, list[str]]]:
        return [(worker, names_of(each)) for worker, each in ledger.assign()]

    ledger.add(batch(1, 5))
    ledger.add(batch(2, 8))
    ledger.join("busy")
    ledger.join("first")
    assert [who for who, _ in given_out()] == ["busy", "first"]
    ledger.leave("first")
    ledger.join("second")
    assert [who for who, _ in given_out()] == ["second", "second"]  # tried once more as they come
    ledger.leave("second")
    ledger.join("third")
    for number in (3, 4, 5, 6):
        ledger.add(batch(number))
    given = [("third", ["2.0", "2.1"]), *(("busy", [f"{n}.0"]) for n in (3, 4, 5))]
    assert given_out() == given
    ledger.close("third", 1002)
    assert given_out() == [("third", ["2.2", "2.3"]), ("third", ["2.4", "2.5"])]


def test_what_waits_can_be_dropped_and_what_is_out_stays() -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(1)
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
    assert Ledger[str, TaskBatch](SLOTS).leave("a") == []


def test_without_workers_nothing_is_wanted() -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(SLOTS)
    assert not ledger.wants_more
    ledger.join("a")
    assert ledger.wants_more


@pytest.mark.parametrize("size", [0, AHEAD_BYTES * 4])
def test_an_idle_worker_takes_a_batch_of_any_size(size: int) -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(SLOTS)
    ledger.join("a")
    ledger.add(batch(1, 10_000, size))
    assert [got.number for _, got in ledger.assign()] == [1]
    assert not ledger.wants_more


# As the scheduler of parts uses it


def test_no_more_ahead_than_it_is_told() -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(SLOTS, ahead=1)
    ledger.join("a")
    for number in range(1, 2 * SLOTS + 1):
        ledger.add(batch(number))
    assert len(list(ledger.assign())) == SLOTS


def test_bytes_need_not_count() -> None:
    """8 parts of 5 GiB are no more work to hold than 8 small ones."""
    for ahead_bytes, given_out in ((AHEAD_BYTES, 1), (None, SLOTS)):
        ledger: Ledger[str, TaskBatch] = Ledger(SLOTS, ahead=1, ahead_bytes=ahead_bytes)
        ledger.join("a")
        for number in range(1, 2 * SLOTS + 1):
            ledger.add(batch(number, 1, AHEAD_BYTES))
        assert len(list(ledger.assign())) == given_out


def test_what_waits_can_be_dropped_by_number() -> None:
    ledger: Ledger[str, TaskBatch] = Ledger(1, ahead=1)
    ledger.join("a")
    for number in (1, 2, 3, 4):
        ledger.add(batch(number))
    ((_, first),) = ledger.assign()
    ledger.drop_waiting({1, 3})
    ledger.close("a", first.number)
    left = []
    while found := list(ledger.assign()):
        left += [each.number for _, each in found]
        ledger.close("a", left[-1])
    assert (first.number, left) == (1, [2, 4]), "what a worker has is not dropped"
    assert ledger.empty
    ledger.add(batch(5))
    ledger.drop_waiting()
    assert ledger.empty
