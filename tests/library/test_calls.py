"""The functions of the library against a server: what they return, tell and raise."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import pickle
import re
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import s3pp
from commands import Run
from conftest import MakeRelay, Tree
from forked import server
from library.conftest import descendants, reached
from s3pp.library import process
from s3pp.library.result import MOST_KEPT
from stores.relay import Answer, Request
from stores.store import Bucket

FILES = {"a.txt": b"alpha", "d/b.bin": b"beta" * 100, "c": b""}
SIZE = sum(map(len, FILES.values()))


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Check that a test leaves neither processes nor descriptors."""
    server()  # which stays, and may not have been needed yet
    gc.collect()
    before, open_before = descendants(os.getpid()), pipes()
    yield
    gc.collect()
    assert descendants(os.getpid()) <= before
    assert pipes() == open_before


def pipes() -> set[str]:
    """The pipes that this process has open."""
    found = set()
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(os.readlink(fd))
    return {each for each in found if each.startswith("pipe:")}


pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_plan_is_made_and_applied(moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    at, plan = reached(moto_bucket.store), tmp_path / "plan"
    planned = s3pp.put(tree(FILES), moto_bucket.url, plan=plan, **at)
    assert (planned.dry_run, planned.done, planned.reasons[0].reason) == (True, 3, "new")
    assert moto_bucket.keys() == []
    applied = s3pp.apply(plan, **at)
    assert (applied.verb, applied.done, applied.dry_run) == ("apply", 3, False)
    assert len(moto_bucket.keys()) == 3


def test_each_verb_returns_what_came_of_it(moto_bucket: Bucket, tree: Tree, tmp_path: Path) -> None:
    at, url, src = reached(moto_bucket.store), moto_bucket.url, tree(FILES)
    put = s3pp.put([src / "a.txt", src / "d", str(src / "c")], f"{url}/p/", **at)
    assert (put.status, put.ok, put.verb) == (s3pp.ExitStatus.OK, True, "put")
    assert (put.listed, put.done, put.skipped, put.failed) == (3, 3, 0, 0)
    assert (put.bytes, put.sent) == (SIZE, SIZE)
    assert 0 < put.seconds < 60
    assert put.requests >= 3
    assert put.check() is put
    assert pickle.loads(pickle.dumps(put)) == put
    assert sorted(moto_bucket.keys()) == ["p/a.txt", "p/b.bin", "p/c"]

    copy = s3pp.copy(f"{url}/p", f"{url}/q", tag={"k": "v"}, **at)
    assert (copy.done, copy.bytes) == (3, SIZE)
    assert moto_bucket.tags("q/c") == {"k": "v"}

    got = s3pp.get(f"{url}/p", tmp_path / "got", newer_than=timedelta(days=1), **at)
    assert (got.done, got.bytes) == (3, SIZE)
    assert (tmp_path / "got" / "a.txt").read_bytes() == b"alpha"
    again = s3pp.get(f"{url}/p", tmp_path / "got", exclude="c", **at)
    assert (again.done, again.skipped) == (0, 2)

    names: dict[str, str | Path] = {"new/A": src / "a.txt", "tree": src / "d"}
    assert s3pp.put(names, f"{url}/named", **at).done == 2
    assert moto_bucket.get("named/new/A") == b"alpha"
    assert moto_bucket.get("named/tree/b.bin") == FILES["d/b.bin"]
    renamed = s3pp.get({"one": f"{url}/p/a.txt", "two": f"{url}/named/tree"}, tmp_path / "n", **at)
    assert renamed.done == 2
    assert (tmp_path / "n" / "one").read_bytes() == b"alpha"
    assert (tmp_path / "n" / "two" / "b.bin").exists()
    both = [f"{url}/named/tree", f"{url}/p"]
    assert s3pp.copy(both, f"{url}/all/", files_from=None, exclude="b.bin", **at).done == 2
    (tmp_path / "x").mkdir()
    chosen = s3pp.get(f"{url}/p", tmp_path / "x", files_from=["c", "missing"], **at)
    assert (chosen.done, [each.key for each in chosen.failures]) == (1, ["p/missing"])

    moto_bucket.client.create_multipart_upload(Bucket=moto_bucket.name, Key="p/large")
    del at["processes"]
    clean = s3pp.clean(f"{url}/p", older_than=datetime.now(timezone.utc), **at)
    assert (clean.verb, clean.done) == ("clean", 1)
    with s3pp.list(f"{url}/p", **at) as found:
        first, *others = found
    assert first == s3pp.S3Object(
        moto_bucket.name, "p/a.txt", 5, moto_bucket.head("p/a.txt")["ETag"].strip('"'),
        first.modified, "STANDARD",
    )  # fmt: skip
    assert first.url == f"{url}/p/a.txt"
    assert first.modified is not None
    assert abs(datetime.now(timezone.utc) - first.modified) < timedelta(minutes=5)
    assert [each.key for each in others] == ["p/b.bin", "p/c"]
    assert found.result is not None
    assert (found.result.done, found.result.bytes) == (3, SIZE)
    assert 1 <= found.result.requests <= 3
    assert list(found) == []


def test_events_are_the_records_of_json(
    moto_bucket: Bucket, tree: Tree, s3pp: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import s3pp as library

    src = tree(FILES)
    os.mkfifo(src / "fifo")
    (src / "broken").symlink_to("nowhere")
    events: list[dict[str, Any]] = []
    threads: set[int] = set()

    def on_event(event: dict[str, Any]) -> None:
        threads.add(threading.get_ident())
        events.append(event)

    log = tmp_path / "log"
    at = reached(moto_bucket.store)
    result = library.put(
        src, f"{moto_bucket.url}/p", dry_run=True, on_event=on_event, log_file=log, **at
    )
    command = ("put", "-n", "--json", "-P2", src, f"{moto_bucket.url}/p")
    printed = s3pp(*command, store=moto_bucket.store).events
    for event in (*events, *printed):
        event.pop("seconds", None)
    assert sorted(map(repr, events)) == sorted(map(repr, printed))
    assert events[-1]["event"] == "summary"
    assert threads == {threading.get_ident()}
    assert (result.status, result.dry_run, result.failed, result.skipped) == (1, True, 1, 1)
    assert sum(each.objects for each in result.reasons) == result.listed
    assert {each.action for each in result.reasons} >= {"skip", "fail"}
    assert (result.bytes, result.sent) == (SIZE, 0)
    (failure,) = result.failures
    assert failure.kind is library.FailureKind.NOT_FOUND
    assert failure.key == "p/broken"
    lines = [line.split()[1:3] for line in log.read_text().splitlines()]
    assert sorted(lines) == [
        ["ERROR", "put"],
        *[["INFO", "put"]] * 3,
        ["INFO", "would"],
        ["WARNING", "skip"],
    ]
    with pytest.raises(library.RunFailed, match="put: 1 of 5 objects failed, the") as raised:
        result.check()
    assert pickle.loads(pickle.dumps(raised.value)).result == result


def caller() -> dict[str, Any]:
    """What a caller has that a call must leave as it is."""
    return {
        "handlers": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "wakeup": wakeup_fd(),
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        "loggers": {
            name: (getattr(each, "level", None), list(getattr(each, "handlers", ())))
            for name, each in logging.root.manager.loggerDict.items()
        },
        "root": (logging.root.level, list(logging.root.handlers)),
        "filters": list(warnings.filters),
        "environ": dict(os.environ),
        "cwd": os.getcwd(),
        "umask": mask(),
        "threads": set(threading.enumerate()),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "gc": gc.get_threshold(),
        "path": list(sys.path),
    }


def wakeup_fd() -> int:
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd)
    return fd


def mask() -> int:
    found = os.umask(0o22)
    os.umask(found)
    return found


def test_the_caller_stays_as_it_was(
    moto_bucket: Bucket, tree: Tree, capfd: pytest.CaptureFixture[str]
) -> None:
    src, at, url = tree(FILES), reached(moto_bucket.store), moto_bucket.url
    before = caller()
    s3pp.put(src, url, on_event=lambda _: None, verify_ssl=False, **at)
    with pytest.raises(s3pp.UsageError):
        s3pp.put("/nonexistent", url, **at)
    assert list(s3pp.list(url, endpoint_url=at["endpoint_url"], credentials=at["credentials"]))
    assert caller() == before
    assert capfd.readouterr() == ("", "")


def test_in_a_thread_and_while_a_loop_runs(moto_bucket: Bucket, tree: Tree) -> None:
    src, at, url = tree(FILES), reached(moto_bucket.store), moto_bucket.url

    async def notebook() -> list[s3pp.RunResult]:
        beside = asyncio.create_task(asyncio.to_thread(s3pp.put, src, f"{url}/thread", **at))
        await asyncio.sleep(0)
        return [s3pp.put(src, f"{url}/loop", **at), await beside]

    assert [each.done for each in asyncio.run(notebook())] == [3, 3]
    assert len(moto_bucket.keys()) == 6


def test_failures_are_counted_and_the_first_are_named(
    moto_bucket: Bucket, tree: Tree, tmp_path: Path
) -> None:
    (names := tmp_path / "names").write_text("".join(f"n{n}\n" for n in range(MOST_KEPT + 3)))
    src, at = tree(FILES), reached(moto_bucket.store)
    result = s3pp.put(src, moto_bucket.url, files_from=names, **at)
    assert (result.status, result.failed, result.done) == (1, MOST_KEPT + 3, 0)
    assert len(result.failures) == MOST_KEPT
    assert not result.ok


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        ("put('/nonexistent', URL)", "UsageError", "SOURCE '/nonexistent' does .*"),
        ("put('.', 's3://no-such-bucket-here')", "UsageError", ".*no-such-bucket-here.*"),
        ("get(URL, '-')", "UsageError", "'-' is a standard stream, .*"),
        ("put('.', 'bucket')", "UsageError", "destination 'bucket' is not of the form s3://.*"),
        ("put([], URL)", "UsageError", "put needs a SOURCE and a destination.*"),
        ("put('.', URL, files_from='-')", "UsageError", "files_from: '-' .*"),
        ("put('.', URL, ca_bundle='/dev/null')", "UsageError", "ca_bundle '/dev/null' .*"),
        ("get(URL, '.', credentials=('no', 'no'), sign_request=False)", "UsageError", "credent.*"),
        ("put(b'.', URL)", "TypeError", "sources must be a path, not b'.': os.fsdecode .*"),
        ("put({'': '.'}, URL)", "UsageError", "SOURCE '.': its name is empty.*"),
        ("put('.', 5)", "TypeError", "dest must be text, s3://.*, not 5"),
        ("put({1: '.'}, URL)", "TypeError", "the name of a source must be text, not 1"),
        ("put('.', URL, on_event=1)", "TypeError", "on_event must be a function, not 1"),
        ("put('.', URL, tags=1)", "TypeError", r"put\(\) got an unexpected .* mean 'tag'\?"),
        ("put('.', URL, processes=2000)", "UsageError", "processes: '2000' is not .*"),
    ],
)
def test_what_cannot_begin_raises(moto_bucket: Bucket, call: str, error: str, message: str) -> None:
    at = reached(moto_bucket.store)
    given = {"URL": moto_bucket.url, **vars(s3pp), "put": s3pp.put, "get": s3pp.get}
    at = {name: value for name, value in at.items() if f"{name}=" not in call}
    kinds = {"TypeError": TypeError, "UsageError": s3pp.UsageError}
    with pytest.raises(kinds[error]) as raised:
        eval(f"{call[:-1]}, **at)", given | {"at": at})
    assert re.fullmatch(message, str(raised.value)), str(raised.value)
    assert moto_bucket.keys() == []


