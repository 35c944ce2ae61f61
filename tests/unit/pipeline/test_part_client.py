"""What a lead hears of the parts it offers, and of the end of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from s3pp.errors import RunEnding
from s3pp.pipeline.messages import PartProgress, PartRequest, PartResult, pickled
from s3pp.pipeline.part_client import PartClient
from s3pp.records import CopyPart, PartDone, Span


def part(number: int) -> CopyPart:
    return CopyPart("a", "etag", 30, Span(number, 0, 10), "b", "upload")


class Lead:
    """PartClient, and what went to the supervisor."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.client = PartClient(self)  # type: ignore[arg-type]

    def send(self, message: Any) -> None:
        self.sent.append(message)

    async def offer(self, number: int) -> asyncio.Future[Any]:
        turn = asyncio.ensure_future(self.client.run(part(number)))
        await asyncio.sleep(0)
        return turn

    def answer(self, batch: int, number: int) -> None:
        self.client.resolve(PartResult(batch, 10, 1, pickled(PartDone(number, 10, "e"))))


def run(act: Callable[[Lead], Awaitable[None]]) -> None:
    async def main() -> None:
        await act(Lead())

    asyncio.run(main())


def test_a_part_is_offered_and_its_outcome_heard() -> None:
    async def act(lead: Lead) -> None:
        turn = await lead.offer(1)
        (sent,) = lead.sent
        assert (type(sent), sent.objects, sent.open()) == (PartRequest, 1, part(1))
        lead.answer(sent.number, 1)
        assert await turn == PartDone(1, 10, "e")

    run(act)


def test_answers_find_their_way_in_any_order() -> None:
    async def act(lead: Lead) -> None:
        turns = [await lead.offer(number) for number in (1, 2, 3)]
        batches = [message.number for message in lead.sent]
        assert len(set(batches)) == 3
        for at in (2, 0, 1):
            lead.answer(batches[at], at + 1)
        assert [(await turn).number for turn in turns] == [1, 2, 3]

    run(act)


def test_an_answer_nobody_waits_for_is_no_harm() -> None:
    async def act(lead: Lead) -> None:
        turn = await lead.offer(1)
        batch = lead.sent[0].number
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        lead.answer(batch, 1)
        lead.answer(batch + 99, 1)
        turn = await lead.offer(2)
        lead.answer(lead.sent[1].number, 2)
        lead.answer(lead.sent[1].number, 2)
        assert (await turn).number == 2

    run(act)


def test_at_the_end_nobody_waits_and_nothing_is_offered() -> None:
    async def act(lead: Lead) -> None:
        waiting = [await lead.offer(number) for number in (1, 2)]
        lead.client.end()
        for turn in (*waiting, await lead.offer(3)):
            with pytest.raises(RunEnding):
                await turn
        assert len(lead.sent) == 2

    run(act)


def test_whether_to_go_on_is_answered_here() -> None:
    async def act(lead: Lead) -> None:
        lead.client.check()
        lead.client.end()
        with pytest.raises(RunEnding):
            lead.client.check()
        assert lead.sent == []

    run(act)


def test_what_a_lead_moves_by_itself_is_told_even_at_the_end() -> None:
    async def act(lead: Lead) -> None:
        lead.client.report(10)
        lead.client.end()
        lead.client.report(7)
        assert lead.sent == [PartProgress(10), PartProgress(7)]

    run(act)
