"""Screening: each task is decided once or passed on once, in order, a slice of time at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from s3pp.pipeline.screening import SLICE, Screening
from s3pp.records import Done, Entry, PutTask, Skipped, SkipReason, Task

SAME, DIFFERENT, BROKEN = range(3)  # what a task is found to be


def task(number: int) -> PutTask:
    return PutTask(Entry(str(number), f"/src/{number}", 1, 0), None)


def skipped(each: Task) -> Skipped:
    return Skipped(each.source, each.target, 1, SkipReason.SAME_ETAG)


class Scene:
    """A screening of tasks by a script, on a clock that each of them advances."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.kinds: dict[str, int] = {}  # of tasks, by key
        self.now = 0.0
        self.seconds = seconds
        self.delivered: list[tuple[int, list[Done | Skipped], list[Task]]] = []
        self.screening: Screening[int] = Screening(
            self.unchanged, self.deliver, clock=lambda: self.now
        )

    def unchanged(self, each: Task) -> Skipped | None:
        self.now += self.seconds
        if self.kinds[each.target] == BROKEN:
            raise OSError("vanished")
        return skipped(each) if self.kinds[each.target] == SAME else None

    def deliver(self, batch: int, outcomes: list[Done | Skipped], others: list[Task]) -> None:
        self.delivered.append((batch, outcomes, others))

    def add(self, batch: int, kinds: list[int]) -> None:
        tasks = [task(len(self.kinds) + at) for at in range(len(kinds))]
        self.kinds |= {each.target: kind for each, kind in zip(tasks, kinds, strict=True)}
        self.screening.add(batch, tasks)


batches = st.lists(st.lists(st.sampled_from([SAME, DIFFERENT, BROKEN]), max_size=6), max_size=5)


@given(batches, st.sampled_from([0.0, SLICE / 2, 2 * SLICE]), st.integers(0, 3))
def test_each_task_is_decided_or_passed_on_once(
    kinds: list[list[int]], seconds: float, pause: int
) -> None:
    async def main() -> None:
        for number, each in enumerate(kinds):
            scene.add(number, each)
            for _ in range(pause):
                await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)

    scene = Scene(seconds)
    asyncio.run(main())
    outcomes = [each for _, found, _ in scene.delivered for each in found]
    others = [each for _, _, found in scene.delivered for each in found]
    by_kind = {kind: [key for key, its in scene.kinds.items() if its == kind] for kind in range(3)}
    assert [each.target for each in outcomes] == by_kind[SAME]
    unknown = set(chain(by_kind[DIFFERENT], by_kind[BROKEN]))
    assert [each.target for each in others] == [key for key in scene.kinds if key in unknown]
    counts = Counter[int]()
    for batch, found, left in scene.delivered:
        counts[batch] += len(found) + len(left)
    assert all(counts[number] == len(each) for number, each in enumerate(kinds))


def test_other_work_runs_in_between() -> None:
    """Tasks of a slice each: the event loop turns after each of them."""

    async def main() -> None:
        scene.add(0, [SAME] * 5)
        for done in range(1, 5):
            await asyncio.sleep(0)
            assert len(scene.delivered) == done

    scene = Scene(2 * SLICE)
    asyncio.run(main())


def test_what_is_dropped_is_returned_and_not_screened() -> None:
    async def main() -> None:
        scene.add(0, [SAME] * 2)
        scene.add(1, [DIFFERENT])
        await asyncio.sleep(0)
        left = scene.screening.drop()
        assert [(batch, each.target) for batch, each in left] == [(0, "1"), (1, "2")]
        await asyncio.sleep(0)
        assert len(scene.delivered) == 1
        scene.add(2, [SAME])
        await asyncio.sleep(0)
        assert [batch for batch, _, _ in scene.delivered] == [0, 2]

    scene = Scene(2 * SLICE)
    asyncio.run(main())
