"""Bodies that do not come whole, or are not the object. Rows 15-20 and 43 of the catalogue.

An object of 3 KB is held in memory until it is verified; one of 1 MiB goes to a temporary file.
"""

from __future__ import annotations

import hashlib
import time
import zlib
from base64 import b64encode
from collections.abc import Iterable

from faults.accounting import Ending
from faults.trials import GetTrial
from stores.fault_actions import (
    Action,
    Drip,
    Hang,
    Headers,
    Reset,
    Rewrite,
    SetHeaders,
    Stall,
    Status,
    Truncate,
    chain,
    flipped,
)
from stores.fault_proxy import Rule

MEBIBYTE = 1 << 20
SIZES = {"small": 3000, "large": MEBIBYTE}
Faults = dict[str, tuple[Action, str]]  # by name: the fault, and what its victims end as
FLIP, SHORTEN = Rewrite(flipped), Rewrite(lambda body: body[:-1])
FAULTS: Faults = {
    "cut": (Truncate(), "network"),
    "shorter": (SHORTEN, "integrity"),
    "flipped": (FLIP, "integrity"),
    "reset": (Reset(), "network"),
    "slow-down": (Status(503, "SlowDown"), "store"),
}
SILENCES: Faults = {
    "before": (Hang(), "network"),
    "amid": (Stall(), "network"),
    "drip": (Drip(1.0), "network"),
}


def victims(faults: Faults) -> dict[str, int]:
    """An object of each of ``SIZES`` for each fault, by its name."""
    return {f"{name}-{size}": SIZES[size] for name in faults for size in SIZES}


def harm(trial: GetTrial, faults: Faults, *, times: int) -> None:
    """Let the victims of each fault meet it as many times (0: always)."""
    met = {f"{name}-{size}": fault for name, (fault, _) in faults.items() for size in SIZES}
    trial.inject(*(Rule(fault, "GET", f"/{key}$", times=times) for key, fault in met.items()))


def kinds_of(faults: Faults) -> dict[str, str]:
    """What the victims end as if their fault never ceases."""
    return {f"{name}-{size}": kind for name, (_, kind) in faults.items() for size in SIZES}


def check_all_got(end: Ending, trial: GetTrial, contents: dict[str, bytes]) -> None:
    """The run succeeded: all of ``contents`` was got, and nothing else is in the directory."""
    assert end.code == 0, (end.kinds, end.result.err)
    assert end.done.keys() == contents.keys()
    assert trial.files() == contents


def test_what_did_not_come_whole_is_asked_for_again(get_trial: GetTrial) -> None:
    contents = get_trial.fill({**victims(FAULTS), "other": 10})
    harm(get_trial, FAULTS, times=2)
    check_all_got(get_trial.run(), get_trial, contents)
    assert {get_trial.gets(key) for key in victims(FAULTS)} == {3}
    assert get_trial.gets("other") == 1


def test_what_never_comes_whole_leaves_the_old_file(get_trial: GetTrial) -> None:
    contents = get_trial.fill({**victims(FAULTS), "other": 10})
    old = {f"{fault}-small": "the old file" for fault in FAULTS} | {"cut-large": "another"}
    before = get_trial.stand({**old, "kept": 10})
    harm(get_trial, FAULTS, times=0)
    end = get_trial.run("--max-throttled=6")
    # In the end only what is throttled is left to do, which ends the run.
    assert (end.code, end.kinds) == (3, kinds_of(FAULTS))
    assert get_trial.files() == {**before, "other": contents["other"]}


def test_what_is_refused_leaves_the_old_file(moto_get: GetTrial) -> None:
    refusals = {
        "store": Status(500, "InternalError"),
        "access": Status(403, "AccessDenied"),
        "rejected": Status(403, "InvalidObjectState"),
        "not-found": Status(404, "NoSuchKey"),
        "network": Hang(),
    }
    moto_get.fill(dict.fromkeys(refusals, 3000) | {"other": 10})
    before = moto_get.stand(dict.fromkeys(refusals, "the old file"))
    moto_get.inject(*(Rule(action, "GET", f"/{key}$") for key, action in refusals.items()))
    end = moto_get.run("--read-timeout=1", "--max-attempts=1")
    assert (end.code, end.kinds) == (1, {kind: kind for kind in refusals})
    assert end.done.keys() == {"other"}
    assert moto_get.files().items() > before.items()


# What an ETag that is no MD5 leaves to go by


def put_in_parts(trial: GetTrial, keys: Iterable[str]) -> dict[str, bytes]:
    """Objects of ``SIZES`` with an ETag that is no MD5 of theirs, by keys such as ``small-x``."""
    contents = trial.fill({key: SIZES[key.partition("-")[0]] for key in keys})
    for key, body in contents.items():
        trial.bucket.put_multipart(key, body)
    return contents


