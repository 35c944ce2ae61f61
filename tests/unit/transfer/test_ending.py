"""Every task ends in one outcome."""

from __future__ import annotations

import asyncio

import pytest

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.records import CopyTask, Done, Entry, Failed, GetTask, Outcome, PutTask, SendReason, Task
from s3pp.s3.operations import Oversized
from s3pp.s3.retry import StoreError
from s3pp.transfer.ending import ended

PUT = PutTask(Entry("k", "/src/f", 1, 0), None)
GET = GetTask("p/k", "k", 1, "", "")
COPY = CopyTask("p/k", "q/k", 1, "", "", None)
NAMES = {PUT: ("/src/f", "k"), GET: ("p/k", "k"), COPY: ("p/k", "q/k")}
every_task = pytest.mark.parametrize("task", [PUT, GET, COPY])


def end(task: Task, how: Outcome | BaseException) -> Outcome:
    async def course() -> Outcome:
        await asyncio.sleep(0)
        if isinstance(how, BaseException):
            raise how
        return how

    return asyncio.run(ended(task, course()))


def test_an_outcome_is_the_outcome() -> None:
    done = Done("a", "b", 1, 1, "", SendReason.NEW)
    assert end(GET, done) is done


@every_task
@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ObjectError(FailureKind.CHANGED, "it changed"), FailureKind.CHANGED, "it changed"),
        (StoreError(403, "AccessDenied", "no"), FailureKind.ACCESS, "AccessDenied: no"),
        (RuntimeError("oh"), FailureKind.INTERNAL, "internal error: RuntimeError('oh')"),
        (OSError(5, "disk"), FailureKind.INTERNAL, "internal error: OSError(5, 'disk')"),
        (MemoryError(), FailureKind.INTERNAL, "internal error: MemoryError()"),
        (Oversized(), FailureKind.INTERNAL, "internal error: Oversized()"),
    ],
)
def test_an_error_is_a_failure_of_its_task(
    task: Task, error: Exception, kind: FailureKind, message: str
) -> None:
    assert end(task, error) == Failed(*NAMES[task], kind, message)


@every_task
def test_what_ends_the_run_is_raised(task: Task) -> None:
    with pytest.raises(FatalError, match="no room"):
        end(task, FatalError("no room"))


def test_a_task_that_is_cancelled_has_no_outcome() -> None:
    with pytest.raises(asyncio.CancelledError):
        end(GET, asyncio.CancelledError())
