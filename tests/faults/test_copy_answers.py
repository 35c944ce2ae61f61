"""What the store answers to CopyObject, and what lies behind it. Rows 1-8, 11, 21 and 22 of a copy.

An answer of 200 may hold an error, or end in the middle: only its ETag makes it a success.
"""

from __future__ import annotations

import time

import pytest

from faults.listing_pages import pages_of
from faults.trials import CopyTrial
from stores.fault_actions import (
    Action,
    Call,
    Hang,
    LoseResponse,
    Request,
    Reset,
    Response,
    Rewrite,
    Say,
    Status,
    Truncate,
    error,
    halved,
)
from stores.fault_proxy import Rule

XML = (("Content-Type", "application/xml"),)
HALF = b"<CopyObjectResult><LastModified>2026-11-20T12:00:00.000Z</LastModified><ETag>&quot;0123"
SMALL = {f"f{n}": 1000 for n in range(6)}


def late(code: str) -> Action:
    """An error after a status of 200; the store has copied nothing."""
    return Say(Response(200, XML, b"\n \n \n" + error(500, code).body))


def check_all_copied(trial: CopyTrial, contents: dict[str, bytes], *options: str) -> None:
    end = trial.run(*options)
    assert end.code == 0, (end.kinds, end.result.err)
    assert end.done.keys() == contents.keys()
    assert trial.dest.tree() == contents


@pytest.mark.parametrize("mode", ["update", "add"])
def test_an_error_in_an_answer_of_200_is_an_error(copy_trial: CopyTrial, mode: str) -> None:
    contents = copy_trial.fill({**SMALL, "large": 1 << 20})
    copy_trial.inject(
        Rule(late("InternalError"), "PUT", "/f0$", times=2),
        Rule(late("SlowDown"), "PUT", "/f1$", times=1),
        Rule(Say(Response(200, XML, HALF)), "PUT", "/f2$", times=2),
        Rule(Say(Response(200, XML, b"\n\n\n")), "PUT", "/large$", times=1),
    )
    check_all_copied(copy_trial, contents, f"--mode={mode}")
    if copy_trial.bucket.store.name == "moto":  # Swift knows no If-None-Match here
        counts = {"f0": 3, "f1": 2, "f2": 3, "f3": 1, "large": 2}
        assert {key: copy_trial.puts(key) for key in counts} == counts


def test_errors_in_answers_of_200_for_ever_fail_the_objects(moto_copy: CopyTrial) -> None:
    contents = moto_copy.fill(SMALL)
    before = moto_copy.fill({"f0": 10}, moto_copy.dest)
    moto_copy.inject(
        Rule(late("InternalError"), "PUT", "/f0$"),
        Rule(Say(Response(200, XML, HALF)), "PUT", "/f1$"),
        Rule(late("AccessDenied"), "PUT", "/f2$"),
        Rule(late("NoSuchKey"), "PUT", "/f3$"),
    )
    began = time.monotonic()
    end = moto_copy.run()
    assert time.monotonic() - began < 50
    kinds = {"f0": "store", "f1": "store", "f2": "access", "f3": "not-found"}
    assert (end.code, end.kinds) == (1, kinds)
    assert "InternalError" in end.failed["f0"]["message"]
    assert moto_copy.dest.tree() == before | {key: contents[key] for key in ("f4", "f5")}


@pytest.mark.parametrize("mode", ["update", "add"])
def test_an_answer_that_did_not_come_whole(moto_copy: CopyTrial, mode: str) -> None:
    faults = {
        "half": Rewrite(halved),
        "cut": Truncate(),
        "lost": LoseResponse(),
        "reset": Reset(),
        "silent": Hang(),
    }
    contents = moto_copy.fill({**dict.fromkeys(faults, 1000), "other": 10})
    moto_copy.inject(*(Rule(f, "PUT", f"/{key}$", times=1) for key, f in faults.items()))
    check_all_copied(moto_copy, contents, f"--mode={mode}", "--read-timeout=1")


