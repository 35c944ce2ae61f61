"""Programs that call the library: what they need not have, and how they may end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from commands import ROOT, Running, title
from conftest import MakeRelay, Tree
from library.conftest import Script, descendants, wait_until_gone
from stores.relay import Answer, Relay, Request
from stores.store import Bucket, Store

MANY = {f"f{n:03d}": b"x" for n in range(100)}
IN_FLIGHT = 4


def test_importing_costs_nothing() -> None:
    """Every process of a run imports the package."""
    code = "import sys, s3pp; print([m for m in sys.modules if m[:4] == 's3pp'], dir(s3pp))"
    out = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    ).stdout
    assert out.startswith("['s3pp'] ")
    assert "'put'" in out


UNFRIENDLY = """
import os, resource, signal, sys, threading
out = os.open({report!r}, os.O_WRONLY | os.O_CREAT)
for fd in (0, 1, 2):
    os.close(fd)
sys.stdin = sys.stdout = sys.stderr = None
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
many = 3000 if hard < 0 or hard > 3100 else hard - 100
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
open_files = [os.dup(out) for _ in range(many)]
for fd in (0, 1, 2):
    os.close(fd)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGALRM])
os.environ["PYTHONIOENCODING"] = "utf-16"
threading.Thread(target=threading.Event().wait, daemon=True).start()
result = s3pp.put({src!r}, {url!r}, start_method={method!r}, **keywords)
del keywords["processes"]
keys = [each.key for each in s3pp.list({url!r}, **keywords)]
os.write(out, f"{{result.status}} {{result.done}} {{len(keys)}}".encode())
"""


@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.thorough)])
def test_a_process_with_nothing_of_what_others_have(
    script: Script, moto_bucket: Bucket, tree: Tree, tmp_path: Path, method: str
) -> None:
    """Without a guard, streams and defaults, with threads and more files than ``select`` takes."""
    src, report = tree({"a": b"1", "b": b"2"}), tmp_path / "report"
    text = UNFRIENDLY.format(report=str(report), src=str(src), url=moto_bucket.url, method=method)
    end = script(text, store=moto_bucket.store).wait()
    assert (end.code, end.out, end.err) == (0, "", "")
    assert report.read_text() == "0 2 2"


def test_files_beside_a_script_are_not_taken_for_modules(
    script: Script, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """A run needs more modules than its caller."""
    for name in ("asyncio", "random", "email", "xml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong one')")
    text = f"print(s3pp.put({str(tree(MANY))!r}, {moto_bucket.url!r}, **keywords).done)"
    assert script(text, store=moto_bucket.store).wait().out == "100\n"


class Held:
    """A store that answers no PUT before ``gate`` is set."""

    def __init__(self, store: Store, relay: MakeRelay) -> None:
        self.gate = threading.Event()
        self.puts = threading.Semaphore(0)
        self.relay: Relay = relay(store, intercept=self._hold)
        self.store = Store("moto", self.relay.url, store.access_key, store.secret_key, False)

    def _hold(self, request: Request) -> Answer | None:
        if request.method == "PUT":
            self.puts.release()
            self.gate.wait(60)
        return None

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self.puts.acquire(timeout=30), "the requests do not come"


@pytest.fixture
def held(moto: Store, relay: MakeRelay) -> Iterator[Held]:
    made = Held(moto, relay)
    yield made
    made.gate.set()


INTERRUPTED = """
import json, sys, time
def show(event):
    print(json.dumps(event), flush=True)
    time.sleep({slow})
try:
    keywords |= dict(concurrency={most}, read_timeout=50, log_file={log!r}, on_event=show)
    s3pp.put({src!r}, {url!r}, **keywords)
except KeyboardInterrupt:
    print(json.dumps({{"event": "interrupted"}}), flush=True)
    raise SystemExit(0)
