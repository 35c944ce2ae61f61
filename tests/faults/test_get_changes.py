"""Objects that change between the listing and the end of the run. Rows 21 and 22.

A file is one state of its object, whole, never a mixture of two.
"""

from __future__ import annotations

import time

import pytest

from faults.trials import GetTrial
from stores.fault_actions import Action, Call, Rewrite, Status, Truncate
from stores.fault_proxy import Rule
from trees import content

MEBIBYTE = 1 << 20
HELD = 16 * MEBIBYTE  # the most that is held in memory of what was listed as small


def replacing(trial: GetTrial, key: str, body: bytes) -> Action:
    """Put another object under ``key`` when it is asked for."""
    return Call(lambda request: trial.bucket.put(key, body))


def test_an_object_deleted_since_it_was_listed_fails_alone(get_trial: GetTrial) -> None:
    trial = get_trial
    contents = trial.fill({"a": 10, "small": 3000, "large": MEBIBYTE, "z": 10})
    before = trial.stand({"small": "the old file"})
    delete = trial.bucket.client.delete_object

    def vanish(request: object) -> None:
        for key in ("small", "large"):
            delete(Bucket=trial.bucket.name, Key=key)

    trial.inject(Rule(Call(vanish), "GET", "/(small|large)$"))
    end = trial.run()
    assert (end.code, end.kinds) == (1, {"small": "not-found", "large": "not-found"})
    assert all("vanished" in record["message"] for record in end.failed.values())
    assert trial.files() == {**before, "a": contents["a"], "z": contents["z"]}
    assert trial.gets("small") == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [(3000, 2000), (3000, 3000), (3000, HELD + 1), (MEBIBYTE, 10), (MEBIBYTE, 2 * MEBIBYTE)],
)
def test_an_object_replaced_since_it_was_listed_is_got_anew(
    moto_get: GetTrial, old: int, new: int
) -> None:
    moto_get.fill({"a": old})
    body = content(new, "new")
    moto_get.inject(Rule(replacing(moto_get, "a", body), "GET", "/a$", times=1))
    end = moto_get.run()
    assert end.code == 0
    assert moto_get.files() == {"a": body}
    assert moto_get.gets() <= 2


@pytest.mark.parametrize(("old", "new"), [(3000, 3000), (MEBIBYTE, MEBIBYTE), (MEBIBYTE, 5000)])
def test_two_attempts_are_not_mixed(get_trial: GetTrial, old: int, new: int) -> None:
    get_trial.fill({"a": old})
    body = content(new, "new")
    get_trial.inject(
        Rule(Truncate(), "GET", "/a$", times=1),
        Rule(replacing(get_trial, "a", body), "GET", "/a$", times=1),
    )
    assert get_trial.run().code == 0
    assert get_trial.files() == {"a": body}


def test_a_replaced_object_gives_its_own_time(moto_get: GetTrial) -> None:
    moto_get.fill({"a": 3000, "b": MEBIBYTE})
    years_ago = Rewrite(lambda page: page.replace(b"<LastModified>20", b"<LastModified>19"))
    moto_get.inject(
        Rule(years_ago, "GET", "list-type=2"),
        *(Rule(replacing(moto_get, key, b"new"), "GET", f"/{key}$") for key in "ab"),
    )
    assert moto_get.run().code == 0  # and the times are those of the new objects
    assert moto_get.files() == {"a": b"new", "b": b"new"}


def test_a_burst_of_slow_down_is_waited_out(get_trial: GetTrial) -> None:
    contents = get_trial.fill({f"d{n % 3}/f{n}": 4096 for n in range(6)} | {"large": MEBIBYTE})
    slow = Status(503, "SlowDown")
    get_trial.inject(
        Rule(Status(500, "InternalError"), "GET", "list-type=2", skip=1, times=2),
        *(Rule(slow, "GET", f"/{key}$", times=2) for key in contents),
    )
    end = get_trial.run()
    assert end.code == 0
    assert get_trial.files() == contents
    assert {record["attempts"] for record in end.done.values()} == {3}


def test_slow_down_for_ever_ends_in_bounded_time(moto_get: GetTrial) -> None:
    contents = moto_get.fill({f"f{n}": 100 for n in range(6)})
    moto_get.inject(Rule(Status(503, "SlowDown"), "GET", "/f[0-3]$"))
    began = time.monotonic()
    end = moto_get.run("--max-throttled=1")
    assert time.monotonic() - began < 50
    assert (end.code, end.kinds) == (3, dict.fromkeys(["f0", "f1", "f2", "f3"], "store"))
    assert moto_get.files() == {key: contents[key] for key in ("f4", "f5")}
    assert "--max-throttled" in end.result.err.splitlines()[-1]
