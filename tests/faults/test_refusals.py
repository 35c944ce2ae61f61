"""A store that refuses for a while is asked again; one that refuses for good is believed.

Rows 1-4 and 9 of the catalogue.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest

from faults.accounting import check_all_done
from faults.listing_pages import PAGES
from faults.trials import PutTrial
from stores.fault_actions import Action, Call, Response, Say, Status
from stores.fault_proxy import Rule

SLOW_DOWN = Status(503, "SlowDown")
MEBIBYTE = 1 << 20
TWO_REFUSALS = pytest.mark.parametrize(("one", "other"), [(500, 502), (503, 504)])


def for_each_key(action: Action, keys: Iterable[str], *, times: int) -> list[Rule]:
    """Rules by which each key meets ``action`` so many times, whatever the order of arrival."""
    return [Rule(action, "PUT", f"/{key}$", times=times) for key in keys]


def test_a_burst_of_slow_down_is_waited_out(trial: PutTrial) -> None:
    contents = trial.tree({f"d{n % 3}/f{n:02d}": 4096 for n in range(10)})
    trial.inject(*for_each_key(SLOW_DOWN, contents, times=2))
    end = trial.run()
    check_all_done(end, trial.bucket, contents)
    assert trial.puts() == 30
    assert {record["attempts"] for record in end.done.values()} == {3}


def test_waits_grow_and_are_drawn_at_random(moto_trial: PutTrial) -> None:
    trial = moto_trial
    contents = trial.tree({f"f{n:02d}": 10 for n in range(24)})
    trial.inject(*for_each_key(Status(500, "InternalError"), contents, times=3))
    end = trial.run("--max-attempts=4", "--concurrency=64", "--mode=stupid")
    check_all_done(end, trial.bucket, contents)
    times = {key: [h.at for h in trial.proxy.hits("PUT", f"/{key}$")] for key in contents}
    first, second, third = ([t[n + 1] - t[n] for t in times.values()] for n in range(3))
    # Full jitter: uniform below a bound that doubles. Means of 24 draws tell it from a fixed wait.
    assert sum(first) < sum(second) + sum(third)
    assert max(second) > 2 * min(second)


def test_slow_down_for_ever_ends_the_objects(trial: PutTrial) -> None:
    contents = trial.tree({f"f{n}": 100 for n in range(6)})
    trial.inject(Rule(SLOW_DOWN, "PUT", "/f[0-3]$"))
    end = trial.run("--max-throttled=1")
    assert end.code == 3  # by then there is nothing else to do
    assert end.kinds == dict.fromkeys(["f0", "f1", "f2", "f3"], "store")
    assert end.done.keys() == {"f4", "f5"}
    assert trial.bucket.keys() == ["f4", "f5"]
    for record in end.failed.values():
        assert (record["code"], "SlowDown" in record["message"]) == ("SlowDown", True)
    assert end.result.err.count("--max-throttled") == 1
    assert contents.keys() == end.done.keys() | end.failed.keys()


def test_slow_down_for_ever_from_the_start_ends_the_run(moto_trial: PutTrial) -> None:
    trial = moto_trial
    trial.tree({f"f{n}": 100 for n in range(6)})
    trial.inject(Rule(SLOW_DOWN))
    result = trial.start("--max-throttled=1").wait(30)
    assert result.code == 3
    assert "SlowDown" in result.err
    assert "--max-throttled" in result.err
    assert trial.bucket.keys() == []


def test_an_unwell_server_is_asked_again(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({"500": 1000, "502": 0, "504": 300_000, "429": 1})
    answers = [Status(int(key), "Unwell") for key in contents]
    moto_trial.inject(*(Rule(a, "PUT", f"/{a.status}$", times=2) for a in answers))
    check_all_done(moto_trial.run(), moto_trial.bucket, contents)
    assert moto_trial.puts() == 12


def test_a_body_that_did_not_arrive_is_sent_again_whole(trial: PutTrial) -> None:
    contents = trial.tree({"small": 1000, "streamed": 3 * MEBIBYTE})
    trial.inject(
        *for_each_key(Status(400, "RequestTimeout"), contents, times=1),
        *for_each_key(Status(400, "IncompleteBody"), contents, times=1),
    )
    check_all_done(trial.run(), trial.bucket, contents)
    assert trial.puts("streamed") == 3


def test_an_answer_before_the_end_of_the_body(trial: PutTrial) -> None:
    contents = trial.tree({"streamed": 12 * MEBIBYTE, "z": 10})
    trial.inject(Rule(Status(503, "SlowDown", early=True), "PUT", "/streamed$", times=2))
    check_all_done(trial.run(), trial.bucket, contents)


@TWO_REFUSALS
def test_a_listing_is_asked_for_again(moto_trial: PutTrial, one: int, other: int) -> None:
    contents = moto_trial.tree({"a": 10, "b": 10})
    moto_trial.bucket.put("a", contents["a"])
    moto_trial.inject(
        Rule(Status(one, "Unwell"), "GET", PAGES, times=1),
        Rule(Status(other, "Unwell"), "GET", PAGES, times=1),
    )
    end = moto_trial.run("--mode=update")
    assert end.code == 0
    assert end.reasons == {"a": "same etag"}
    assert end.done.keys() == {"b"}


@TWO_REFUSALS
def test_a_head_is_asked_for_again(moto_trial: PutTrial, one: int, other: int) -> None:
    contents = moto_trial.tree({"a": 10, "b": 10})
    moto_trial.bucket.put("a", contents["a"])
    moto_trial.inject(
        Rule(Status(403, "AccessDenied"), "GET", "list-type=2"),
        Rule(Status(one, "Unwell"), "HEAD", "/a$", times=1),
        Rule(Status(other, "Unwell"), "HEAD", "/a$", times=1),
    )
    end = moto_trial.run("--mode=update")
    assert end.code == 0
    assert end.reasons == {"a": "same etag"}
    assert len(moto_trial.proxy.hits("HEAD", "/a$")) == 3


def test_a_lost_race_is_run_again(trial: PutTrial) -> None:
    contents = trial.tree({"a": 1000, "b": 1000})
    conflict = Status(409, "ConditionalRequestConflict")
    trial.inject(Rule(conflict, "PUT", "/a$", times=2, header="if-none-match"))
    end = trial.run("--mode=add")
    check_all_done(end, trial.bucket, contents)
    assert trial.puts("a") == 3


def test_a_501_for_one_object_costs_no_other_its_condition(moto_trial: PutTrial) -> None:
    """Mode add: ``b`` is refused whatever its headers, ``c`` by an error that passes."""
    contents = moto_trial.tree(dict.fromkeys("abcdefgh", 10))
    moto_trial.bucket.put("e", b"theirs")
    refusal = Status(501, "NotImplemented")
    moto_trial.inject(
        Rule(refusal, "PUT", "/b$"),
        Rule(refusal, "PUT", "/c$", times=1),
        Rule(Call(lambda _: moto_trial.bucket.put("h", b"late")), "PUT", "/h$"),
    )
    end = moto_trial.run("--mode=add", "--processes=1", "--concurrency=1")
    assert (end.code, end.kinds, set(end.done)) == (1, {"b": "store"}, set("acdfg"))
    assert end.reasons == {"e": "exists", "h": "exists"}
    theirs = {"e": b"theirs", "h": b"late"}
    assert moto_trial.bucket.tree() == {k: v for k, v in contents.items() if k != "b"} | theirs
    puts = [hit.request for hit in moto_trial.proxy.hits("PUT")]
    without = [each.path[-2:] for each in puts if not each.header("if-none-match")]
    assert without == ["/b", "/c"]
    assert len(moto_trial.proxy.hits("HEAD", "/[abcdefgh]$")) == 3  # b, c, and h
    (told,) = [line for line in end.result.err.splitlines() if "If-None-Match" in line]
    assert "right before it writes" in told


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        (Status(400, "AccessControlListNotSupported"), "rejected", "AccessControlListNotSupported"),
        (Say(Response(451, ())), "rejected", "HTTP451"),  # of something between, not of a store
        (Status(403, "AccessDenied"), "access", "AccessDenied"),
    ],
)
def test_what_refuses_every_object_alike_ends_the_run_in_one_line(
    moto_trial: PutTrial, fault: Action, kind: str, code: str
) -> None:
    moto_trial.tree({f"f{n:04d}": 10 for n in range(700)})
    moto_trial.inject(Rule(fault, "PUT"))
    end = moto_trial.run("--mode=stupid")
    assert end.code == 3
    (line,) = end.result.err.splitlines()
    cause = code.replace("HTTP", "HTTP ")  # where the body has no code of its own
    assert f"the store refuses every object, and the rest is not tried: {cause}" in line
    assert {(each["kind"], each["code"]) for each in end.failed.values()} == {(kind, code)}
    assert len(end.failed) < 600


def test_one_cause_is_told_so_often_and_then_counted(moto_trial: PutTrial) -> None:
    contents = moto_trial.tree({f"f{n:03d}": 10 for n in range(90)} | {"e1": 1, "e2": 1})
    moto_trial.inject(
        Rule(Status(400, "InvalidTag"), "PUT", "/f"),
        Rule(Status(400, "InvalidArgument"), "PUT", "/e2$"),
    )
    end = moto_trial.run("--mode=stupid")
    assert (end.code, set(end.done), len(end.failed)) == (1, {"e1"}, len(contents) - 1)
    lines = end.result.err.splitlines()
    assert sum("InvalidTag: " in line for line in lines) == 20
    assert sum("e2: InvalidArgument: " in line for line in lines) == 1
    assert [line.split()[1:] for line in lines[-2:]] == [
        ["90", "rejected", "(InvalidTag)"],
        ["1", "rejected", "(InvalidArgument)"],
    ]
    assert "--journal" in lines[-3]


def test_what_is_refused_for_good_is_asked_once(moto_trial: PutTrial) -> None:
    refused = {"a": "InvalidRequest", "b": "EntityTooLarge", "c": "KeyTooLongError"}
    contents = moto_trial.tree(dict.fromkeys([*refused, "d"], 10))
    moto_trial.inject(*(Rule(Status(400, c), "PUT", f"/{k}$") for k, c in refused.items()))
    began = time.monotonic()
    end = moto_trial.run()
    assert time.monotonic() - began < 50
    assert (end.code, end.kinds) == (1, dict.fromkeys(refused, "rejected"))
    assert all(code in end.failed[key]["message"] for key, code in refused.items())
    assert moto_trial.puts() == len(contents)
