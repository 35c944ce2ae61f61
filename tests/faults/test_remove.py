"""Removals that meet faults: what is replaced stays, what fails is named, nothing is told twice."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from commands import Result, Running
from faults.killers import KillClient
from faults.trials import FEW, Trial
from stores.fault_actions import (
    Call,
    Gate,
    LoseResponse,
    Response,
    Rewrite,
    Say,
    Status,
    chain,
    error,
)
from stores.fault_proxy import Rule
from stores.store import Bucket, Store

Make = Callable[[type["RemoveTrial"], Store], "RemoveTrial"]
DELETES, LISTS, LOOKS = r"\?delete=", "list-type=2", "start-after"
NAMES = [f"p/{number:02}" for number in range(12)]


@dataclass(frozen=True)
class Removal:
    """How a run ended, by key."""

    result: Result
    events: dict[str, dict[str, dict[str, Any]]]  # by outcome and key
    summary: dict[str, Any]

    @property
    def deleted(self) -> list[str]:
        return sorted(self.events["deleted"])

    def why(self, key: str) -> str:
        """Why a key failed."""
        record = self.events["failed"][key]
        assert record["deleting"] is True
        assert f"delete s3://{record['bucket']}/{key}: " in self.result.err
        return f"{record['kind']}: {record['message']}"


class RemoveTrial(Trial):
    """The objects below ``p`` in the bucket, which are removed."""

    verb = "remove"
    fast: ClassVar[list[str]] = [
        "--max-attempts=3",
        "--connect-timeout=5",
        "--read-timeout=5",
        *FEW,
    ]

    @property
    def places(self) -> list[Any]:
        return [f"{self.bucket.url}/p"]

    @property
    def journal(self) -> Path:
        return self._root / "journal.jsonl"

    def start(self, *options: str) -> Running:
        self.journal.unlink(missing_ok=True)
        return self.start_plain("--json", f"--journal={self.journal}", *options)

    def run(self, *options: str) -> Removal:
        return self.end(self.start(*options))

    def end(self, running: Running) -> Removal:
        """Wait for the end of a run, and verify what it says."""
        result = running.wait(60)
        events: dict[str, dict[str, dict[str, Any]]] = {"deleted": {}, "skipped": {}, "failed": {}}
        _, *records = map(json.loads, self.journal.read_text().splitlines())
        for record in records[:-1]:
            known = events[record["event"]]
            assert record["key"] not in known, f"told twice: {record}"
            known[record["key"]] = record
        end = Removal(result, events, records[-1])
        self._check(end)
        return end

    def _check(self, end: Removal) -> None:
        summary, events = end.summary, end.events
        assert [summary[each] for each in events] == [len(each) for each in events.values()]
        told = sum(map(len, events.values()))
        assert summary["listed"] == told + summary.get("not_attempted", 0)
        left = set(self.bucket.keys())
        assert not left & events["deleted"].keys(), "said to be deleted, and is there"
        assert events["failed"].keys() <= left
        if end.result.code in (0, 1):
            assert end.result.code == (1 if events["failed"] else 0), end.result.err


@pytest.fixture
def removal(make_trial: Make, moto: Store) -> RemoveTrial:
    """A removal of twelve objects beside others."""
    trial = make_trial(RemoveTrial, moto)
    trial.fill(dict.fromkeys([*NAMES, "q", "p-"], 10))
    return trial


def check_all_removed(trial: RemoveTrial, end: Removal) -> None:
    assert end.result.code == 0, end.result.err
    assert trial.bucket.keys() == ["p-", "q"]


def deny(bucket: Bucket, *keys: str) -> None:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteObject",
        "Resource": [f"arn:aws:s3:::{bucket.name}/{key}" for key in keys],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps(policy))


def entries(*found: tuple[str, str]) -> bytes:
    """An answer to DeleteObjects with an error for each key."""
    told = "".join(f"<Error><Key>{key}</Key><Code>{code}</Code></Error>" for key, code in found)
    return f"<DeleteResult>{told}</DeleteResult>".encode()


# What the store refuses


def test_some_keys_may_not_be_deleted(removal: RemoveTrial) -> None:
    deny(removal.bucket, *NAMES[:2])
    end = removal.run()
    assert end.result.code == 1
    assert end.deleted == NAMES[2:]
    for key in NAMES[:2]:
        assert end.why(key) == "access: AccessDenied: Access Denied"


def test_locked_objects_are_named(removal: RemoveTrial) -> None:
    """Object Lock answers so for a version that is retained."""
    locked = b"AccessDenied</Code><Message>Access Denied because object protected by object lock."
    told = b"<Error><Key>p/00</Key><Code>" + locked + b"</Message></Error></DeleteResult>"

    def refuse(body: bytes) -> bytes:
        plain = body.replace(b"<Deleted><Key>p/00</Key></Deleted>", b"")
        assert plain != body
        return plain.replace(b"</DeleteResult>", told)

    removal.inject(Rule(Rewrite(refuse), "POST", DELETES))
    result = removal.start_plain().wait(60)
    assert result.code == 1
    assert (
        "/p/00: AccessDenied: Access Denied because object protected by object lock." in result.err
    )
    assert ", 1 failed" in result.summary


def test_a_store_that_refuses_every_deletion(removal: RemoveTrial) -> None:
    deny(removal.bucket, "*")
    end = removal.run()
    assert end.result.code == 3
    assert "the store refuses every deletion: AccessDenied: Access Denied" in end.result.err
    assert len(removal.bucket.keys()) == 14
    assert len(removal.proxy.hits("POST", DELETES)) <= 2


@pytest.mark.parametrize(
    "refusal", [(501, "NotImplemented"), (405, "MethodNotAllowed"), (400, "InvalidArgument")]
)
def test_a_store_without_delete_objects(removal: RemoveTrial, refusal: tuple[int, str]) -> None:
    removal.inject(Rule(Status(*refusal), "POST", DELETES))
    check_all_removed(removal, removal.run())
    assert len(removal.proxy.hits("POST", DELETES)) <= 2
    assert len(removal.proxy.hits("DELETE")) == len(NAMES)


def test_a_store_that_refuses_conditions(removal: RemoveTrial) -> None:
    removal.inject(Rule(Status(400, "MalformedXML"), "POST", DELETES, times=1))
    end = removal.run()
    check_all_removed(removal, end)
    assert "refuses deletions on condition (MalformedXML" in end.result.err
    assert len(removal.proxy.hits("POST", DELETES)) == 2


# What others do meanwhile


def look_of(removal: RemoveTrial, change: Callable[[], object]) -> Rule:
    """A rule that calls ``change`` right before the objects are looked at again."""
    return Rule(Call(lambda _: change()), "GET", LOOKS, times=1)


@pytest.mark.parametrize("batches", [True, False])
def test_what_was_replaced_stays(removal: RemoveTrial, batches: bool) -> None:
    if not batches:
        removal.inject(Rule(Status(501, "NotImplemented"), "POST", DELETES))
    removal.inject(look_of(removal, lambda: removal.bucket.put("p/03", b"of another writer")))
    end = removal.run()
    assert end.result.code == 1
    assert end.why("p/03").startswith("changed: it was replaced since it was listed, and is kept")
    assert end.deleted == [key for key in NAMES if key != "p/03"]
    assert removal.bucket.get("p/03") == b"of another writer"


def test_what_is_gone_is_skipped(removal: RemoveTrial) -> None:
    at = removal.bucket

    def delete() -> None:
        at.client.delete_object(Bucket=at.name, Key="p/03")

    removal.inject(look_of(removal, delete))
    end = removal.run()
    check_all_removed(removal, end)
    assert {key: each["reason"] for key, each in end.events["skipped"].items()} == {
        "p/03": "gone already"
    }


def test_two_removals_at_once(removal: RemoveTrial) -> None:
    other = removal.start_plain("--json")
    end = removal.run()
    check_all_removed(removal, end)
    assert other.wait(60).code == 0
    assert len(end.events["deleted"]) + len(end.events["skipped"]) == end.summary["listed"]


# Bad luck


def test_a_lost_answer_is_asked_for_again(removal: RemoveTrial) -> None:
    removal.inject(Rule(LoseResponse(), "POST", DELETES, times=1))
    end = removal.run()
    check_all_removed(removal, end)
    assert end.deleted == NAMES


def test_errors_that_pass_are_of_the_keys_alone(removal: RemoveTrial) -> None:
    removal.inject(
        Rule(Status(503, "SlowDown"), "POST", DELETES, times=1),
        Rule(Say(Response(200, (), entries(*((key, "InternalError") for key in NAMES)))),
             "POST", DELETES, times=1),
    )  # fmt: skip
    end = removal.run()
    check_all_removed(removal, end)
    assert {each["attempts"] for each in end.events["deleted"].values()} == {3}


def test_errors_that_do_not_pass_are_failures(removal: RemoveTrial) -> None:
    answer = Response(200, (), entries(*((key, "InternalError") for key in NAMES)))
    removal.inject(Rule(Say(answer), "POST", DELETES))
    end = removal.run()
    assert end.result.code == 1
    assert end.why("p/00") == "store: InternalError"
    assert end.deleted == []


def test_an_answer_that_leaves_keys_out(removal: RemoveTrial) -> None:
    removal.inject(Rule(Say(Response(200, (), entries())), "POST", DELETES))
    end = removal.run()
    check_all_removed(removal, end)
    assert len(removal.proxy.hits("DELETE")) == len(NAMES)


def test_a_listing_that_fails_ends_the_run(removal: RemoveTrial) -> None:
    removal.inject(Rule(Status(403, "AccessDenied"), "GET", LISTS, skip=1))
    result = removal.start_plain().wait(60)
    assert result.code == 3
    assert f"list {removal.bucket.url}/p: AccessDenied" in result.err
    assert len(removal.bucket.keys()) == 14


@pytest.mark.parametrize("after", [False, True])
def test_a_worker_that_dies_with_a_batch(removal: RemoveTrial, after: bool) -> None:
    """Its deletions may have been done, or not: they are repeated, and nothing counts twice."""
    killer = KillClient()
    action = killer if after else chain(killer, Status(500, "InternalError"))
    removal.inject(Rule(action, "POST", DELETES, times=1))
    running = removal.start()
    killer.running.append(running)
    end = removal.end(running)
    check_all_removed(removal, end)
    assert killer.deaths == 1
    assert sorted([*end.events["deleted"], *end.events["skipped"]]) == NAMES
    assert "deleter 1 was killed (SIGKILL): replaced, and its tasks are repeated" in end.result.err


def test_a_run_that_is_killed_is_finished_by_the_next(removal: RemoveTrial) -> None:
    gate = Gate()
    removal.inject(Rule(gate, "POST", DELETES, times=1))
    running = removal.start_plain()
    removal.proxy.wait_for(1, "POST")
    os.kill(running.pid, signal.SIGKILL)
    running.wait(60)
    check_all_removed(removal, removal.run())
    gate.open()


def test_a_signal_lets_deletions_end(removal: RemoveTrial) -> None:
    removal.fill({f"p/x{number:04}": 1 for number in range(6000)})
    gate = Gate()
    removal.inject(Rule(gate, "POST", DELETES))
    running = removal.start()
    removal.proxy.wait_for(1, "POST")
    running.signal(signal.SIGINT)
    while "interrupted" not in running.err():
        time.sleep(0.01)
    gate.open()
    end = removal.end(running)
    assert end.result.code == 130
    assert end.deleted
    assert end.summary.get("not_attempted") or end.summary["listing_complete"] is False
    assert not end.events["failed"]
    assert set(end.deleted).isdisjoint(removal.bucket.keys())


def test_an_error_document_with_status_200(removal: RemoveTrial) -> None:
    removal.inject(
        Rule(Say(Response(200, (), error(500, "InternalError").body)), "POST", DELETES, times=1)
    )
    end = removal.run()
    check_all_removed(removal, end)
    assert {each["attempts"] for each in end.events["deleted"].values()} == {2}
