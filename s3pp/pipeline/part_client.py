"""The parts of large objects that a worker leads, transferred by any worker."""

from __future__ import annotations

import asyncio

from s3pp.errors import RunEnding
from s3pp.pipeline.large_objects import current_lead
from s3pp.pipeline.messages import PartProgress, PartRequest, PartResult, pickled
from s3pp.pipeline.pipes import MessageWriter
from s3pp.records import PartDone, PartOutcome, PartTask


class PartClient:
    """Requests the transfer of parts, and tracks those that this worker waits for."""

    def __init__(self, outbox: MessageWriter) -> None:
        self._outbox = outbox
        self._number = 0
        self._waiting: dict[int, asyncio.Future[PartOutcome]] = {}
        self._ended = False

    def check(self) -> None:
        """Raise ``RunEnding`` once the run is ending."""
        if self._ended:
            raise RunEnding

    def report(self, size: int) -> None:
        """Report ``size`` bytes that this worker has transferred by itself to the statter."""
        current_lead()(size)
        self._outbox.send(PartProgress(size))

    async def run(self, part: PartTask) -> PartOutcome:
        """Have any worker transfer ``part``. Raises ``RunEnding`` once the run is ending."""
        self.check()
        self._number = number = self._number + 1
        turn = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._outbox.send(PartRequest(number, part.span.size, pickled(part)))
        try:
            count = current_lead()
            outcome: PartOutcome = await turn
            count(part.span.size if isinstance(outcome, PartDone) else 0)
            return outcome
        finally:
            self._waiting.pop(number, None)

    def resolve(self, result: PartResult) -> None:
        """Deliver the result of a part; ignored if the caller no longer waits."""
        turn = self._waiting.get(result.number)
        if turn is not None and not turn.done():
            turn.set_result(result.open())

    def end(self) -> None:
        """End all waiting with ``RunEnding``: no more parts will be transferred."""
        self._ended = True
        for turn in self._waiting.values():
            if not turn.done():
                turn.set_exception(RunEnding())
