"""Every task ends in one outcome."""

from __future__ import annotations

import errno

import pytest

from s3pp.errors import FailureKind, FatalError, ObjectError
from s3pp.records import CopyTask, Entry, Failed, GetTask, PutTask, Task
from s3pp.s3.retry import Oversized, StoreError
from s3pp.transfer.errors import failed

PUT = PutTask(Entry("k", "/src/f", 1, 0), None)
GET = GetTask("p/k", "k", 1, "", "")
COPY = CopyTask("p/k", "q/k", 1, "", "", None)
NAMES: dict[Task, tuple[str, str]] = {PUT: ("/src/f", "k"), GET: ("p/k", "k"), COPY: ("p/k", "q/k")}
every_task = pytest.mark.parametrize("task", [PUT, GET, COPY])


@every_task
@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ObjectError(FailureKind.CHANGED, "it changed"), FailureKind.CHANGED, "it changed"),
        (StoreError(403, "AccessDenied", "no"), FailureKind.ACCESS, "AccessDenied: no"),
        (RuntimeError("oh"), FailureKind.INTERNAL, "internal error: RuntimeError: oh"),
        (OSError(5, "disk", "f"), FailureKind.UNREADABLE, "disk: 'f'"),
        (
            OSError(errno.EBADF, "bad"),
            FailureKind.INTERNAL,
            "internal error: OSError: [Errno 9] bad",
        ),
        (
            MemoryError(),
            FailureKind.UNREADABLE,
            "out of memory: raise ulimit -v, or lower --processes and --concurrency",
        ),
        (
            Oversized("http://h"),
            FailureKind.STORE,
            "unreadable answer from http://h: longer than 16777216 bytes",
        ),
    ],
)
def test_an_error_is_a_failure_of_its_task(
    task: Task, error: Exception, kind: FailureKind, message: str
) -> None:
    code = error.code if isinstance(error, ObjectError) else type(error).__name__
    attempts = 1 if isinstance(error, StoreError) else 0  # an answer is one
    assert failed(task, error) == Failed(*NAMES[task], kind, message, code, attempts=attempts)


@every_task
def test_what_ends_the_run_is_raised(task: Task) -> None:
    with pytest.raises(FatalError, match="no room"):
        failed(task, FatalError("no room"))