def test_a_listing_is_closed_half_way(moto_bucket: Bucket) -> None:
    moto_bucket.fill({f"k{n:05d}": b"" for n in range(1100)})
    at = reached(moto_bucket.store)
    del at["processes"]
    before = descendants(os.getpid())
    for found in s3pp.list(moto_bucket.url, **at):
        assert found.key == "k00000"
        break
    assert descendants(os.getpid()) <= before, "by the garbage collector"
    with s3pp.list(moto_bucket.url, **at) as listing:
        assert next(listing).key == "k00000"
        assert descendants(os.getpid()) > before
    assert descendants(os.getpid()) <= before
    assert next(listing, None) is None
    assert listing.result is None
    assert sum(1 for _ in s3pp.list(moto_bucket.url, limit=1050, **at)) == 1050


def test_a_listing_is_closed_while_another_thread_reads(
    moto_bucket: Bucket, relay: MakeRelay
) -> None:
    asked, gate = threading.Event(), threading.Event()

    def hold(request: Request) -> Answer | None:
        asked.set()
        gate.wait(60)
        return None

    at = reached(moto_bucket.store) | {"endpoint_url": relay(moto_bucket.store, intercept=hold).url}
    del at["processes"]
    listing = s3pp.list(moto_bucket.url, **at)
    found: list[object] = []

    def read() -> None:
        try:
            found.extend(listing)
        except s3pp.S3ppError as error:
            found.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    assert asked.wait(30)
    listing.close()
    reader.join(30)
    gate.set()
    assert not reader.is_alive()
    assert (found, next(listing, None), listing.result) == ([], None, None)


