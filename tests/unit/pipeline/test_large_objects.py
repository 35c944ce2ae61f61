"""What a worker says of the large objects that it leads."""

from __future__ import annotations

import asyncio

import pytest

from s3pp.pipeline import large_objects
from s3pp.pipeline.large_objects import LargeObjects, current_lead
from s3pp.pipeline.progress_messages import ActiveObject, ActiveObjects
from s3pp.records import GetTask


def test_each_object_counts_its_own_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_objects, "REPORT", 0.001)
    sent: asyncio.Queue[ActiveObjects] = asyncio.Queue()

    async def part(size: int) -> None:
        current_lead()(size)

    async def lead(objects: LargeObjects, name: str, ended: asyncio.Event) -> None:
        with objects.lead(GetTask(name, name, 100, "", "")):
            await asyncio.gather(part(20), part(10 * len(name)))
            await ended.wait()

    async def until(*active: ActiveObject) -> None:
        while (await sent.get()).objects != active:
            pass

    async def run() -> None:
        objects, first, second = LargeObjects(sent.put_nowait), asyncio.Event(), asyncio.Event()
        both = [
            asyncio.ensure_future(lead(objects, *each)) for each in (("a", first), ("bb", second))
        ]
        await until(ActiveObject("a", 100, 30), ActiveObject("bb", 100, 40))
        first.set()
        await until(ActiveObject("bb", 100, 40))
        second.set()
        await until()  # and nothing after that
        await asyncio.gather(*both)
        current_lead()(5)  # of a small object: nobody counts it

    asyncio.run(asyncio.wait_for(run(), 60))
