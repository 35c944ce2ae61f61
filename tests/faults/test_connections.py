"""Connections that break, and answers that never come. Rows 6-8 of the catalogue."""

from __future__ import annotations

import json
import time

from faults.accounting import check_all_done
from faults.trials import GetTrial, PutTrial
from stores.fault_actions import Call, Drip, Hang, LoseResponse, Request, Reset, Status
from stores.fault_proxy import Rule

MEBIBYTE = 1 << 20


def test_a_reset_before_the_answer(trial: PutTrial) -> None:
    contents = trial.tree({"a": 3 * MEBIBYTE, "b": 1000})
    trial.inject(Rule(Reset(), "PUT", "/a$", times=2), Rule(Reset(), "PUT", "/b$", times=1))
    check_all_done(trial.run(), trial.bucket, contents)
    assert (trial.puts("a"), trial.puts("b")) == (3, 2)


def test_resets_for_ever_end_the_object(moto_trial: PutTrial) -> None:
    moto_trial.tree({"a": 10, "b": 10})
    moto_trial.inject(Rule(Reset(), "PUT", "/a$"))
    end = moto_trial.run()
    assert (end.code, end.kinds) == (1, {"a": "network"})
    # An attempt over a kept connection, that of b, is followed at once by one over a new one.
    assert 3 <= moto_trial.puts("a") <= 6


def test_an_answer_lost_after_the_store_did_its_work(trial: PutTrial) -> None:
    contents = trial.tree({"a": 1000, "b": 2 * MEBIBYTE})
    trial.inject(*(Rule(LoseResponse(), "PUT", f"/{key}$", times=1) for key in contents))
    check_all_done(trial.run(), trial.bucket, contents)


def test_a_lost_answer_is_not_taken_for_anothers_object(trial: PutTrial) -> None:
    contents = trial.tree({"a": 1000, "b": 2 * MEBIBYTE})
    trial.inject(*(Rule(LoseResponse(), "PUT", f"/{key}$", times=1) for key in contents))
    end = trial.run("--mode=add")
    # The second attempt is told 412: our own first one took the key.
    check_all_done(end, trial.bucket, contents)
    assert len(trial.proxy.hits("HEAD", "/[ab]$")) == 2


def test_anothers_object_is_not_taken_for_a_lost_answer(trial: PutTrial) -> None:
    contents = trial.tree({"a": 1000, "b": 1000})

    def compete(request: Request) -> None:
        trial.bucket.put("a", b"another's")

    trial.inject(Rule(Call(compete), "PUT", "/a$", times=1))
    end = trial.run("--mode=add")
    assert end.code == 0
    assert end.reasons == {"a": "exists"}
    assert trial.bucket.tree() == {"a": b"another's", "b": contents["b"]}


def test_a_store_that_says_nothing(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"a": 1000, "b": 1000})
    moto_trial.inject(Rule(Hang(), "PUT", times=2))
    check_all_done(moto_trial.run("--read-timeout=1"), moto_trial.bucket, contents)


def test_a_store_that_stops_reading(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"a": 16 * MEBIBYTE})

    def read_no_more(request: Request) -> None:
        moto_trial.proxy.wait_for(2, timeout=20)  # until the client has tried again

    moto_trial.inject(Rule(Call(read_no_more), "PUT", times=1))
    began = time.monotonic()
    check_all_done(moto_trial.run("--read-timeout=1"), moto_trial.bucket, contents)
    assert time.monotonic() - began < 50


def test_silence_for_ever_ends_the_object(moto_trial: PutTrial) -> None:
    moto_trial.tree({"a": 1000, "b": 1000})
    moto_trial.inject(Rule(Hang(), "PUT", "/a$"))
    began = time.monotonic()
    end = moto_trial.run("--read-timeout=1", "--max-attempts=1")
    assert time.monotonic() - began < 50
    assert (end.code, end.kinds, moto_trial.puts("a")) == (1, {"a": "network"}, 1)


def test_an_answer_that_trickles_is_given_up_after_the_time_of_a_request(
    moto_get: GetTrial,
) -> None:
    """At 50 bytes a second, which is no silence, it would take minutes."""
    contents = moto_get.fill({"a": 10_000})
    moto_get.inject(Rule(Drip(0.02), "GET", "/a$", times=1))
    end = moto_get.run("--request-timeout=2", "--read-timeout=60", timeout=50)
    assert (end.code, moto_get.files(), moto_get.gets("a")) == (0, contents, 2)


def test_while_nothing_moves_the_display_says_why(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"a": 10, "b": 10, "c": 10})
    moto_trial.inject(
        Rule(Status(503, "SlowDown"), "PUT", "/a$"),
        Rule(Status(500, "InternalError"), "PUT", "/b$"),
        Rule(Reset(), "PUT", "/c$"),
    )
    running = moto_trial.start("--progress", "--max-attempts=100")
    deadline = time.monotonic() + 60
    while not any(
        all(json.loads(line)["retries"].get(cause) for cause in ("503", "500", "no answer"))
        for line in running.err().splitlines(keepends=True)
        if line.startswith("{") and line.endswith("\n")
    ):
        assert time.monotonic() < deadline, running.err()
        time.sleep(0.05)
    moto_trial.inject()
    check_all_done(moto_trial.end(running), moto_trial.bucket, contents)


def test_nobody_there_ends_the_run(moto_trial: PutTrial) -> None:
    moto_trial.tree({"a": 1000})
    moto_trial.inject(Rule(Reset()))
    result = moto_trial.start("--max-attempts=2").wait(30)
    assert result.code == 3
    assert len(result.err.strip().splitlines()) == 1, result.err