def test_a_listing_that_misses_something_raises_at_its_end(
    moto_bucket: Bucket, tmp_path: Path
) -> None:
    moto_bucket.put("p/a", b"1")
    (names := tmp_path / "names").write_text("a\nb\n")
    at = reached(moto_bucket.store)
    del at["processes"]
    listing = s3pp.list(f"{moto_bucket.url}/p", files_from=names, **at)
    assert next(listing).key == "p/a"
    with pytest.raises(s3pp.RunFailed) as raised:
        next(listing)
    (failure,) = raised.value.result.failures
    assert (failure.key, failure.kind) == ("p/b", s3pp.FailureKind.NOT_FOUND)
    assert listing.result is raised.value.result
    with pytest.raises(s3pp.UsageError, match="no-such-bucket-here"):
        next(s3pp.list("s3://no-such-bucket-here", **at))


@pytest.mark.swift
def test_wrong_credentials_raise_and_are_not_shown(swift_bucket: Bucket, tree: Tree) -> None:
    at = {**reached(swift_bucket.store), "credentials": ("nobody", "a-secret-of-nobody")}
    with pytest.raises(s3pp.FatalError) as raised:
        s3pp.put(tree(FILES), swift_bucket.url, **at)
    assert "credentials" in str(raised.value)
    assert "nobody" not in str(raised.value)