"""


def start(
    script: Script, held: Held, bucket: Bucket, tree: Tree, *, log: str = "log", slow: float = 0
) -> Running:
    """A run that has all the requests in flight that it may, none of which gets an answer.

    What it does with an event takes ``slow`` seconds.
    """
    words = {"src": str(tree(MANY)), "url": bucket.url, "most": IN_FLIGHT, "log": log}
    text = INTERRUPTED.format(**words, slow=slow)
    no_keys = {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}
    running = script(text, store=held.store, env=no_keys)
    held.wait_for(IN_FLIGHT)
    return running


def events(running: Running, timeout: float = 40.0) -> list[str]:
    """The kinds of the events that a script has shown; its run has left no process."""
    pids = descendants(running.pid)
    end = running.wait(timeout)
    wait_until_gone(pids, 5)
    assert (end.code, end.err) == (0, "")
    return [json.loads(line)["event"] for line in end.lines]


def wait_for(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


WINDING_DOWN = "interrupted: finishing active transfers"


@pytest.mark.parametrize("to_all", [True, pytest.param(False, marks=pytest.mark.thorough)])
def test_an_interrupt_lets_active_transfers_finish(
    script: Script, held: Held, moto_bucket: Bucket, tree: Tree, tmp_path: Path, to_all: bool
) -> None:
    """As of the command; a terminal sends it to all processes of a program."""
    running = start(script, held, moto_bucket, tree, log=str(log := tmp_path / "log"), slow=60)
    (running.signal_group if to_all else running.signal)(signal.SIGINT)
    wait_for(lambda: WINDING_DOWN in log.read_text())
    held.gate.set()
    assert events(running) == ["interrupted"], "no event after it"
    stored = moto_bucket.keys()
    assert IN_FLIGHT <= len(stored) <= 2 * IN_FLIGHT, "a worker may begin one before it hears of it"
    assert log.read_text().count(" put ") >= len(stored)


def test_another_interrupt_stops_at_once(
    script: Script, held: Held, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    running = start(script, held, moto_bucket, tree, log=str(log := tmp_path / "log"))
    running.signal(signal.SIGINT)
    wait_for(lambda: WINDING_DOWN in log.read_text())
    running.signal(signal.SIGINT)
    assert events(running, 10) == ["interrupted"]
    assert moto_bucket.keys() == []


def test_a_caller_that_is_killed_takes_its_run_along(
    script: Script, held: Held, moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    """What is in flight finishes, as after any signal that ends a command."""
    running = start(script, held, moto_bucket, tree, log=str(log := tmp_path / "log"))
    pids = descendants(running.pid)
    assert len(pids) >= 4, "the run, its statter and two workers"
    running.signal(signal.SIGKILL)
    running.popen.wait()
    wait_for(lambda: "hung up: finishing active transfers" in log.read_text())
    held.gate.set()
    wait_until_gone(pids)
    assert IN_FLIGHT <= len(moto_bucket.keys()) <= 2 * IN_FLIGHT


HUNG = """
import os, time
if not os.fork():
    time.sleep(60)
for each in s3pp.list({url!r}, **keywords):
    print(each.key, flush=True)
"""


def test_a_caller_of_a_listing_that_is_killed(
    script: Script, moto: Store, relay: MakeRelay
) -> None:
    """Even where the store does not answer, and another process holds the ends of its pipes."""
    asked, gate = threading.Event(), threading.Event()

    def hold(request: Request) -> Answer | None:
        asked.set()
        gate.wait(60)
        return None

    bucket = moto.bucket()
    slow = relay(moto, intercept=hold)
    store = Store("moto", slow.url, moto.access_key, moto.secret_key, checks_signatures=False)
    text = f"del keywords['processes']\n{HUNG.format(url=bucket.url)}"
    running = script(text, store=store)
    assert asked.wait(30)
    pids = descendants(running.pid)
    assert len(pids) == 2, "the listing, and the sleeper"
    running.signal(signal.SIGKILL)
    running.popen.wait()
    wait_until_gone({pid for pid in pids if title(pid).startswith("s3pp")})
    gate.set()
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_program_may_end_amid_a_listing(script: Script, moto_bucket: Bucket) -> None:
    moto_bucket.fill({f"k{n:05d}": b"" for n in range(1100)})
    text = f"""
import os
del keywords["processes"]
listing = s3pp.list({moto_bucket.url!r}, **keywords)
print(next(listing).key, *os.popen(f"ps -o pid= --ppid {{os.getpid()}}").read().split())
"""
    end = script(text, store=moto_bucket.store).wait()
    key, *pids = end.out.split()
    assert (end.code, end.err, key) == (0, "", "k00000")
    wait_until_gone({*map(int, pids)}, 5)


SHOWN = ("cmdline", "environ")


def test_nothing_of_the_job_is_visible_to_other_users(
    script: Script, held: Held, moto_bucket: Bucket, tree: Tree
) -> None:
    running = start(script, held, moto_bucket, tree)
    pids = descendants(running.pid)
    shown = [Path(f"/proc/{pid}/{name}").read_text() for pid in pids for name in SHOWN]
    held.gate.set()
    assert len(pids) >= 4
    assert any(each.startswith("s3pp: put") for each in shown)
    assert not any(held.store.secret_key in each for each in shown)
    assert events(running).count("done") == len(MANY)
