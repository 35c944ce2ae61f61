"""The walk of a remove: what becomes a task, and how many of them a batch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s3pp.errors import FailureKind
from s3pp.pipeline.messages import TaskBatch
from s3pp.pipeline.walker import STALE_REMOVAL, Batcher
from s3pp.records import DeleteReason, DeleteTask, Failed, Skipped, SkipReason
from s3pp.s3.listing import Listed
from s3pp.transfer.planners import plan_removal

LISTED = Listed("p/a", 5, "etag", "2026-11-20T08:30:00.000Z", "STANDARD")
TASK = DeleteTask("p/a", 5, "etag", LISTED.modified, DeleteReason.SELECTED)


class Outbox:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def send(self, message: object) -> None:
        assert isinstance(message, TaskBatch)
        assert message.deletes
        self.sizes.append(message.objects)


def batcher(outbox: Outbox, times: list[float]) -> Batcher:
    """A batcher whose clock goes by ``times``, of which the last goes on for ever."""
    clock = lambda: times.pop(0) if len(times) > 1 else times[0]  # noqa: E731
    return Batcher(outbox, 2, large=1, clock=clock)  # type: ignore[arg-type]


def test_what_becomes_of_what_was_found() -> None:
    missing = Failed("p/b", "b", FailureKind.NOT_FOUND, "no such object")
    refused = Failed("p/c", "c", FailureKind.ACCESS, "no", "AccessDenied")
    skipped = Skipped("p/d", "d", 1, SkipReason.DONE_EARLIER)
    assert list(plan_removal([LISTED, missing, refused, skipped])) == [
        TASK,
        Skipped("p/b", "p/b", 0, SkipReason.GONE, deleting=True),
        refused._replace(target="p/c", deleting=True),
        skipped,
    ]


@given(st.integers(0, 3500))
def test_batches_are_full(count: int) -> None:
    outbox = Outbox()
    batcher(outbox, [0.0]).send_removals([TASK] * count)
    assert outbox.sizes == [1000] * (count // 1000) + [count % 1000] * (count % 1000 > 0)


def test_none_waits_long() -> None:
    outbox = Outbox()
    times = [0.0, 0.0, STALE_REMOVAL / 2, 2 * STALE_REMOVAL]
    batcher(outbox, times).send_removals([TASK] * 4)
    assert outbox.sizes == [3, 1]
