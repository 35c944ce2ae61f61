"""Large objects that come in ranges, and what can happen to each. Rows 16-18, 21, 43, for ranges.

Every test has an object of three or four ranges; the first of them is never harmed, so that
something is there already when harm comes.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from faults.trials import GetTrial
from stores.fault_actions import (
    Action,
    Call,
    Exchange,
    Response,
    Rewrite,
    SetHeaders,
    Status,
    Truncate,
    chain,
    flipped,
)
from stores.fault_proxy import Rule
from trees import content

MIB = 1 << 20
SIZE = 11 * MIB + 5
BODY, OTHER = content(SIZE), content(SIZE, "new")
RANGES = ("--part-size=5M", "--multipart-threshold=5M")
FIRST, SECOND, LAST = "bytes=0-5242879", "bytes=5242880-10485759", "bytes=10485760-11534340"
ANY, ONE = "^range: bytes=", f"^range: {SECOND}$"


def asked(trial: GetTrial) -> list[str]:
    """The ranges asked for, in order of arrival; an empty text for the whole."""
    return [hit.request.header("range") for hit in trial.proxy.hits("GET", "/large$")]


def fill(trial: GetTrial, how: str = "md5") -> None:
    """Put the object so that its ETag is an MD5, or of parts that are the ranges."""
    if how == "parts":
        trial.bucket.put_multipart(
            "large", BODY[: 5 * MIB], BODY[5 * MIB : 10 * MIB], BODY[10 * MIB :]
        )
    else:
        trial.bucket.put("large", BODY)


def told_crc() -> Rule:
    """HEADs are answered with a CRC of the whole, as S3 would."""
    value = b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()
    headers = (("x-amz-checksum-crc32", value), ("x-amz-checksum-type", "FULL_OBJECT"))
    return Rule(SetHeaders(headers), "HEAD", "/large$")


@dataclass(frozen=True)
class Without(Action):
    """Pass the request on without a header."""

    name: str

    def answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        kept = tuple(pair for pair in request.headers if pair[0].lower() != self.name)
        return exchange.forward(replace(request, headers=kept))


# Bodies


CUT, FLIP, SHORTEN = Truncate(), Rewrite(flipped), Rewrite(lambda body: body[:-1])
ELSEWHERE = SetHeaders((("Content-Range", f"bytes 0-5242879/{SIZE}"),))


@pytest.mark.parametrize("how", ["parts", "md5", "crc"])
@pytest.mark.parametrize("fault", ["cut", "shorter", "flipped", "elsewhere", "slow-down", "whole"])
def test_a_range_that_comes_wrong_once_comes_again(
    moto_get: GetTrial, fault: str, how: str
) -> None:
    fill(moto_get, how)
    faults: dict[str, Action] = {
        "cut": CUT,
        "shorter": SHORTEN,
        "flipped": FLIP,
        "elsewhere": ELSEWHERE,
        "slow-down": Status(503, "SlowDown"),
        "whole": Without("range"),
    }
    once = Rule(faults[fault], "GET", "/large$", header=ONE, times=1)
    moto_get.inject(once, *([told_crc()] if how == "crc" else []))
    assert moto_get.run(*RANGES).code == 0
    assert moto_get.files() == {"large": BODY}
    assert asked(moto_get).count(SECOND) == 2
    again = 2 if fault == "flipped" else 1  # which of the ranges is wrong, nobody can say
    assert asked(moto_get).count(FIRST) == again


@pytest.mark.parametrize("how", ["parts", "md5", "crc"])
def test_a_range_that_is_always_wrong_fails_the_object(moto_get: GetTrial, how: str) -> None:
    fill(moto_get, how)
    before = moto_get.stand({"large": "the old file"})
    moto_get.inject(
        Rule(FLIP, "GET", "/large$", header=ONE), *([told_crc()] if how == "crc" else [])
    )
    end = moto_get.run(*RANGES)
    assert (end.code, end.kinds) == (1, {"large": "integrity"})
    assert moto_get.files() == before  # nothing of it is worth keeping
    assert asked(moto_get).count(SECOND) == 3


@pytest.mark.parametrize(
    "fault", [Without("range"), ELSEWHERE, SHORTEN], ids=["ignored", "elsewhere", "shorter"]
)
def test_a_store_without_ranges_is_asked_for_the_whole(moto_get: GetTrial, fault: Action) -> None:
    fill(moto_get)
    moto_get.inject(Rule(fault, "GET", "/large$", header=ANY))
    assert moto_get.run(*RANGES).code == 0
    assert moto_get.files() == {"large": BODY}
    assert "" in asked(moto_get)


# Failures, and the run after them


def failing(trial: GetTrial, *options: str) -> None:
    """A run in which the second range is refused for good."""
    trial.resumable = True
    trial.inject(Rule(Status(500, "InternalError"), "GET", "/large$", header=ONE))
    end = trial.run(*RANGES, "--max-attempts=2", *options)
    assert (end.code, end.kinds) == (1, {"large": "store"})
    assert ("next run" in end.failed["large"]["message"]) == ("--no-resume" not in options)
    trial.inject()
    trial.resumable = False


def done_ranges(trial: GetTrial) -> set[int]:
    """The numbers of the ranges that the record says are there."""
    records = [Path(trial.directory, name) for name in trial.temporaries() if "ranges" in name]
    text = "".join(record.read_text() for record in records)
    return {int(number) for number in re.findall(r"^(\d+) \d+ [0-9a-f]+$", text, re.MULTILINE)}


@pytest.mark.parametrize("how", ["md5", "parts", "crc"])
def test_the_next_run_fetches_what_is_missing(moto_get: GetTrial, how: str) -> None:
    fill(moto_get, how)
    failing(moto_get)
    there, before = done_ranges(moto_get), len(asked(moto_get))
    assert there
    assert 2 not in there
    if how == "crc":  # by now: what was noted of the ranges fits that as well
        moto_get.inject(told_crc())
    end = moto_get.run(*RANGES)
    assert end.code == 0
    assert moto_get.files() == {"large": BODY}
    missing = {1, 2, 3} - there
    assert sorted(asked(moto_get)[before:]) == sorted([FIRST, SECOND, LAST][n - 1] for n in missing)
    assert "exist already" in end.result.err


def test_a_range_that_is_not_as_noted_is_fetched_again(moto_get: GetTrial) -> None:
    fill(moto_get)
    failing(moto_get)
    before = len(asked(moto_get))
    [partial] = [name for name in moto_get.temporaries() if name.endswith(".part")]
    with Path(moto_get.directory, partial).open("r+b") as file:
        file.write(b"not what came")
    assert moto_get.run(*RANGES).code == 0
    assert moto_get.files() == {"large": BODY}
    assert asked(moto_get)[before:].count(FIRST) == 1


def test_without_resume_nothing_is_kept(moto_get: GetTrial) -> None:
    fill(moto_get)
    failing(moto_get)
    assert moto_get.temporaries()
    failing(moto_get, "--no-resume")
    assert moto_get.temporaries() == []


def test_what_was_begun_of_another_object_goes(moto_get: GetTrial) -> None:
    fill(moto_get)
    failing(moto_get)
    before = len(asked(moto_get))
    moto_get.bucket.put("large", OTHER)
    assert moto_get.run(*RANGES).code == 0
    assert moto_get.files() == {"large": OTHER}
    assert sorted(asked(moto_get)[before:]) == sorted([FIRST, SECOND, LAST])


def test_another_part_size_goes_on_with_the_ranges_there(moto_get: GetTrial) -> None:
    fill(moto_get)
    failing(moto_get)
    before = len(asked(moto_get))
    assert moto_get.run("--part-size=6M", "--multipart-threshold=5M").code == 0
    assert moto_get.files() == {"large": BODY}
    assert set(asked(moto_get)[before:]) <= {FIRST, SECOND, LAST}
    assert len(asked(moto_get)) - before < 3


# Objects that change


@pytest.mark.parametrize("size", [SIZE, 7 * MIB, 3000], ids=str)
@pytest.mark.parametrize("heeded", [True, False], ids=["If-Match", "ignored"])
def test_an_object_replaced_between_ranges_is_never_mixed(
    moto_get: GetTrial, size: int, heeded: bool
) -> None:
    fill(moto_get)
    body = content(size, "new")
    put = Call(lambda request: moto_get.bucket.put("large", body))
    asking: Action = Action() if heeded else Without("if-match")
    moto_get.inject(
        Rule(chain(put, asking), "GET", "/large$", header=ONE, times=1),
        Rule(asking, "GET", "/large$", header=ANY),
    )
    assert moto_get.run(*RANGES).code == 0
    assert moto_get.files() == {"large": body}


def test_an_object_that_is_always_replaced_fails(moto_get: GetTrial) -> None:
    fill(moto_get)
    before = moto_get.stand({"large": "the old file"})
    turns = iter(range(1, 100))
    put = Call(lambda request: moto_get.bucket.put("large", content(SIZE, next(turns))))
    moto_get.inject(Rule(put, "GET", "/large$", header=ONE))
    end = moto_get.run(*RANGES)
    assert (end.code, end.kinds) == (1, {"large": "changed"})
    assert moto_get.files() == before


def test_an_object_that_vanishes_leaves_nothing(moto_get: GetTrial) -> None:
    fill(moto_get)
    delete = moto_get.bucket.client.delete_object
    gone = Call(lambda request: delete(Bucket=moto_get.bucket.name, Key="large"))
    moto_get.inject(Rule(gone, "GET", "/large$", header=ONE))
    end = moto_get.run(*RANGES)
    assert (end.code, end.kinds) == (1, {"large": "not-found"})
    assert "vanished" in end.failed["large"]["message"]
    assert moto_get.files() == {}
