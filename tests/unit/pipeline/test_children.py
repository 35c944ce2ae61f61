"""Children: named, deaf to the terminal, and never left behind."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from s3pp.errors import FatalError, start_failure
from s3pp.pipeline.child import Child, start_context
from s3pp.pipeline.messages import Fatal, Heartbeat, Notice
from s3pp.pipeline.pipes import MessageReader, MessageWriter

TOP = Path(__file__).parents[3]
METHODS = pytest.mark.parametrize(
    "method", ["spawn"] if sys.platform != "linux" else ["fork", "spawn"]
)

# A supervisor that starts one child of each role, says who they are, and waits to be killed.
SUPERVISOR = """
import os, signal, sys, time
from s3pp.job import Job
from s3pp.output import Output
from s3pp.speed import Speed
from s3pp.places import Place, Side, Source
from s3pp.pipeline.child import Child, start_context
from s3pp.pipeline.messages import Heartbeat, Notice, Setup
from s3pp.s3.congestion import Feedback
from s3pp.pipeline.statter import run_statter
from s3pp.pipeline.walker import run_walker
from s3pp.pipeline.worker import run_worker
from s3pp.s3.endpoint import Endpoint, Opened

JOB = Job("put", (Source("/src"),), Place("bucket"), output=Output(verbosity=-2, progress=False))
OPENED = Opened(Endpoint("http", "127.0.0.1:9", "/b", "us-east-1", "b"), None, None, False)

def echo(inbox, outbox):
    while (message := inbox.receive()) is not None:
        outbox.send(message)

def heard(child):
    os.set_blocking(child.inbox.fd, True)
    return child.inbox.receive()

def main():
    children = []
    for name, role, arguments in [
        ("statter", run_statter, (JOB, time.monotonic())),
        ("walker", run_walker, ("/tmp", None)),
        ("putter 1", run_worker, ()),
        ("putter 2", run_worker, ()),
        ("echo", echo, ()),
    ]:
        child = Child(name, role, context=start_context(sys.argv[1]), arguments=arguments)
        child.start(tuple(fd for each in children for fd in each.descriptors))
        children.append(child)
    ready, speaker = children[2], children[4]  # the other putter still waits to be set up
    ready.outbox.send(Setup(JOB, {Side.DEST: OPENED}))
    assert {type(heard(ready)), type(heard(ready))} == {Heartbeat, Feedback}
    speaker.outbox.send(Notice("one"))
    assert heard(speaker).text == "one"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(speaker.process.pid, number)
    speaker.outbox.send(Notice("two"))
    assert heard(speaker).text == "two"
    print(*(child.process.pid for child in children), flush=True)
    signal.pause()

if __name__ == "__main__":
    main()
"""


def title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ")


def ended(pid: int, seconds: float = 5.0) -> bool:
    """Wait for the end of a process that need not be a child of ours."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], seconds)[0])
    finally:
        os.close(fd)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@METHODS
def test_children_are_named_and_end_with_their_supervisor(method: str, tmp_path: Path) -> None:
    (tmp_path / "supervisor.py").write_text(SUPERVISOR)
    supervisor = subprocess.Popen(
        [sys.executable, str(tmp_path / "supervisor.py"), method],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )
    pids: list[int] = []
    try:
        assert supervisor.stdout is not None
        pids += map(int, supervisor.stdout.readline().split())
        titles = [title(pids[at]) for at in (2, 4)]
        assert titles == ["s3pp: putter 1", "s3pp: echo"]
        supervisor.kill()
        supervisor.wait()
        assert all(ended(pid) for pid in pids)
    finally:
        supervisor.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        supervisor.communicate()


# One child, from the supervisor's side; roles are here, where a spawned child finds them


def echo(inbox: MessageReader, outbox: MessageWriter) -> None:
    while (message := inbox.receive()) is not None:
        outbox.send(message)


def broken(inbox: MessageReader, outbox: MessageWriter) -> None:
    raise ValueError("a defect")


def fatally(inbox: MessageReader, outbox: MessageWriter) -> None:
    raise FatalError("the disk is full")


@contextmanager
def child(role: Callable[..., None], method: str = "fork", *arguments: Any) -> Iterator[Child]:
    started = Child("role", role, context=start_context(method), arguments=arguments)
    started.start(())
    os.set_blocking(started.inbox.fd, True)
    try:
        yield started
    finally:
        started.kill()
        started.close()


@METHODS
def test_messages_go_there_and_back(method: str) -> None:
    with child(echo, method) as here:
        for at in range(3):
            sent = Notice(str(at) * 1000)
            here.outbox.send(sent)
            assert here.inbox.receive() == sent


@METHODS
def test_what_a_role_raises_ends_the_run_in_one_line(method: str) -> None:
    for role, message in [
        (broken, "internal error in role: ValueError: a defect"),
        (fatally, "the disk is full"),
    ]:
        with child(role, method) as here:
            assert here.inbox.receive() == Fatal(message)
            assert here.inbox.receive() is None
            here.process.join(20)
            assert here.how_it_ended() == "ended with code 1"


def test_a_child_that_is_killed_says_so() -> None:
    with child(echo) as here:
        here.kill()
        assert here.how_it_ended() == "was killed (SIGKILL)"
        assert here.inbox.receive() is None
        here.outbox.send(Heartbeat())  # to nobody, and no error


def test_a_child_ends_well_when_its_role_does() -> None:
    with child(echo) as here:
        here.close()
        here.process.join(20)
        assert here.how_it_ended() == "ended with code 0"


def test_killing_twice_is_no_error() -> None:
    with child(echo) as here:
        here.kill()
        here.kill()


def test_the_signals_are_as_before_once_a_child_is_started() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with child(echo):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_starting_and_ending_children_leaks_no_descriptors() -> None:
    with child(echo):
        pass
    before = len(os.listdir("/dev/fd"))
    for _ in range(3):
        with child(echo) as here:
            here.process.join(0)
        here.process.close()
    assert len(os.listdir("/dev/fd")) == before


def test_the_start_method_is_chosen() -> None:
    assert start_context("spawn").get_start_method() == "spawn"
    expected = "fork" if sys.platform == "linux" else "spawn"
    assert start_context("auto").get_start_method() == expected


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.EAGAIN, "no more processes are allowed: raise ulimit -u, or lower --processes"),
        (errno.ENOMEM, "out of memory: raise ulimit -v"),
        (errno.EMFILE, "too many open files: raise ulimit -n"),
        (errno.EPERM, "Operation not permitted"),
    ],
)
def test_what_keeps_a_process_from_starting_names_the_limit(number: int, told: str) -> None:
    assert start_failure(OSError(number, os.strerror(number))).startswith(told)
