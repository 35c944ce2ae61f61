"""Faults while an object is written to standard output: what was written cannot be taken back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from commands import Start
from faults.test_get_large import ANY, BODY, ONE, OTHER, RANGES, Without
from faults.trials import FAST
from stores.fault_actions import Call, Gate, Reset, Rewrite, Status, Truncate, chain, flipped
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Bucket, Store

FLIP = Rewrite(flipped)
INCOMPLETE = "discard what was written to standard output"


class Got:
    """A get to standard output through the fault proxy."""

    def __init__(self, store: Store, proxy: FaultProxy, start: Start, root: Path) -> None:
        self.bucket = store.bucket()
        self.proxy = proxy
        self._store = replace(store, url=proxy.url)
        self._start = start
        self._journal, self._written = root / "journal", root / "written"

    def start(self, *options: str, key: str = "large", **settings: Any) -> Any:
        place = f"{self.bucket.url}/{key}"
        named = ("get", *FAST, *options, f"--journal={self._journal}", place, "-")
        return self._start(*named, store=self._store, **settings)

    def run(self, *options: str, key: str = "large") -> tuple[int, bytes, str, dict[str, Any]]:
        """The exit code, what was written, stderr, and the last outcome of the journal."""
        with self._written.open("wb") as written:
            result = self.start(*RANGES, *options, key=key, stdout=written).wait()
        events = [json.loads(line) for line in self._journal.read_text().splitlines()]
        outcome = next(e for e in events[::-1] if e["event"] in ("done", "failed", "summary"))
        if outcome["event"] == "summary":
            outcome = next(e for e in events[::-1] if e["event"] in ("done", "failed"))
        return result.code, self._written.read_bytes(), result.err, outcome


@pytest.fixture
def got(
    moto: Store, make_proxy: Callable[[Store], FaultProxy], s3pp_start: Start, tmp_path: Path
) -> Got:
    return Got(moto, make_proxy(moto), s3pp_start, tmp_path)


def parts(bucket: Bucket) -> None:
    each = 5 << 20
    bucket.put_multipart("large", BODY[:each], BODY[each : 2 * each], BODY[2 * each :])


@pytest.mark.parametrize("how", ["parts", "md5"])
def test_broken_ranges_are_fetched_again_from_the_same_object(got: Got, how: str) -> None:
    parts(got.bucket) if how == "parts" else got.bucket.put("large", BODY)
    got.proxy.inject(
        Rule(Status(503, "SlowDown"), "GET", "/large$", header=ANY, times=2),
        Rule(Truncate(), "GET", "/large$", header=ONE, times=1),
        Rule(Reset(), "GET", "/large$", header=ANY, times=1),
    )
    code, written, err, outcome = got.run()
    assert (code, written) == (0, BODY)
    assert err.startswith(f"get {len(BODY)} bytes in 1 files")
    assert outcome["event"] == "done"
    hits = got.proxy.hits("GET", "/large$")
    etag = got.bucket.head("large")["ETag"]
    assert {hit.request.header("if-match") for hit in hits} == {etag}


@pytest.mark.parametrize("how", ["parts", "md5"])
def test_wrong_bytes_end_with_an_error(got: Got, how: str) -> None:
    parts(got.bucket) if how == "parts" else got.bucket.put("large", BODY)
    got.proxy.inject(Rule(FLIP, "GET", "/large$", header=ONE))
    code, written, err, outcome = got.run()
    assert (code, outcome["kind"], len(written)) == (1, "integrity", len(BODY))
    assert INCOMPLETE in err


def test_small_ones_are_verified_before_they_are_written(got: Got) -> None:
    got.bucket.put("large", b"small")
    got.proxy.inject(Rule(FLIP, "GET", "/large$", times=1))
    assert got.run()[:2] == (0, b"small")
    got.proxy.inject(Rule(FLIP, "GET", "/large$"))
    code, written, err, outcome = got.run()
    assert (code, written, outcome["kind"]) == (1, b"", "integrity")
    assert INCOMPLETE not in err


def test_an_object_that_is_replaced_is_not_mixed(got: Got) -> None:
    got.bucket.put("large", BODY)
    replace_it = Call(lambda _: got.bucket.put("large", OTHER))
    got.proxy.inject(Rule(replace_it, "GET", "/large$", header="^range: bytes=0-", times=1))
    assert got.run()[:2] == (0, OTHER), "nothing was written yet, so that it can be begun again"
    got.bucket.put("large", BODY)
    got.proxy.inject(Rule(replace_it, "GET", "/large$", header=ONE, times=1))
    code, written, err, outcome = got.run("--concurrency=1")
    assert (code, outcome["kind"]) == (1, "changed")
    assert written == BODY[: 5 << 20]
    assert INCOMPLETE in err


def test_a_store_without_ranges_gives_the_whole_by_one_request(got: Got) -> None:
    got.bucket.put("large", BODY)
    got.proxy.inject(Rule(Without("range"), "GET", "/large$", header=ANY))
    assert got.run()[:2] == (0, BODY)
    plain = [h for h in got.proxy.hits("GET", "/large$") if not h.request.header("range")]
    assert len(plain) == 1
    got.proxy.inject(Rule(chain(Without("range"), FLIP), "GET", "/large$"))
    code, written, _, outcome = got.run()
    assert (code, written, outcome["kind"]) == (1, b"", "integrity"), "verified before"


def test_refusals(got: Got) -> None:
    got.bucket.put("large", BODY)
    got.proxy.inject(Rule(Status(403, "AccessDenied"), "GET|HEAD", "/large$"))
    code, written, err, _ = got.run()
    assert (code, written) == (3, b"")
    assert "AccessDenied" in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_nobody_reads(got: Got, number: signal.Signals) -> None:
    got.bucket.put("large", BODY)
    running = got.start(*RANGES, stdout=subprocess.PIPE)
    assert running.popen.stdout is not None
    os.read(running.popen.stdout.fileno(), 1)  # it writes, and waits for us
    running.signal(number)
    result = running.wait(20)
    assert result.code == 128 + number
    assert "not finished, and cannot be resumed" in result.err
    assert "1 not attempted" in result.err.splitlines()[-1]


def test_a_signal_while_the_store_is_silent(got: Got) -> None:
    got.bucket.put("large", BODY)
    got.proxy.inject(Rule(Gate(), "GET", "/large$"))
    running = got.start(*RANGES)
    got.proxy.wait_for(2, "GET")
    running.signal(signal.SIGINT)
    assert running.wait(20).code == 130