def test_a_slow_copy_is_waited_for(moto_copy: CopyTrial) -> None:
    contents = moto_copy.fill(SMALL)
    moto_copy.inject(Rule(Rewrite(lambda body: b"\n" * 30 + body), "PUT"))
    check_all_copied(moto_copy, contents)


def test_a_burst_of_slow_down_is_waited_out(copy_trial: CopyTrial) -> None:
    contents = copy_trial.fill(SMALL)
    slow, unwell = Status(503, "SlowDown"), Status(500, "InternalError")
    copy_trial.inject(
        *(Rule(slow, "PUT", f"/{key}$", times=2) for key in contents),
        *(Rule(unwell, "GET", pages_of(b), times=2) for b in (copy_trial.bucket, copy_trial.dest)),
    )
    check_all_copied(copy_trial, contents)
    assert copy_trial.puts() == 3 * len(contents)


def test_slow_down_for_ever_ends_in_bounded_time(moto_copy: CopyTrial) -> None:
    contents = moto_copy.fill(SMALL)
    moto_copy.inject(Rule(Status(503, "SlowDown"), "PUT", "/f[0-3]$"))
    end = moto_copy.run("--max-throttled=1")
    assert (end.code, end.kinds) == (3, dict.fromkeys(["f0", "f1", "f2", "f3"], "store"))
    assert "--max-throttled" in end.result.err.splitlines()[-1]
    assert moto_copy.dest.tree() == {key: contents[key] for key in ("f4", "f5")}


# Sources that change


def test_an_object_deleted_since_it_was_listed_fails_alone(copy_trial: CopyTrial) -> None:
    contents = copy_trial.fill(SMALL)
    before = copy_trial.fill({"f2": 10}, copy_trial.dest)
    delete = copy_trial.bucket.client.delete_object

    def vanish(request: Request) -> None:
        delete(Bucket=copy_trial.bucket.name, Key="f2")

    copy_trial.inject(Rule(Call(vanish), "PUT", "/f2$"))
    end = copy_trial.run()
    assert (end.code, end.kinds) == (1, {"f2": "not-found"})
    assert "vanished" in end.failed["f2"]["message"]
    assert copy_trial.dest.tree() == {**contents, **before}


@pytest.mark.parametrize("mode", ["update", "add", "stupid"])
def test_an_object_replaced_since_it_was_listed_is_copied_anew(
    copy_trial: CopyTrial, mode: str
) -> None:
    contents = copy_trial.fill(SMALL)
    new = b"another, which is longer" * 100

    def replace(request: Request) -> None:
        copy_trial.bucket.put("f2", new)

    copy_trial.inject(Rule(Call(replace), "PUT", "/f2$", times=1))
    check_all_copied(copy_trial, contents | {"f2": new}, f"--mode={mode}")
    pinned = copy_trial.proxy.hits("PUT", "/f2$")
    assert all(hit.request.header("x-amz-copy-source-if-match") for hit in pinned)


@pytest.mark.swift
def test_an_object_that_never_stops_changing_fails(swift_copy: CopyTrial) -> None:
    contents = swift_copy.fill(SMALL)
    count = iter(range(1000))

    def replace(request: Request) -> None:
        swift_copy.bucket.put("f2", f"number {next(count)}".encode())

    swift_copy.inject(Rule(Call(replace), "PUT", "/f2$"))
    end = swift_copy.run()
    assert (end.code, end.kinds) == (1, {"f2": "changed"})
    assert swift_copy.dest.tree() == {k: v for k, v in contents.items() if k != "f2"}
    assert swift_copy.puts("f2") <= 6


def test_multipart_objects_are_copied_and_known_again(copy_trial: CopyTrial) -> None:
    # The copy is one part, and so has another ETag than its source.
    contents = copy_trial.fill(SMALL)
    for key in ("f0", "f1"):
        copy_trial.bucket.put_multipart(key, contents[key])
    check_all_copied(copy_trial, contents)
    end = copy_trial.run()
    assert end.code == 0
    assert end.skipped.keys() >= contents.keys() - {"f0", "f1"}
    assert copy_trial.dest.tree() == contents
