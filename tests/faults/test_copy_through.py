"""Copies that go through this machine, and the harm done on either way. Rows 15-22, 52, 58.

What does not come whole is never sent on; what was sent and is not what came is sent again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from faults.accounting import Ending
from faults.trials import CopyTrial
from stores.fault_actions import (
    Action,
    Call,
    Drip,
    FlipBit,
    Hang,
    LoseResponse,
    Request,
    Reset,
    Rewrite,
    SetHeaders,
    Stall,
    Status,
    Truncate,
    flipped,
)
from stores.fault_proxy import FaultProxy, Rule
from stores.store import Store
from trees import content

SIZES = {"small": 3000, "large": 1 << 20}
FLIP = Rewrite(flipped)
FAULTS_IN: dict[str, tuple[Action, str]] = {
    "cut": (Truncate(), "network"),
    "shorter": (Rewrite(lambda body: body[:-1]), "integrity"),
    "flipped": (FLIP, "integrity"),
    "reset": (Reset(), "network"),
    "amid": (Stall(), "network"),
    "before": (Hang(), "network"),
    "drip": (Drip(1.0), "network"),
    "slow-down": (Status(503, "SlowDown"), "store"),
}
FAULTS_OUT: dict[str, Action] = {
    "flipped": FlipBit(),
    "reset": Reset(),
    "lost": LoseResponse(),
    "digest": Status(400, "BadDigest"),
    "slow-down": Status(503, "SlowDown"),
}
VICTIMS_IN = {f"{fault}-{size}": SIZES[size] for fault in FAULTS_IN for size in SIZES}
VICTIMS_OUT = {f"{fault}-{size}": SIZES[size] for fault in FAULTS_OUT for size in SIZES}


@pytest.fixture
def source(moto_through: CopyTrial) -> FaultProxy:
    """The proxy in front of the source."""
    assert moto_through.source_proxy
    return moto_through.source_proxy


def check_all_copied(trial: CopyTrial, contents: dict[str, bytes], *options: str) -> Ending:
    end = trial.run(*options)
    assert end.code == 0, (end.kinds, end.result.err)
    assert end.done.keys() == contents.keys()
    assert trial.dest.tree() == contents
    return end


def each_key(fault: Action, method: str, times: int) -> list[Rule]:
    """Rules by which each object of ``SIZES`` meets the fault as many times (0: always)."""
    return [Rule(fault, method, f"/{key}$", times=times) for key in SIZES]


def fault_in(key: str) -> tuple[Action, str]:
    return FAULTS_IN[key.rpartition("-")[0]]


def test_what_did_not_come_whole_is_asked_for_again(
    moto_through: CopyTrial, source: FaultProxy
) -> None:
    contents = moto_through.fill({**VICTIMS_IN, "other": 10})
    source.inject(*(Rule(fault_in(key)[0], "GET", f"/{key}$", times=1) for key in VICTIMS_IN))
    check_all_copied(moto_through, contents, "--read-timeout=2")
    assert moto_through.puts() == len(contents)


def test_what_never_comes_whole_is_never_sent(moto_through: CopyTrial, source: FaultProxy) -> None:
    contents = moto_through.fill({**VICTIMS_IN, "other": 10})
    before = moto_through.fill({"cut-small": 20, "flipped-large": 20}, moto_through.dest)
    source.inject(*(Rule(fault_in(key)[0], "GET", f"/{key}$") for key in VICTIMS_IN))
    began = time.monotonic()
    end = moto_through.run("--read-timeout=1", "--max-attempts=1", "--max-throttled=6")
    assert time.monotonic() - began < 50
    # In the end only what is throttled is left to do, which ends the run.
    assert (end.code, end.kinds) == (3, {key: fault_in(key)[1] for key in VICTIMS_IN})
    assert moto_through.dest.tree() == {**before, "other": contents["other"]}
    assert moto_through.puts() == 1


@pytest.mark.parametrize("mode", ["update", "add"])
def test_what_did_not_arrive_is_sent_again(moto_through: CopyTrial, mode: str) -> None:
    contents = moto_through.fill({**VICTIMS_OUT, "other": 10})
    faults = {key: FAULTS_OUT[key.rpartition("-")[0]] for key in VICTIMS_OUT}
    moto_through.inject(*(Rule(f, "PUT", f"/{key}$", times=1) for key, f in faults.items()))
    check_all_copied(moto_through, contents, f"--mode={mode}")


@pytest.mark.swift
def test_a_store_that_checks_refuses_what_was_flipped(
    make_proxy: Callable[[Store], FaultProxy], swift_copy: CopyTrial
) -> None:
    swift_copy.source_proxy = make_proxy(swift_copy.bucket.store)
    contents = swift_copy.fill(SIZES)
    swift_copy.source_proxy.inject(*each_key(FLIP, "GET", 1))
    swift_copy.inject(*each_key(FlipBit(), "PUT", 1))
    check_all_copied(swift_copy, contents)


def test_an_etag_that_is_no_md5_raises_no_alarm(moto_through: CopyTrial) -> None:
    contents = moto_through.fill(SIZES)
    for key, body in contents.items():
        moto_through.bucket.put_multipart(key, body)
    check_all_copied(moto_through, contents)


def test_an_object_deleted_since_it_was_listed_fails_alone(
    moto_through: CopyTrial, source: FaultProxy
) -> None:
    contents = moto_through.fill({**SIZES, "other": 10})

    def vanish(request: Request) -> None:
        moto_through.bucket.client.delete_object(Bucket=moto_through.bucket.name, Key="large")

    source.inject(Rule(Call(vanish), "GET", "/large$"))
    end = moto_through.run()
    assert (end.code, end.kinds) == (1, {"large": "not-found"})
    assert moto_through.dest.tree() == {key: contents[key] for key in ("small", "other")}


@pytest.mark.parametrize(("key", "size"), [("small", 5000), ("small", 17 << 20), ("large", 10)])
def test_an_object_replaced_since_it_was_listed_is_copied_anew(
    moto_through: CopyTrial, source: FaultProxy, key: str, size: int
) -> None:
    contents = moto_through.fill(SIZES)
    new = content(size, "new")

    def replace(request: Request) -> None:
        moto_through.bucket.put(key, new)

    source.inject(
        Rule(Truncate(), "GET", f"/{key}$", times=1),
        Rule(Call(replace), "GET", f"/{key}$", times=1),
    )
    check_all_copied(moto_through, contents | {key: new})


# What goes along


INJECTED = {
    "x-amz-meta-folded": "one\r\n x-amz-acl: public-read",
    "x-amz-meta-return": "one\rx-amz-acl: public-read\r",
    "x-amz-meta-bell": "one\x07\x1b[31mtwo",
    "x-amz-meta-latin": "caf\xe9",
    "x-amz-meta-long": "x" * 1900,
    "content-disposition": 'attachment; filename="a\r\n b"',
}


def test_metadata_cannot_smuggle_headers(moto_through: CopyTrial, source: FaultProxy) -> None:
    contents = moto_through.fill(dict.fromkeys((*INJECTED, "other"), 1000))
    source.inject(
        *(
            Rule(SetHeaders(((name, value),)), "GET", f"/{name}$")
            for name, value in INJECTED.items()
        )
    )
    end = moto_through.run()
    # Carried in a form that is one header, or refused by name; never a header of its own.
    assert end.done.keys() | end.failed.keys() == contents.keys()
    assert "other" in end.done
    for hit in moto_through.proxy.hits("PUT"):
        assert not hit.request.header("x-amz-acl")
        assert all(value.isprintable() and value.isascii() for _, value in hit.request.headers)
    for key in end.done:
        assert moto_through.dest.acl(key) == {("owner", "FULL_CONTROL")}
    assert "\x1b" not in end.result.err
