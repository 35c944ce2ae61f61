"""A process that has loaded s3pp, and forks the commands of tests: the child of ``forked.py``.

::

    forked.py ──descriptors: request, stdin, stdout, stderr, status──▶ here ──fork──▶ command
        ▲                                                                │
        └── status: the pid, then how it ended; closed when that is read ┘

It imports and runs nothing for a command before it forks, so that no command sees another's state.
It has one thread and no handler of signals. A command that has ended stays a zombie until the
client has read its status, as it does with ``subprocess.Popen``.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import io
import json
import multiprocessing.process
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

import setproctitle

DESCRIPTORS = 5  # with each request
PR_SET_PDEATHSIG = 1
# Not loaded: what starts threads, or is only for processes that execute a program of their own.
NOT_LOADED = ("s3pp.__main__", "s3pp.library", "s3pp.sandbox.server", "s3pp.testing")
# What commands import only when they need it.
ON_DEMAND = (
    "awscrt.checksums",
    "botocore.credentials",
    "botocore.session",
    "uvloop",
)


def load() -> None:
    """Import what any command may, and check that this process can be forked."""
    import s3pp

    names = [each.name for each in pkgutil.walk_packages(s3pp.__path__, "s3pp.")]
    for name in (*names, *ON_DEMAND):
        if not name.startswith(NOT_LOADED):
            with suppress(ImportError):  # of an optional package
                importlib.import_module(name)
    setproctitle.getproctitle()  # finds where titles go: beside the first environment
    threads = len(os.listdir("/proc/self/task"))
    assert threads == 1, f"{threads} threads: what was imported starts some"
    gc.collect()
    gc.freeze()  # a collection would copy the pages of all that is loaded into each command


class Server:
    """Forks commands, and says how they ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._running: dict[int, int] = {}  # pid to the descriptor that shows its end
        self._libc = ctypes.CDLL(None)
        self._pid = os.getpid()

    def serve(self) -> None:
        """Serve until the client is gone; then nothing that was started here survives."""
        self._selector.register(self._control, selectors.EVENT_READ, self._accept)
        try:
            while True:
                for key, _ in self._selector.select():
                    key.data()
        except EOFError:
            for pid in self._running:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)

    def _accept(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self._control, 1, DESCRIPTORS)
        if not data:
            raise EOFError
        request, *streams, status_fd = descriptors
        with os.fdopen(request, "rb") as file:
            command = json.loads(file.read())
        status = socket.socket(fileno=status_fd)
        pid = os.fork()
        if not pid:
            self._become(command, streams, status)
        for each in streams:
            os.close(each)
        self._watch(pid, status)

    def _watch(self, pid: int, status: socket.socket) -> None:
        end = self._running[pid] = os.pidfd_open(pid)
        self._selector.register(end, selectors.EVENT_READ, partial(self._ended, pid, status))
        self._selector.register(status, selectors.EVENT_READ, partial(self._dropped, pid, status))

    def _ended(self, pid: int, status: socket.socket) -> None:
        """Say how a command ended; it is waited for when that has been read."""
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status
        self._selector.unregister(self._running[pid])
        os.close(self._running.pop(pid))
        if status.fileno() < 0:
            os.waitpid(pid, 0)
        else:
            _say(status, code if ended.si_code == os.CLD_EXITED else -code)

    def _dropped(self, pid: int, status: socket.socket) -> None:
        """Wait for a command whose status has been read, or is not wanted any more."""
        self._selector.unregister(status)
        status.close()
        if pid not in self._running:
            os.waitpid(pid, 0)

    def _become(
        self, command: dict[str, Any], streams: list[int], status: socket.socket
    ) -> NoReturn:
        """Be the command: what is left of this process is the modules it has loaded."""
        code = 1
        try:
            self._end_with_server()
            _say(status, os.getpid())  # the leader of a session by now
            _take_over(command, streams)
            code = _run(command["run"])
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)

    def _end_with_server(self) -> None:
        os.setsid()
        self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self._pid:
            os._exit(1)


def _say(status: socket.socket, number: int) -> None:
    with suppress(OSError):  # nobody wants to know
        status.send(b"%d\n" % number)


def _take_over(command: dict[str, Any], streams: list[int]) -> None:
    """Give this process the surroundings of a new one."""
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(command["cwd"])
    here = os.getcwd()
    sys.path[0] = here
    multiprocessing.process.ORIGINAL_DIR = here  # type: ignore[attr-defined]
    os.environ.clear()
    os.environ.update(command["env"])
    sys.orig_argv[:] = [sys.executable, *command["run"], *command["arguments"]]
    sys.argv[:] = ["", *command["arguments"]]
    sys.stdin = _open(0, "r", sys.stdin)
    sys.stdout = sys.__stdout__ = _open(1, "w", sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _open(2, "w", sys.stderr)  # type: ignore[misc]


def _open(descriptor: int, mode: str, before: Any) -> io.TextIOWrapper:
    """Open a standard stream as the interpreter does when it starts; ``before`` is its own."""
    terminal = os.isatty(descriptor)
    binary = open(descriptor, f"{mode}b", closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        binary,
        encoding=before.encoding,
        errors=before.errors,
        newline=None if mode == "r" else "\n",
        line_buffering=terminal or descriptor == 2,
    )


def _run(words: list[str]) -> int:
    """Run a module (``-m NAME``) or a script as ``__main__``; returns the exit code."""
    try:
        if words[0] == "-m":
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv[0] = words[0]
            sys.path[0] = os.path.dirname(words[0])
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    control = socket.socket(fileno=int(sys.argv[1]))
    sys.path[0] = "/"  # the modules of the tests are not for commands
    load()
    Server(control).serve()
