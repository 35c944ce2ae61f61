"""``--checksum auto``: a store that keeps CRC64NVME gets it, and no other one is troubled by it."""

from __future__ import annotations

import pytest

from faults.accounting import Ending, check_all_done
from faults.large import SIZE, SMALL_PARTS, compound, sent, uploads
from faults.trials import PutTrial
from stores.fault_actions import FlipBit, KeepsCrc64, Request, Status, chain, crc64
from stores.fault_proxy import Rule

INSTEAD = "large objects are sent with Content-MD5\n"
CRC64 = "x-amz-checksum-crc64nvme"
CREATION, PART, COMPLETION = ("POST", "uploads="), ("PUT", "partNumber="), ("POST", "uploadId=")


def put(trial: PutTrial, *options: str) -> Ending:
    return trial.run(*SMALL_PARTS, *options)


def check_sent(trial: PutTrial, end: Ending, contents: dict[str, bytes], checksum: str) -> None:
    """Stored under the ETag of its parts, and reported with its checksum."""
    check_all_done(end, trial.bucket, contents)
    # Of parts with MD5s there is no checksum of the whole.
    sums = {name: end.done[name].get("checksum", "md5") for name in contents}
    assert {name: each.partition(":")[0] for name, each in sums.items()} == {
        name: checksum if len(body) > 5 << 20 else "md5" for name, body in contents.items()
    }
    assert end.done["large"]["etag"] == compound(contents["large"])
    assert uploads(trial.bucket) == set()


def requests(trial: PutTrial, what: tuple[str, str]) -> list[Request]:
    return [hit.request for hit in trial.proxy.hits(*what)]


def test_a_store_that_reports_it_gets_crc64nvme(moto_trial: PutTrial) -> None:
    """A dry run shows it; the next run recognizes the object by its ETag alone."""
    contents = moto_trial.tree({"large": SIZE, "small": 1000})
    moto_trial.inject(Rule(KeepsCrc64(), "POST|PUT"))
    plan = moto_trial.start_plain("--json", "--dry-run", *SMALL_PARTS).wait()
    planned = {event["key"]: event["checksum_algorithm"] for event in plan.events[:-1]}
    assert planned == {"large": "crc64nvme", "small": "md5"}
    end = put(moto_trial, "-v")
    check_sent(moto_trial, end, contents, "crc64nvme")
    assert end.result.err == ""
    parts = requests(moto_trial, PART)
    assert all(each.header(CRC64) and not each.header("content-md5") for each in parts)
    (whole,) = requests(moto_trial, COMPLETION)
    assert whole.header(CRC64) == crc64(contents["large"])
    again = put(moto_trial)
    assert again.reasons == {"large": "same etag", "small": "same etag"}


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        (CREATION, 400, "InvalidArgument"),
        (PART, 403, "SignatureDoesNotMatch"),
        (COMPLETION, 501, "NotImplemented"),
        pytest.param(CREATION, 501, "NotImplemented", marks=pytest.mark.thorough),
        pytest.param(CREATION, 403, "SignatureDoesNotMatch", marks=pytest.mark.thorough),
        pytest.param(PART, 400, "InvalidRequest", marks=pytest.mark.thorough),
        pytest.param(PART, 501, "NotImplemented", marks=pytest.mark.thorough),
        pytest.param(PART, 400, "BadDigest", marks=pytest.mark.thorough),
        pytest.param(COMPLETION, 400, "InvalidPart", marks=pytest.mark.thorough),
        pytest.param(COMPLETION, 400, "BadDigest", marks=pytest.mark.thorough),
    ],
)
def test_a_store_that_refuses_it_gets_md5(
    moto_trial: PutTrial, what: tuple[str, str], status: int, code: str
) -> None:
    """Within the run; of several objects each process asks with one, and one notice says why."""
    contents = moto_trial.tree({"large": SIZE, "other": SIZE})
    refusal = Rule(Status(status, code), *what, header="^x-amz-checksum")
    moto_trial.inject(refusal, Rule(KeepsCrc64(), "POST|PUT"))
    end = put(moto_trial, "-v", "--processes=1", "--concurrency=1")
    check_sent(moto_trial, end, contents, "md5")
    assert end.result.err.count(INSTEAD) == 1
    assert code in end.result.err
    last = requests(moto_trial, what)[-1]
    assert not any(name.lower().startswith("x-amz-checksum") for name, _ in last.headers)


@pytest.mark.swift
def test_a_store_that_does_not_report_it_gets_md5(swift_trial: PutTrial) -> None:
    """From the first part on, in the same upload; the notice is for ``-v`` alone."""
    contents = swift_trial.tree({"large": SIZE})
    end = put(swift_trial)
    check_sent(swift_trial, end, contents, "md5")
    assert end.result.err == ""
    assert all(each.header("content-md5") for each in requests(swift_trial, PART))
    assert len(requests(swift_trial, CREATION)) == 1
    told = put(swift_trial, "-v", "--mode=stupid").result.err
    assert "does not report that it keeps CRC64NVME: " + INSTEAD in told


def test_a_flipped_bit_is_noticed_by_the_store(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"large": SIZE})
    keeps = KeepsCrc64()
    flips = chain(FlipBit(), keeps)
    moto_trial.inject(Rule(flips, "PUT", "partNumber=2&", times=1), Rule(keeps, "POST|PUT"))
    check_sent(moto_trial, put(moto_trial), contents, "crc64nvme")
    assert sent(moto_trial) == [1, 2, 2, 3, 4]


@pytest.mark.swift
def test_bits_that_are_always_flipped_are_never_done(swift_trial: PutTrial) -> None:
    """Nor with the MD5 that is tried then."""
    swift_trial.tree({"large": SIZE})
    keeps = KeepsCrc64()
    flips = chain(FlipBit(), keeps)
    swift_trial.inject(Rule(flips, "PUT", "partNumber=2&"), Rule(keeps, "POST|PUT"))
    end = put(swift_trial)
    assert (end.code, end.kinds) == (1, {"large": "integrity"})
    assert swift_trial.bucket.keys() == []


@pytest.mark.parametrize("wrong", ["whole", pytest.param("part", marks=pytest.mark.thorough)])
def test_a_store_that_returns_another_checksum_gets_md5(moto_trial: PutTrial, wrong: str) -> None:
    """Where the user names the checksum, the object fails instead."""
    contents = moto_trial.tree({"large": SIZE})
    moto_trial.inject(Rule(KeepsCrc64(wrong), "POST|PUT"))
    named = put(moto_trial, "--checksum=crc64nvme", "--no-resume")
    assert (named.code, named.kinds) == (1, {"large": "integrity"})
    end = put(moto_trial, "-v", "--mode=stupid", "--no-resume")
    check_sent(moto_trial, end, contents, "md5")
    assert "AAAAAAAAAAA=" in end.result.err


def test_an_upload_is_resumed_with_its_own_checksum(moto_trial: PutTrial) -> None:
    """One that was begun with MD5 is not asked for another."""
    contents = moto_trial.tree({"large": SIZE})
    keeps = Rule(KeepsCrc64(), "POST|PUT")
    moto_trial.inject(Rule(Status(400, "EntityTooLarge"), "PUT", "partNumber=3&"), keeps)
    assert put(moto_trial, "--checksum=md5").code == 1
    before = len(sent(moto_trial))
    moto_trial.inject(keeps)
    check_sent(moto_trial, put(moto_trial), contents, "md5")
    assert len(sent(moto_trial, before)) < 4