ONCE_OR_ALWAYS = {"small-once": 1, "large-once": 1, "small-always": 0, "large-always": 0}


def check_once_mended_always_failed(trial: GetTrial, contents: dict[str, bytes]) -> None:
    end = trial.run()
    assert (end.code, end.kinds) == (
        1,
        {k: "integrity" for k, n in ONCE_OR_ALWAYS.items() if not n},
    )
    assert trial.files() == {key: contents[key] for key, times in ONCE_OR_ALWAYS.items() if times}


def test_a_flipped_bit_is_noticed_by_the_stored_checksum(get_trial: GetTrial) -> None:
    contents = put_in_parts(get_trial, ONCE_OR_ALWAYS)
    rules = []
    for key, times in ONCE_OR_ALWAYS.items():
        crc = b64encode(zlib.crc32(contents[key]).to_bytes(4, "big")).decode()
        told = (("x-amz-checksum-crc32", crc), ("x-amz-checksum-type", "FULL_OBJECT"))
        stored = SetHeaders(told)
        rules.append(Rule(chain(FLIP, stored), "GET", f"/{key}$", times=times))
        rules.append(Rule(stored, "GET", f"/{key}$"))
    get_trial.inject(*rules)
    check_once_mended_always_failed(get_trial, contents)


def test_a_short_body_without_any_digest_is_noticed_by_the_listing(get_trial: GetTrial) -> None:
    contents = put_in_parts(get_trial, ONCE_OR_ALWAYS)
    rules = (Rule(SHORTEN, "GET", f"/{key}$", times=n) for key, n in ONCE_OR_ALWAYS.items())
    get_trial.inject(*rules)
    check_once_mended_always_failed(get_trial, contents)


WRONG = hashlib.md5(b"other").hexdigest()
NO_MD5: dict[str, tuple[str, Headers]] = {
    "multipart": (f"{WRONG}-3", ()),
    "opaque": ("CkQVtQbG3sFqLmXa9Wd2", ()),
    "kms": (WRONG, (("x-amz-server-side-encryption", "aws:kms"),)),
    "sse-c": (WRONG, (("x-amz-server-side-encryption-customer-algorithm", "AES256"),)),
}


def test_an_etag_that_is_no_md5_raises_no_alarm(moto_get: GetTrial) -> None:
    contents = moto_get.fill({f"{kind}-{size}": SIZES[size] for kind in NO_MD5 for size in SIZES})
    told = {key: NO_MD5[key.rpartition("-")[0]] for key in contents}

    def disguised(page: bytes) -> bytes:
        for key, body in contents.items():
            page = page.replace(hashlib.md5(body).hexdigest().encode(), told[key][0].encode())
        return page

    moto_get.inject(
        *(
            Rule(SetHeaders((("ETag", f'"{etag}"'), *headers)), "GET|HEAD", f"/{key}$")
            for key, (etag, headers) in told.items()
        ),
        Rule(Rewrite(disguised), "GET", "list-type=2"),
    )
    check_all_got(moto_get.run(), moto_get, contents)
    assert moto_get.gets() == len(contents)
    again = moto_get.run()
    assert (again.code, set(again.skipped)) == (0, set(contents))
    assert moto_get.gets() == len(contents)


def test_multipart_objects_arrive_and_are_known_again(get_trial: GetTrial) -> None:
    contents = put_in_parts(get_trial, SIZES)
    check_all_got(get_trial.run(), get_trial, contents)
    again = get_trial.run()
    assert again.reasons == dict.fromkeys(SIZES, "same etag")


# Silence


def test_what_stands_still_is_asked_for_again(moto_get: GetTrial) -> None:
    contents = moto_get.fill({**victims(SILENCES), "other": 10})
    harm(moto_get, SILENCES, times=1)
    began = time.monotonic()
    check_all_got(moto_get.run("--read-timeout=2"), moto_get, contents)
    assert time.monotonic() - began < 50


def test_what_stands_still_for_ever_fails(moto_get: GetTrial) -> None:
    contents = moto_get.fill({**victims(SILENCES), "other": 10})
    before = moto_get.stand({"amid-large": "the old file"})
    harm(moto_get, SILENCES, times=0)
    began = time.monotonic()
    end = moto_get.run("--read-timeout=1", "--max-attempts=1")
    assert time.monotonic() - began < 50
    assert (end.code, end.kinds) == (1, kinds_of(SILENCES))
    assert moto_get.files() == {**before, "other": contents["other"]}


def test_a_slow_body_is_no_silence(moto_get: GetTrial) -> None:
    contents = moto_get.fill({"a": 1500})
    moto_get.inject(Rule(Drip(0.003), "GET", "/a$"))
    check_all_got(moto_get.run("--read-timeout=3"), moto_get, contents)
    assert moto_get.gets() == 1
