"""What is stored is what was read, or it is said to be otherwise. Rows 5, 14 and 15.

Swift verifies what it is sent and refuses a flipped bit; moto stores it, and only the ETag tells.
"""

from __future__ import annotations

import hashlib

import pytest

from faults.accounting import check_all_done
from faults.trials import PutTrial
from stores.fault_actions import FlipBit, SetHeaders, Status
from stores.fault_proxy import Rule

MEBIBYTE = 1 << 20
READINGS = 3  # a body that does not arrive as hashed is read and sent twice more
WRONG = SetHeaders((("ETag", f'"{hashlib.md5(b"other").hexdigest()}"'),))


@pytest.mark.parametrize("mode", ["update", "add"])
def test_a_flipped_bit_is_noticed_and_mended(trial: PutTrial, mode: str) -> None:
    contents = trial.tree({"a": 1000, "streamed": 2 * MEBIBYTE})
    trial.inject(*(Rule(FlipBit(), "PUT", f"/{key}$", times=1) for key in contents))
    check_all_done(trial.run(f"--mode={mode}"), trial.bucket, contents)
    assert trial.puts("a") >= 2


@pytest.mark.parametrize("mode", ["stupid", "add"])
def test_a_bit_flipped_each_time_fails_the_object(trial: PutTrial, mode: str) -> None:
    trial.tree({"a": 1000, "b": 1000})
    trial.inject(Rule(FlipBit(), "PUT", "/a$"))
    end = trial.run(f"--mode={mode}")
    assert (end.code, end.kinds) == (1, {"a": "integrity"})
    assert trial.puts("a") <= 2 * READINGS


def test_a_refused_digest_is_computed_again(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"a": 1000, "streamed": 2 * MEBIBYTE})
    refusals = [
        Rule(Status(400, code), "PUT", f"/{key}$", times=1)
        for code in ("BadDigest", "XAmzContentSHA256Mismatch")
        for key in contents
    ]
    moto_trial.inject(*refusals)
    check_all_done(moto_trial.run(), moto_trial.bucket, contents)
    assert moto_trial.puts() == 6


def test_digests_refused_for_ever_fail_the_object(moto_trial: PutTrial) -> None:
    moto_trial.tree({"a": 1000, "b": 1000})
    moto_trial.inject(Rule(Status(400, "BadDigest"), "PUT", "/a$"))
    end = moto_trial.run("--max-attempts=8")
    assert (end.code, end.kinds, moto_trial.puts("a")) == (1, {"a": "integrity"}, READINGS)


def test_a_wrong_etag_is_not_believed(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"a": 1000, "streamed": 2 * MEBIBYTE})
    once, twice = Rule(WRONG, "PUT", "/a$", times=1), Rule(WRONG, "PUT", "/streamed$", times=2)
    moto_trial.inject(once, twice)
    check_all_done(moto_trial.run(), moto_trial.bucket, contents)
    assert (moto_trial.puts("a"), moto_trial.puts("streamed")) == (2, 3)


def test_a_wrong_etag_for_ever_fails_the_object(moto_trial: PutTrial) -> None:
    moto_trial.tree({"a": 1000, "b": 1000})
    moto_trial.inject(Rule(WRONG, "PUT", "/a$"))
    end = moto_trial.run()
    assert (end.code, end.kinds, moto_trial.puts("a")) == (1, {"a": "integrity"}, READINGS)


NO_MD5 = {
    "multipart": (("ETag", '"d41d8cd98f00b204e9800998ecf8427e-3"'),),
    "opaque": (("ETag", '"CkQVtQbG3sFqLmXa9Wd2"'),),
    "kms": (*WRONG.headers, ("x-amz-server-side-encryption", "aws:kms")),
    "kms-dsse": (*WRONG.headers, ("x-amz-server-side-encryption", "aws:kms:dsse")),
    "sse-c": (*WRONG.headers, ("x-amz-server-side-encryption-customer-algorithm", "AES256")),
}


def test_an_etag_that_is_no_md5_raises_no_alarm(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree(dict.fromkeys(NO_MD5, 1000))
    rules = [Rule(SetHeaders(headers), "PUT", f"/{key}$") for key, headers in NO_MD5.items()]
    moto_trial.inject(*rules)
    check_all_done(moto_trial.run(), moto_trial.bucket, contents)
    assert moto_trial.puts() == len(NO_MD5)


def test_a_store_that_knows_no_conditions(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({f"f{n}": 100 for n in range(6)})
    moto_trial.bucket.put("f0", b"already there")
    refusal = Status(501, "NotImplemented")
    moto_trial.inject(Rule(refusal, "PUT", header="if-none-match"))
    end = moto_trial.run("--mode=add")
    assert end.code == 0
    assert end.reasons == {"f0": "exists"}
    assert moto_trial.bucket.tree() == contents | {"f0": b"already there"}