class Refusal(Exception):
    """What a caller's function raises."""


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt, pytest.param(Refusal, marks=pytest.mark.thorough)]
)
def test_what_on_event_raises_ends_the_run_and_is_raised(
    moto_bucket: Bucket, tree: Tree, error: type[BaseException]
) -> None:
    calls = []

    def refuse(event: dict[str, Any]) -> None:
        calls.append(event)
        raise error

    src = tree({f"f{n:04d}": b"x" for n in range(2000)})
    with pytest.raises(error):
        s3pp.put(src, moto_bucket.url, on_event=refuse, concurrency=2, **reached(moto_bucket.store))
    assert len(calls) == 1
    assert 1 <= len(moto_bucket.keys()) < 2000


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "a run cannot start: '' is not a Python interpreter; name a Python interpreter"),
        ("/nonexistent/python", "a run cannot start: No such file or directory"),
        ("/bin/true", "a run cannot start: '/bin/true' ended with code 0; name a Python"),
        ("/bin/echo", "a run cannot start: '/bin/echo' ended with code 0; name a Python"),
    ],
)
def test_an_interpreter_that_is_none(
    moto_bucket: Bucket, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.delitem(sys.modules, "multiprocessing.spawn", raising=False)
    monkeypatch.setattr(sys, "executable", path)
    with pytest.raises(s3pp.FatalError, match=re.escape(message)):
        s3pp.put(".", moto_bucket.url, **reached(moto_bucket.store))


def test_a_frozen_program_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "multiprocessing.spawn", raising=False)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(s3pp.FatalError, match="is not a Python interpreter"):
        process.executable()


def test_a_run_that_is_killed_raises(moto_bucket: Bucket, tree: Tree) -> None:
    before = descendants(os.getpid())

    def kill(_: dict[str, Any]) -> None:
        for pid in descendants(os.getpid()) - before:
            if os.getsid(pid) == pid:  # the process of the run leads its session
                os.kill(pid, signal.SIGKILL)

    src = tree({f"f{n:03d}": b"x" for n in range(200)})
    with pytest.raises(s3pp.FatalError, match=r"was killed \(SIGKILL\): what was done is unknown"):
        s3pp.put(src, moto_bucket.url, on_event=kill, concurrency=2, **reached(moto_bucket.store))
