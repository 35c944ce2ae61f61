"""Verifications that meet faults: nothing is called missing or other that is not."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import Argument, Result, Running, as_anybody
from faults.killers import KillClient
from faults.trials import FAST, FEW, Trial
from stores.fault_actions import (
    Action,
    Call,
    Delay,
    Exchange,
    Response,
    Rewrite,
    Status,
    Truncate,
)
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Bucket, Store
from trees import make_tree, read_tree

Make = Callable[[type[Any], Store], Any]
NAMES = [f"{number:02}" for number in range(12)]
LISTING = "list-type=2"


class VerifyTrial(Trial):
    """Files that were put with a journal, and are verified by it, or with their directory."""

    verb = "verify"
    fast = FAST + FEW
    ends = False

    def __init__(self, bucket: Bucket, proxy: FaultProxy, start: Any, root: Path) -> None:
        super().__init__(bucket, proxy, start, root)
        self.directory = root / "dir"
        self.journal = root / "journal.jsonl"

    @property
    def places(self) -> list[Argument]:
        place = f"{self.bucket.url}/p"
        return [self.directory, place] if self.ends else [self.journal]

    def put(self, names: list[str], size: int = 100) -> None:
        """Put files, through the proxy, which has no rules yet."""
        make_tree(self.directory, dict.fromkeys(names, size))
        store = replace(self.bucket.store, url=self.proxy.url)
        options = ("--part-size=5MiB", "--multipart-threshold=5MiB")
        arguments = (*options, f"--journal={self.journal}", self.directory, f"{self.bucket.url}/p")
        assert self._start("put", *arguments, store=store).wait(90).code == 0

    def run(self, *options: str) -> Result:
        return self.end(self.start_plain("--json", *options))

    def end(self, running: Running) -> Result:
        """Wait for the end; nothing may have been changed."""
        before = len(self.proxy.hits("PUT|POST|DELETE"))
        result = running.wait(90)
        assert len(self.proxy.hits("PUT|POST|DELETE")) == before, "a verify writes nothing"
        return result


def verdicts(result: Result) -> dict[str, str]:
    """The verdict on each object, by its key."""
    found: dict[str, str] = {}
    for event in result.events:
        if event["event"] != "summary":
            name = event.get("key", event.get("path", "")).removeprefix("p/")
            assert name not in found, "one verdict for each"
            found[name] = event.get("reason") or event["kind"]
    return found


def all_by(proof: str, names: list[str] = NAMES, **others: str) -> dict[str, str]:
    return dict.fromkeys(names, proof) | others


@pytest.fixture
def verify(make_trial: Make, moto: Store) -> VerifyTrial:
    trial: VerifyTrial = make_trial(VerifyTrial, moto)
    return trial


BOTH = pytest.mark.parametrize("ends", [False, True], ids=["journal", "ends"])


@BOTH
def test_errors_that_pass(verify: VerifyTrial, ends: bool) -> None:
    verify.put(NAMES)
    verify.ends = ends
    verify.inject(
        Rule(Status(503, "SlowDown"), "GET|HEAD", times=3),
        Rule(Status(500, "InternalError"), "GET|HEAD", times=1),
    )
    result = verify.run("--deep")
    assert (result.code, verdicts(result)) == (0, all_by("bytes"))


@BOTH
def test_a_broken_listing_makes_nothing_missing(verify: VerifyTrial, ends: bool) -> None:
    """Whether a page is cut, or says that it is the last and is not, or repeats itself."""
    names = [f"{number:04}" for number in range(1100)]
    verify.put(names, 1)
    verify.ends = ends
    second = "(start-after|continuation-token)="
    verify.inject(Rule(Truncate(), "GET", second, times=1))
    once = verify.run()
    assert (once.code, verdicts(once)) == (0, all_by("size and etag", names))
    verify.inject(Rule(Truncate(), "GET", second))
    always = verify.run()
    assert always.code == 3
    assert "missing" not in {*verdicts(always).values()}
    assert f"list {verify.bucket.url}" in always.err
    verify.inject(Rule(Status(403, "AccessDenied"), "GET", LISTING))
    options = ("--one-way",) if ends else ()
    refused = verify.start_plain("--json", *options, f"--journal={verify.journal}.2").wait(90)
    assert (refused.code, verdicts(refused)) == (0, all_by("size and etag", names))
    assert "each key is checked with HEAD instead" in refused.err


def test_a_listing_that_lacks_an_object_does_not_make_it_missing(verify: VerifyTrial) -> None:
    verify.put(NAMES)

    def drop(body: bytes) -> bytes:
        return re.sub(rb"<Contents><Key>p/03</Key>.*?</Contents>", b"", body, flags=re.DOTALL)

    verify.inject(Rule(Rewrite(drop), "GET", LISTING))
    result = verify.run()
    assert (result.code, verdicts(result)) == (0, all_by("size and etag"))
    assert len(verify.proxy.hits("HEAD", "/p/03$")) == 1


@BOTH
def test_one_object_may_not_be_read(verify: VerifyTrial, ends: bool) -> None:
    verify.put(NAMES)
    verify.ends = ends
    verify.inject(Rule(Status(403, "AccessDenied"), "GET|HEAD", "/p/03$"))
    result = verify.run("--deep")
    wanted = all_by("bytes") | {"03": "access"}
    assert (result.code, verdicts(result)) == (1, wanted)
    text = verify.start_plain("--deep").wait(90)
    assert "/p/03: AccessDenied: " in text.err
    assert ", 11 by bytes, 1 failed" in text.summary


class Flip(Action):
    """Flip a bit of each answer, another one each time unless ``alike``."""

    def __init__(self, *, alike: bool) -> None:
        self.alike = alike
        self.count = 0

    def answer(self, exchange: Exchange) -> Response:
        self.count += 1
        response = exchange.forward()
        at = 7 if self.alike else self.count % 50
        body = bytearray(response.body)
        if body:
            body[at] ^= 1
        return replace(response, body=bytes(body))


@BOTH
def test_bits_that_flip(verify: VerifyTrial, ends: bool) -> None:
    """Once in transit; each time otherwise; and each time alike, which is what the store has."""
    verify.put(NAMES)
    verify.ends = ends
    verify.inject(Rule(Flip(alike=True), "GET", "/p/03$", times=1))
    once = verify.run("--deep")
    assert (once.code, verdicts(once)) == (0, all_by("bytes"))
    for alike, verdict in ((False, "integrity"), (True, "differs")):
        verify.inject(Rule(Flip(alike=alike), "GET", "/p/03$"))
        result = verify.run("--deep")
        assert (result.code, verdicts(result)) == (1, all_by("bytes") | {"03": verdict})


def test_a_large_object_that_is_cut_and_flipped(verify: VerifyTrial) -> None:
    verify.put(["large"], 20 << 20)
    options = ("--deep", "--part-size=5MiB", "--read-timeout=20")
    verify.inject(Rule(Truncate(), "GET", "/p/large$", times=2))
    cut = verify.run(*options)
    assert (cut.code, verdicts(cut)) == (0, {"large": "bytes"})
    verify.inject(Rule(Flip(alike=True), "GET", "/p/large$", times=1))
    flipped = verify.run(*options)
    assert (flipped.code, verdicts(flipped)) == (0, {"large": "bytes"})


def test_an_object_that_is_replaced_meanwhile(verify: VerifyTrial) -> None:
    verify.put(NAMES)
    other = b"x" * 100
    replaced = Call(lambda _: verify.bucket.put("p/03", other))
    verify.inject(Rule(replaced, "GET", "/p/03$", times=1))
    result = verify.run("--deep")
    assert (result.code, verdicts(result)) == (1, all_by("bytes") | {"03": "differs"})


@BOTH
def test_a_worker_that_dies(verify: VerifyTrial, ends: bool) -> None:
    verify.put(NAMES)
    verify.ends = ends
    killer = KillClient(most=2)
    verify.inject(Rule(killer, "GET", "/p/0[37]$"))
    running = verify.start_plain("--json", "--deep")
    killer.running.append(running)
    result = verify.end(running)
    assert killer.deaths >= 1
    assert (result.code, verdicts(result)) == (0, all_by("bytes"))
    assert "replaced, and its tasks are repeated" in result.err


@BOTH
def test_a_signal_ends_it(verify: VerifyTrial, ends: bool) -> None:
    verify.put(NAMES)
    verify.ends = ends
    verify.inject(Rule(Delay(0.3), "GET", "/p/"))
    before = len(verify.proxy.hits("GET"))
    running = verify.start_plain("--json", "--deep", "--concurrency=1")
    verify.proxy.wait_for(before + 4, "GET")  # of which one or two are listings
    running.signal(signal.SIGINT)
    result = verify.end(running)
    assert result.code == 130
    found, end = verdicts(result), result.events[-1]
    assert {*found.values()} <= {"bytes"}
    assert end["done"] == len(found) < len(NAMES)


def test_files_that_cannot_be_read(verify: VerifyTrial) -> None:
    verify.put(NAMES)
    verify.ends = True
    (verify.directory / "03").chmod(0)
    running = verify.start_plain("--json", "--deep", preexec_fn=as_anybody)
    result = verify.end(running)
    assert (result.code, verdicts(result)) == (1, all_by("bytes") | {"03": "unreadable"})
    (verify.directory / "03").chmod(0o600)
    assert len(read_tree(verify.directory)) == len(NAMES)


def test_a_journal_that_is_damaged(verify: VerifyTrial) -> None:
    """Any byte of it: no line is trusted that cannot be, and the exit code is not 0."""
    verify.put(NAMES)
    whole = verify.journal.read_bytes()
    lines = whole.split(b"\n")
    middle = lines[4]
    verify.journal.write_bytes(whole.replace(middle, middle[:60] + b"\0" * 9 + middle[69:]))
    damaged = verify.run()
    assert damaged.code == 1
    lost = json.loads(middle)["key"].removeprefix("p/")
    found = verdicts(damaged)
    assert found.pop(f"{verify.journal}:5") == "undecided"
    assert found == all_by("size and etag", [name for name in NAMES if name != lost])
    verify.journal.write_bytes(b"\n".join(lines[:6]) + b"\n" + lines[6][:40])
    cut = verify.run()
    assert cut.code == 1
    assert "its last run did not come to its end" in cut.out
